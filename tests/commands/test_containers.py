"""The image and what `docker compose` makes of it. No image can be built here: its steps are played as plain commands
in a bare folder, and what it starts is started there, without the rights that a container lacks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ccexport.settings import Settings
from tests.commands.running import ROOT, Here
from tests.kit.ports import free_port
from tests.kit.waiting import wait_until

SECONDS = 120
INHERITED = "the image's own"  # of a service that says nothing of it
# as little as `cap_drop: [ALL]` and `no-new-privileges` leave
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
SIGN_IN = {
    "CCEXPORT_OIDC_ISSUER": "https://login.example.com",
    "CCEXPORT_OIDC_CLIENT_ID": "ccexport",
    "CCEXPORT_OIDC_CLIENT_SECRET": "not-a-secret",
}


@dataclass(frozen=True)
class Step:
    """One instruction of the Dockerfile."""

    word: str
    text: str

    @property
    def command(self) -> list[str]:
        """Of ENTRYPOINT, CMD and HEALTHCHECK, which are written as JSON."""
        found: list[str] = json.loads(self.text[self.text.index("[") :])
        return found


def steps() -> list[Step]:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    return [Step(*line.split(maxsplit=1)) for line in lines if line.strip()]


def step(word: str) -> Step:
    *_, last = (each for each in steps() if each.word == word)
    return last


def is_ignored(path: str) -> bool:
    """By .dockerignore: the last pattern that matches the path, or a folder above it, decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!").strip()
        if not pattern or pattern.startswith("#"):
            continue
        parts = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{parts}(/.*)?", path):
            ignored = not line.startswith("!")
    return ignored


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return found


def services() -> Mapping[str, dict[str, Any]]:
    return compose()["services"]


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """As `docker compose` puts variables into the file; one that has to be set raises `KeyError`."""

    def value(found: re.Match[str]) -> str:
        name, is_needed, otherwise = found[1], found[2] == ":?", found[3]
        return variables[name] if is_needed else variables.get(name) or otherwise or ""

    return re.sub(r"\$\{(\w+)(?:(:[?-])([^}]*))?\}", value, text)


@dataclass
class Image:
    """A folder in which the Dockerfile's steps were played: `/` of the container is `root`."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"

    def inside(self, text: str) -> str:
        """Paths of the container as they are here."""
        return re.sub(r"(?<![^\s=])/(?=[a-z])", f"{self.root}/", text)

    def play(self, step: Step) -> None:
        here = Path(self.inside(self.workdir))
        if step.word == "WORKDIR":
            self.workdir = step.text
            Path(self.inside(self.workdir)).mkdir(parents=True, exist_ok=True)
        elif step.word == "ENV":
            self.environment |= {
                name: self.inside(value) for name, value in re.findall(r"(\w+)=(\S+)", step.text)
            }
        elif step.word == "COPY":
            *sources, target = step.text.split()
            for source in sources:
                self._copy(source, here / target)
        elif step.word == "RUN":
            # every package of the lock is at hand, so pip has but to look; it may not ask for another
            variables = self.environment | {"PIP_DRY_RUN": "1", "PIP_NO_INDEX": "1"}
            command = ("sh", "-ec", self.inside(step.text))
            subprocess.run(command, cwd=here, env=variables, check=True, timeout=SECONDS)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*without_rights(), *command],
            cwd=self.inside(self.workdir),
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    @contextmanager
    def running(self, *command: str, until: str, **variables: str) -> Iterator[None]:
        """From when it has said `until` to its end by SIGTERM, which has to be a good one."""
        said = self.root / "said"
        with (
            said.open("w") as output,
            subprocess.Popen(
                [*without_rights(), *command],
                cwd=self.inside(self.workdir),
                env=self.environment | variables,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                wait_until(
                    lambda: until in said.read_text() or process.poll() is not None, "a start"
                )
                assert process.poll() is None, said.read_text()
                yield
                process.send_signal(signal.SIGTERM)
                assert process.wait(SECONDS) == 0, said.read_text()
            finally:
                process.kill()

    def _copy(self, source: str, target: Path) -> None:
        for path in [ROOT / source] if (ROOT / source).is_file() else (ROOT / source).rglob("*"):
            name = path.relative_to(ROOT)
            if path.is_file() and not is_ignored(str(name)):
                below = path.relative_to(ROOT / source) if path != ROOT / source else path.name
                (target / below).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / below)


def without_rights() -> Sequence[str]:
    return WITHOUT_RIGHTS if os.geteuid() == 0 else ()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    """Played to the end, with a new virtual environment as its Python; then nobody may write to it."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    at_hand = Path(sysconfig.get_path("purelib", vars={"base": f"{venv}"})) / "at_hand.pth"
    at_hand.write_text(sysconfig.get_path("purelib"))
    image = Image(tmp_path / "root")
    (image.root / "tmp").mkdir(parents=True)
    image.environment = {"PATH": f"{venv}/bin:/usr/bin:/bin", "TMPDIR": str(image.root / "tmp")}
    for each in steps():
        image.play(each)
    written = [path for path in image.root.joinpath("app").rglob("*") if not path.is_symlink()]
    for path in written:
        path.chmod(path.stat().st_mode & ~0o222)
    yield image
    for path in written:
        path.chmod(path.stat().st_mode | 0o200)


