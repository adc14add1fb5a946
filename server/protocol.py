"""HTTP as uvicorn speaks it, but for connections that are to be read more slowly."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Where a scope says for how many seconds its connection is not read after the answer. It must not be shared by clients.
PAUSE = "candlegraph.pause"


class Protocol(HttpToolsProtocol):
    def on_response_complete(self) -> None:
        super().on_response_complete()
        seconds: Any = self.scope.get(PAUSE)
        if seconds is not None and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()
