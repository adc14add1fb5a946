"""The audits of graphql-http: GraphQL over HTTP, as its reference implementation checks it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

AUDITS = Path(__file__).with_name("audits")


@pytest.fixture(scope="module")
def node() -> str:
    """The command, once what the audits need is installed beside them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("the audits need Node and npm")
    lock = (AUDITS / "package-lock.json").read_bytes()
    installed = AUDITS / "node_modules" / ".candlegraph"
    if not installed.exists() or installed.read_bytes() != lock:
        install(npm)
        installed.write_bytes(lock)
    return node


def install(npm: str) -> None:
    """Without a network there are no audits; only where CI is set, that is a failure."""
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=AUDITS, capture_output=True, text=True, timeout=120, check=True)
    except subprocess.SubprocessError as error:
        report = pytest.fail if os.environ.get("CI") else pytest.skip
        report(f"npm could not install the audits: {error}\n{error.stderr or ''}")  # type: ignore[attr-defined]


def test_every_audit_passes(node: str, served: str) -> None:
    command = [node, str(AUDITS / "audits.mjs"), f"{served}/graphql"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    failures = [f"{each['id']} {each['name']}: {each['reason']}" for each in found if each["status"] != "ok"]
    assert failures == []
    assert len(found) == 61
