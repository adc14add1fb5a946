"""Checks of files that the test suite does not run: container images, lock files, scripts, and the packaged modules."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETTINGS = {name.upper() for name in Settings.model_fields}
LOCKS = {"requirements.txt": [], "requirements-dev.txt": PYPROJECT["dependency-groups"]["dev"]}
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci/run"])
# Paths that exist only on one machine must not be in the project.
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:work|root|home)/")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = compose()["services"]
    return services


def compose() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return composed


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    """The instructions of each build stage, one a line."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    stages: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("FROM "):
            stages.append([])
        if line and not line.startswith("#"):
            stages[-1].append(" ".join(line.split()))
    return stages


def argument(stage: list[str], instruction: str) -> str:
    """The arguments of the last instruction of this name. Raises IndexError if there is none."""
    return [line.removeprefix(f"{instruction} ") for line in stage if line.startswith(f"{instruction} ")][-1]


# docker-compose.yml


def test_three_services_restart_by_themselves(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "redis", "server"}
    assert {service["restart"] for service in services.values()} == {"unless-stopped"}
    assert services["postgres"]["image"].split(":")[1].split("-")[0] == "18"


@pytest.mark.parametrize(
    ("service", "probe"), [("postgres", "pg_isready"), ("redis", "redis-cli"), ("server", "/readyz")]
)
def test_each_service_has_a_health_check(services: dict[str, Any], service: str, probe: str) -> None:
    check = services[service]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert probe in " ".join(check["test"])
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_the_server_waits_for_the_health_of_the_others(services: dict[str, Any]) -> None:
    healthy = {"condition": "service_healthy"}
    assert services["server"]["depends_on"] == {"postgres": healthy, "redis": healthy}


def test_data_is_stored_in_named_volumes(services: dict[str, Any]) -> None:
    # The image of PostgreSQL 18 does not start if a volume is mounted where 17 expected it.
    assert services["postgres"]["volumes"] == ["postgres-data:/var/lib/postgresql"]
    assert services["redis"]["volumes"] == ["redis-data:/data"]
    assert set(compose()["volumes"]) == {"postgres-data", "redis-data"}


