"""An exported system answers where nothing but the core is installed."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from duetto.data.manifest import read_manifest
from duetto.experiments.export import export

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
BLOCKER = """
import sys
class Core:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in BLOCKED:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Core())
from duetto.cli import main
main()
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def core() -> set[str]:
    """Distributions that the core installs: its own requirements, and theirs in turn."""
    waiting = list(tomllib.loads(PROJECT.read_text())["project"]["dependencies"])
    found: set[str] = set()
    while waiting:
        name, marker = re.match(r"([\w.-]+)[^;]*(.*)", waiting.pop()).groups()  # type: ignore[union-attr]
        if "extra" in marker or normal(name) in found:
            continue
        try:
            waiting += metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another system, or another Python
            continue
        found.add(normal(name))
    return found


def blocked() -> list[str]:
    """Modules of every installed distribution that the core does not bring."""
    kept = {*core(), "duetto"}
    modules = metadata.packages_distributions().items()
    return sorted(module for module, owners in modules if not kept & set(map(normal, owners)))


def test_the_extras_are_blocked() -> None:
    names = {"torch", "lightning", "sklearn", "scipy", "onnx", "safetensors", "gensim", "jinja2"}
    assert names <= set(blocked())
    assert not {"numpy", "onnxruntime", "soundfile", "soxr", "typer", "rich", "pocketsphinx"} & set(blocked())


@pytest.mark.parametrize("name", ["acoustic", "fusion-speech2vec", "fusion-spoken"])
def test_prediction_needs_the_core_alone(runs: Path, manifest: Path, tmp_path: Path, name: str) -> None:
    recording = str(read_manifest(manifest)[0].audio)
    export(runs / name, tmp_path / "model", int8=True)
    code = f"BLOCKED = frozenset({blocked()!r})\n{BLOCKER}"
    arguments = ["predict", recording, "-m", str(tmp_path / "model"), "--json"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(done.stdout)["probabilities"].values()) == pytest.approx(1, abs=1e-5)  # printed to 6 places


def test_export_without_the_extra_names_it(runs: Path, tmp_path: Path) -> None:
    code = f"BLOCKED = frozenset({blocked()!r})\n{BLOCKER}"
    arguments = ["export", str(runs / "acoustic"), "-o", str(tmp_path / "model")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pip install 'duetto[train]'" in done.stderr


def test_finished_runs_are_evaluated_with_the_core_alone(runs: Path, tmp_path: Path) -> None:
    """Figures as text and JSON; the report alone needs more."""
    code = f"BLOCKED = frozenset({blocked()!r})\n{BLOCKER}"
    page = tmp_path / "report.html"
    arguments = ["evaluate", str(runs / "acoustic"), str(runs / "fusion-spoken")]

    def evaluate(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    text, as_json, refused = evaluate(), evaluate("--json"), evaluate("-o", str(page))
    assert text.returncode == 0 and "| Acoustic features only |" in text.stdout, text.stderr
    assert "report: not written" in text.stderr and "pip install 'duetto[train]'" in text.stderr
    assert as_json.returncode == 0, as_json.stderr
    assert {"acoustic", "fusion-spoken"} < {json.loads(line)["system"] for line in as_json.stdout.splitlines()}
    assert refused.returncode == 1 and "pip install 'duetto[train]'" in refused.stderr and not page.exists()


def test_scale_without_the_extra_names_it(tmp_path: Path) -> None:
    """Its help needs nothing, and the list of all commands neither."""
    code = f"BLOCKED = frozenset({blocked()!r})\n{BLOCKER}"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)

    assert "scale" in run("--help").stdout and "features" in run("scale", "--help").stdout
    refused = run("scale", "features", str(tmp_path / "m.jsonl"), "-o", str(tmp_path / "job"))
    assert refused.returncode == 1 and "pip install 'duetto[scale]'" in refused.stderr
