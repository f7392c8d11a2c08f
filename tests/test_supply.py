"""What is installed is what was looked at: every package pinned with hashes, and the lock agrees with its source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([^\s\\;]+)", re.M)


def pinned(file: str) -> dict[str, str]:
    """Package, by its normal name → version."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PINNED.findall(text)}


def asked_for(file: str) -> dict[str, str]:
    """The same with what it includes."""
    own = pinned(file)
    text = (ROOT / file).read_text(encoding="utf-8")
    for included in re.findall(r"^-r (\S+)$", text, re.M):
        own |= asked_for(included)
    return own


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_has_the_versions_that_are_asked_for(name: str) -> None:
    """Otherwise: `.ci/supply lock`."""
    locked, asked = pinned(f"{name}.lock"), asked_for(f"{name}.txt")
    assert asked
    assert {package: locked.get(package) for package in asked} == asked


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_every_package_of_the_lock_has_hashes_and_no_other_source(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    assert len(entries) == len(pinned(f"{name}.lock"))
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"^\s*(-|https?:|file:)(?!-hash)", text, re.M)
    assert "://" not in text


def test_every_requirement_is_pinned() -> None:
    for file in ("requirements.txt", "requirements-dev.txt", ".ci/requirements-tools.txt"):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        loose = [
            line for line in lines if line and not re.match(r"#|-r |[\w.\[\],-]+==[\w.]+$", line)
        ]
        assert loose == [], file


def test_ci_installs_from_the_lock_by_hashes() -> None:
    assert "--require-hashes -r requirements-dev.lock" in (ROOT / ".ci/run").read_text("utf-8")


def test_what_runs_is_locked_to_the_same_versions_as_what_is_tested() -> None:
    run, tested = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert {package: tested.get(package) for package in run} == run


def test_every_ignored_check_has_its_reason() -> None:
    reason = re.compile(r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*\s+# \S")
    paths = [*ROOT.glob("ccexport/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"]
    lines = [(path.name, line) for path in paths for line in path.read_text("utf-8").splitlines()]
    assert [each for each in lines if "# noqa" in each[1] and not reason.search(each[1])] == []


def test_what_tests_share_lies_in_no_test_module() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in ROOT.glob("tests/**/*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.match(r"from tests\.(\w+\.)*test_\w+ import ", line)
    ]
    assert found == [], "move what is shared into tests/kit or a module beside the tests"
