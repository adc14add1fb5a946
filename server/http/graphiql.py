"""GraphiQL: Strawberry's page, opened with example queries, and its Content-Security-Policy."""

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
    page = _replace_once(page, r"<title>Strawberry GraphiQL</title>", lambda _: "<title>Candlegraph</title>")
    page = _replace_once(page, r"const EXAMPLE_QUERY = `.*?`;", lambda _: f"const EXAMPLE_QUERY = `{in_javascript}`;")
    # Headers hold tokens: the browser must not store them.
    return _replace_once(page, r"shouldPersistHeaders: true", lambda _: "shouldPersistHeaders: false")


def content_security_policy(page: str) -> str:
    """The Content-Security-Policy of the page: inline scripts by their digest, external ones by their address.

    Inline styles are allowed for editors and lists, which are positioned by them; the style sheet embeds fonts.
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


def _replace_once(page: str, pattern: str, replacement: Callable[[re.Match[str]], str]) -> str:
    page, count = re.subn(pattern, replacement, page, flags=re.DOTALL)
    assert count == 1, f"Strawberry's page no longer has this once: {pattern}"
    return page
