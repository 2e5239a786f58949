"""The paper's tables end to end on a tiny corpus: shape, resuming, what does not apply, leaks, protocols, refusals."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from duetto import metrics, report
from duetto.baselines import BASELINES
from duetto.cli import app
from duetto.cli.live_table import LiveTable
from duetto.config import experiment
from duetto.config.experiment import SYSTEMS
from duetto.config.fusion import FUSIONS
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Word
from duetto.embeddings.vectors import Vectors, save
from duetto.errors import ConfigurationError, CorpusError, ModelError
from duetto.evaluation import SystemResult
from duetto.recipes import reproduce
from duetto.recipes.reproduce import Event, Options, benchmark, corpus, requirements, tables
from duetto.recipes.reproduce.benchmark import Benchmark
from duetto.recipes.reproduce.paper import TABLES, Row, keeps_features, select
from duetto.utils import files

SMALL = ("hidden=8", "dense=8")
QUICK = Options(seeds=1, epochs=2, settings=SMALL)
RESAMPLES = 50
CONTROLS = ["majority", "scenario", "tfidf"]


def small(tree: Path, out: Path, *systems: str, **options: Any) -> reproduce.Reproduction:
    chosen = replace(QUICK, systems=systems, **options)
    return reproduce.run("synthetic", tree, out, chosen, resamples=RESAMPLES)


@pytest.fixture(scope="module")
def finished(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, reproduce.Reproduction, list[Event]]:
    """All three tables, a control, a leaking twin of each system, and two more protocols of one of them."""
    out, events = tmp_path_factory.mktemp("reproduce") / "out", []
    options = replace(QUICK, systems=("acoustic", "embedding-word2vec", "svm", "embedding-random"), best_on_test=True)
    options = replace(options, protocols=("random", "session5"), seeds=2)
    return out, reproduce.run("synthetic", tree, out, options, watch=events.append, resamples=RESAMPLES), events


def test_every_name_in_the_tables_is_a_system_a_baseline_or_a_fusion_of_them() -> None:
    for row in (row for rows in TABLES.values() for row in rows):
        assert all(name in {*SYSTEMS, *FUSIONS, *BASELINES} for name in row.of or (row.system,)), row.system
        assert all(any(part == r.system for rows in TABLES.values() for r in rows) for part in row.of)
        # A shared name has one meaning.
        assert not (row.of and (row.system in SYSTEMS or row.system in BASELINES))


def test_every_system_and_baseline_has_its_place_in_the_tables() -> None:
    assert {*SYSTEMS, *FUSIONS, *BASELINES} <= {row.system for rows in TABLES.values() for row in rows}


def test_a_row_has_the_figure_of_its_system_unless_the_paper_prints_another_one() -> None:
    figures = {table: {row.system: row.paper_ua for row in rows} for table, rows in TABLES.items()}
    assert (figures["table1"]["acoustic"], figures["table2"]["acoustic"]) == (55.01, 55.03)
    assert figures["table3"]["fusion-speech2vec"] == figures["table2"]["fusion-speech2vec"] == 68.49
    assert all(ua is not None for table in ("table1", "table2", "table3") for ua in figures[table].values())
    assert figures["baselines"]["evector-acoustic"] is None  # not in the tables, though its baseline has a figure


def test_a_selection_has_the_order_of_the_tables_and_each_system_once() -> None:
    assert select(["table2", "acoustic", "table1"])[:3] == ("acoustic", "embedding-speech2vec", "embedding-word2vec")
    assert select(["controls"])[0] == "embedding-random" and len(set(select(["all"]))) == len(select(["all"]))
    with pytest.raises(ConfigurationError, match=r"'tabel1' is neither a system nor a group of them; groups are all, "):
        select(["tabel1"])


def test_tables_json_has_the_documented_shape(
    finished: tuple[Path, reproduce.Reproduction, list[Event]],
) -> None:
    record = json.loads((finished[0] / "tables.json").read_text())
    assert {"table1", "table2", "table3", "controls", "protocol"} < record.keys() and record["unit"] == "percent"
    rows = [row for key in ("table1", "table2", "table3", "baselines", "controls", "leaks") for row in record[key]]
    for row in rows:
        assert row.keys() >= {"system", "paper_ua", "ua", "wa"}
        for score in (row["ua"], row["wa"]):
            assert score.keys() >= {"mean", "std", "ci95", "seeds"}
            assert score["mean"] == pytest.approx(np.mean(score["seeds"])) and len(score["ci95"]) == 2
            assert score["ci95"][0] <= score["ci95"][1] and 0 <= score["mean"] <= 100
    assert [row["system"] for row in record["table1"]] == ["acoustic", "embedding-word2vec"]
    acoustic = [next(row for row in record[t] if row["system"] == "acoustic") for t in ("table1", "table2")]
    assert [row["paper_ua"] for row in acoustic] == [55.01, 55.03] and acoustic[0]["ua"] == acoustic[1]["ua"]
    assert len(acoustic[0]["ua"]["seeds"]) == 2 and acoustic[0]["row"] == "Acoustic feature only model"
    assert [row["system"] for row in record["controls"]] == [*CONTROLS, "embedding-random"]
    assert {row["kind"] for row in record["controls"]} == {"control"}
    assert record["protocol"]["seeds"] == [0, 1] and record["protocol"]["protocol"] == "session5"
    assert [row["system"] for row in record["baselines"]] == ["svm"] and record["corpus"]["synthetic"]


def test_every_row_is_compared_with_the_best_and_with_every_control(
    finished: tuple[Path, reproduce.Reproduction, list[Event]],
) -> None:
    found = json.loads((finished[0] / "tables.json").read_text())["significance"]
    assert set(found) == {"table1", "table2", "baselines"}
    pairs = {frozenset((pair["a"], pair["b"])) for pair in found["table1"]["comparisons"]}
    expected = {frozenset(("acoustic", "embedding-word2vec"))}
    expected |= {frozenset((s, c)) for s in ("acoustic", "embedding-word2vec") for c in (*CONTROLS, "embedding-random")}
    assert pairs == expected and found["table1"]["best"] in ("acoustic", "embedding-word2vec")
    for pair in found["table1"]["comparisons"]:
        assert (pair["ua"]["p_holm"] is not None) == (found["table1"]["best"] in (pair["a"], pair["b"]))
        assert pair["clusters"] == 2 and pair["ua"]["p"] >= 0.5  # two speakers cannot establish anything
    assert found["table1"]["conclusions"][0].startswith("2 speakers are too few for any test")


def test_the_papers_figures_stand_beside_no_other_corpus(
    finished: tuple[Path, reproduce.Reproduction, list[Event]],
) -> None:
    out, done, _ = finished
    text, page = (out / "tables.md").read_text(), (out / "report.html").read_text()
    assert "| Bi-LSTM (acoustic) | " in text and "| Our system (fusion-speech2vec) | not run |" in text
    assert "The corpus is synthetic" in text and "stand only beside results on it" in text
    assert not any(figure in text + page for figure in ("55.03", "68.49", "57.25"))
    assert "embedding-random is trained to read the words" in text and "with vectors of Speech2Vec" in text
    assert "UA − paper" not in text
    for heading in (
        "Tables of the paper",
        "Table 1: one modality alone",
        "Protocols side by side",
        "too few for any test",
    ):
        assert heading in page
    assert "Synthetic corpus" in page and "published figure" not in page  # no triangles beside another corpus
    assert done.text.startswith("## Tables of the paper") and {f.name for f in done.files} == {
        "tables.json", "tables.md", "report.html", "protocols.json", "protocols.md",
    }  # fmt: skip


def test_the_best_epoch_on_test_is_a_leak_beside_the_honest_row(
    finished: tuple[Path, reproduce.Reproduction, list[Event]],
) -> None:
    out, done, _ = finished
    leaks = {row["system"]: row for row in done.tables["leaks"]}
    assert set(leaks) == {"acoustic-best-on-test", "embedding-word2vec-best-on-test"}  # no twin of a control
    assert {row["kind"] for row in leaks.values()} == {"leak"}
    honest = done.tables["table1"][0]["ua"]["mean"]
    assert leaks["acoustic-best-on-test"]["ua"]["mean"] >= honest  # the best of the same epochs
    audit = json.loads((out / "runs/session5/acoustic-best-on-test/audit.json").read_text())
    assert "chosen-on-test" in {finding["kind"] for finding in audit["findings"]} and audit["verdict"] == "leak"
    clean = json.loads((out / "runs/session5/acoustic/audit.json").read_text())
    assert clean["verdict"] == "clean"
    assert "acoustic-best-on-test" not in json.dumps(done.tables["significance"])
    gap = leaks["acoustic-best-on-test"]["ua"]["mean"] - honest
    (line,) = [line for line in done.text.splitlines() if line.startswith("| Acoustic features only, best epoch on")]
    assert float(line.split("|")[-2].replace("−", "-")) == pytest.approx(gap, abs=0.05)  # one decimal is shown


def test_protocols_stand_side_by_side_and_random_is_a_leak(
    finished: tuple[Path, reproduce.Reproduction, list[Event]],
) -> None:
    out, done, _ = finished
    record = json.loads((out / "protocols.json").read_text())
    random, session5 = record["protocols"]
    assert (random["protocol"], random["systems"], random["disjoint_in"]) == ("random", [], [])
    assert {row["kind"] for row in random["leaks"]} == {"leak"} and len(random["leaks"]) == 4
    assert session5["disjoint_in"] == ["speaker", "session"]
    assert session5["systems"][0]["ua"] == done.tables["table1"][0]["ua"]
    text = (out / "protocols.md").read_text()
    assert "random – LEAK, no result" in text and "session5: the last session" in text


def test_events_report_the_progress(finished: tuple[Path, reproduce.Reproduction, list[Event]]) -> None:
    _, done, events = finished
    assert events[0].system == "corpus"
    last = {event.system: event for event in events}
    for name in ("acoustic", "svm", "embedding-random"):
        assert last[name].state == "done" and last[name].ua is not None
    training = [e for e in events if e.system == "acoustic" and e.state == "train acoustic"]
    assert training[0].ua is None and training[-1].done == training[-1].total
    # The UA so far is that of the first seed, before the second has finished.
    assert done.tables["table1"][0]["ua"]["seeds"][0] in [pytest.approx(e.ua) for e in training if e.ua is not None]


def test_a_second_call_trains_nothing_and_a_lost_system_alone_is_trained_again(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = small(tree, tmp_path, "acoustic", "embedding-random", "svm")
    from duetto import training as emotion

    trained: list[str] = []
    original = emotion.train

    def spy(e: experiment.Experiment, *rest: Any, **more: Any) -> Any:
        trained.append(e.name)
        return original(e, *rest, **more)

    monkeypatch.setattr("duetto.training.train", spy)
    again = small(tree, tmp_path, "acoustic", "embedding-random", "svm")
    assert trained == [] and again.tables == before.tables
    # As if it had been killed while the last epoch of one system was running.
    part = tmp_path / "runs/session5/acoustic"
    (part / "result.npz").unlink()
    (part / "fold0-seed0/outcome.npz").unlink()
    after = small(tree, tmp_path, "acoustic", "embedding-random", "svm")
    assert trained == ["acoustic"] and after.tables == before.tables


def test_a_folder_of_other_options_is_refused(tree: Path, tmp_path: Path) -> None:
    small(tree, tmp_path, "svm")
    with pytest.raises(ConfigurationError, match="was made with seeds = 1, not 2; choose another folder"):
        small(tree, tmp_path, "svm", seeds=2)
    for junk in ("{", "[]"):
        (tmp_path / "reproduce.json").write_text(junk)
        with pytest.raises(ConfigurationError, match=r"reproduce\.json: .*; .* delete the file to go on"):
            small(tree, tmp_path, "svm")


def test_a_folder_in_which_another_process_works_is_left_alone(tree: Path, tmp_path: Path) -> None:
    with files.lock(tmp_path), pytest.raises(ConfigurationError, match="another process is training in it"):
        reproduce.run("synthetic", tree, tmp_path, Options(systems=("acoustic",)))
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_what_was_changed_stands_in_every_table(tree: Path, tmp_path: Path) -> None:
    save(Vectors(("the", "a"), np.eye(2, 50, dtype=np.float32)), tmp_path / "50.vec")
    options = Options(settings=("padding=post", "hidden=8", "hidden=9"), epochs=1, force=True)
    options = replace(options, vectors={"word2vec": tmp_path / "50.vec"}, accelerator="auto", best_on_test=True)
    assert options.changed == {
        "epochs": "1", "padding": "post", "hidden": "9", "vectors": {"word2vec": str(tmp_path / "50.vec")},
        "accelerator": "auto", "best_on_test": True, "force": True,
    }  # fmt: skip
    assert Options().changed == {}
    done = small(tree, tmp_path / "out", "svm")
    assert done.tables["protocol"]["changed"] == {"epochs": "2", "hidden": "8", "dense": "8"}
    assert "- changed: epochs: 2; hidden: 8; dense: 8" in (tmp_path / "out/tables.md").read_text()
    assert "<dt>changed</dt><dd><dl><dt>epochs</dt><dd>2</dd>" in (tmp_path / "out/report.html").read_text()


def test_chosen_features_apply_only_to_systems_that_support_them() -> None:
    options = Options(settings=("features=pyaudioanalysis", "dropout=0.1"))
    for name in SYSTEMS:
        own, chosen = experiment.load(name), options.configured(name)
        assert isinstance(chosen, experiment.Experiment) and chosen.dropout == 0.1
        kept = own.features not in ("corrected", "pyaudioanalysis")
        assert chosen.features == (own.features if kept else "pyaudioanalysis") and kept == keeps_features(name)
    assert {n for n in SYSTEMS if keeps_features(n)} >= {"waveform-cnn", "spectrogram-alexnet", "acoustic-portable"}


def test_the_report_lists_systems_without_the_chosen_features(tree: Path, tmp_path: Path) -> None:
    settings = (*SMALL, "features=pyaudioanalysis", "augmentation=none", "max_frames=50")
    done = small(tree, tmp_path, "acoustic", "spectrogram-cnn", epochs=1, settings=settings)
    assert set(done.measured.results) == {"acoustic", "spectrogram-cnn"} and not done.failed
    assert (
        "features = pyaudioanalysis: left out where an experiment has features of its own, spectrogram-cnn"
        in (tmp_path / "tables.md").read_text()
    )


def test_differences_from_the_paper_are_of_its_corpus_and_split_alone(tree: Path, tmp_path: Path) -> None:
    done = small(tree, tmp_path, "acoustic")
    assert not done.measured.comparable and done.measured.results["acoustic"].paper_ua is None
    scored = report.score(done.measured.everything, RESAMPLES)
    gaps = {}
    for comparable in (False, True):
        section = tables.section(replace(done.measured, comparable=comparable), scored)
        gaps[comparable] = [table.header[-1] for table in section.tables]
        assert ("stand only beside results on it" in section.lead) != comparable
        assert any("paper" in name.lower() for table in section.tables for name in table.header) == comparable
    assert gaps[True] == ["UA − paper", "UA − paper", "WA %"] and set(gaps[False]) == {"WA %"}


def test_the_audit_names_the_system_that_a_finding_is_of(tree: Path, tmp_path: Path) -> None:
    small(tree, tmp_path, "acoustic", "svm", settings=(*SMALL, "normalisation=speaker"))
    found = {finding["kind"]: finding for finding in json.loads((tmp_path / "tables.json").read_text())["audit"]}
    assert found["speaker-normalisation"]["evidence"] == {"systems": ["acoustic"]}
    assert "systems" not in found["near-transcript"]["evidence"]  # of the split, and so of all
    text = (tmp_path / "tables.md").read_text()
    assert "## Audit" in text and "- note: acoustic: features are normalised by each speaker's own" in text
    assert "acoustic: features are normalised by each" in (tmp_path / "report.html").read_text()


def test_without_transcripts_only_acoustic_systems_are_measured(manifest: Path, tmp_path: Path) -> None:
    silent = [replace(u, text=None, words=None) for u in read_manifest(manifest)]
    write_manifest(tmp_path / "m.jsonl", silent)
    chosen = replace(QUICK, systems=("acoustic", "evector", "fusion-spoken", "embedding-random"))
    done = reproduce.run("manifest", tmp_path / "m.jsonl", tmp_path / "out", chosen, resamples=RESAMPLES)
    assert list(done.measured.results) == ["acoustic"] and not done.failed
    assert done.tables["not_applicable"] == [
        {"system": name, "reason": "no transcripts"} for name in ("evector", "fusion-spoken", "embedding-random")
    ]
    assert "E-Vector (evector) | not applicable: no transcripts" in done.text
    (line,) = [line for line in done.text.splitlines() if line.startswith("| Bi-LSTM (acoustic) |")]
    assert line.count("|") == 4 and "UA − paper" not in done.text  # synthetic, though it is read as a manifest
    with pytest.raises(ConfigurationError, match=r"no system could be measured\. evector: no transcripts"):
        reproduce.run("manifest", tmp_path / "m.jsonl", tmp_path / "none", replace(QUICK, systems=("evector",)))


def test_words_without_times_get_them_where_a_system_needs_them(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untimed = [replace(u, words=None) for u in read_manifest(manifest)]
    material = corpus.LoadedCorpus("manifest", "m", untimed)
    assert material.untimed == len(untimed)
    aligned: list[int] = []

    def align(utterances: Any, **options: Any) -> Any:
        aligned.append(len(utterances))
        assert options["missing"] == "skip"
        return [replace(u, words=(Word("a", 0.0, 0.1),)) for u in utterances], type(
            "Report", (), {"summary": lambda _: "all aligned"}
        )()

    monkeypatch.setattr("duetto.recipes.reproduce.corpus.find_words", align)
    bench = Benchmark(material, QUICK, tmp_path, lambda _: None)
    for name, needs in (("acoustic", False), ("embedding-word2vec", False), ("fusion-spoken", True)):
        assert bench.not_applicable(name) == "" and bool(aligned) == needs
    assert bench.not_applicable("fusion-speech2vec") == "" and aligned == [len(untimed)]  # once for all
    assert bench.timed.notes == ("times of words: all aligned",)
    monkeypatch.setattr("duetto.recipes.reproduce.benchmark.with_word_times", lambda m, *_, **__: m)
    bench = Benchmark(material, QUICK, tmp_path, lambda _: None)
    assert bench.not_applicable("fusion-spoken") == "the words have no times, and none could be found"


def test_a_distilled_system_needs_what_its_teacher_reads(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterances = read_manifest(manifest)
    untimed = [replace(u, words=None) for u in utterances]
    given: list[Any] = []

    def stop(chosen: Any, inputs: Any, protocol: str, folders: Any, workspace: Any, **_: Any) -> None:
        given.append((inputs, workspace.vectors))
        raise ModelError("seen enough")

    def bench(found: list[Any], **options: Any) -> Benchmark:
        material = corpus.LoadedCorpus("manifest", "m", found)
        return Benchmark(material, replace(QUICK, **options), tmp_path / "out", lambda _: None)

    monkeypatch.setattr("duetto.recipes.reproduce.benchmark.run_systems", stop)
    monkeypatch.setattr(
        "duetto.recipes.reproduce.benchmark.with_word_times", lambda m, *_, **__: replace(m, utterances=utterances)
    )
    mute = [replace(u, text=None, words=None) for u in utterances]
    assert (
        bench(mute).not_applicable("acoustic-distilled") == "no transcripts"
        and bench(mute).not_applicable("acoustic") == ""
    )
    bench(untimed).measure(["acoustic-distilled"], "session5")
    assert given.pop() == (utterances, None)  # with the times that its teacher needs
    save(Vectors(("the", "a"), np.eye(2, 50, dtype=np.float32)), tmp_path / "v/50.vec")
    bench(untimed, vectors={"speech2vec": tmp_path / "v"}).measure(["acoustic-distilled"], "session5")
    assert given.pop() == (untimed, {"speech2vec": tmp_path / "v/50.vec"})
    save(Vectors(("the", "a"), np.eye(2, 100, dtype=np.float32)), tmp_path / "other.vec")
    other = bench(untimed, vectors={"speech2vec": tmp_path / "other.vec"})
    assert other.not_applicable("acoustic-distilled") == "the vectors given have 100 dimensions, not 50"


@pytest.mark.parametrize("name", ["embedding-random", "embedding-word2vec", "fusion-speech2vec"])
def test_unknown_words_by_their_sound_need_times(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever the vectors of known words are, also where they are user-supplied."""
    save(Vectors(("the", "a"), np.eye(2, 50, dtype=np.float32)), tmp_path / "50.vec")
    vectors = dict.fromkeys(("word2vec", "speech2vec"), tmp_path / "50.vec")
    monkeypatch.setattr("duetto.recipes.reproduce.benchmark.with_word_times", lambda m, *_, **__: m)
    material = corpus.LoadedCorpus("manifest", "m", [replace(u, words=None) for u in read_manifest(manifest)])
    options = replace(QUICK, settings=("unknown=spoken",), vectors=vectors)
    bench = Benchmark(material, options, tmp_path / "out", lambda _: None)
    assert bench.not_applicable(name) == "the words have no times, and none could be found"
    assert bench.not_applicable("acoustic") == ""


