"""`duetto test` from a manifest to its page, and the page in headless Chromium."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from duetto import audio
from duetto.behaviour.conditions import CONDITIONS
from duetto.cli import app
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from quick_training import train
from sounds import voice

RUN = CliRunner()
MODEL = "emodb"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve voices of six speakers, with labels in turn."""
    folder, utterances = tmp_path_factory.mktemp("voices"), []
    for i in range(12):
        path = folder / f"{i}.wav"
        audio.write(path, voice(1.2 + 0.1 * i) * (0.4 + 0.05 * i), 16_000)
        gender = ("female", "male")[i % 2]
        label = ("anger", "happiness", "neutral", "sadness")[i % 4]
        utterances.append(
            Utterance(f"u{i:02}", path, label=label, raw_label=label, speaker=f"s{i % 6}", gender=gender, language="de")
        )
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"


@pytest.fixture(scope="module")
def tested(manifest: Path) -> Path:
    """The folder of all tests, with all conditions, of the bundled model."""
    out = manifest.parent / "out"
    options = ["--manifest", str(manifest), "--labels", "four", "-o", str(out), "--exit-zero", "--workers", "2"]
    done = RUN.invoke(app, ["test", MODEL, *options])
    assert done.exit_code == 0, (done.output, done.exception)
    return out


def test_all_tests_of_a_bundled_model(tested: Path) -> None:
    found = json.loads((tested / "tests.json").read_text(encoding="utf-8"))
    assert (found["model"], found["utterances"], found["classes"]) == (MODEL, 12, ["angry", "happy", "neutral", "sad"])
    groups = {test["group"] for test in found["tests"]}
    assert groups == {"correctness", "fairness", "robustness", "calibration", "rejection"}
    conditions = [t for t in found["tests"] if t["test"] == "changed"]
    assert [t["subject"] for t in conditions] == list(CONDITIONS) and all(t["utterances"] == 12 for t in conditions)
    silent = [t for t in found["tests"] if t["test"] == "no_emotion"]
    assert len(silent) >= 10 and {t["status"] for t in silent} == {"passed"}
    by_class = {t["subject"]: t for t in found["tests"] if t["test"] == "recall"}
    assert {t["note"] for t in by_class.values()} == {"3 utterances; 10 are the least that decide"}
    assert sum(found["counts"].values()) == len(found["tests"])
    assert {path.stem for path in (tested / "answers").iterdir()} == {"clean", *CONDITIONS}


def test_the_figures_are_those_of_evaluate(manifest: Path, tested: Path, tmp_path: Path) -> None:
    utterances = read_manifest(manifest)
    names = {"anger": "angry", "happiness": "happy", "neutral": "neutral", "sadness": "sad"}
    write_manifest(tmp_path / "m.jsonl", [replace(u, label=names[str(u.label)]) for u in utterances])
    done = RUN.invoke(app, ["evaluate", MODEL, "--manifest", str(tmp_path / "m.jsonl"), "--json"])
    record = json.loads(done.stdout)
    found = json.loads((tested / "tests.json").read_text(encoding="utf-8"))["tests"]
    values = {t["test"]: t["value"] for t in found if not t["kind"]}
    assert values["ua"] == pytest.approx(record["ua"]["mean"]) and values["wa"] == pytest.approx(record["wa"]["mean"])


def test_a_failure_is_exit_status_1_and_limits_decide_what_fails(manifest: Path, tested: Path, tmp_path: Path) -> None:
    """The answers are kept, so that nothing is predicted again."""
    limits, card = tmp_path / "limits.toml", tmp_path / "README.md"
    limits.write_text("[correctness]\nua = 100\nwa = 100\n[decision]\nleast_speakers = 2\nleast_utterances = 2\n")
    before = {path: path.stat().st_mtime_ns for path in (tested / "answers").iterdir()}
    options = ["--manifest", str(manifest), "--labels", "four", "-o", str(tested), "--tests", "correctness,robustness"]
    more = ["--thresholds", str(limits), "--conditions", "gain-20,speed+5", "--card", str(card), "--json"]
    done = RUN.invoke(app, ["test", MODEL, *options, *more])
    assert done.exit_code == 1, (done.output, done.exception)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["group"] for line in lines} == {"correctness", "robustness"}
    found = {line["test"]: line for line in lines if not line["kind"]}
    assert found["ua"]["status"] == "failed" and found["ua"]["low"] == 100 and found["ua"]["ci95"][1] < 100
    assert {path: path.stat().st_mtime_ns for path in (tested / "answers").iterdir()} == before
    text = card.read_text(encoding="utf-8")
    assert text.startswith("## Behaviour") and "| UA | " in text and "gain of −20 dB" in text
    assert RUN.invoke(app, ["test", MODEL, *options, *more, "--exit-zero"]).exit_code == 0


