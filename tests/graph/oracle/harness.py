"""The engine and the oracle side by side."""

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
from tests.application import GENEROUS, FieldByField, asked, context_of
from tests.graph.oracle.comparison import Different, compare
from tests.graph.oracle.evaluator import Answer, Evaluator, InvalidOperation
from tests.graph.oracle.pages import Cursors
from tests.graph.oracle.records import Record
from tests.graph.oracle.reduction import Operation, reduced
from tests.graph.oracle.world import World, discard, store, store_user


class PatientDatabase(Database):
    """One that a busy machine does not make look dead to the health field."""

    async def probe(self, timeout_seconds: float = 60) -> DatabaseProbe:
        return await super().probe(timeout_seconds)


class Bench:
    """The same rows in a database and in lists, and one event loop for all operations on them."""

    def __init__(self, runner: asyncio.Runner, database: Database, rows: list[Record]) -> None:
        self.runner = runner
        self.database = database
        self.world = World(rows)
        self.cursors = Cursors()
        self.evaluator = Evaluator(self.world, self.cursors)
        # The second time, an operation is answered by the plan of the first.
        self.plans = PlanCache(min_uses=1)
        context = replace(context_of(database), plans=self.plans)
        self.planned = Pipeline(create_schema(), context, rules=GENEROUS)
        self.unplanned = FieldByField(create_schema(), replace(context, plans=PlanCache()), rules=GENEROUS)
        runner.run(store_user(database))
        runner.run(store(database, rows))

    def add(self, rows: list[Record]) -> None:
        self.runner.run(store(self.database, rows))
        for row in rows:
            self.world.add(row)

    def remove(self, rows: list[Record]) -> None:
        self.runner.run(discard(self.database, rows))
        for row in rows:
            self.world.remove(row)

    def answer(self, operation: Operation) -> Any:
        """The engine's answer, by a plan where one can be made."""
        return self._execute(self.planned, operation)

    def answer_field_by_field(self, operation: Operation) -> Any:
        return self._execute(self.unplanned, operation)

    def refusal(self, operation: Operation) -> dict[str, Any]:
        """The extensions of the one error of the engine's answer."""
        (error,) = self.answer(operation)["errors"]
        extensions: dict[str, Any] = error["extensions"]
        return extensions

    def check(self, operation: Operation) -> Any:
        """The engine's data, once it is found to be right. Raises Different."""
        difference, data = self._difference(operation)
        if difference is not None:
            raise _shown(difference, operation)
        return data

    def check_generated(self, operation: Operation) -> None:
        """The same, but an operation that fails is first made as small as it can be and fail in the same way."""
        difference, _ = self._difference(operation)
        if difference is None:
            return
        way = difference.way

        def fails(smaller: Operation) -> bool:
            try:
                found, _ = self._difference(smaller)
            except InvalidOperation:
                return False
            return found is not None and found.way == way

        operation = reduced(operation, fails)
        raise _shown(self._difference(operation)[0] or difference, operation)

    def _difference(self, operation: Operation) -> tuple[Different | None, Any]:
        """What is wrong with the engine's answer, if anything, and its data."""
        expected = self.evaluator.answer(operation.text, operation.variables)
        data = None
        ways = [("field by field", self.unplanned), ("by a new plan", self.planned), ("by its plan", self.planned)]
        for way, operations in ways:
            answer = self._execute(operations, operation)
            data = answer.get("data")
            try:
                _compare_refusals(expected, data, answer.get("errors", []))
                if data is not None:
                    refused = dict.fromkeys(root for root, _ in expected.refusals)
                    compare({**expected.data, **refused}, data, self.cursors)
            except Different as difference:
                return Different(f"{difference}, {way},", way=difference.way), data
        return None, data

    def _execute(self, operations: Pipeline, operation: Operation) -> Any:
        request = asked(operation.text, operation.variables)
        with capture_logs() as masked:
            answer = orjson.loads(self.runner.run(operations.answer(request)).body)
        # Others in this process may lose connections meanwhile.
        assert not [entry for entry in masked if entry["log_level"] == "error"], masked
        return answer


def _compare_refusals(expected: Answer, data: Any, errors: list[Any]) -> None:
    """A refusal ends its statement, so it nulls its whole root field, which is more than GraphQL asks for."""
    found = {(error.get("path", [""])[0], error["extensions"]["code"]) for error in errors}
    if not found <= expected.refusals or (data is not None and found != expected.refusals):
        message = f"The refusals should be {expected.refusals or 'none'}, but are {found or 'none'}: {errors}"
        raise Different(message, way=f"refusals: {sorted(code for _, code in found)}")
    is_lost = any(root in expected.required for root, _ in expected.refusals)
    if is_lost != (data is None):
        raise Different(f"data should{'' if is_lost else ' not'} be null", way="null data")


def _shown(difference: Different, operation: Operation) -> Different:
    return Different(f"{difference}\nin the answer to\n{textwrap.indent(str(operation), '    ')}")
