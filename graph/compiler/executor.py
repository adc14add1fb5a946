"""Executes operations without a plan: graphql-core's executor, which hands fields that return rows to the compiler."""

from typing import Any, Protocol, Self

import orjson
from aiodataloader import DataLoader
from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    get_nullable_type,
    is_non_null_type,
)
from sqlalchemy import Executable, Select

from graph.compiler.pages import Page
from graph.compiler.parents import Parents
from graph.compiler.statement import MAX_ROOT_FIELDS, Budget, Selection, TooLarge
from graph.compiler.symbols import ConditionalRows, Variants
from graph.graphql_core_compat import BaseExecutor, FieldDetailsList, GroupedFieldSet, Path, field_metadata

# Key in the metadata of fields whose resolvers return rows and read only keys of the parent.
RELATION = "relation"


class Reader(Protocol):
    """A database, restricted to the rows that the caller may see."""

    async def fetch_value(self, statement: Executable) -> Any: ...
    async def fetch_rows(self, statement: Executable) -> list[Any]: ...


class HasReader(Protocol):
    """The part of a request's context that the executor needs."""

    @property
    def reader(self) -> Reader: ...


class StatementExecutor(BaseExecutor):
    """Runs one statement for each root field that returns rows, and one for each relation of concrete parents."""

    context_value: HasReader

    def __init__(self, *args: Any, budget: Budget | None = None, **kwargs: Any) -> None:
        """budget: already used by the rest of the operation."""
        super().__init__(*args, **kwargs)
        # By the id of a field list: a selection has one list, however many parents it is executed for.
        self._loaders: dict[int, tuple[FieldDetailsList, DataLoader[Any, Any]]] = {}
        self._budget = budget or Budget()

    def execute_root_grouped_field_set(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,
        position_context: Any,
    ) -> Any:
        if len(grouped_field_set) > MAX_ROOT_FIELDS:
            raise TooLarge
        return super().execute_root_grouped_field_set(
            root_type, root_value, grouped_field_set, serially, position_context
        )

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        # Before the library's handling of non-null and lists: the statement answers the whole selection below.
        if isinstance(result, Select | Page | Variants | ConditionalRows):
            return self._fetch(return_type, field_details_list, path, result)
        if type(result) is orjson.Fragment:
            return result
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        is_root = parent_type is self.schema.get_root_type(self.operation.operation)
        if not is_root and is_relation(parent_type, field_details_list):
            return self._load(parent_type, source, field_details_list, path)
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def build_per_event_executor(self, payload: Any) -> Self:
        """An executor for one event of a subscription, with loaders and a budget of its own."""
        executor: Self = super().build_per_event_executor(payload)  # type: ignore[assignment]
        executor._loaders = {}
        executor._budget = Budget()
        return executor

    async def _fetch(self, return_type: GraphQLOutputType, fields: FieldDetailsList, path: Path, rows: Any) -> Any:
        statement = Selection(self, self._budget).statement(return_type, fields, path, rows)
        return _fragment(return_type, await self.context_value.reader.fetch_value(statement))

    async def _load(self, parent_type: GraphQLObjectType, source: Any, fields: FieldDetailsList, path: Path) -> Any:
        return_type = parent_type.fields[fields[0].node.name.value].type
        try:
            return _fragment(return_type, await self._loader(parent_type, fields, path).load(source))
        except Exception as error:
            self.handle_field_error(_relocated(error, path), return_type, fields, path)
            return None

    def _loader(self, parent_type: GraphQLObjectType, fields: FieldDetailsList, path: Path) -> DataLoader[Any, Any]:
        if id(fields) not in self._loaders:
            budget = self._budget

            async def load_all(sources: list[Any]) -> list[str | None]:
                # The selection counts once, in however many batches its parents are loaded.
                nonlocal budget
                selection, budget = Selection(self, budget), Budget()
                return await self._fetch_for(sources, selection, parent_type, fields, path)

            # No cache: its keys would be ids of objects, and Python reuses the id of a freed object.
            self._loaders[id(fields)] = fields, DataLoader(load_all, cache=False)
        return self._loaders[id(fields)][1]

    async def _fetch_for(
        self,
        sources: list[Any],
        selection: Selection,
        parent_type: GraphQLObjectType,
        fields: FieldDetailsList,
        path: Path,
    ) -> list[str | None]:
        parents = Parents(sources)
        rows = selection.resolve(parent_type, fields, path, parents.row)
        return_type = parent_type.fields[fields[0].node.name.value].type
        value = selection.json(return_type, fields, path, rows, (parents.table,))
        answers = dict(await self.context_value.reader.fetch_rows(parents.statement(value)))
        return [answers[position] for position in range(len(sources))]


def is_relation(parent_type: GraphQLObjectType, fields: FieldDetailsList) -> bool:
    """Whether the field's resolver returns rows."""
    field = parent_type.fields.get(fields[0].node.name.value)
    return field is not None and RELATION in field_metadata(field)


def _relocated(error: Exception, path: Path) -> Exception:
    """An error below a relation with the path of this parent: it was located under the first of the parents."""
    if not isinstance(error, GraphQLError) or error.path is None:
        return error
    parent_path = path.as_list()
    below = error.path[len(parent_path) :]
    return GraphQLError(
        error.message,
        error.nodes,
        path=[*parent_path, *below],
        original_error=error.original_error,
        extensions=error.extensions,
    )


def _fragment(return_type: GraphQLOutputType, text: str | None) -> orjson.Fragment | None:
    if text is not None:
        return orjson.Fragment(text)
    if is_non_null_type(return_type):
        raise TypeError(f"A non-null {get_nullable_type(return_type)} has no row.")
    return None
