"""A fusion like any other system: exported, evaluated beside its branches, scored with other words, in the tables."""

import json
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from duetto import metrics, report
from duetto import runs as run_folder
from duetto.cli import app
from duetto.config.fusion import Fusion
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, ModelError
from duetto.evaluation import combine, paired_bootstrap
from duetto.experiments.export_fusion import export_fusion
from duetto.experiments.fusion_runner import run_fusion
from duetto.experiments.publishing import stage_run
from duetto.experiments.rescore import rescore
from duetto.experiments.workspace import Workspace
from duetto.inference.model_folder import PATTERNS
from duetto.inference.publishing import Publication
from duetto.report.branches import branch_records, named_branches
from duetto.training import checkpoint
from duetto.training.word_embeddings import EmbeddingConfig

RUN = CliRunner()
FUSION = Fusion("small", "Small fusion", ("acoustic", "embedding-random"), inner_folds=2,
                settings=("hidden=8", "dense=8", "word_dim=4", "epochs=2"))  # fmt: skip


@pytest.fixture(scope="module")
def workspace(manifest: Path) -> Workspace:
    return Workspace(manifest.parent / "cache", EmbeddingConfig(epochs=1))


@pytest.fixture(scope="module")
def fusion(manifest: Path, workspace: Workspace) -> Path:
    folder = manifest.parent / "fusion"
    run_fusion(FUSION, read_manifest(manifest), "session5", folder, workspace, seeds=(0, 1))
    return folder


@pytest.fixture(scope="module")
def utterance(manifest: Path) -> Utterance:
    return next(u for u in read_manifest(manifest) if u.session == "5" and u.words)


@pytest.mark.parametrize("int8", [False, True])
def test_one_folder_predicts_what_the_run_predicts(
    fusion: Path, utterance: Utterance, tmp_path: Path, int8: bool
) -> None:
    exported = export_fusion([fusion], tmp_path / "out", int8=int8, seed=1)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"fusion.json", "branches", "README.md"}
    assert {p.name for p in (tmp_path / "out/branches").iterdir()} == set(FUSION.branches) == set(exported.branches)
    one, other = (
        duetto.load(f)(utterance.audio, words=utterance.words) for f in (fusion / "fold0-seed1", tmp_path / "out")
    )
    np.testing.assert_allclose(list(one.probabilities.values()), list(other.probabilities.values()),
                               atol=0.02 if int8 else 1e-12)  # fmt: skip
    card = (tmp_path / "out/README.md").read_text()
    for fact in (
        "Small fusion",
        "protocol session5",
        "| acoustic | ",
        "Candidates",
        "best branch alone",
        "training speakers",
    ):
        assert fact in card, fact


def test_a_fusion_is_made_ready_for_the_hub(fusion: Path, utterance: Utterance, tmp_path: Path) -> None:
    """Graph and weights of each branch, and a card; only what the Hub is asked for again is uploaded."""
    (tmp_path / "out").mkdir()
    stage_run(fusion, tmp_path / "out", Publication("me/both"), seed=1)
    names = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    for branch in FUSION.branches:
        assert {f"branches/{branch}/{name}" for name in ("model.onnx", "model.json", "model.safetensors")} <= names
        found, trained = (
            checkpoint.load(folder / "model.safetensors")[0]
            for folder in (tmp_path / f"out/branches/{branch}", fusion / f"fold0-seed1/branches/{branch}")
        )
        assert found.keys() == trained.keys() and all((found[name] == trained[name]).all() for name in trained)
    fetched = {name for name in names if any(fnmatch(name, pattern) for pattern in PATTERNS)}
    assert {name for name in names - fetched if not name.endswith("model.safetensors")} == set()
    for name in names - fetched:
        (tmp_path / "out" / name).unlink()
    one, other = (
        duetto.load(f)(utterance.audio, words=utterance.words) for f in (fusion / "fold0-seed1", tmp_path / "out")
    )
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-12)
    card = (tmp_path / "out/README.md").read_text()
    assert card.startswith("---\nlicense: ") and '"type": "recall"' in card and "hub:me/both" in card


def test_late_fusions_are_exported_too(runs: Path, utterance: Utterance, tmp_path: Path) -> None:
    """By either rule, the answer is what `combine` makes of the runs' own answers."""
    members = [runs / "acoustic", runs / "embedding-random"]
    results = [run_folder.result_of(run) for run in members]
    at = int(np.flatnonzero(results[0].ids == utterance.id)[0])
    for rule in ("mean", "product"):
        done = RUN.invoke(app, ["export", *map(str, members), "-o", str(tmp_path / rule), "--rule", rule])
        assert done.exit_code == 0 and "verified: acoustic, " in done.output, done.output
        answer = duetto.load(tmp_path / rule)(utterance.audio, words=utterance.words)
        expected = combine(results, "both", rule=rule).calibrated[0, at]
        np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-5)
    product = np.prod([r.calibrated[0] for r in results], axis=0)
    np.testing.assert_allclose(
        combine(results, "x", rule="product").calibrated[0], product / product.sum(1, keepdims=True)
    )
    with pytest.raises(ConfigurationError, match="'vote' is not known"):
        combine(results, "x", rule="vote")


