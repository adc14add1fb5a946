"""Documents by their hash: automatic persisted queries, and the list of trusted documents.

Apollo's clients send only the hash of a text first. If it is not stored, they send text and hash, and the text is
stored: from then on the hash is enough. A list of trusted documents is read once, at start; all others are rejected.
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

# Longer texts are not stored.
MAX_TEXT = 100_000
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
NOT_TRUSTED = "This server executes only the documents on its list, and this one is not on it."
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
    """The list of trusted documents cannot be used; the message names the file and the reason."""


class Store(Protocol):
    """Bytes by key, for a limited time. An unavailable store returns None and raises nothing."""

    async def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes) -> None: ...


class PersistedQueries:
    """Automatic persisted queries, in a store. Without a store they are off: clients have to send texts.

    takes_any: whether any text without a hash is answered.
    """

    takes_any = True

    def __init__(self, store: Store | None) -> None:
        self._store = store

    async def text_of(self, query: str | None, sha256: str | None) -> str:
        """The query that was sent, or the stored text with this hash. Raises DocumentRejected."""
        if query is not None:
            if sha256 is not None:
                _check_hash(query, sha256)
            return query
        if self._store is None:
            _reject("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        text = await self._stored(self._store, sha256.lower()) if sha256 is not None else None
        if text is None:
            # Clients recognize this exact message, and then send the text.
            _reject("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        return text

    def register(self, sha256: str, query: str) -> None:
        """Store a text by its hash. It must hold a valid operation: otherwise any client could fill the store."""
        if self._store is not None and len(query) <= MAX_TEXT:
            self._store.put(_key(sha256.lower()), query.encode())

    async def _stored(self, store: Store, sha256: str) -> str | None:
        """The stored text, if its hash is right: other processes may write to a shared store."""
        stored = await store.get(_key(sha256))
        if stored is None or hashlib.sha256(stored).hexdigest() != sha256:
            return None
        try:
            text = stored.decode()
        except UnicodeDecodeError:
            return None
        return text if len(text) <= MAX_TEXT else None


class TrustedDocument(NamedTuple):
    """A document of the list. source: where it was read. id: in its manifest, which need not be its hash."""

    text: str
    source: str
    id: str | None = None


class AllowList:
    """The documents that are answered. White space around a text does not matter."""

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
        named = self._texts.get(_normalized(sha256)) if sha256 is not None else None
        text = named if query is None else query.strip()
        if text is None or text not in self._documents:
            _reject("DOCUMENT_NOT_TRUSTED", NOT_TRUSTED)
        if query is not None and sha256 is not None and named != text:
            _check_hash(query, sha256)
        return text

    def register(self, sha256: str, query: str) -> None:
        """Does nothing: clients cannot add to the list."""

    def operations(self, schema: GraphQLSchema) -> list[tuple[str, str | None]]:
        """The text and the name of each operation. Raises AllowListError if one does not fit the schema."""
        return [
            (text, name) for text, document in self._documents.items() for name in _operation_names(document, schema)
        ]

    def _add(self, document: TrustedDocument) -> None:
        text = document.text.strip()
        self._documents.setdefault(text, document)
        names = [_hash(document.text), _hash(text), *([_normalized(document.id)] if document.id else [])]
        for name in names:
            if self._texts.setdefault(name, text) != text:
                raise AllowListError(f"{document.source}: the id {name} is that of another document.")


def example_variables(operation: Operation, schema: GraphQLSchema) -> dict[str, Any]:
    """The required variables, with values that fit: enough to compile the operation before the first request."""
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
    """A manifest of Apollo's tools, or an object of ids and texts, as Relay and GraphQL Code Generator write it."""
    try:
        manifest = orjson.loads(_text_in(path))
    except orjson.JSONDecodeError as error:
        raise AllowListError(f"{path}, line {error.lineno}: this is not valid JSON: {error.msg}.") from None
    match manifest:
        case {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [*operations]}:
            return [_document(path, operation) for operation in operations]
        case {"format": "apollo-persisted-query-manifest"}:
            raise AllowListError(f"{path}: a manifest of Apollo's must be of version 1, with a list of operations.")
        case dict():
            return [_document(path, {"id": id_, "body": text}) for id_, text in manifest.items()]
    raise AllowListError(f"{path}: a manifest must be a JSON object.")


def _document(path: Path, entry: Any) -> TrustedDocument:
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
    """The names of its operations, which are validated. Raises AllowListError."""
    try:
        nodes = parse(document.text, max_tokens=USUAL.limits.tokens).definitions
        operations = [node for node in nodes if isinstance(node, OperationDefinitionNode)]
        names = [node.name.value if node.name else None for node in operations] or [None]
        for name in names:
            read_operation(schema, document.text, name)
    except GraphQLError as error:
        raise _invalid(document, error) from None
    except DocumentRejected as rejection:
        raise _invalid(document, rejection.errors[0]) from None
    return names


def _invalid(document: TrustedDocument, error: GraphQLError) -> AllowListError:
    line = f", line {error.locations[0].line}" if error.locations else ""
    return AllowListError(f"{document.source}{line}: {error.message}")


def _key(sha256: str) -> str:
    return f"document:apq:{sha256}:text"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _normalized(id_: str) -> str:
    """A hash in lower case, without the prefix sha256:; any other id unchanged."""
    hash_ = id_.removeprefix("sha256:").lower()
    return hash_ if SHA256.fullmatch(hash_) else id_


def _check_hash(query: str, sha256: str) -> None:
    if _hash(query) != sha256.lower():
        _reject("PERSISTED_QUERY_MISMATCH", "provided sha does not match query")


def _reject(code: str, message: str) -> NoReturn:
    raise DocumentRejected(code, [GraphQLError(message)])
