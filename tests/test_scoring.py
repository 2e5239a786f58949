"""Models that are there already, scored on a labelled manifest: as `duetto predict` answers, and nothing is hidden."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from duetto import audio, metrics
from duetto.cli import app
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance, Word
from duetto.errors import ConfigurationError
from duetto.evaluation import SystemResult
from duetto.inference.own_folds import own_folds
from duetto.inference.scoring import score_utterances, source_of
from quick_training import SMALL, corpus, train
from sounds import voice

RUN = CliRunner()
MODEL = "emodb"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices of two speakers, one recording of silence, a cut, and labels that the model lacks."""
    folder = tmp_path_factory.mktemp("spoken")
    utterances = []
    for i, label in enumerate(("angry", "happy", "neutral", "sad", "angry", "sad")):
        audio.write(folder / f"{i}.wav", voice(1.5 + 0.2 * i) * (0.5 + 0.1 * i), 16_000)
        utterances.append(Utterance(f"u{i}", folder / f"{i}.wav", label=label, speaker=f"s{i % 2}", text="oh good"))
    audio.write(folder / "silent.wav", np.zeros(16_000, np.float32), 16_000)
    utterances += [
        Utterance("silent", folder / "silent.wav", label="sad", speaker="s0"),
        Utterance("cut", folder / "0.wav", start=0.2, end=0.9, label="angry", speaker="s0"),
        Utterance("other", folder / "1.wav", label="bored", speaker="s0"),
        Utterance("none", folder / "1.wav", speaker="s0"),
    ]
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_the_table_is_what_predict_prints(spoken: Path, tmp_path: Path) -> None:
    table, result = tmp_path / "answers.csv", tmp_path / "result.npz"
    options = ["--manifest", str(spoken), "--csv", str(table), "--result", str(result), "--workers", "2", "--json"]
    done = RUN.invoke(app, ["evaluate", MODEL, *options])
    assert done.exit_code == 0, (done.output, done.exception)
    record = json.loads(done.stdout)
    assert (record["predicted"], record["other_labels"], record["unlabelled"]) == (8, {"bored": 1}, 1)
    assert record["errors"] == 0 and record["without_speech"] >= 1 and record["trained_on"] is None
    found, utterances = rows(table), {u.id: u for u in read_manifest(spoken)}
    assert set(found) == {*(f"u{i}" for i in range(6)), "silent", "cut"}
    whole = [name for name in found if name != "cut"]
    files = [str(utterances[name].audio) for name in whole]
    printed = RUN.invoke(app, ["predict", *files, "--model", MODEL, "--any-sound", "--json"])
    loaded = SystemResult.load(result)
    at = {name: i for i, name in enumerate(loaded.ids.tolist())}
    for name, line in zip(whole, printed.stdout.splitlines(), strict=True):
        predicted, row = json.loads(line), found[name]
        assert (row["answer"], row["target"], row["speaker"]) == (
            predicted["label"],
            utterances[name].label,
            utterances[name].speaker,
        )
        assert row["correct"] == str(row["answer"] == row["target"]).lower()
        for label, probability in predicted["probabilities"].items():
            assert float(row[f"probability_{label}"]) == probability
        assert row["unfamiliar"] == str(predicted["unfamiliar"]).lower() and row["uncertain"] == "false"
        np.testing.assert_allclose(loaded.calibrated[0, at[name]], list(predicted["probabilities"].values()), atol=1e-6)
    assert float(found["silent"]["speech_seconds"]) == 0
    correct = [row["correct"] == "true" for row in found.values()]
    assert record["wa"]["mean"] == pytest.approx(100 * np.mean(correct))
    target = [loaded.classes.index(found[name]["target"]) for name in at]
    answers = [loaded.classes.index(found[name]["answer"]) for name in at]
    assert record["ua"]["mean"] == pytest.approx(100 * metrics.unweighted_accuracy(target, answers, 4))


def test_a_cut_is_predicted_from_its_own_samples(spoken: Path) -> None:
    recogniser = duetto.load(MODEL, require_speech=False)
    (scored,) = score_utterances(recogniser, [u for u in read_manifest(spoken) if u.id == "cut"]).predictions
    whole = audio.load(scored[0].audio).samples
    by_hand = recogniser({"waveform": whole[3200:14_400], "sample_rate": 16_000})
    assert scored[1].duration == pytest.approx(0.7) and scored[1].probabilities == by_hand.probabilities


