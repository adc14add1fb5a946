"""The declaration beside each model: owner of the rows, columns that viewers may read, announcement of changes."""

from dataclasses import dataclass
from enum import Enum


class Announced(Enum):
    """The way that changes of a table are announced. The value names the trigger function (migration 0003)."""

    AS_COIN = "candlegraph_announce_coins"
    """By the row's own symbol: the table of coins."""
    BY_COIN = "candlegraph_announce_rows_of_coins"
    """By the symbol of the coin that the row refers to."""
    BY_TABLE = "candlegraph_announce_rows"
    """By the name of the table alone."""
    NEVER = None
    """No cached answer reads the table, or its changes are those of the table that it follows."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Declares how a table is announced and protected. Row security, `db verify` and the tests derive from it.

    owned_by: the column with the owner's user id. Rows of an owned table are private.
    shared_without_owner: any signed-in viewer may read a row whose owner is null.
    viewer_columns: for a table with secrets, the only columns that the viewer role may read. Such a table has column
        privileges instead of row security; None: all columns.
    unannounced_columns: an update of these columns alone is not announced.
    follows: the table whose triggers write this one.
    """

    announced: Announced
    owned_by: str | None = None
    shared_without_owner: bool = False
    viewer_columns: tuple[str, ...] | None = None
    unannounced_columns: tuple[str, ...] = ()
    follows: str | None = None

    @property
    def is_private(self) -> bool:
        """Whether a row is visible only to its owner and to viewers who see all rows."""
        return self.owned_by is not None

    @property
    def has_row_security(self) -> bool:
        return self.is_private and self.viewer_columns is None