def test_redis_evicts_the_least_recently_used_keys_and_persists_its_data(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {"--maxmemory": "256mb", "--maxmemory-policy": "allkeys-lru", "--appendonly": "yes"}


def test_ports_are_published_on_loopback_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_server_gets_the_urls_of_the_other_services_and_every_setting(services: dict[str, Any]) -> None:
    environment = services["server"]["environment"]
    assert SETTINGS - set(environment) == {"CANDLEGRAPH_DATA_DIR"}
    assert environment["DATABASE_URL"] == "postgresql://candlegraph@postgres:5432/candlegraph"
    assert environment["REDIS_URL"] == "redis://redis:6379/0"
    for name in SETTINGS & set(environment) - {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}:
        assert environment[name].startswith(f"${{{name}:-"), name


def test_the_container_requires_authentication(services: dict[str, Any]) -> None:
    environment = services["server"]["environment"]
    assert environment["AUTH_MODE"] == "${AUTH_MODE:-required}"
    assert environment["SECRET_KEY"].startswith("${SECRET_KEY:?")


def test_the_password_of_postgresql_has_no_default(services: dict[str, Any]) -> None:
    password = services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert password.startswith("${POSTGRES_PASSWORD:?")
    assert services["server"]["environment"]["PGPASSWORD"] == password


# Dockerfile


def test_the_image_is_built_in_two_stages_of_the_same_python(dockerfile: list[list[str]]) -> None:
    build, final = dockerfile
    base, name = argument(build, "FROM").split(" AS ")
    assert re.fullmatch(r"python:3\.\d+-slim", base)
    assert argument(final, "FROM") == base
    assert argument(final, "COPY") == f"--from={name} /venv /venv"
    assert any("pip install --require-hashes" in line for line in build)


def test_the_image_runs_as_a_user_that_owns_the_data(dockerfile: list[list[str]]) -> None:
    final = dockerfile[-1]
    # A number, because orchestrators that forbid root cannot resolve a name.
    user = argument(final, "USER")
    assert int(user) > 0
    assert f"useradd --uid {user} " in argument(final, "RUN")
    assert argument(final, "VOLUME") == "/data"
    assert "CANDLEGRAPH_DATA_DIR=/data" in argument(final, "ENV")
    assert final.index("VOLUME /data") > final.index(f"RUN {argument(final, 'RUN')}")


def test_the_image_serves_on_every_address_and_has_a_health_check(dockerfile: list[list[str]]) -> None:
    final = dockerfile[-1]
    assert argument(final, "ENTRYPOINT") == '["candlegraph"]'
    assert argument(final, "CMD") == '["serve", "--host", "0.0.0.0"]'
    assert argument(final, "EXPOSE") == "8000"
    assert re.search(r' CMD \["python", .*:8000/readyz', argument(final, "HEALTHCHECK"))


def test_only_the_packages_and_their_metadata_enter_the_image() -> None:
    ignored, *rest = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")]
    assert ignored == "*"
    packages = {name.split(".")[0] for name in PYPROJECT["tool"]["setuptools"]["packages"]}
    included = {line.removeprefix("!") for line in rest if line.startswith("!")}
    project = PYPROJECT["project"]
    metadata = {"pyproject.toml", project["readme"], *project["license-files"]}
    assert included == packages | metadata | {"requirements.txt"}


def test_every_package_is_installed() -> None:
    packages = set(PYPROJECT["tool"]["setuptools"]["packages"])
    tops = {name.split(".")[0] for name in packages}
    found = {path.parent.relative_to(ROOT) for top in tops for path in (ROOT / top).rglob("*.py")}
    assert packages == {".".join(folder.parts) for folder in found}


# .env.example


def test_the_example_names_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    example = ROOT / ".env.example"
    assert set(dotenv_values(example)) == SETTINGS
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    assert Settings(_env_file=example) == Settings(_env_file=None)


# Lock files


def pins(lock: str) -> dict[str, Requirement]:
    """The pinned requirements of a lock file, by canonical name."""
    text = (ROOT / lock).read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert all("--hash=sha256:" in line for line in lines)
    requirements = [Requirement(line.split("--hash")[0]) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_file_pins_every_requirement_of_the_project(lock: str) -> None:
    pinned = pins(lock)
    required = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["build-system"]["requires"], *LOCKS[lock]]
    for requirement in map(Requirement, required):
        pin = pinned.get(canonicalize_name(requirement.name))
        assert pin, f"{requirement} is not in {lock}: run scripts/lock"
        (version,) = pin.specifier
        assert requirement.specifier.contains(version.version), f"{pin} is not {requirement}: run scripts/lock"


def test_tests_run_with_the_locked_versions_of_the_server() -> None:
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


# Scripts


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_executable_and_valid_bash(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in path.read_text()
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("false", "needs Python 3.11 or newer. Put one on PATH"),
        # A Python that runs, and is too old.
        ("[[ $1 == --version ]] && echo Python 3.9.1; [[ $2 == '' ]]", "found only Python 3.9.1"),
        ("[[ $2 != *ensurepip* ]]", "has no venv module"),
    ],
)
def test_install_explains_why_no_python_is_suitable(tmp_path: Path, python: str, message: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/usr/bin/env bash\n{python}\n")
    fake.chmod(0o755)
    done = install(tmp_path, {"PYTHON": str(fake)})
    assert done.returncode == 1
    assert message in done.stderr


def test_install_does_nothing_if_everything_is_installed(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    fake = tmp_path / "python"
    # Creates a .venv with a copy of itself, and logs its arguments.
    fake.write_text(
        f'#!/usr/bin/env bash\necho "$*" >>{calls}\n'
        '[[ "$*" != "-m venv"* ]] || { mkdir -p .venv/bin; cp "$0" .venv/bin/python; }\n'
    )
    fake.chmod(0o755)
    first = install(tmp_path, {"PYTHON": str(fake)}, "--dev")
    assert (first.returncode, first.stderr) == (0, "")
    assert "pip --quiet --quiet --disable-pip-version-check install --require-hashes" in calls.read_text()

    calls.write_text("")
    again = install(tmp_path, {"PYTHON": "false"})
    assert (again.returncode, again.stdout) == (0, "")
    assert "pip" not in calls.read_text()

    (tmp_path / "project" / "requirements.txt").write_text("changed")
    changed = install(tmp_path, {"PYTHON": "false"})
    assert changed.returncode == 0
    assert "requirements-dev.txt" in changed.stdout


def install(folder: Path, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/install in a folder with a copy of only the files that it reads."""
    project = folder / "project"
    if not project.exists():
        (project / "scripts").mkdir(parents=True)
        for name in ("scripts/install", "pyproject.toml", *LOCKS):
            (project / name).write_bytes((ROOT / name).read_bytes())
    return subprocess.run(
        ["bash", "scripts/install", *options],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


# All files


def test_no_file_contains_a_path_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    assert paths
    findings = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in paths
        for match in MACHINE_PATH.finditer(path.read_text(errors="ignore"))
    }
    assert not findings


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_files_contain_no_url_of_a_package_index(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()
    assert "--index-url" not in (ROOT / lock).read_text()
