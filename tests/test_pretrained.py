"""The models that come with duetto: they answer at once, alone, and are what their cards say."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from duetto import audio
from duetto.cli import app
from duetto.errors import ModelError
from duetto.inference import pretrained
from sounds import voice

LARGEST = 5 * 2**20
"""Bytes that a model may add to the wheel."""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    audio.write(tmp_path / "voice.wav", voice(), 16_000)
    return tmp_path / "voice.wav"


def test_a_fresh_process_answers_without_torch(recording: Path) -> None:
    code = (
        "import sys, duetto; r = duetto.load(); p = r(sys.argv[1]); "
        "print(p.label in r.labels, round(sum(p.probabilities.values()), 6), 'torch' in sys.modules, p.model)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(recording)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1.0", "False", pretrained.DEFAULT]


def test_the_command_needs_no_model_and_prints_the_terms_once(recording: Path) -> None:
    done = CliRunner().invoke(app, ["predict", str(recording), str(recording), "--json"])
    assert done.exit_code == 0, done.stderr
    assert [json.loads(line)["model"] for line in done.stdout.splitlines()] == [pretrained.DEFAULT] * 2
    assert done.stderr.count("non-commercial") == 1


def test_gain_does_not_change_the_answer(recording: Path) -> None:
    recogniser, waveform = duetto.load(), audio.load(recording)
    loud, soft = (
        recogniser({"waveform": waveform.samples * factor, "sample_rate": waveform.sample_rate}) for factor in (1, 0.05)
    )
    # float32 spectra of samples whose rounding differs
    np.testing.assert_allclose(list(loud.probabilities.values()), list(soft.probabilities.values()), atol=0.01)


@pytest.mark.parametrize("samples", [np.zeros(16_000, np.float32), np.ones(1, np.float32)])
def test_silence_and_one_sample_are_answered_with_a_warning(samples: np.ndarray) -> None:
    prediction = duetto.load()({"waveform": samples, "sample_rate": 16_000})
    assert prediction.label is None and prediction.warnings


@pytest.mark.parametrize("name", pretrained.PRETRAINED)
def test_every_model_is_small_and_matches_its_card(name: str) -> None:
    home = pretrained.folder(name)
    assert sum(path.stat().st_size for path in home.iterdir()) <= LARGEST
    card = (home / pretrained.CARD).read_text(encoding="utf-8")
    for file in ("model.onnx", "model.json", "confidence.npz"):
        digest = hashlib.sha256((home / file).read_bytes()).hexdigest()
        assert f"| {file} | `{digest}` |" in card
    assert not re.search(r"\{[a-z.]+\}", card), "a place of the template was left empty"
    terms = duetto.load(name).terms
    assert ("non-commercial" in terms) == (name == "emodb-ravdess") == ("license: cc-by-nc-sa-4.0" in card)


def test_terms_are_one_printable_line_and_never_read_through_a_link(tmp_path: Path) -> None:
    file = tmp_path / pretrained.TERMS
    assert pretrained.terms(tmp_path) == ""
    file.write_bytes(b"free\n to use \x1b[2J\x07\xff")
    assert pretrained.terms(tmp_path) == "free to use \\x1b[2J\\x07\ufffd"
    file.write_text("x" * 10_001)
    with pytest.raises(ModelError, match=r"terms\.txt: larger than 10,000 bytes"):
        pretrained.terms(tmp_path)
    file.unlink()
    (tmp_path / "secret").write_text("secret")
    for target in ("secret", "/proc/self/environ", "missing"):
        file.symlink_to(target)
        assert pretrained.terms(tmp_path) == "its terms.txt is a link, and is not shown"
        file.unlink()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no model in it\..*comes with duetto: emodb-ravdess, emodb"):
        duetto.load("emodb-ravdes")
    with pytest.raises(ModelError, match="'x' is no model that comes with duetto; choose one of: emodb-ravdess, emodb"):
        pretrained.folder("x")
