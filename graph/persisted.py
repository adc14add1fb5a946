"""Documents by their hash: automatic persisted queries, and the list of trusted documents.

Apollo's clients send the hash of a text first. Where the server does not know it, they send both, and it is kept: from
then on the hash will do. A list of trusted documents is read once, at start, and nothing beside it is answered.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import orjson
from graphql import (
    GraphQLError,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_required_input_field,
    parse,
    type_from_ast,
)

from graph.compiler.global_ids import global_id
from graph.documents import DocumentRejected, Operation, read_operation
from graph.limits import USUAL

# What is longer is not kept.
MAX_TEXT = 100_000
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
NOT_TRUSTED = "This server answers only the documents that it was given, and this is none of them."
EXAMPLES = {
    "String": "A",
    "Int": 1,
    "Float": 1.0,
    "Boolean": True,
    "ID": global_id("Cryptocurrency", 1),
    "DateTime": "2026-01-01T00:00:00Z",
    "Decimal": "1",
}


class AllowListError(Exception):
    """The list of trusted documents cannot be used; the message names the file and what is wrong with it."""


class Store(Protocol):
    """Bytes by key, for a while. What it cannot reach is not there: it raises nothing."""

    async def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes) -> None: ...


class PersistedQueries:
    """Automatic persisted queries, in a store. Without one they are off, and clients are told to send texts.

    takes_any: a text without a hash is what it is.
    """

    takes_any = True

    def __init__(self, store: Store | None) -> None:
        self._store = store

    async def text_of(self, query: str | None, sha256: str | None) -> str:
        """The query that was sent, or the text that its hash stands for. Raises DocumentRejected."""
        if query is not None:
            if sha256 is not None:
                _check_hash(query, sha256)
            return query
        if self._store is None:
            _refuse("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        text = await self._kept(self._store, sha256.lower()) if sha256 is not None else None
        if text is None:
            # By this very message, clients know that they should send the text.
            _refuse("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        return text

    def keep(self, sha256: str, query: str) -> None:
        """Remember a text for its hash. It must hold a valid operation, or anybody could fill the store."""
        if self._store is not None and len(query) <= MAX_TEXT:
            self._store.put(_key(sha256.lower()), query.encode())

    async def _kept(self, store: Store, sha256: str) -> str | None:
        """What is kept, if it is what the hash says: others may write to a store that is shared."""
        kept = await store.get(_key(sha256))
        if kept is None or hashlib.sha256(kept).hexdigest() != sha256:
            return None
        try:
            text = kept.decode()
        except UnicodeDecodeError:
            return None
        return text if len(text) <= MAX_TEXT else None


class TrustedDocument(NamedTuple):
    """source: where it was read. id: what its manifest calls it, which need not be its hash."""

    text: str
    source: str
    id: str | None = None


class AllowList:
    """The documents that are answered; a text is one of them whatever white space is around it."""

    takes_any = False

    def __init__(self, documents: Iterable[TrustedDocument]) -> None:
        self._documents: dict[str, TrustedDocument] = {}
        self._texts: dict[str, str] = {}
        for document in documents:
            self._add(document)

    @classmethod
    def read(cls, path: Path) -> "AllowList":
        """The .graphql files in a folder and those within, or what a manifest lists. Raises AllowListError."""
        documents = _in_folder(path) if path.is_dir() else _in_manifest(path)
        if not documents:
            raise AllowListError(f"{path} holds no documents.")
        return cls(documents)

    async def text_of(self, query: str | None, sha256: str | None) -> str:
        """The text of a trusted document, by its text, its hash or its id. Raises DocumentRejected."""
        named = self._texts.get(_plain(sha256)) if sha256 is not None else None
        text = named if query is None else query.strip()
        if text is None or text not in self._documents:
            _refuse("DOCUMENT_NOT_TRUSTED", NOT_TRUSTED)
        if query is not None and sha256 is not None and named != text:
            _check_hash(query, sha256)
        return text

    def keep(self, sha256: str, query: str) -> None:
        """Nothing: no client adds to the list."""

    def operations(self, schema: GraphQLSchema) -> list[tuple[str, str | None]]:
        """The text and the name of each operation. Raises AllowListError where one does not fit the schema."""
        return [
            (text, name) for text, document in self._documents.items() for name in _operation_names(document, schema)
        ]

    def _add(self, document: TrustedDocument) -> None:
        text = document.text.strip()
        self._documents.setdefault(text, document)
        names = [_hash(document.text), _hash(text), *([_plain(document.id)] if document.id else [])]
        for name in names:
            if self._texts.setdefault(name, text) != text:
                raise AllowListError(f"{document.source}: the id {name} is that of another document.")


def example_variables(operation: Operation, schema: GraphQLSchema) -> dict[str, Any]:
    """The variables that must be given, with values that fit: enough to compile the operation before it is asked."""
    return {
        definition.variable.name.value: _example(type_from_ast(schema, definition.type))
        for definition in operation.node.variable_definitions or ()
        if isinstance(definition.type, NonNullTypeNode) and definition.default_value is None
    }


def _example(type_: Any) -> Any:
    named: Any = get_nullable_type(type_)
    if is_list_type(named):
        return [_example(named.of_type)]
    if is_input_object_type(named):
        return {name: _example(field.type) for name, field in named.fields.items() if is_required_input_field(field)}
    if is_enum_type(named):
        return next(iter(named.values))
    return EXAMPLES.get(named.name)


def _in_folder(path: Path) -> list[TrustedDocument]:
    files = [file for file in sorted(path.rglob("*.graphql")) if file.is_file()]
    return [TrustedDocument(_text_in(file), str(file)) for file in files]


def _in_manifest(path: Path) -> list[TrustedDocument]:
    """What Apollo's tools write, or an object of ids and texts, as Relay and GraphQL Code Generator write it."""
    try:
        manifest = orjson.loads(_text_in(path))
    except orjson.JSONDecodeError as error:
        raise AllowListError(f"{path}, line {error.lineno}: this is not valid JSON: {error.msg}.") from None
    match manifest:
        case {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [*operations]}:
            return [_listed(path, operation) for operation in operations]
        case {"format": "apollo-persisted-query-manifest"}:
            raise AllowListError(f"{path}: a manifest of Apollo's must be of version 1, with a list of operations.")
        case dict():
            return [_listed(path, {"id": id_, "body": text}) for id_, text in manifest.items()]
    raise AllowListError(f"{path}: a manifest must be a JSON object.")


