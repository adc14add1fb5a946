"""Alerts and the dashboard use only metrics and labels that a server exports."""

import json
import re
from collections.abc import Iterator
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
# What Prometheus adds to whatever it scrapes.
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


async def told(url: URL, redis_url: str) -> dict[str, set[str]]:
    """The names of all samples, with those of their labels."""
    text = ""

    async def is_complete() -> bool:
        """The first samples of these come some time after the start."""
        nonlocal text
        text = (await client.get("/metrics")).text
        return "candlegraph_listener_lag_seconds" in text and "candlegraph_job_last_success_timestamp_seconds{" in text

    async with serving(url, redis_url=redis_url) as client:
        await client.data('{ cryptocurrency(symbol: "BTC") { name } }')
        await eventually(is_complete)
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    names = {sample.name for sample in samples}
    return {name: {label for sample in samples if sample.name == name for label in sample.labels} for name in names}


def labels_in(expression: str) -> set[str]:
    """Those that are matched, and those that it goes by."""
    grouped = [label for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")]
    return {label.strip() for label in grouped} | set(re.findall(r"(\w+)(?:=~|!=|!~|=)\"", expression))


async def test_every_metric_and_label_is_told_by_a_server(demo_url: URL, redis_url: str) -> None:
    known = await told(demo_url, redis_url)
    for expression in EXPRESSIONS:
        names = set(NAME.findall(expression)) - ADDED_METRICS
        assert names or expression.startswith("up{"), expression
        assert names <= known.keys(), expression
        labels = set().union(*(known[name] for name in names))
        assert labels_in(expression) <= labels | ADDED_LABELS, expression


async def test_every_metric_of_ours_is_shown_or_explained_by_one_that_is(demo_url: URL, redis_url: str) -> None:
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(" ".join(EXPRESSIONS))}
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in await told(demo_url, redis_url)}
    untold = {name for name in known - shown if name.startswith("candlegraph_")}
    # Whether Redis answers is what the breaker goes by; how much is kept in bytes, the entries tell well enough.
    assert untold == {
        "candlegraph_redis_up",
        "candlegraph_plan_cache_bytes",
        "candlegraph_document_cache_bytes",
        "candlegraph_document_cache_evictions_total",
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_brackets_are_closed(expression: str) -> None:
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
def test_an_alert_says_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}
    for text in rule["annotations"].values():
        assert text.endswith(".")
        assert set(re.findall(r"{{ (\S+)", text)) <= {"$value", "$labels.instance", "$labels.name"}
    # A sum over servers is of none of them.
    by_instance = not re.search(r"\bby \(job", rule["expr"])
    assert ("$labels.instance" in rule["annotations"]["summary"]) == by_instance


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert "id" not in DASHBOARD
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    used = {match for expression in expressions() for match in re.findall(r'"\$(\w+)"', expression)}
    assert used <= variables.keys()


def test_panels_are_laid_out_without_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert '{job=~"$job", instance=~"$instance"' in target["expr"]
