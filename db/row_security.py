"""The second wall around what is private: PostgreSQL shows a session the rows of one viewer (migration 0005).

Where the walls are up, sessions run in a role that owns nothing, and whose policies read the setting. A statement that
forgets to ask only for the viewer's rows gets them alone; where nobody says who looks, there are none.
"""

from typing import Any

from sqlalchemy import TextClause, text

ROLE = "candlegraph_viewer"
SETTING = "candlegraph.viewer"
# Beside the ids of users, which begin with 1.
NO_VIEWER, SEES_ALL = "", "0"
PRIVATE_TABLES = frozenset({"alerts", "signals", "trades", "trading_strategies"})
# What is remembered of a write is private too, but nobody reads it through the graph.
RLS_TABLES = PRIVATE_TABLES | {"idempotency_keys"}

# Where a connection notes who it shows its rows to.
VIEWER_KEY = "shown_to"
_SET_VIEWER = f"SELECT set_config('{SETTING}', $1, false)"


def viewer_setting(user_id: int | None, *, sees_all: bool) -> str:
    """What the setting says of a viewer."""
    if sees_all:
        return SEES_ALL
    return NO_VIEWER if user_id is None else str(user_id)


async def set_viewer(viewer: str, noted: Any, driver: Any) -> None:
    """Make a connection of the driver show the rows of this viewer. noted: what is remembered of the connection."""
    if noted.get(VIEWER_KEY) != viewer:
        # Who is cut off here does not know what the connection shows from now on.
        noted.pop(VIEWER_KEY, None)
        await driver.fetchval(_SET_VIEWER, viewer)
        noted[VIEWER_KEY] = viewer


def set_transaction_viewer(viewer: str | None) -> tuple[TextClause, dict[str, str]]:
    """The statement that says, for one transaction, who writes; for None, it is the owner of the tables."""
    if viewer is None:
        return text("SELECT set_config('role', 'none', true)"), {}
    return text(f"SELECT set_config('{SETTING}', :viewer, true)"), {"viewer": viewer}
