"""The parts of uvicorn that the server relies on, beyond its documented interface.

server/overload/protocol.py subclasses HttpToolsProtocol, server/process/ subclasses Server, Multiprocess and Process.
When one of these tests fails after an update, those modules have to be checked against the new version.
"""

import asyncio
import inspect
import socket
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess

from server.process.stopping import DrainingServer, ServingConfig
from server.process.workers import Supervisor, Worker

# Its name in uvicorn's module is that of Worker by now.
Process: Any = Worker.__base__
PROJECT = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())["project"]
SIGNATURES = {
    # Overridden or called by Protocol.
    HttpToolsProtocol.__init__: ["self", "config", "server_state", "app_state", "_loop"],
    HttpToolsProtocol.connection_made: ["self", "transport"],
    HttpToolsProtocol.connection_lost: ["self", "exc"],
    HttpToolsProtocol.data_received: ["self", "data"],
    HttpToolsProtocol.on_message_begin: ["self"],
    HttpToolsProtocol.on_headers_complete: ["self"],
    HttpToolsProtocol.on_response_complete: ["self"],
    HttpToolsProtocol.shutdown: ["self"],
    HttpToolsProtocol._unset_keepalive_if_required: ["self"],
    FlowControl.pause_reading: ["self"],
    FlowControl.resume_reading: ["self"],
    # Overridden or called by DrainingServer.
    Server.__init__: ["self", "config"],
    Server.startup: ["self", "sockets"],
    Server.handle_exit: ["self", "sig", "frame"],
    Server.shutdown: ["self", "sockets"],
    Server.on_tick: ["self", "counter"],
    Server.run: ["self", "sockets"],
    uvicorn.Config.bind_socket: ["self"],
    # Overridden or called by Supervisor.
    Multiprocess.__init__: ["self", "config", "sockets"],
    Multiprocess.run: ["self"],
    Multiprocess.init_processes: ["self"],
    Multiprocess.handle_signals: ["self"],
    Multiprocess.keep_subprocess_alive: ["self"],
    Multiprocess.terminate_all: ["self"],
    Multiprocess.join_all: ["self"],
    Process.__init__: ["self", "config", "sockets"],
    Process.is_alive: ["self", "timeout"],
}


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_signatures(function: Any) -> None:
    assert list(inspect.signature(function).parameters) == SIGNATURES[function]


def test_the_version_is_bounded_to_the_installed_minor_series() -> None:
    major, minor, *_ = version("uvicorn").split(".")
    [bounds] = [each for each in PROJECT["dependencies"] if each.startswith("uvicorn")]
    assert bounds == f"uvicorn>={major}.{minor},<{major}.{int(minor) + 1}"


class Connected(asyncio.Transport):
    """A transport that collects what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_reading_paused = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False


async def test_a_connection() -> None:
    """The attributes of a connection that Protocol and DrainingServer read and write."""
    config = uvicorn.Config(application, log_config=None)
    config.load()
    server = Server(config)
    state = {"key": "value"}
    protocol = HttpToolsProtocol(config=config, server_state=server.server_state, app_state=state)
    transport = Connected()
    protocol.connection_made(transport)
    assert protocol.app_state is state
    assert protocol.tasks is server.server_state.tasks
    assert server.server_state.connections == {protocol}
    assert (protocol.transport, protocol.loop) == (transport, asyncio.get_running_loop())
    assert (protocol.scope, protocol.cycle) == (None, None)
    protocol.flow.pause_reading()
    assert transport.is_reading_paused
    protocol.flow.resume_reading()
    assert not transport.is_reading_paused
    protocol.data_received(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    # The scope can be changed after this, before its task begins.
    [task] = protocol.tasks
    assert (protocol.scope["path"], protocol.scope["state"]) == ("/a", state)
    cycle = protocol.cycle
    assert isinstance(cycle, RequestResponseCycle)
    assert cycle.scope is protocol.scope
    assert (cycle.response_started, cycle.response_complete, cycle.keep_alive) == (False, False, True)
    cycle.keep_alive = False
    await task
    assert (cycle.response_started, cycle.response_complete) == (True, True)
    assert b"connection: close" in transport.written
    protocol._unset_keepalive_if_required()
    protocol.connection_lost(None)
    assert protocol.parser is None
    assert server.server_state.connections == set()


async def test_the_date_is_the_first_of_the_default_headers() -> None:
    """on_tick(0) replaces the headers, to which DrainingServer adds one."""
    server = Server(uvicorn.Config(application, log_config=None, server_header=False))
    server.config.load()
    server.server_state.default_headers = [(b"a", b"b")]
    await server.on_tick(0)
    assert [name for name, _ in server.server_state.default_headers] == [b"date"]


async def test_a_server() -> None:
    """The attributes of a server that DrainingServer reads and writes, from its start to its end."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application, log_config=None, lifespan="off", access_log=False)
        server = Server(config)
        assert not server.started
        config.load()
        server.lifespan = config.lifespan_class(config)
        assert isinstance(server.lifespan.state, dict)
        await server.startup([bound])
        assert server.started
        assert [type(each).close for each in server.servers]
        await server.shutdown([bound])


def test_our_classes_are_the_ones_that_run() -> None:
    # Multiprocess starts workers by this global name.
    assert multiprocess.Process is Worker
    assert all(
        "Process(self.config, self.sockets)" in inspect.getsource(method)
        for method in (Multiprocess.init_processes, Multiprocess.keep_subprocess_alive, Multiprocess.restart_all)
    )
    # Worker.server creates the server at its first use.
    assert isinstance(inspect.getattr_static(Process, "server"), property)
    assert "self._server" in inspect.getsource(Process.__init__)
    assert "self.server.run(sockets)" in inspect.getsource(Process.target)
    # Worker.is_alive reads the answer to a ping.
    assert 'self.parent_conn.send(b"ping")' in inspect.getsource(Process)
    assert "self.child_conn.send(self.server.started)" in inspect.getsource(Process.pong)
    assert "process.is_alive(timeout=" in inspect.getsource(Multiprocess.keep_subprocess_alive)


def test_a_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attributes of a supervisor and of a worker that are used."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    config = ServingConfig(application, log_config=None, workers=2, shutdown_delay_seconds=0)
    supervisor = Supervisor(config, sockets=[])
    assert (supervisor.processes, supervisor.sockets, supervisor.signal_queue) == ([], [], [])
    assert not supervisor.should_exit.is_set()
    worker = Worker(config, [])
    assert (worker.config, worker._server, worker.pid) == (config, None, None)
    assert isinstance(worker.server, DrainingServer)
    assert worker.server is worker.server
    assert not worker.process.is_alive()
    for pipe in (worker.parent_conn, worker.child_conn):
        pipe.close()
