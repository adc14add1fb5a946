"""Runs operations on the engine and on the oracle, and compares their answers."""

import asyncio
import textwrap
from dataclasses import replace
from typing import Any

import orjson
from structlog.testing import capture_logs

from db.engine import Database, DatabaseProbe
from graph.pipeline import Pipeline
from graph.plan_cache import PlanCache
from graph.schema import create_schema
from tests.application import GENEROUS, FieldByField, context_of, request_of
from tests.graph.oracle.comparison import Mismatch, compare
from tests.graph.oracle.evaluator import Evaluator, ExpectedAnswer, InvalidOperation
from tests.graph.oracle.pages import Cursors
from tests.graph.oracle.records import Record
from tests.graph.oracle.shrinking import Operation, shrink
from tests.graph.oracle.world import World, delete_rows, insert_rows, insert_user


class DatabaseWithLongProbe(Database):
    """A Database whose health probe does not time out on a busy machine."""

    async def probe(self, timeout_seconds: float = 60) -> DatabaseProbe:
        return await super().probe(timeout_seconds)


class Harness:
    """The same rows in a database and in lists, and one event loop for all operations."""

    def __init__(self, runner: asyncio.Runner, database: Database, rows: list[Record]) -> None:
        self.runner = runner
        self.database = database
        self.world = World(rows)
        self.cursors = Cursors()
        self.evaluator = Evaluator(self.world, self.cursors)
        # Cache the plan of the first execution, so that the second one uses it.
        self.plans = PlanCache(min_uses=1)
        context = replace(context_of(database), plans=self.plans)
        self.planned = Pipeline(create_schema(), context, rules=GENEROUS)
        self.unplanned = FieldByField(create_schema(), replace(context, plans=PlanCache()), rules=GENEROUS)
        runner.run(insert_user(database))
        runner.run(insert_rows(database, rows))

    def add(self, rows: list[Record]) -> None:
        self.runner.run(insert_rows(self.database, rows))
        for row in rows:
            self.world.add(row)

    def remove(self, rows: list[Record]) -> None:
        self.runner.run(delete_rows(self.database, rows))
        for row in rows:
            self.world.remove(row)

    def answer(self, operation: Operation) -> Any:
        """The engine's answer, by a plan if one can be compiled."""
        return self._execute(self.planned, operation)

    def answer_field_by_field(self, operation: Operation) -> Any:
        return self._execute(self.unplanned, operation)

    def error_extensions(self, operation: Operation) -> dict[str, Any]:
        """The extensions of the one error of the engine's answer."""
        (error,) = self.answer(operation)["errors"]
        extensions: dict[str, Any] = error["extensions"]
        return extensions

    def check(self, operation: Operation) -> Any:
        """The engine's data, after it is compared with the oracle's. Raises Mismatch."""
        difference, data = self._difference(operation)
        if difference is not None:
            raise _with_operation(difference, operation)
        return data

    def check_generated(self, operation: Operation) -> None:
        """The same, but a failing operation is first shrunk to a smaller one that fails in the same way."""
        difference, _ = self._difference(operation)
        if difference is None:
            return
        kind = difference.kind

        def fails(smaller: Operation) -> bool:
            try:
                found, _ = self._difference(smaller)
            except InvalidOperation:
                return False
            return found is not None and found.kind == kind

        operation = shrink(operation, fails)
        raise _with_operation(self._difference(operation)[0] or difference, operation)

    def _difference(self, operation: Operation) -> tuple[Mismatch | None, Any]:
        """The difference between the engine's answer and the oracle's, if any, and the engine's data."""
        expected = self.evaluator.answer(operation.text, operation.variables)
        data = None
        ways = [("field by field", self.unplanned), ("by a new plan", self.planned), ("by its plan", self.planned)]
        for way, operations in ways:
            answer = self._execute(operations, operation)
            data = answer.get("data")
            try:
                _compare_errors(expected, data, answer.get("errors", []))
                if data is not None:
                    failed = dict.fromkeys(root for root, _ in expected.errors)
                    compare({**expected.data, **failed}, data, self.cursors)
            except Mismatch as difference:
                return Mismatch(f"{difference}, {way},", kind=difference.kind), data
        return None, data

    def _execute(self, operations: Pipeline, operation: Operation) -> Any:
        request = request_of(operation.text, operation.variables)
        with capture_logs() as logs:
            answer = orjson.loads(self.runner.run(operations.answer(request)).body)
        # Only errors: warnings of lost connections may come from other tests in this process.
        assert not [entry for entry in logs if entry["log_level"] == "error"], logs
        return answer


def _compare_errors(expected: ExpectedAnswer, data: Any, errors: list[Any]) -> None:
    """An error makes its whole root field null, which is more than GraphQL requires: it ends the statement."""
    found = {(error.get("path", [""])[0], error["extensions"]["code"]) for error in errors}
    if not found <= expected.errors or (data is not None and found != expected.errors):
        message = f"The errors should be {expected.errors or 'none'}, but are {found or 'none'}: {errors}"
        raise Mismatch(message, kind=f"errors: {sorted(code for _, code in found)}")
    is_lost = any(root in expected.required for root, _ in expected.errors)
    if is_lost != (data is None):
        raise Mismatch(f"data should{'' if is_lost else ' not'} be null", kind="null data")


def _with_operation(difference: Mismatch, operation: Operation) -> Mismatch:
    return Mismatch(f"{difference}\nin the answer to\n{textwrap.indent(str(operation), '    ')}")
