"""Where GraphQL's executor hands over: a field whose resolver returns rows becomes a statement."""

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
from graph.compiler.symbols import Either, Variants
from graph.graphql_core_compat import BaseExecutor, FieldDetailsList, GroupedFieldSet, Path, field_metadata

# Marks a field, in its metadata, whose resolver reads keys of its parent.
RELATION = "relation"


class Reader(Protocol):
    """What the executor needs of a database: it shows what whoever asks may see."""

    async def fetch_value(self, statement: Executable) -> Any: ...
    async def fetch_rows(self, statement: Executable) -> list[Any]: ...


class HasReader(Protocol):
    """What the executor needs of the context of a request."""

    @property
    def reader(self) -> Reader: ...


class StatementExecutor(BaseExecutor):
    """Answers rows by one statement a root field, and relations of concrete parents by one for all parents."""

    context_value: HasReader

    def __init__(self, *args: Any, budget: Budget | None = None, **kwargs: Any) -> None:
        """budget: what has been selected elsewhere in the operation."""
        super().__init__(*args, **kwargs)
        # A selection of the operation has one list of fields, however many parents it is completed for.
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
        # Rows come first: they answer for the whole selection below, non-null and lists included.
        if isinstance(result, Select | Page | Variants | Either):
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
        """One event of a subscription: loaders and counts must not outlive it."""
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
                # However many batches the parents come in, their selection counts once.
                nonlocal budget
                selection, budget = Selection(self, budget), Budget()
                return await self._fetch_for(sources, selection, parent_type, fields, path)

            # Without a cache: its keys would be objects that may be gone, and another in their place.
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
    """An error below a relation, which was located under the first of the parents, under this one."""
    if not isinstance(error, GraphQLError) or error.path is None:
        return error
    place = path.as_list()
    below = error.path[len(place) :]
    return GraphQLError(
        error.message,
        error.nodes,
        path=[*place, *below],
        original_error=error.original_error,
        extensions=error.extensions,
    )


def _fragment(return_type: GraphQLOutputType, text: str | None) -> orjson.Fragment | None:
    if text is not None:
        return orjson.Fragment(text)
    if is_non_null_type(return_type):
        raise TypeError(f"A {get_nullable_type(return_type)} that must exist does not.")
    return None
