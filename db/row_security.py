"""Row security: PostgreSQL shows a session the rows of one viewer only (migration 0005).

It is the second protection of private rows; the first is the viewer's criterion in each query (db/queries/viewers.py).
Where rls_enabled is set, sessions run in a role that owns nothing, and whose policies read the setting below. A query
that omits the viewer's criterion still gets the viewer's rows only; without a viewer in the setting it gets none.
"""

from typing import Any

from sqlalchemy import TextClause, text

from db.models import Base
from db.models.base import access_of

ROLE = "candlegraph_viewer"
SETTING = "candlegraph.viewer"
# Values of the setting beside the ids of users, which begin with 1.
NO_VIEWER, SEES_ALL = "", "0"
# Tables with row security. A plan that reads one of them runs with a viewer.
PRIVATE_TABLES = frozenset(table.name for table in Base.metadata.sorted_tables if access_of(table).has_row_security)

# The key in a connection's info under which its current viewer is noted.
VIEWER_KEY = "shown_to"
_SET_VIEWER = f"SELECT set_config('{SETTING}', $1, false)"


def viewer_setting(user_id: int | None, *, sees_all: bool) -> str:
    """The value of the setting for a viewer."""
    if sees_all:
        return SEES_ALL
    return NO_VIEWER if user_id is None else str(user_id)


async def set_viewer(viewer: str, noted: Any, driver: Any) -> None:
    """Make a connection of the driver show the rows of this viewer. noted: the info of the connection."""
    if noted.get(VIEWER_KEY) != viewer:
        # If this is cancelled, the viewer of the connection is unknown, and the next call sets it again.
        noted.pop(VIEWER_KEY, None)
        await driver.fetchval(_SET_VIEWER, viewer)
        noted[VIEWER_KEY] = viewer


def set_transaction_viewer(viewer: str | None) -> tuple[TextClause, dict[str, str]]:
    """The statement that sets the viewer of one transaction. None: no viewer, it runs as the owner of the tables."""
    if viewer is None:
        return text("SELECT set_config('role', 'none', true)"), {}
    return text(f"SELECT set_config('{SETTING}', :viewer, true)"), {"viewer": viewer}
