"""uvicorn's HTTP protocol, with two additions for overload: the request queue, and pauses in reading a connection."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.overload.request_queue import REQUEST_QUEUE, RequestQueue
from server.request_state import STATE, RequestState, state_of


class Protocol(HttpToolsProtocol):
    """A connection. Its bytes are held back unparsed while its request waits in the queue."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request_queue: RequestQueue = self.app_state[REQUEST_QUEUE]
        # The bytes that arrived while the request waits.
        self._held: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        request_queue = self._request_queue
        # This runs for every request: no call before the server is full.
        is_full = request_queue.waiting or len(self.tasks) >= request_queue.max_in_progress
        if self._held or (is_full and request_queue.should_hold(data)):
            self._hold(data)
        else:
            super().data_received(data)

    def _hold(self, data: bytes) -> None:
        if not self._held and self._request_queue.is_overdue:
            super().data_received(data)
            if (state := self._state()) is not None:
                state.is_rejected = True
            return
        self._unset_keepalive_if_required()
        if self._held:
            # A client must not fill the memory while its request waits.
            self.flow.pause_reading()
        else:
            self._request_queue.enqueue(self)
        self._held.append(data)

    def resume(self, received_at: float) -> bool:
        data, self._held = b"".join(self._held), []
        if self.parser is None or self.transport.is_closing():
            return False
        self.flow.resume_reading()
        super().data_received(data)
        if (state := self._state()) is not None:
            state.received_at = received_at
        return True

    def _state(self) -> RequestState | None:
        """The state of the request that was just parsed, whose task has yet to begin."""
        scope: Any = self.scope
        return None if scope is None else state_of(scope)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # The scope of a pipelined request that has only begun to arrive may have no path yet.
        if self._request_queue.waiting and self.scope.get("path") == self._request_queue.path:
            self._request_queue.on_response(self)
        state: RequestState | None = self.scope.get(STATE)  # type: ignore[assignment]
        if state is not None and state.pause_seconds is not None and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(state.pause_seconds, self._resume_reading)

    def _resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def shutdown(self) -> None:
        # The requests that wait were sent before, so they are answered.
        self._request_queue.release_all()
        super().shutdown()
