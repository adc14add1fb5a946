"""Alerts and the dashboard use only metrics and labels that a server exports."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL

from tests.application import serving
from tests.waiting import eventually

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "candlegraph.json").read_text())
GROUPS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
THRESHOLDS = {
    "CandlegraphPoolNearlyUsedUp": "> 0.8",
    "CandlegraphOverloaded": "> 1",
    "CandlegraphSlowStatements": "> 1",
    "CandlegraphRedisMemoryNearlyFull": "> 0.9",
    "CandlegraphPlanningErrors": "> 0",
    "CandlegraphLowHitRate": "< 0.7",
    "CandlegraphEvictions": "> 100",
    "CandlegraphStaleData": "> 0",
    "CandlegraphOverduePredictions": "> 0",
    "CandlegraphJobFails": "> 3",
    "CandlegraphListenerDown": "== 0",
    "CandlegraphRedisBreakerOpen": "== 0",
    "CandlegraphDatabaseDown": "== 0",
    "CandlegraphDown": "== 0",
}
UNITS = {"bytes", "none", "ops", "percentunit", "reqps", "s", "short"}
# Metrics and labels that Prometheus adds to each scrape.
ADDED_METRICS, ADDED_LABELS = {"up"}, {"job", "instance"}
NAME = re.compile(r"\b(?:candlegraph|process|python)_\w+|\bup\b")


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["definition"] for variable in DASHBOARD["templating"]["list"] if "definition" in variable)
    yield from (rule["expr"] for rule in ALERTS.values())


EXPRESSIONS = sorted(set(expressions()))


async def exported(url: URL, redis_url: str) -> dict[str, set[str]]:
    """The names of all samples that a server exports, each with the names of its labels.

    Samples of background tasks appear some time after the start: waits for those that an expression uses.
    """
    labels: dict[str, set[str]] = {}

    async def is_complete() -> bool:
        nonlocal labels
        labels = labels_by_name((await client.get("/metrics")).text)
        return not any(unexported(expression, labels) for expression in EXPRESSIONS)

    async with serving(url, redis_url=redis_url) as client:
        await client.data('{ cryptocurrency(symbol: "BTC") { name } }')
        # After the deadline, the assertions of the tests show the missing names.
        with suppress(AssertionError):
            await eventually(is_complete, seconds=30, every=0.1)
    return labels


def labels_by_name(text: str) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def unexported(expression: str, labels: dict[str, set[str]]) -> set[str]:
    """Metrics and labels that the expression uses and that are not exported."""
    names = set(NAME.findall(expression)) - ADDED_METRICS
    exported_labels = ADDED_LABELS.union(*(labels.get(name, set()) for name in names))
    return (names - labels.keys()) | (labels_in(expression) - exported_labels)


def labels_in(expression: str) -> set[str]:
    """Labels that the expression matches or groups by."""
    grouped = [label for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")]
    return {label.strip() for label in grouped} | set(re.findall(r"(\w+)(?:=~|!=|!~|=)\"", expression))


async def test_a_server_exports_every_metric_and_label_in_use(demo_url: URL, redis_url: str) -> None:
    labels = await exported(demo_url, redis_url)
    for expression in EXPRESSIONS:
        assert NAME.search(expression), expression
        assert unexported(expression, labels) == set(), expression


async def test_every_metric_of_candlegraph_is_used_except_for_a_few(demo_url: URL, redis_url: str) -> None:
    in_use = {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(" ".join(EXPRESSIONS))}
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in await exported(demo_url, redis_url)}
    unused = {name for name in names - in_use if name.startswith("candlegraph_")}
    # The panel of the breaker covers whether Redis answers; the panels of cache entries cover the size in bytes.
    assert unused == {
        "candlegraph_redis_up",
        "candlegraph_plan_cache_bytes",
        "candlegraph_document_cache_bytes",
        "candlegraph_document_cache_evictions_total",
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_brackets_are_balanced(expression: str) -> None:
    opened: list[str] = []
    for character in re.sub(r'"[^"]*"', "", expression):
        if character in "([{":
            opened.append(character)
        elif character in ")]}":
            assert opened, expression
            assert opened.pop() + character in ("()", "[]", "{}"), expression
    assert not opened
    assert expression.count('"') % 2 == 0


def test_each_alert_has_its_threshold() -> None:
    assert ALERTS.keys() == THRESHOLDS.keys()
    for name, threshold in THRESHOLDS.items():
        condition = ALERTS[name]["expr"].partition(" and ")[0]
        assert condition.endswith(threshold), name


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_complete(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}
    for text in rule["annotations"].values():
        assert text.endswith(".")
        assert set(re.findall(r"{{ (\S+)", text)) <= {"$value", "$labels.instance", "$labels.name"}
    # A sum over servers has no instance.
    by_instance = not re.search(r"\bby \(job", rule["expr"])
    assert ("$labels.instance" in rule["annotations"]["summary"]) == by_instance


def test_the_dashboard_can_be_imported_into_any_grafana() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert "id" not in DASHBOARD
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    used = {match for expression in expressions() for match in re.findall(r'"\$(\w+)"', expression)}
    assert used <= variables.keys()


def test_panels_are_laid_out_without_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    occupied: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        position = panel["gridPos"]
        cells = {(position["x"] + x, position["y"] + y) for x in range(position["w"]) for y in range(position["h"])}
        assert position["x"] + position["w"] <= 24
        assert not cells & occupied, panel["title"]
        occupied |= cells


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_is_complete(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert '{job=~"$job", instance=~"$instance"' in target["expr"]
