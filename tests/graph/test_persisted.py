"""Documents by their hash: automatic persisted queries, and the list of trusted documents."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, is_input_type, parse

from graph.compiler.cost import Cost
from graph.compiler.global_ids import global_id
from graph.compiler.variables import Variables
from graph.documents import DocumentRejected, Operation, read_operation
from graph.graphql_core_compat import graphql_schema
from graph.persisted import MAX_TEXT, AllowList, AllowListError, PersistedQueries, example_variables
from graph.schema import create_schema

QUERY = "{ health { status } }"
SCHEMA = graphql_schema(create_schema())
UNKNOWN = "0" * 64


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Bytes:
    """A store without a limit."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value


async def rejection(texts: PersistedQueries | AllowList, query: str | None, hash_: str | None) -> tuple[str, str]:
    with pytest.raises(DocumentRejected) as rejected:
        await texts.text_of(query, hash_)
    return rejected.value.code, rejected.value.errors[0].message


# Automatic persisted queries.


async def test_a_query_alone_is_itself() -> None:
    store = Bytes()
    assert await PersistedQueries(store).text_of(QUERY, None) == QUERY
    assert store.kept == {}


async def test_a_hash_stands_for_the_stored_text() -> None:
    store = Bytes()
    queries = PersistedQueries(store)
    not_found = ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    assert await rejection(queries, None, sha256(QUERY)) == not_found
    assert await queries.text_of(QUERY, sha256(QUERY)) == QUERY
    assert await rejection(queries, None, sha256(QUERY)) == not_found
    queries.register(sha256(QUERY).upper(), QUERY)
    assert list(store.kept) == [f"document:apq:{sha256(QUERY)}:text"]
    assert await queries.text_of(None, sha256(QUERY)) == QUERY
    assert await queries.text_of(None, sha256(QUERY).upper()) == QUERY


async def test_a_text_need_not_be_ascii() -> None:
    queries, text = PersistedQueries(Bytes()), "{ health { status } } # ₿"
    queries.register(sha256(text), text)
    assert await queries.text_of(None, sha256(text)) == text


async def test_a_hash_is_checked_against_its_text() -> None:
    queries = PersistedQueries(Bytes())
    mismatch = ("PERSISTED_QUERY_MISMATCH", "provided sha does not match query")
    assert await rejection(queries, QUERY, sha256(QUERY + " ")) == mismatch
    assert await queries.text_of(QUERY, sha256(QUERY).upper()) == QUERY


@pytest.mark.parametrize(
    ("hash_", "written"),
    [
        (sha256(QUERY), b"{ __typename }"),
        (sha256(QUERY), b""),
        (hashlib.sha256(b"\xff\xfe").hexdigest(), b"\xff\xfe"),
        (sha256("#" * (MAX_TEXT + 1)), b"#" * (MAX_TEXT + 1)),
    ],
    ids=["another text", "nothing", "no UTF-8", "too long"],
)
async def test_a_stored_text_that_does_not_fit_its_hash_is_ignored(hash_: str, written: bytes) -> None:
    store = Bytes()
    store.put(f"document:apq:{hash_}:text", written)
    assert (await rejection(PersistedQueries(store), None, hash_))[0] == "PERSISTED_QUERY_NOT_FOUND"


async def test_long_texts_are_not_stored() -> None:
    store = Bytes()
    for length in (MAX_TEXT, MAX_TEXT + 1):
        PersistedQueries(store).register(sha256("#" * length), "#" * length)
    assert [len(text) for text in store.kept.values()] == [MAX_TEXT]