def test_user_supplied_vectors_serve_the_systems_of_their_dimension(manifest: Path, tmp_path: Path) -> None:
    for dimension in (50, 100):
        save(Vectors(("the", "a"), np.eye(2, dimension, dtype=np.float32)), tmp_path / f"v/{dimension}.vec")
    shutil.copy(tmp_path / "v/100.vec", tmp_path / "v/200.vec")
    utterances = read_manifest(manifest)
    material = corpus.LoadedCorpus("manifest", "m", utterances)
    options = replace(QUICK, vectors={"word2vec": tmp_path / "v"})
    bench = Benchmark(material, options, tmp_path / "out", lambda _: None)
    e = experiment.load("fusion-word2vec")
    given = options.vectors
    assert requirements.user_vectors(e, given) == tmp_path / "v/50.vec" and bench.not_applicable(e.name) == ""
    assert requirements.vector_problem(replace(e, word_dim=300), given) == "no 300.vec among the vectors given"
    wrong = requirements.vector_problem(replace(e, word_dim=200), given)
    assert wrong == "the vectors given have 100 dimensions, not 200"
    assert requirements.user_vectors(experiment.load("fusion-speech2vec"), given) is None
    measured = bench.measure(["embedding-word2vec", "fusion-word2vec"], "session5")
    assert np.isfinite(measured.results["embedding-word2vec"].logits).all()
    (note,) = measured.notes  # once for both
    assert note.startswith("word2vec, vectors of 50.vec: ") and "of its words; the others: random" in note
    assert "50.vec" in json.loads((tmp_path / "out/runs/session5/embedding-word2vec/run.json").read_text())["vectors"]


