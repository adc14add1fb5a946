"""The findings of a run as a table."""

from collections.abc import Iterator

from rich.table import Table

from tests.soak.findings import Answer, Findings, percentile


def table(findings: Findings) -> Table:
    shown = Table(title="Soak of the cache", title_justify="left", title_style="bold", show_header=False)
    for row in _rows(findings):
        shown.add_row(*row)
    return shown


def _rows(findings: Findings) -> Iterator[tuple[str, str]]:
    answers, seconds = findings.answers, findings.seconds
    faulty = [answer for answer in answers if answer.fault]
    sources = ", ".join(f"{source} {number:,}" for source, number in findings.sources.most_common())
    yield "answers", f"{len(answers):,} ({len(answers) / seconds:.0f}/s): {sources}"
    yield "hit rate", f"{findings.hit_rate:.1%}"
    yield "writes", f"{findings.commits} commits ({findings.commits / seconds:.0f}/s), {findings.rollbacks} rollbacks"
    yield "versions checked", f"{findings.versions_checked:,}"
    yield "stale", f"{sum(answer.behind > 0 for answer in answers)}, by more than 50 ms: {findings.late}"
    yield f"writes shown ({len(findings.shown_after):,})", _spread(findings.shown_after)
    yield "latency, no fault", _spread(_latencies([answer for answer in answers if not answer.fault]))
    yield "latency, a fault on", _spread(_latencies(faulty))
    for fault, lasted in findings.fault_seconds.items():
        yield f"  {fault}", f"{lasted:.1f} s; {_spread(_latencies([it for it in faulty if it.fault == fault]))}"
    yield "faults", f"{findings.fault_share:.0%} of the time"
    for when, connections in (("at rest", findings.at_rest), ("afterwards", findings.afterwards)):
        yield f"connections {when}", f"PostgreSQL {connections.postgres}, Redis {connections.redis}"
    yield "Redis used again", "no" if findings.redis_used_after is None else f"after {findings.redis_used_after:.1f} s"
    yield "servers stopped within", f"{findings.stopped_after:.1f} s"


def _latencies(answers: list[Answer]) -> list[float]:
    return [answer.seconds for answer in answers]


def _spread(seconds: list[float]) -> str:
    median, most, longest = (percentile(seconds, share) * 1000 for share in (0.5, 0.99, 1))
    return f"p50 {median:.1f} ms, p99 {most:.1f} ms, at most {longest:.0f} ms"