def _listed(path: Path, entry: Any) -> TrustedDocument:
    match entry:
        case {"id": str(id_), "body": str(text)} if id_ and text.strip():
            return TrustedDocument(text, f"{path}, {entry.get('name') or id_}", id_)
    raise AllowListError(f"{path}: this needs an id and a document, as texts: {str(entry)[:100]}")


def _text_in(file: Path) -> str:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AllowListError(f"{file} is not in UTF-8.") from None
    except OSError as error:
        raise AllowListError(f"{file} cannot be read: {error.strerror}.") from None
    if not text.strip():
        raise AllowListError(f"{file} is empty.")
    return text


def _operation_names(document: TrustedDocument, schema: GraphQLSchema) -> list[str | None]:
    """The names of its operations, each of which was read. Raises AllowListError."""
    try:
        nodes = parse(document.text, max_tokens=USUAL.limits.tokens).definitions
        operations = [node for node in nodes if isinstance(node, OperationDefinitionNode)]
        names = [node.name.value if node.name else None for node in operations] or [None]
        for name in names:
            read_operation(schema, document.text, name)
    except GraphQLError as error:
        raise _invalid(document, error) from None
    except DocumentRejected as refusal:
        raise _invalid(document, refusal.errors[0]) from None
    return names


def _invalid(document: TrustedDocument, error: GraphQLError) -> AllowListError:
    line = f", line {error.locations[0].line}" if error.locations else ""
    return AllowListError(f"{document.source}{line}: {error.message}")


def _key(sha256: str) -> str:
    return f"document:apq:{sha256}:text"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(id_: str) -> str:
    """A hash in lower case, without a prefix that says what it is; any other id as it stands."""
    plain = id_.removeprefix("sha256:").lower()
    return plain if SHA256.fullmatch(plain) else id_


def _check_hash(query: str, sha256: str) -> None:
    if _hash(query) != sha256.lower():
        _refuse("PERSISTED_QUERY_MISMATCH", "provided sha does not match query")


def _refuse(code: str, message: str) -> NoReturn:
    raise DocumentRejected(code, [GraphQLError(message)])