def test_runs_that_cannot_be_joined(runs: Path, fusion: Path, manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'acoustic' can't be a branch"):
        export_fusion([runs / "acoustic", runs / "acoustic"], tmp_path / "out")
    with pytest.raises(ModelError, match=r"run of a fusion.*acoustic, embedding-random"):
        export_fusion([runs / "acoustic", fusion], tmp_path / "out")
    with pytest.raises(ConfigurationError, match="no seed 7"):
        export_fusion([fusion], tmp_path / "out", seed=7)
    done = RUN.invoke(app, ["train", "svm", "--manifest", str(manifest), "-o", str(tmp_path / "svm")])
    assert done.exit_code == 0, done.output
    with pytest.raises(ModelError, match="baseline 'svm'"):
        export_fusion([runs / "acoustic", tmp_path / "svm"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_evaluation_shows_the_branches_and_the_paired_difference(fusion: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["evaluate", str(fusion), "--json", "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    records = {r["system"]: r for r in map(json.loads, done.stdout.splitlines())}
    names = [f"small: {name}" for name in FUSION.branches]
    assert [b["system"] for b in records["small"]["branches"]] == names and set(names) < set(records)
    result = run_folder.result_of(fusion)
    for name, branch in zip(names, run_folder.branch_results(fusion), strict=True):
        shown = next(b for b in records["small"]["branches"] if b["system"] == name)
        difference = paired_bootstrap(result, branch)
        assert shown["difference"] == {"mean": difference.mean, "ci95": list(difference.ci95), "p": difference.p}
        own = records["small"]["ua"]["mean"] - records[name]["ua"]["mean"]
        assert shown["difference"]["mean"] == pytest.approx(own) and shown["ua"]["mean"] == records[name]["ua"]["mean"]
    page = (tmp_path / "page.html").read_text()
    assert "Fusion and branches" in page and "Fusion − branch" in page
    text = RUN.invoke(app, ["evaluate", str(fusion)]).output
    assert "## Fusion and branches" in text and "branch of Small fusion" in text


def test_branch_results_are_the_branches_alone(fusion: Path) -> None:
    """The result of a branch is that of its own trainings, by both seeds."""
    for name, result in zip(FUSION.branches, run_folder.branch_results(fusion), strict=True):
        for s, seed in enumerate((0, 1)):
            logits, temperature = run_folder.load_outcome(fusion / f"fold0-seed{seed}/branches/{name}/outcome.npz")
            np.testing.assert_array_equal(result.logits[s], logits)
            assert result.temperature[s, 0] == temperature
    scored = report.score(
        [
            run_folder.result_of(fusion),
            *named_branches(run_folder.result_of(fusion), run_folder.branch_results(fusion)),
        ],
        50,
    )
    assert len(branch_records(scored, "small", [f"small: {name}" for name in FUSION.branches])) == 2


def test_finished_runs_are_fused_on_demand(runs: Path) -> None:
    done = RUN.invoke(
        app, ["evaluate", str(runs / "acoustic"), str(runs / "embedding-random"), "--fuse", "product", "--json"]
    )
    assert done.exit_code == 0, done.output
    names = [json.loads(line)["system"] for line in done.stdout.splitlines()]
    assert "product of acoustic × embedding-random" in names
    wrong = RUN.invoke(app, ["evaluate", str(runs / "acoustic"), "--fuse", "vote"])
    assert wrong.exit_code == 2


def test_other_words_reach_the_branches_that_read_them(
    fusion: Path, manifest: Path, workspace: Workspace, tmp_path: Path
) -> None:
    utterances = read_manifest(manifest)
    before = run_folder.result_of(fusion)
    same = rescore(fusion, utterances, workspace, "same")
    order = [list(same.ids).index(i) for i in before.ids]
    np.testing.assert_allclose(same.calibrated[:, order], before.calibrated, atol=1e-5)
    from dataclasses import replace

    silent = rescore(fusion, [replace(u, words=(), text=None) for u in utterances], workspace, "none")
    voice = run_folder.branch_results(fusion)[0]
    np.testing.assert_array_equal(silent.predicted[:, order], metrics.predicted_classes(voice.logits))
    assert silent.system == "small (none)"
    write_manifest(tmp_path / "words.jsonl", utterances)
    done = RUN.invoke(app, ["evaluate", str(fusion), "--words", str(tmp_path / "words.jsonl"), "--json"])
    assert done.exit_code == 0 and "small (words)" in done.stdout, done.output


def test_the_tables_measure_a_fusion(tree: Path, tmp_path: Path) -> None:
    from duetto.recipes import reproduce
    from duetto.recipes.reproduce.options import Options

    settings = ("hidden=8", "dense=8")
    options = Options(systems=("fusion-calibrated",), seeds=1, epochs=1, settings=settings)
    done = reproduce.run("synthetic", tree, tmp_path / "out", options, resamples=50)
    assert set(done.measured.results) == {"fusion-calibrated"} and not done.measured.failed
    rows = json.loads((tmp_path / "out/tables.json").read_text())["extensions"]
    assert [row["system"] for row in rows] == ["fusion-calibrated"]
    assert duetto.load(tmp_path / "out/runs/session5/fusion-calibrated").labels == ("angry", "happy", "neutral", "sad")
