"""GraphiQL: Strawberry's page, opening with queries that work."""

import re

from strawberry.http.ides import get_graphql_ide_html

from server.examples import EXAMPLES


def graphiql_page() -> str:
    examples = "\n".join(example.strip() + "\n" for example in EXAMPLES)
    in_javascript = examples.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${")
    page = get_graphql_ide_html().replace("<title>Strawberry GraphiQL</title>", "<title>Candlegraph</title>")
    page, count = re.subn(
        r"const EXAMPLE_QUERY = `.*?`;", lambda _: f"const EXAMPLE_QUERY = `{in_javascript}`;", page, flags=re.DOTALL
    )
    assert count == 1, "Strawberry's page no longer has its example query where it was"
    return page