def test_the_dockerfile_follows_hadolints_rules() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_image_is_pinned_by_its_version() -> None:
    images = [step("FROM").text, *(each["image"] for each in services().values())]
    for name in images:
        assert name == "ccexport" or re.fullmatch(r"\w+:\d+\.\d+[\w.-]*(@sha256:\w{64})?", name)


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".git/config", "data/var/secret.key", "data/var/ccexport.db", "store.backup"),
        *("ccexport/__pycache__/errors.pyc", ".streamlit/secrets.toml", "tests/conftest.py"),
    ],
)
def test_what_is_a_secret_or_not_the_program_stays_outside(path: str) -> None:
    assert is_ignored(path)


def becomes_well(
    image: Image, check: Sequence[str], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Asked again and again, as Docker does: on a busy machine the first answer may come too late."""
    found: list[subprocess.CompletedProcess[str]] = []

    def is_well() -> bool:
        found.append(image.run(*check, **variables))
        return found[-1].returncode == 0

    wait_until(is_well, "the check says that it is well")
    return found[-1]


def test_every_file_of_the_program_goes_into_the_image(image: Image) -> None:
    """And what it starts works there: without root's rights, without writing to its root file system."""
    copied = {path.relative_to(image.root / "app") for path in image.root.rglob("app/**/*.*")}
    program = (*ROOT.glob("ccexport/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py")
    ours = {path.relative_to(ROOT) for path in (*program, ROOT / ".streamlit/config.toml")}
    assert ours <= copied
    assert any(path.suffix == ".pyc" for path in copied), "compiled beforehand"
    data = image.root / "data"
    assert data.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        user, _, group = step("USER").text.partition(":")
        assert (data.stat().st_uid, data.stat().st_gid) == (int(user), int(group))
        os.chown(data, 0, 0)  # who plays that user here

    entry, check = step("ENTRYPOINT").command, step("HEALTHCHECK").command
    with image.running(*entry, *step("CMD").command, until=" started"):
        becomes_well(image, check)
    done = image.run(*check)
    assert done.returncode == 1
    assert "Start one with `worker`" in done.stderr

    port = str(free_port())
    service = services()["dashboard"]
    serve, check = (
        [port if word == "8501" else word for word in words]
        for words in (service["command"], service["healthcheck"]["test"][1:])
    )
    with image.running(*entry, *serve, until="dashboard on", **SIGN_IN):
        assert '"status":"ready"' in becomes_well(image, check, **SIGN_IN).stdout
    assert image.run(*check, **SIGN_IN).returncode == 1
    assert sorted(os.listdir(image.root / "tmp")) == []


def test_the_dashboard_of_a_container_refuses_to_start_without_sign_in(
    here: Here, tmp_path: Path
) -> None:
    done = here(
        *services()["dashboard"]["command"], environment={"CCEXPORT_DATA_DIR": str(tmp_path)}
    )
    assert done.code == 2
    assert "set up OpenID Connect" in done.err


@pytest.mark.parametrize("name", services())
def test_a_service_has_as_few_rights_as_it_needs(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert "/tmp" in service["tmpfs"]  # noqa: S108  # of the container
    user = service.get("user") or step("USER").text
    assert user not in ("root", "0")
    assert not user.startswith("0:")
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")
    check = service.get("healthcheck", {}).get("test") or step("HEALTHCHECK").command
    assert check


def test_our_image_is_made_here_and_never_pulled() -> None:
    for name in ("worker", "dashboard"):
        assert services()[name]["pull_policy"] == "build"


def test_the_database_is_reached_by_nobody_else() -> None:
    assert services()["database"]["networks"] == ["store"]
    assert compose()["networks"]["store"] == {"internal": True}
    assert "ports" not in services()["database"]


def test_readme_says_what_compose_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are run: what they write makes settings that hold, and nothing that has to be set is missing."""
    readme = (ROOT / "README.md").read_text("utf-8")
    [lines] = re.findall(
        r"```bash\n(umask 077.*?)^docker compose up[^\n]*\n```", readme, re.M | re.S
    )
    subprocess.run(["bash", "-euc", lines], cwd=tmp_path, check=True)
    written = tmp_path / ".env"
    assert written.stat().st_mode & 0o777 == 0o600
    variables = dict(line.split("=", 1) for line in written.read_text("utf-8").splitlines())
    for name in ("worker", "dashboard"):
        asked = {
            variable: filled_in(text, variables)
            for variable, text in services()[name]["environment"].items()
        }
        for variable, value in (variables | asked).items():
            monkeypatch.setenv(variable, value)
        settings = Settings(_env_file=None)
        assert settings.people_sign_in
        assert variables["POSTGRES_PASSWORD"] in settings.database_url
        assert settings.source_url == "file:/source"
    for line in variables:
        missing = {name: value for name, value in variables.items() if name != line}
        if line.startswith(("POSTGRES_", "CCEXPORT_SECRET", "CCEXPORT_OIDC")):
            with pytest.raises(KeyError, match=line):
                filled_in((ROOT / "compose.yaml").read_text("utf-8"), missing)
