"""The installation of PostGraphile: without npm, and its lock file."""

import json
from pathlib import Path

import pytest

from benchmarks import postgraphile
from benchmarks.postgraphile import SOURCE, CannotInstall, install_postgraphile


def test_without_npm_the_installation_fails_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgraphile, "INSTALLED", tmp_path / "postgraphile")
    monkeypatch.setenv("PATH", str(tmp_path))
    announced: list[str] = []
    with pytest.raises(CannotInstall, match="npm is not installed"):
        install_postgraphile(lambda: announced.append("installing"))
    assert announced == []


def test_the_lock_file_matches_package_json_and_names_no_registry() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    package = json.loads((SOURCE / "package.json").read_text())
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    assert not any("resolved" in entry for entry in lock["packages"].values())