async def test_without_a_store_hashes_alone_are_rejected() -> None:
    queries = PersistedQueries(None)
    not_supported = ("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
    queries.register(sha256(QUERY), QUERY)
    assert await rejection(queries, None, sha256(QUERY)) == not_supported
    assert await queries.text_of(QUERY, sha256(QUERY)) == QUERY


# The list of trusted documents.

TWO = "query A { health { status } }\nquery B { ...C }\nfragment C on Query { __typename }\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "one.graphql").write_text(f"\n{QUERY}\n")
    (tmp_path / "deep" / "er" / "two.graphql").write_text(TWO)
    (tmp_path / "notes.txt").write_text("{ nonsense")
    return tmp_path


async def test_a_folder_lists_its_files(folder: Path) -> None:
    trusted = AllowList.read(folder)
    assert await trusted.text_of(TWO, None) == TWO.strip()
    for text in (QUERY, f"\n{QUERY}\n", f"  {QUERY}"):
        assert await trusted.text_of(text, None) == QUERY
        assert await trusted.text_of(text, sha256(text)) == QUERY
        assert await trusted.text_of(text, sha256(QUERY)) == QUERY
    for text in (QUERY, f"\n{QUERY}\n", TWO, TWO.strip()):
        assert await trusted.text_of(None, sha256(text)) == text.strip()
        assert await trusted.text_of(None, sha256(text).upper()) == text.strip()


async def test_other_documents_are_rejected(folder: Path) -> None:
    trusted = AllowList.read(folder)
    for query, hash_ in [
        ("{ __typename }", None),
        ("{ __typename }", sha256(QUERY)),
        (QUERY.replace("{ ", "{  "), None),
        ("query A { health { status } }", None),
        (None, UNKNOWN),
        (None, "unknown"),
        (None, None),
    ]:
        code, message = await rejection(trusted, query, hash_)
        assert code == "DOCUMENT_NOT_TRUSTED"
        assert "only the documents on its list" in message
    assert (await rejection(trusted, QUERY, sha256(TWO)))[0] == "PERSISTED_QUERY_MISMATCH"


async def test_clients_cannot_add_to_the_list(folder: Path) -> None:
    trusted = AllowList.read(folder)
    trusted.register(sha256("{ __typename }"), "{ __typename }")
    assert (await rejection(trusted, None, sha256("{ __typename }")))[0] == "DOCUMENT_NOT_TRUSTED"


def apollo(*entries: tuple[str, str]) -> bytes:
    operations = [{"id": id_, "name": "A", "type": "query", "body": body} for id_, body in entries]
    return orjson.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations})


def plain(*entries: tuple[str, str]) -> bytes:
    return orjson.dumps(dict(entries))


@pytest.mark.parametrize("written", [apollo, plain])
async def test_a_manifest_lists_documents_by_ids(tmp_path: Path, written: Callable[..., bytes]) -> None:
    manifest = tmp_path / "manifest.json"
    md5 = "93dc8b2c0b6ee1b0ba6ba5fe4f1ca5f4"
    prefixed = f"sha256:{sha256('another printing of it').upper()}"
    manifest.write_bytes(written((sha256(QUERY), QUERY), (md5, TWO), (prefixed, "{ __typename }")))
    trusted = AllowList.read(manifest)
    assert await trusted.text_of(QUERY, None) == QUERY
    for id_ in (md5, sha256(TWO)):
        assert await trusted.text_of(None, id_) == TWO.strip()
        assert await trusted.text_of(TWO, id_) == TWO.strip()
    for id_ in (prefixed, sha256("another printing of it"), sha256("{ __typename }")):
        assert await trusted.text_of(None, id_) == "{ __typename }"
    assert (await rejection(trusted, QUERY, md5))[0] == "PERSISTED_QUERY_MISMATCH"


UNREADABLE = [
    ("a.graphql", b" \n", "a.graphql is empty"),
    ("a.graphql", b"\xff\xfe", "a.graphql is not in UTF-8"),
    ("a.txt", b"{ __typename }", "holds no documents"),
    ("manifest.json", b"", "manifest.json is empty"),
    ("manifest.json", b"\xff", "manifest.json is not in UTF-8"),
    ("manifest.json", b"{}", "holds no documents"),
    ("manifest.json", b"[]", "must be a JSON object"),
    ("manifest.json", b'{\n"a": }', "line 2: this is not valid JSON"),
    ("manifest.json", b'{"a": 5}', "needs an id and a document"),
    ("manifest.json", b'{"a": ""}', "needs an id and a document"),
    ("manifest.json", apollo(("", QUERY)), "needs an id and a document"),
    ("manifest.json", apollo(), "holds no documents"),
    ("manifest.json", apollo().replace(b"1", b"2"), "of version 1"),
    ("manifest.json", apollo(("x", QUERY), ("x", TWO)), "the id x is that of another document"),
    ("manifest.json", plain((sha256(QUERY), TWO), ("b", QUERY)), "is that of another document"),
]