def test_a_recording_that_cannot_be_read_is_reported_and_the_others_are_scored(spoken: Path, tmp_path: Path) -> None:
    utterances = read_manifest(spoken)
    gone = replace(utterances[0], id="gone", audio=tmp_path / "gone.wav")
    beyond = replace(utterances[0], id="beyond", start=50.0, end=60.0)
    write_manifest(tmp_path / "m.jsonl", [*utterances[:3], gone, beyond])
    table = tmp_path / "answers.csv"
    done = RUN.invoke(app, ["evaluate", MODEL, "--manifest", str(tmp_path / "m.jsonl"), "--csv", str(table)])
    assert done.exit_code == 1 and "2 utterances left out, which could not be read" in done.stderr
    found = rows(table)
    assert [found[name]["answer"] for name in ("gone", "beyond")] == ["", ""]
    assert "gone.wav" in found["gone"]["error"] and "beyond the file" in found["beyond"]["error"]
    assert all(found[f"u{i}"]["answer"] and not found[f"u{i}"]["error"] for i in range(3))


def test_the_report_states_what_was_scored(spoken: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = RUN.invoke(app, ["evaluate", MODEL, "emodb-ravdess", "--manifest", str(spoken), "-o", str(page)])
    assert done.exit_code == 0, (done.output, done.exception)
    text = page.read_text(encoding="utf-8")
    assert "1 utterances left out, whose label is no class of the model: bored (1)" in text
    assert "model emodb-ravdess" in text and "nothing is trained" in text and " on manifest" in text


def test_labels_of_another_set_alone_are_an_error(spoken: Path) -> None:
    recogniser = duetto.load(MODEL, require_speech=False)
    other = [replace(u, label="bored") for u in read_manifest(spoken)]
    with pytest.raises(ConfigurationError, match=r"nothing to score.*bored.*Its classes are angry, happy"):
        score_utterances(recogniser, other).result()


def test_a_run_is_scored_as_training_scored_it_and_its_own_training_data_are_a_leak(tmp_path: Path) -> None:
    run = train("acoustic", tmp_path)
    everyone = read_manifest(tmp_path / "manifest.jsonl")
    test = [u for u in everyone if u.session == "2"]
    write_manifest(tmp_path / "test.jsonl", test)
    out = tmp_path / "new.npz"
    done = RUN.invoke(app, ["evaluate", str(run), "--manifest", str(tmp_path / "test.jsonl"), "--result", str(out)])
    assert done.exit_code == 0 and "trained on none of these recordings" in done.stderr, done.output
    before, now = SystemResult.load(run / "result.npz"), SystemResult.load(out)
    order = [before.ids.tolist().index(name) for name in now.ids.tolist()]
    assert now.kind == "system" and len(order) == 16
    np.testing.assert_allclose(now.calibrated[0], before.calibrated[0, order], atol=1e-5)  # PyTorch, ONNX Runtime
    recogniser = duetto.load(run, require_speech=False)
    scored = score_utterances(recogniser, everyone)
    assert scored.trained_on == len(everyone) - 16 and scored.result().kind == "leak"


def test_on_its_own_manifest_every_fold_of_a_run_answers_what_it_tests(tmp_path: Path) -> None:
    """The figures of all folds are those of training; of other recordings, and of a part, the same rule holds."""
    manifest, run = corpus(tmp_path), tmp_path / "run"
    options = ["--protocol", "loso", "-o", str(run), *(word for change in SMALL for word in ("--set", change))]
    assert RUN.invoke(app, ["train", "acoustic", "--manifest", str(manifest), *options]).exit_code == 0
    everyone = read_manifest(manifest)
    out, page = tmp_path / "new.npz", tmp_path / "report.html"
    given = ["--manifest", str(manifest), "--result", str(out), "-o", str(page), "--json"]
    done = RUN.invoke(app, ["evaluate", str(run), *given])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "by the model of the fold that tests it (2 folds)" in done.stderr and "LEAK" not in done.stderr
    before, now = SystemResult.load(run / "result.npz"), SystemResult.load(out)
    assert now.kind == "system" and len(now.ids) == len(everyone) == json.loads(done.stdout)["predicted"]
    order = [before.ids.tolist().index(name) for name in now.ids.tolist()]
    np.testing.assert_array_equal(now.fold, before.fold[order])
    np.testing.assert_allclose(now.calibrated[0], before.calibrated[0, order], atol=1e-5)  # PyTorch, ONNX Runtime
    write_manifest(tmp_path / "part.jsonl", [u for u in everyone if u.session == "2"])
    part = RUN.invoke(app, ["evaluate", str(run), "--manifest", str(tmp_path / "part.jsonl")])
    assert part.exit_code == 0 and "(1 fold)" in part.stderr
    other = [*everyone, replace(everyone[0], id="other")]
    assert not own_folds(str(run), other) and len(own_folds(str(run), everyone)) == 2
    exchanged = [replace(everyone[0], audio=everyone[1].audio), *everyone[1:]]
    assert not own_folds(str(run), exchanged) and not own_folds(MODEL, everyone)


def test_what_a_run_was_trained_on_is_left_out_of_its_own_manifest(tmp_path: Path) -> None:
    run = train("acoustic", tmp_path)
    done = RUN.invoke(app, ["evaluate", str(run), "--manifest", str(tmp_path / "manifest.jsonl"), "--json"])
    assert json.loads(done.stdout)["predicted"] == 16
    assert "32 utterances left out, which the run was trained or chosen on" in done.stderr


def test_labels_are_mapped_to_the_classes_of_the_model(spoken: Path, tmp_path: Path) -> None:
    names = {
        "angry": "anger",
        "happy": "happiness",
        "sad": "sadness",
        "neutral": "neutral",
        "bored": "boredom",
        None: None,
    }
    raw = [replace(u, label=names[u.label], raw_label=names[u.label]) for u in read_manifest(spoken)]
    write_manifest(tmp_path / "raw.jsonl", raw)
    plain, mapped = (
        RUN.invoke(app, ["evaluate", MODEL, "--manifest", str(path), "--json", *more])
        for path, more in ((spoken, ()), (tmp_path / "raw.jsonl", ("--labels", "four")))
    )
    assert mapped.exit_code == 0, (mapped.output, mapped.exception)
    one, other = json.loads(plain.stdout), json.loads(mapped.stdout)
    assert other["ua"] == one["ua"] and (other["predicted"], other["other_labels"], other["unlabelled"]) == (8, {}, 2)


def test_given_words_reach_the_model(tmp_path: Path) -> None:
    words = (Word("good", 0.1, 0.2), Word("bad", 0.2, 0.4))
    utterances = [replace(u, words=words) for u in read_manifest(corpus(tmp_path))]
    write_manifest(tmp_path / "m.jsonl", utterances)
    run, changes = tmp_path / "run", [word for change in SMALL for word in ("--set", change)]
    options = ["--manifest", str(tmp_path / "m.jsonl"), "--protocol", "session5", "-o", str(run), "--declare-leak"]
    done = RUN.invoke(app, ["train", "fusion-random", *options, *changes])
    assert done.exit_code == 0, (done.output, done.exception)
    recogniser = duetto.load(run, require_speech=False)
    scored = score_utterances(recogniser, utterances[:3], given_words=True)
    for u, prediction in scored.predictions:
        assert [w.word for w in prediction.words] == ["good", "bad"]
        assert prediction.probabilities == recogniser(u.audio, words=words).probabilities


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "R", "--result", "a.npz"),
        ("evaluate", "R", "--labels", "four"),
        ("evaluate", "emodb", "--manifest", "M", "--fuse", "mean"),
        ("evaluate", "emodb", "emodb-ravdess", "--manifest", "M", "--csv", "a.csv"),
    ],
)
def test_options_that_do_not_belong_together_are_wrong_usage(words: tuple[str, ...]) -> None:
    done = RUN.invoke(app, list(words))
    assert done.exit_code == 2, done.output


