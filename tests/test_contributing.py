"""The guides of CONTRIBUTING.md, applied to a copy of the package: their files, their diffs, their tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.M | re.S)
HELPERS = ("conftest.py", "corpus_trees.py", "quick_training.py", "test_docstrings.py", "test_architecture.py")


def patched(text: str, diff: str) -> str:
    """A text with each hunk of a diff applied; a hunk must match in exactly one place."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in (" ", sign)) for sign in "-+")
        assert text.count(before) == 1, f"CONTRIBUTING.md shows what is not in the file: {before}"
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with everything that the guides add."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "src", copy / "src")
    shutil.copytree(ROOT / "docs", copy / "docs", ignore=shutil.ignore_patterns("*.png", "*.svg"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "tests").mkdir()
    for name in HELPERS:
        shutil.copy(ROOT / "tests" / name, copy / "tests")
    for kind, name, content in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        path = copy / name
        if kind == "diff":
            path.write_text(patched(path.read_text(encoding="utf-8"), content), encoding="utf-8")
        else:
            assert not path.exists(), f"{name} exists already"
            path.write_text(content, encoding="utf-8")
    return copy


def run(project: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def blocks(pattern: str) -> dict[str, str]:
    """File → content of the blocks whose file matches."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {name: content for _, name, content in BLOCK.findall(text) if re.fullmatch(pattern, name)}


def test_the_tests_of_the_guides_pass(project: Path) -> None:
    tests = blocks(r"tests/test_\w+\.py")
    assert len(tests) == 4
    count = sum(content.count("def test_") for content in tests.values())
    assert f"{count} passed" in run(project, "-m", "pytest", "-p", "no:cacheprovider", *tests)


def test_what_the_guides_add_keeps_the_rules(project: Path) -> None:
    rules = ("tests/test_docstrings.py", "tests/test_architecture.py")
    run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "toy or loudness or nearest or average", *rules)
    files = blocks(r".*/(toy|loudness|nearest_mean|average|test_\w+)\.py")
    run(project, "-m", "ruff", "check", "--no-cache", *files)
    run(project, "-m", "ruff", "format", "--check", "--no-cache", *files)