@pytest.mark.parametrize(("name", "content", "message"), UNREADABLE, ids=[message for *_, message in UNREADABLE])
def test_a_list_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(AllowListError) as rejected:
        AllowList.read(file if file.suffix == ".json" else tmp_path)
    assert message in str(rejected.value)
    assert str(tmp_path) in str(rejected.value)


def test_a_missing_list(tmp_path: Path) -> None:
    with pytest.raises(AllowListError, match=r"missing\.json cannot be read: No such file"):
        AllowList.read(tmp_path / "missing.json")


def test_the_operations_of_all_documents(folder: Path) -> None:
    (folder / "two again.graphql").write_text(TWO)
    found = AllowList.read(folder).operations(SCHEMA)
    assert sorted(found, key=str) == sorted([(QUERY, None), (TWO.strip(), "A"), (TWO.strip(), "B")], key=str)


INVALID = [
    ("\nquery A {\n  nothing\n}", ", line 3: Cannot query field 'nothing'"),
    ("\n\n{ health {", ", line 3: Syntax Error"),
    ("fragment A on Query { __typename }", ": The document holds no operation."),
    ("query A { __typename }\nquery B { nothing }", ", line 2: Cannot query field 'nothing'"),
    ("query A { __typename }\n{ __typename }", ", line 2: This anonymous operation must be the only"),
]


@pytest.mark.parametrize(("text", "message"), INVALID, ids=[message for _, message in INVALID])
def test_a_document_that_does_not_fit_the_schema_is_named(folder: Path, text: str, message: str) -> None:
    file = folder / "deep" / "wrong.graphql"
    file.write_text(text)
    with pytest.raises(AllowListError) as rejected:
        AllowList.read(folder).operations(SCHEMA)
    assert str(rejected.value).startswith(f"{file}{message}")


def test_an_operation_of_a_manifest_is_named(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(apollo(("x", "{ nothing }")))
    with pytest.raises(AllowListError, match=r"manifest\.json, A, line 1: Cannot query field"):
        AllowList.read(manifest).operations(SCHEMA)


# Variables to compile with.


def test_required_variables_have_examples() -> None:
    text = """query($id: ID!, $symbol: String!, $first: Int! = 5, $after: String, $skipped: Boolean!, $ids: [ID!]!) {
        node(id: $id) { id } nodes(ids: $ids) { id } cryptocurrency(symbol: $symbol) { name @skip(if: $skipped) }
        signals(first: $first, after: $after) { totalCount }
    }"""
    operation = read_operation(SCHEMA, text, None)
    examples = example_variables(operation, SCHEMA)
    assert list(examples) == ["id", "symbol", "skipped", "ids"]
    assert isinstance(operation.variables.coerce(examples, 10), dict)


def with_variable(type_: str, schema: GraphQLSchema) -> Operation:
    """An operation that declares a variable of this type and does not use it."""
    document = parse(f"query($a: {type_}) {{ __typename }}")
    node = document.definitions[0]
    assert isinstance(node, OperationDefinitionNode)
    return Operation(
        "", None, document, node, Variables(schema, node.variable_definitions or ()), Cost(schema, document, node), 0
    )


INPUTS = [name for name, type_ in SCHEMA.type_map.items() if is_input_type(type_) and name != "JSON"]


@pytest.mark.parametrize("form", ["{}!", "[{}!]!", "[{}]!", "{}"])
@pytest.mark.parametrize("name", INPUTS)
def test_an_example_fits_its_type(name: str, form: str) -> None:
    operation = with_variable(form.format(name), SCHEMA)
    examples = example_variables(operation, SCHEMA)
    assert list(examples) == (["a"] if form.endswith("!") else [])
    assert isinstance(operation.variables.coerce(examples, 10), dict)


def test_an_example_of_an_input_object_has_its_required_fields() -> None:
    schema = build_schema("""
        type Query { a: Int }
        enum Side { LONG SHORT }
        input Leg { side: Side! size: Float! note: String }
        input Order { legs: [Leg!]! id: ID! retries: Int! = 3 }
    """)
    examples = example_variables(with_variable("Order!", schema), schema)
    assert examples == {"a": {"legs": [{"side": "LONG", "size": 1.0}], "id": global_id("Cryptocurrency", 1)}}
