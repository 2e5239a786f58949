"""Every command end to end, through the installed entry point's own function: output, files, exit status."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from duetto import audio
from duetto.cli import app, main
from duetto.data.manifest import read_manifest, write_manifest
from duetto.errors import ConfigurationError
from sounds import no_voices

RUN = CliRunner()
COMMANDS = [
    [], ["demo"], ["predict"], ["timeline"], ["stream"], ["corpus"], ["corpus", "check"], ["corpus", "manifest"],
    ["corpus", "synthesise"], ["features"], ["align"], ["audit"], ["train"], ["evaluate"], ["reproduce"], ["export"],
    ["push"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_by_example(command: list[str]) -> None:
    done = RUN.invoke(app, [*command, "--help"], terminal_width=100)
    assert done.exit_code == 0
    if command and command != ["corpus"]:
        assert "Example" in done.stdout and "duetto " in done.stdout


def test_version_is_that_of_the_package() -> None:
    done = RUN.invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"duetto {duetto.__version__}\n")


def records(text: str) -> list[dict]:
    """Every line of standard output must be one JSON object."""
    return [json.loads(line) for line in text.splitlines()]


def test_predict_prints_one_object_a_line_and_goes_on_past_a_bad_file(
    runs: Path, manifest: Path, tmp_path: Path
) -> None:
    good = [str(u.audio) for u in read_manifest(manifest)[:2]]
    (tmp_path / "bad.wav").write_text("no audio")
    arguments = ["predict", good[0], str(tmp_path / "bad.wav"), good[1], "--model", str(runs / "acoustic"), "--json"]
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 1 and "1 of 3 recordings have no prediction" in done.stderr
    assert [r["file"] for r in records(done.stdout)] == good
    assert set(records(done.stdout)[0]) == {
        "file", "duration", "speech_seconds", "label", "probabilities", "dimensions", "words", "words_from",
        "speech_recogniser", "language", "language_probability", "rejected_words", "model", "warnings",
        "session_utterances", "unfamiliar", "uncertain",
    }  # fmt: skip


def test_predict_prints_null_for_a_recording_without_speech_and_succeeds(tmp_path: Path) -> None:
    audio.write(tmp_path / "hum.wav", no_voices()["mains hum"], 16_000)
    done = RUN.invoke(app, ["predict", str(tmp_path / "hum.wav"), "--json"])
    (record,) = records(done.stdout)
    assert done.exit_code == 0 and (record["label"], record["probabilities"], record["speech_seconds"]) == (None, {}, 0)
    done = RUN.invoke(app, ["predict", str(tmp_path / "hum.wav")])
    assert done.exit_code == 0 and done.stdout.strip().endswith("3.0 s  →  no speech")
    assert "no speech was found" in done.stderr
    done = RUN.invoke(app, ["predict", str(tmp_path / "hum.wav"), "--any-sound", "--json"])
    assert records(done.stdout)[0]["label"] in records(done.stdout)[0]["probabilities"]


def test_predict_from_raw_audio_for_a_person(runs: Path, manifest: Path) -> None:
    utterance = read_manifest(manifest)[0]
    done = RUN.invoke(app, ["predict", str(utterance.audio), "-m", str(runs / "fusion-speech2vec")])
    assert done.exit_code == 0, done.stderr
    assert "words (recognised by pocketsphinx ngram):" in done.stdout and "%" in done.stdout


def test_predict_with_a_transcript_and_with_words(runs: Path, manifest: Path, tmp_path: Path) -> None:
    utterance = read_manifest(manifest)[0]
    base = ["predict", str(utterance.audio), "-m", str(runs / "fusion-speech2vec"), "--json"]
    (aligned,) = records(RUN.invoke(app, [*base, "--transcript", str(utterance.text)]).stdout)
    assert aligned["words_from"] == "aligned" and aligned["words"][0]["source"] == "aligned"
    words = [{"word": w.word, "start": w.start, "end": w.end} for w in utterance.words or ()]
    (tmp_path / "words.json").write_text(json.dumps(words), encoding="utf-8-sig")  # as Windows writes it
    (given,) = records(RUN.invoke(app, [*base, "--words", str(tmp_path / "words.json")]).stdout)
    assert given["words_from"] == "given" and len(given["words"]) == len(words)


def test_predict_refuses_one_transcript_for_two_recordings(runs: Path) -> None:
    done = RUN.invoke(app, ["predict", "a.wav", "b.wav", "-m", str(runs / "acoustic"), "--transcript", "x"])
    assert done.exit_code == 2


def test_corpus_check_reports_a_healthy_folder_and_finds_what_is_broken(tree: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["corpus", "check", "synthetic", str(tree), "--json"])
    (record,) = records(done.stdout)
    assert done.exit_code == 0 and record["selected"] == 80 and set(record["by_session"]) == set("12345")
    broken = tmp_path / "broken"
    shutil.copytree(tree, broken)
    victim = next(broken.glob("Session3/sentences/wav/*/*.wav"))
    victim.unlink()
    done = RUN.invoke(app, ["corpus", "check", "synthetic", str(broken)])
    assert done.exit_code == 1 and victim.stem in done.stdout and "NOT healthy" in done.stdout


def test_corpus_manifest_keeps_what_has_a_class_or_all(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.jsonl"
    done = RUN.invoke(app, ["corpus", "manifest", "synthetic", str(tree), "-o", str(out)])
    assert done.exit_code == 0 and len(read_manifest(out)) == 80 and "80 of 88 utterances" in done.stderr
    RUN.invoke(app, ["corpus", "manifest", "synthetic", str(tree), "-o", str(out), "--all"])
    assert len(read_manifest(out)) == 88


def test_corpus_synthesise_writes_a_corpus(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    done = RUN.invoke(app, ["corpus", "synthesise", str(tmp_path / "c"), "--size", "10"])
    assert done.exit_code == 0 and (tmp_path / "c/SYNTHETIC.json").is_file()


def test_features_of_recordings_with_a_bad_one(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", np.sin(np.arange(16_000) / 9).astype(np.float32), 16_000)
    (tmp_path / "b.wav").write_text("no audio")
    arguments = ["features", str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "-o", str(tmp_path / "f")]
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 1 and "1 of 2 utterances, 1 skipped" in done.stderr and "b.wav" in done.stderr


def test_features_of_every_mode_and_of_none_such(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", np.sin(np.arange(16_000) / 9).astype(np.float32), 16_000)
    for mode in ("waveform", "spectrogram"):
        done = RUN.invoke(app, ["features", str(tmp_path / "a.wav"), "-o", str(tmp_path / mode), "--mode", mode])
        assert done.exit_code == 0 and "1 of 1 utterances" in done.stderr
    done = RUN.invoke(app, ["features", str(tmp_path / "a.wav"), "-o", str(tmp_path / "f"), "--mode", "mel"])
    assert done.exit_code == 2 and "choose from corrected" in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("by", ["transcript", "recognise", "segment"])
def test_align_in_every_way(manifest: Path, tmp_path: Path, by: str) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(f"{line}\n" for line in manifest.read_text().splitlines()[:3]))
    text = few.read_text().replace('"audio": "', f'"audio": "{manifest.parent}/')
    few.write_text(text)
    out = tmp_path / "out.jsonl"
    done = RUN.invoke(app, ["align", str(few), "-o", str(out), "--by", by, "--anew", "--language", str(manifest)])
    assert done.exit_code == 0, done.stderr
    source = {"transcript": "aligned", "recognise": "recognised", "segment": "segmented"}[by]
    for utterance in read_manifest(out):
        assert utterance.words and {word.source for word in utterance.words} == {source}


def test_train_evaluate_and_compare(manifest: Path, tmp_path: Path) -> None:
    small = [x for key in ("hidden=8", "dense=8", "epochs=1") for x in ("--set", key)]
    for system in ("acoustic", "embedding-random"):
        done = RUN.invoke(
            app, ["train", system, "--manifest", str(manifest), "-o", str(tmp_path / system), *small, "--seeds", "2"]
        )
        assert done.exit_code == 0, done.stderr
        assert "UA %" in done.stdout
    out = tmp_path / "report.html"
    arguments = ["evaluate", str(tmp_path / "acoustic"), str(tmp_path / "embedding-random"), "-o", str(out), "--json"]
    done = RUN.invoke(app, [*arguments, "--words", str(manifest), "--cache", str(manifest.parent / "cache")])
    assert done.exit_code == 0, done.stderr
    found = records(done.stdout)
    assert [r["kind"] for r in found] == ["system"] * 3 + ["control"] * 3
    assert len(found[0]["ua"]["seeds"]) == 2 and out.read_text().count("<svg") > 3
    assert "Synthetic corpus" in out.read_text()
    again = shutil.copytree(tmp_path / "acoustic", tmp_path / "again")
    done = RUN.invoke(app, ["evaluate", str(tmp_path / "acoustic"), str(again), "-o", str(out)])
    assert done.exit_code == 0 and "epochs=1) (acoustic)" in done.stdout and "epochs=1) (again)" in done.stdout


def test_wrong_answers_with_their_sounds_and_a_table_beside_the_report(runs: Path, tmp_path: Path) -> None:
    """A run keeps what the list needs: texts and recordings of its test utterances, and the course of the training."""
    out, table = tmp_path / "r.html", tmp_path / "answers.csv"
    arguments = [
        "evaluate",
        str(runs / "acoustic"),
        "-o",
        str(out),
        "--csv",
        str(table),
        "--sound",
        "2",
        "--link-sound",
    ]
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    assert f"utterances: {table}" in done.stderr
    page, tested = out.read_text(encoding="utf-8"), {u.id: u for u in read_manifest(runs / "acoustic" / "tested.jsonl")}
    assert page.count("data:audio/mpeg;base64,") == 2 and page.count(">play</a>") == len(tested) - 2
    assert "on the synthetic corpus (95% interval" in page
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["system"] == "acoustic"]
    assert {row["id"]: row["text"] for row in rows} == {name: u.text for name, u in tested.items()}
    assert all(f'<th scope="row">{name}</th>' in page for name in tested)
    done = RUN.invoke(app, ["evaluate", str(runs / "acoustic"), "-o", str(out), "--list", "0"])
    assert done.exit_code == 0 and "<audio" not in out.read_text(encoding="utf-8")


def test_runs_of_different_protocols_are_not_compared(runs: Path, manifest: Path, tmp_path: Path) -> None:
    arguments = ["train", "acoustic", "--manifest", str(manifest), "--protocol", "speaker", "-o", str(tmp_path / "r")]
    done = RUN.invoke(app, [*arguments, "--set", "hidden=8", "--set", "dense=8", "--set", "epochs=1"])
    assert done.exit_code == 0, done.stderr
    done = RUN.invoke(app, ["evaluate", str(runs / "acoustic"), str(tmp_path / "r")])
    assert done.exit_code == 1 and "can't be compared" in str(done.exception)


def test_runs_in_folders_of_one_name_are_reported_with_their_paths(runs: Path, tmp_path: Path) -> None:
    again = [str(shutil.copytree(runs / "acoustic", tmp_path / when / "acoustic")) for when in ("before", "after")]
    done = RUN.invoke(app, ["evaluate", *again, "-o", str(tmp_path / "r.html"), "--json"])
    assert done.exit_code == 0, done.exception
    assert [r["system"] for r in records(done.stdout)][:2] == [f"acoustic ({run})" for run in again]


def test_runs_of_different_test_utterances_are_not_compared(runs: Path, manifest: Path, tmp_path: Path) -> None:
    """One protocol, and yet another corpus: the controls in the table would be of the first alone."""
    fewer = tmp_path / "fewer.jsonl"
    write_manifest(fewer, [u for i, u in enumerate(read_manifest(manifest)) if i % 2])
    arguments = ["train", "acoustic", "--manifest", str(fewer), "-o", str(tmp_path / "r")]
    done = RUN.invoke(app, [*arguments, "--set", "hidden=8", "--set", "dense=8", "--set", "epochs=1"])
    assert done.exit_code == 0, done.stderr
    done = RUN.invoke(app, ["evaluate", str(runs / "acoustic"), str(tmp_path / "r"), "-o", str(tmp_path / "r.html")])
    assert done.exit_code == 1 and "cannot be compared: they hold" in str(done.exception)
    assert not (tmp_path / "r.html").exists()


def test_the_error_of_a_core_installation_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def without_torch() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("duetto.cli.app", without_torch)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1 and "pip install 'duetto[train]'" in capsys.readouterr().err


def test_ctrl_c_prints_how_to_continue(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("duetto.cli.align.read_manifest", stopped)
    monkeypatch.setattr("sys.argv", ["duetto", "align", str(manifest), "-o", str(tmp_path / "out.jsonl")])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 130 and "run the same command again" in capsys.readouterr().err


def test_a_folder_in_the_place_of_a_file_is_named(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """And not the unfinished file that was to take its name."""
    monkeypatch.setattr("sys.argv", ["duetto", "corpus", "manifest", "manifest", str(manifest), "-o", str(tmp_path)])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 1 and capsys.readouterr().err == f"error: {tmp_path}: Is a directory\n"


def test_errors_are_sentences_not_tracebacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from duetto.cli import main; main()", "evaluate", str(tmp_path / "none")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert callable(main)


def test_the_demo_end_to_end_in_miniature(tmp_path: Path) -> None:
    """All steps on few utterances; the figures themselves need the full size."""
    pytest.importorskip("espeakng_loader")
    from duetto.config.fusion import load_fusion
    from duetto.recipes.demo import DEMO_SYSTEMS, run

    said: list[str] = []
    finished = run(tmp_path / "demo", size=40, epochs=1, workers=1, step=lambda text: said.append(text))
    assert finished.report.is_file() and "SYNTHETIC" in finished.report.read_text().upper()
    assert {s.result.system for s in finished.scored} >= {*DEMO_SYSTEMS, "fusion-spoken (segmented)", "majority"}
    branches = {f"fusion-calibrated: {name}" for name in load_fusion("fusion-calibrated").branches}
    assert {s.result.system for s in finished.scored} >= {"fusion-calibrated", *branches}
    assert "Fusion and branches" in finished.report.read_text() and len(finished.branches.tables[0].rows) == 4
    assert [bool(prediction.branches) for prediction in finished.predictions] == [True, False]
    for prediction in finished.predictions:
        assert prediction.speech_recogniser == "pocketsphinx ngram"
        assert prediction.words or prediction.rejected_words  # of so small a language model, either
    assert finished.decisions["both"] == finished.label != finished.decisions["audio"]
    assert finished.ceilings["both"] > max(finished.ceilings["audio"], finished.ceilings["words"])
    with pytest.raises(ConfigurationError, match="holds 40 utterances of seed 0, not 50 of 0"):
        run(tmp_path / "demo", size=50, epochs=1, workers=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"word": 5}]', "'words' must be a list"),
        ('[{"word": "a", "start": -1, "end": 2}]', "0 ≤ start"),
        ("{", "not valid JSON (Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"word": "a", "start": 0, "end": ' + "9" * 5_000 + "}]", "not valid JSON"),
        ('[{"word": "a", "start": 0, "end": ' + "9" * 400 + "}]", "'end'"),
        ('[{"word": "a", "start": 0, "end": 1e999}]', "end"),
    ],
)
def test_words_that_are_wrong_name_their_file(
    runs: Path, manifest: Path, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "words.json").write_text(text)
    audio_file = str(read_manifest(manifest)[0].audio)
    arguments = ["predict", audio_file, "-m", str(runs / "fusion-spoken"), "--words", str(tmp_path / "words.json")]
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 1 and message in str(done.exception) and "words.json" in str(done.exception)


def test_what_cannot_be_meant_is_wrong_usage(runs: Path, manifest: Path, tmp_path: Path) -> None:
    words = tmp_path / "w.json"
    words.write_text("[]")
    for arguments in (
        ["predict", "a.wav", "-m", str(runs / "acoustic"), "--transcript", "x", "--words", str(words)],
        ["features", str(manifest), "a.wav", "-o", str(tmp_path / "f")],
        ["align", str(manifest), "-o", str(manifest)],
    ):
        assert RUN.invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("key", "value", "arguments", "message"),
    [
        ("label", "bored", [], "has label 'bored', which is none of angry"),
        ("text", None, [], "no training utterance has any; add transcripts"),
    ],
)
def test_train_refuses_before_it_writes(
    manifest: Path, tmp_path: Path, key: str, value: str | None, arguments: list[str], message: str
) -> None:
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        line["audio"] = str(manifest.parent / line["audio"])
        if key == "text":
            del line["text"]
            line.pop("words", None)
    if key == "label":
        lines[0]["label"] = value
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    base = ["train", "embedding-random", "--manifest", str(tmp_path / "m.jsonl"), "-o", str(tmp_path / "run")]
    done = RUN.invoke(app, [*base, *arguments])
    assert done.exit_code == 1 and message in str(done.exception)


def test_errors_of_the_file_system_are_sentences_too(manifest: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from duetto.cli import main; main()", "corpus", "manifest", "manifest", str(manifest),
         "-o", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