def test_a_system_that_fails_does_not_stop_the_others(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ModelError("the machine is on fire")

    monkeypatch.setattr("duetto.recipes.reproduce.benchmark.run_baseline", broken)
    done = small(tree, tmp_path, "acoustic", "svm")
    assert done.failed == {"svm (session5)": "the machine is on fire"} and list(done.measured.results) == ["acoustic"]
    assert done.tables["failed"] == [{"system": "svm", "reason": "the machine is on fire"}]


def test_whatever_ends_a_system_does_not_end_the_run(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("duetto.recipes.reproduce.benchmark.run_systems", starved)
    done = small(tree, tmp_path, "acoustic", "svm")
    (reason,) = done.failed.values()
    assert reason.startswith("out of memory (RuntimeError: CUDA out") and "--workers" in reason
    assert list(done.measured.results) == ["svm"]


def test_an_outcome_that_a_power_cut_emptied_is_made_anew(tree: Path, tmp_path: Path) -> None:
    before = small(tree, tmp_path, "svm").measured.results["svm"]
    (tmp_path / "runs/session5/svm/fold0-seed0/outcome.npz").write_bytes(b"")
    done = small(tree, tmp_path, "svm")
    assert not done.failed
    np.testing.assert_array_equal(done.measured.results["svm"].logits, before.logits)


@pytest.mark.parametrize("junk", [b"no archive", b"PK\x03\x04"])
def test_a_damaged_outcome_fails_its_system_alone(tree: Path, tmp_path: Path, junk: bytes) -> None:
    small(tree, tmp_path, "acoustic", "svm")
    for name in ("acoustic", "svm"):
        (tmp_path / "runs/session5" / name / "fold0-seed0/outcome.npz").write_bytes(junk)
    done = small(tree, tmp_path, "acoustic", "svm", "hmm")
    assert set(done.failed) == {"acoustic (session5)", "svm (session5)"} and list(done.measured.results) == ["hmm"]
    assert all("outcome.npz: damaged" in why and "delete it" in why for why in done.failed.values())


def test_a_broken_corpus_is_an_error_and_force_skips_the_broken_utterances(tree: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tree, broken)
    victim = next(broken.glob("Session2/sentences/wav/*/*.wav"))
    victim.write_bytes(b"no audio")
    with pytest.raises(CorpusError, match=r"is not healthy \(1 bad-audio\)") as stopped:
        small(broken, tmp_path / "out", "svm")
    assert victim.name in str(stopped.value) and "--force" in str(stopped.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(CorpusError, match="nowhere: no such folder") as stopped:
        small(tmp_path / "nowhere", tmp_path / "out", "svm")
    assert "--force" not in str(stopped.value)
    material = corpus.read("synthetic", broken, force=True)
    assert len(material.utterances) == 79 and victim.stem not in {u.id for u in material.utterances}
    assert material.notes[0].startswith("the corpus is not healthy: 1 bad-audio")


def test_a_leaking_split_is_marked_in_every_row_and_no_system_is_compared(tree: Path, tmp_path: Path) -> None:
    done = small(tree, tmp_path, "acoustic", protocol="random")
    assert "| Bi-LSTM (acoustic) – LEAK, no result |" in done.text
    assert done.tables["table1"][0]["kind"] == "leak" and done.tables["significance"] == {}


def test_late_fusions_join_what_was_measured(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fused = Row("svm-acoustic", "SVM + LSTM", 64.33, of=("svm", "acoustic"))
    monkeypatch.setitem(TABLES, "table2", (*TABLES["table2"], fused))
    assert set(select(["svm-acoustic"])) == {"acoustic", "svm", "svm-acoustic"}  # its parts come along
    done = small(tree, tmp_path, "svm-acoustic")
    found = done.measured.results
    mean = np.mean([found[part].calibrated for part in ("svm", "acoustic")], axis=0)
    np.testing.assert_array_equal(found["svm-acoustic"].predicted, mean.argmax(-1))
    assert done.tables["combinations"] == [{"system": "svm-acoustic", "of": ["svm", "acoustic"]}]
    row = next(row for row in done.tables["table2"] if row["system"] == "svm-acoustic")
    score = 100 * metrics.unweighted_accuracy(found["acoustic"].target, mean[0].argmax(-1), 4)
    assert row["paper_ua"] == 64.33 and row["ua"]["mean"] == pytest.approx(score)

    def refused(*_: Any) -> None:
        raise ConfigurationError("they do not fit")

    monkeypatch.setattr(benchmark.evaluation, "combine", refused)
    done = small(tree, tmp_path, "svm-acoustic")
    assert done.failed == {"svm-acoustic (session5)": "they do not fit"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "nowhere"], "give KIND:PATH"),
        (["--corpus", "synthetic:{tree}", "--protocol", "sesion5"], "protocol 'sesion5' is not known"),
        (["--corpus", "synthetic:{tree}", "--protocols", "random,x"], "protocol 'x' is not known"),
        (["--corpus", "synthetic:{tree}", "--vectors", "glove=x"], "give speech2vec=PATH or word2vec=PATH"),
        (["--corpus", "synthetic:{tree}", "--systems", "table1,x"], "'x' is neither a system nor a group"),
        (["--corpus", "synthetic:{tree}", "--padding", "middle"], "padding = 'middle' is not valid"),
        (["--corpus", "synthetic:{tree}", "--set", "hiden=8"], "unknown key 'hiden'"),
        (["--corpus", "synthetic:{tree}", "--set", "hiden=8", "--systems", "svm"], "unknown key 'hiden'"),
        (["--corpus", "synthetic:{tree}", "--set", "hidden", "--systems", "svm"], "give KEY=VALUE"),
        (["--corpus", "synthetic:{tree}", "--set", "word_dim=100"], "'word_dim' cannot be set for all systems"),
        (["--corpus", "synthetic:{tree}", "--set", "embeddings=random"], "'embeddings' cannot be set for all"),
        (["--corpus", "synthetic:{tree}", "--set", 'encoders=["words"]'], "'encoders' cannot be set for all"),
    ],
)
def test_invalid_arguments_are_reported_before_anything_is_written(
    tree: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    given = [argument.format(tree=tree) for argument in arguments]
    done = CliRunner().invoke(app, ["reproduce", *given, "-o", str(tmp_path / "out")], terminal_width=200)
    output = re.sub(r"[│\s]+", " ", done.stderr) + str(done.exception)  # usage errors come in a box
    assert done.exit_code != 0 and message in output and not (tmp_path / "out").exists()


def test_options_of_the_command_mean_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is given is changed, so that a system keeps the settings of its own file."""
    given: list[Options] = []

    def refuse(kind: str, path: Path, out: Path, options: Options, **_: Any) -> None:
        given.append(options)
        raise ConfigurationError("seen enough")

    monkeypatch.setattr("duetto.recipes.reproduce.run", refuse)
    base = ["reproduce", "--corpus", "manifest:m.jsonl", "-o", str(tmp_path / "out")]
    CliRunner().invoke(app, base)
    CliRunner().invoke(
        app,
        [*base, "--systems", "table1,svm", "--systems", "table2", "--protocols", "random,loso", "--seeds", "2",
         "--epoch", "best-on-test", "--padding", "post", "--features", "pyaudioanalysis", "--set", "hidden=9",
         "--vectors", f"word2vec={tmp_path}", "--force", "--declare-leak"],
    )  # fmt: skip
    CliRunner().invoke(app, [*base, "--epoch", "last"])
    plain, full, last = given
    assert plain == Options() and last.settings == ("epoch_choice=last",)
    assert full.systems == ("table1", "svm", "table2") and full.protocols == ("random", "loso")
    assert full.settings == ("padding=post", "features=pyaudioanalysis", "hidden=9") and full.best_on_test
    assert (full.seeds, full.force, full.declare_leak, full.vectors) == (2, True, True, {"word2vec": tmp_path})
    unchanged = last.configured("functionals")  # has no epochs to choose from
    assert isinstance(unchanged, experiment.Experiment) and unchanged.epoch_choice == "development"
    changed = full.configured("acoustic")
    assert isinstance(changed, experiment.Experiment) and changed.name == "acoustic"
    assert (changed.padding, changed.features, changed.hidden, changed.epochs) == ("post", "pyaudioanalysis", 9, 20)


def test_the_command_prints_the_tables(tree: Path, tmp_path: Path) -> None:
    arguments = ["reproduce", "--corpus", f"synthetic:{tree}", "-o", str(tmp_path), "--systems", "svm", "--seeds", "1"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    assert "SVM on mean and deviation" in done.stdout and "svm: done, UA" in done.stderr and "wrote " in done.stderr


def test_labels_of_a_file_are_the_classes_of_every_table(tree: Path, tmp_path: Path) -> None:
    """Two classes from IEMOCAP's labels: a baseline and a network learn them, controls included, and others are left
    out; the folder is of these labels alone."""
    labels = tmp_path / "arousal.toml"
    labels.write_text(
        'leave_out = ["neu", "xxx", "oth", "fru", "fea", "sur", "dis"]\n'
        '[labels]\nang = "high"\nhap = "high"\nexc = "high"\nsad = "low"\n'
    )
    out = tmp_path / "out"
    options = ["--corpus", f"synthetic:{tree}", "-o", str(out), "--systems", "svm,acoustic", "--seeds", "1"]
    quick = ["--epochs", "1", *(word for change in SMALL for word in ("--set", change))]
    done = CliRunner().invoke(app, ["reproduce", *options, *quick, "--labels", str(labels)])
    assert done.exit_code == 0, (done.output, done.exception)
    record = json.loads((out / "tables.json").read_text())
    assert set(record["corpus"]["counts"]) == {"high", "low"} and record["protocol"]["changed"]["labels"] == str(labels)
    majority = next(row for row in record["controls"] if row["system"] == "majority")
    assert majority["ua"]["mean"] == 50, "a constant answer finds one of two classes"
    for system in ("svm", "acoustic"):
        (found,) = out.glob(f"**/{system}/result.npz")
        result = SystemResult.load(found)
        assert result.classes == ("high", "low") and len(result.ids) == majority["utterances"]
    other = CliRunner().invoke(app, ["reproduce", *options, *quick])
    assert other.exit_code == 1 and "was made with labels = " in str(other.exception)


def test_the_live_table_shows_every_system_or_as_many_as_fit() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=90, height=8)
    names = tuple(f"system-{i}" for i in range(20))
    with LiveTable(names, console) as live_table:
        live_table(Event("system-0", "done", 1, 1, 61.25))
        live_table(Event("system-10", "failed", detail="[bold] is no tag"))
        live_table(Event("system-11", "train system-11", 3, 10, 40.0))
    shown = Console(file=io.StringIO(), width=90, height=8)
    shown.print(live_table.table())
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert (
        "train system-11" in text
        and "[bold] is no tag" in text
        and "40.0" in text
        and "system-0" not in text
        and text.count("\n") == 6
    )
    plain = Console(file=io.StringIO(), width=90)
    with LiveTable(names, plain) as live_table:
        live_table(Event("system-0", "train system-0", 1, 10))
        live_table(Event("system-0", "train system-0", 2, 10))
        live_table(Event("system-1", "not applicable", detail="no transcripts"))
    lines = plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == ["system-0: train system-0", "system-1: not applicable: no transcripts"]
