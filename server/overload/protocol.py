"""HTTP as uvicorn speaks it, but for what keeps a flood from drowning everybody: the request_queue, and pauses."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.overload.request_queue import RECEIVED_AT, REJECTED, REQUEST_QUEUE, RequestQueue

# Where a scope says for how many seconds its connection is not read after the answer. It must not be shared by clients.
PAUSE = "candlegraph.pause"


class Protocol(HttpToolsProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request_queue: RequestQueue = self.app_state[REQUEST_QUEUE]
        # What was sent while it waits there.
        self._held: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        request_queue = self._request_queue
        # On the way of every request: nothing is called before there is no room.
        is_full = request_queue.waiting or len(self.tasks) >= request_queue.room
        if self._held or (is_full and request_queue.must_wait(data)):
            self._wait(data)
        else:
            super().data_received(data)

    def _wait(self, data: bytes) -> None:
        if not self._held and self._request_queue.is_late:
            super().data_received(data)
            self._note(REJECTED, True)
            return
        self._unset_keepalive_if_required()
        if self._held:
            # No client fills the memory while it waits.
            self.flow.pause_reading()
        else:
            self._request_queue.hold(self)
        self._held.append(data)

    def resume(self, received_at: float) -> bool:
        data, self._held = b"".join(self._held), []
        if self.parser is None or self.transport.is_closing():
            return False
        self.flow.resume_reading()
        super().data_received(data)
        self._note(RECEIVED_AT, received_at)
        return True

    def _note(self, name: str, value: Any) -> None:
        """In the scope of the request that was sent: its task has yet to begin."""
        scope: Any = self.scope
        if scope is not None:
            scope.setdefault(name, value)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Of a request that came with the one before, and has only begun, there may be no path yet.
        if self._request_queue.waiting and self.scope.get("path") == self._request_queue.path:
            self._request_queue.left(self)
        if PAUSE in self.scope and not self.transport.is_closing():
            seconds: Any = self.scope[PAUSE]  # type: ignore[literal-required]
            self.flow.pause_reading()
            self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def shutdown(self) -> None:
        # Whoever waits has sent a request before, so it is answered.
        self._request_queue.empty()
        super().shutdown()
