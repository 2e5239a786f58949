"""Recordings as other libraries pass them: each form gives the same samples as the file that it was read from."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import duetto
from duetto import audio
from duetto.errors import AudioError, DuettoError
from duetto.inference.sources import picklable, source_name
from sounds import voice

RATE = 16_000


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two different channels."""
    path = tmp_path_factory.mktemp("forms") / "stereo.wav"
    audio.write(path, np.stack((voice(), 0.5 * voice()[::-1])), RATE)
    return path


def samples(path: Path) -> np.ndarray:
    """(n, 2) float32, as soundfile reads them."""
    return soundfile.read(path, dtype="float32")[0]


class Decoder:
    """What an audio column of `datasets` holds: an AudioDecoder of torchcodec."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_all_samples(self) -> SimpleNamespace:
        return SimpleNamespace(data=torch.from_numpy(samples(self.path).T.copy()), sample_rate=RATE)

    def __getitem__(self, key: str) -> Any:  # as that of datasets has it, which makes it no mapping
        raise KeyError(key)


FORMS: dict[str, Callable[[Path], Any]] = {
    "waveform": lambda path: {"waveform": samples(path).T, "sample_rate": RATE},
    "time first": lambda path: {"waveform": samples(path), "sample_rate": RATE},
    "soundfile": lambda path: soundfile.read(path),
    "librosa": lambda path: (samples(path).T, RATE),
    "whole numbers": lambda path: soundfile.read(path, dtype="int16"),
    "tensor": lambda path: (torch.from_numpy(samples(path)).requires_grad_(), RATE),
    "datasets": lambda path: {"path": None, "array": samples(path).T, "sampling_rate": RATE},
    "lists": lambda path: {"array": samples(path).T.tolist(), "sampling_rate": RATE},
    "transformers": lambda path: {"raw": samples(path).T, "sampling_rate": RATE},
    "bytes": lambda path: path.read_bytes(),
    "memory": lambda path: memoryview(path.read_bytes()),
    "undecoded": lambda path: {"bytes": path.read_bytes(), "path": "a/b.wav"},
    "undecoded on disk": lambda path: {"bytes": None, "path": str(path)},
    "torchcodec": Decoder,
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_samples_of_the_file(form: str, stereo: Path) -> None:
    source = FORMS[form](stereo)
    expected = samples(stereo).astype(np.float64).mean(axis=1)
    found = audio.load(source)
    np.testing.assert_allclose(found.samples, expected, atol=1e-7)
    second = audio.load(audio.Channel(FORMS[form](stereo), 1))
    np.testing.assert_allclose(second.samples, samples(stereo)[:, 1], atol=1e-7)
    assert audio.duration(source) == pytest.approx(2.0) and found.mixed == 2


@pytest.mark.parametrize("form", FORMS)
def test_each_form_reaches_another_process(form: str, stereo: Path) -> None:
    sent = picklable(FORMS[form](stereo))
    assert not isinstance(sent, DuettoError)
    np.testing.assert_array_equal(
        audio.load(pickle.loads(pickle.dumps(sent))).samples, audio.load(FORMS[form](stereo)).samples
    )


@pytest.mark.parametrize("shape", [(2, 65), (65, 2), (1, 70), (70, 1), (64, 65), (65, 64)])
def test_the_axis_beyond_64_is_time(shape: tuple[int, int]) -> None:
    assert audio.properties((np.zeros(shape), RATE)).channels == min(shape)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((RATE, np.zeros(100)), r"\(16000, samples\) has the sample rate first: give \(samples, Hz\)"),
        ((np.zeros(100), RATE, "a"), "tuple of 3"),
        ((np.zeros(100), "16000"), "'16000'; give whole samples per second"),
        ((np.zeros(100), np.zeros(3)), "give whole samples per second"),
        ({"array": np.zeros(100)}, "sample_rate missing: the keys are array"),
        ({"raw": None, "sampling_rate": RATE}, "waveform missing: the keys are raw, sampling_rate"),
        ({"text": "a"}, "waveform missing: the keys are text"),
        ({"bytes": None, "path": None}, "waveform missing"),
        ({"path": "absent.wav", "bytes": None}, "absent.wav: no such file"),
        ({"path": "a.wav", "bytes": b""}, r"a.wav: is empty"),
        (b"no audio", "bytes: "),
        ([np.zeros(100), RATE], "list is no audio source: give a path, a file object, the bytes of a file"),
    ],
    ids=str,
)
def test_what_is_none_of_them_is_refused(source: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        audio.load(source)


def test_raw_samples_may_be_bytes() -> None:
    sound = (voice() * 32_767).astype("<i2")
    found = audio.load(audio.RawPcm(sound.tobytes(), RATE))  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(found.samples, sound / np.float32(32_768))


def test_rows_of_an_audio_column_are_named() -> None:
    assert source_name({"path": "a.wav", "bytes": b""}) == "a.wav"
    assert source_name({"array": [0.0], "sampling_rate": RATE}) == "a recording"
    assert source_name(b"") == "a recording"


def test_a_recogniser_takes_them(stereo: Path) -> None:
    recogniser = duetto.load()
    expected = recogniser(stereo).probabilities
    outcomes = recogniser.predict_many([form(stereo) for form in FORMS.values()])
    for form, outcome in zip(FORMS, outcomes, strict=True):
        assert not isinstance(outcome, DuettoError), outcome
        assert outcome.probabilities == pytest.approx(expected, abs=1e-4), form


def test_columns_of_datasets(stereo: Path) -> None:
    """With and without the bytes of the file in the table, as `datasets` hands its rows out."""
    datasets = pytest.importorskip("datasets")
    column = datasets.Audio(decode=False)
    rows = datasets.Dataset.from_dict({"audio": [str(stereo)]}).cast_column("audio", column)
    content = {"audio": [{"bytes": stereo.read_bytes(), "path": "here.wav"}]}
    held = datasets.Dataset.from_dict(content).cast_column("audio", column)
    for table in (rows, held):
        np.testing.assert_array_equal(audio.load(table[0]["audio"]).samples, audio.load(stereo).samples)


def test_a_file_in_memory_is_named_and_picklable() -> None:
    named = pickle.loads(pickle.dumps(audio.NamedBytes(b"abc", "x.wav")))
    assert named.name == "x.wav" and named.read() == b"abc" and isinstance(named, io.BytesIO)