def test_the_report_explains_the_most_confident_wrong_answers(spoken: Path, tmp_path: Path) -> None:
    """Rows in the order of confidence; effects in the table are those of `Recogniser.explain`."""
    page = tmp_path / "report.html"
    options = ["--manifest", str(spoken), "-o", str(page), "--explain", "9", "--csv", str(tmp_path / "a.csv")]
    done = RUN.invoke(app, ["evaluate", MODEL, *options])
    assert done.exit_code == 0, (done.output, done.exception)
    wrong = [row for row in rows(tmp_path / "a.csv").values() if row["correct"] == "false"]
    wrong.sort(key=lambda row: (-float(row[f"probability_{row['answer']}"]), row["id"]))
    text = page.read_text(encoding="utf-8")
    section = text[text.index("The most confident wrong answers, and what moved them") :]
    places = [section.index(f">{row['id']}<") for row in wrong]
    assert len(wrong) > 2 and places == sorted(places)
    recogniser, utterances = duetto.load(MODEL, require_speech=False), {u.id: u for u in read_manifest(spoken)}
    named = 0
    for row in wrong:
        for moment in recogniser.explain(source_of(utterances[row["id"]])).moments:
            effect = moment.effects.get(row["answer"], 0.0)
            if abs(effect) >= 0.02:  # no sound of these has more than three moments
                named += 1
                assert f"{moment.start:.2f}–{moment.end:.2f} s {effect:+.2f}" in section
    assert named
    refused = RUN.invoke(app, ["evaluate", MODEL, "--manifest", str(spoken), "--explain", "2"])
    assert refused.exit_code == 2 and "part of the report" in refused.output
