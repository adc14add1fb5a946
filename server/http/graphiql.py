"""GraphiQL: Strawberry's page, opening with queries that work, and allowed nothing but what it needs."""

import base64
import hashlib
import re
from collections.abc import Callable

from strawberry.http.ides import get_graphql_ide_html

from server.http.examples import EXAMPLES


def graphiql_page() -> str:
    examples = "\n".join(example.strip() + "\n" for example in EXAMPLES)
    in_javascript = examples.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${")
    page = get_graphql_ide_html()
    page = _replaced(page, r"<title>Strawberry GraphiQL</title>", lambda _: "<title>Candlegraph</title>")
    page = _replaced(page, r"const EXAMPLE_QUERY = `.*?`;", lambda _: f"const EXAMPLE_QUERY = `{in_javascript}`;")
    # Headers are where tokens stand: the browser is not to keep them.
    return _replaced(page, r"shouldPersistHeaders: true", lambda _: "shouldPersistHeaders: false")


def policy_of(page: str) -> str:
    """The Content-Security-Policy of the page: its own scripts by their digest, those of others by their address.

    Editors and lists place themselves by inline styles, and the style sheet brings its fonts along.
    """
    inline = [_digest(script) for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)]
    scripts = re.findall(r'<script[^>]*\ssrc="([^"]+)"', page)
    sheets = [link.split('href="')[1].split('"')[0] for link in re.findall(r'<link[^>]*rel="stylesheet"[^>]*>', page)]
    assert all([inline, scripts, sheets]), "Strawberry's page no longer loads what it did"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join([*inline, *scripts])}",
            f"style-src 'unsafe-inline' {' '.join(sheets)}",
            "img-src data:",
            "font-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _replaced(page: str, pattern: str, replacement: Callable[[re.Match[str]], str]) -> str:
    page, count = re.subn(pattern, replacement, page, flags=re.DOTALL)
    assert count == 1, f"Strawberry's page no longer has this once: {pattern}"
    return page