def test_a_run_is_tested_on_what_its_first_fold_tests_and_training_data_are_a_leak(tmp_path: Path) -> None:
    run = train("acoustic", tmp_path)
    everyone = read_manifest(tmp_path / "manifest.jsonl")
    options = ["--tests", "correctness,rejection", "--exit-zero", "-o", str(tmp_path / "out"), "--limit", "12"]
    done = RUN.invoke(app, ["test", str(run), "--manifest", str(tmp_path / "manifest.jsonl"), *options])
    assert done.exit_code == 0 and "on 12 utterances" in done.stdout, (done.output, done.exception)
    assert "the manifest is the run's own: the 16 utterances that its first fold tests" in done.stdout
    assert "12 of 16 utterances, drawn class by class" in done.stdout
    assert "the model was trained on none of these recordings" in done.stdout
    write_manifest(tmp_path / "other.jsonl", [*everyone, replace(everyone[0], id="other")])
    leaking = RUN.invoke(app, ["test", str(run), "--manifest", str(tmp_path / "other.jsonl"), *options])
    assert "LEAK: the model was trained or chosen on the recordings of" in leaking.stdout
    assert 'role="alert"><strong>Leak.' in (tmp_path / "out/tests.html").read_text(encoding="utf-8")


def test_a_recording_that_cannot_be_read_is_exit_status_1(manifest: Path, tmp_path: Path) -> None:
    utterances = read_manifest(manifest)
    gone = replace(utterances[0], id="gone", audio=tmp_path / "gone.wav", label="angry")
    write_manifest(tmp_path / "m.jsonl", [*utterances, gone])
    options = ["--manifest", str(tmp_path / "m.jsonl"), "--labels", "four", "--tests", "calibration", "--exit-zero"]
    done = RUN.invoke(app, ["test", MODEL, *options])
    assert done.exit_code == 1 and "gone.wav" in done.stderr and "1 utterances left out" in done.stdout


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--tests", "speed"), 2, "tests: 'speed' is not known"),
        (("--conditions", "rain"), 2, "conditions: 'rain' is not known"),
        (("--limit", "0"), 2, "than or equal to 1"),
        ((), 1, "nothing to test: the labels of the manifest are anger, happiness, neutrality, sadness"),
    ],
)
def test_wrong_options(manifest: Path, options: tuple[str, ...], status: int, message: str) -> None:
    utterances = [replace(u, label=u.raw_label) for u in read_manifest(manifest) if u.label != "neutral"]
    path = manifest.parent / "raw.jsonl"
    write_manifest(path, [*utterances, replace(utterances[0], id="n", label="neutrality")])
    done = RUN.invoke(app, ["test", MODEL, "--manifest", str(path), *options])
    assert done.exit_code == status
    text = re.sub(r"[\s│]+", " ", f"{done.stderr} {done.exception}")
    assert message in text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the path")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_fits_a_phone_and_paper(tested: Path, scheme: Any) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
        wrong = list[str]()
        page.on("console", lambda message: wrong.append(message.text))
        page.goto((tested / "tests.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert found == [], json.dumps(found, indent=1)[:3000]
        page.set_viewport_size({"width": 688, "height": 1000})
        page.emulate_media(media="print")
        right = "all => Math.max(...all.map(each => each.getBoundingClientRect().right))"
        assert page.eval_on_selector_all("table, p, li", right) <= 690
        assert 3 <= len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) <= 12
        assert wrong == []
        browser.close()
