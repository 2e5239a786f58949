"""`duetto.pipeline` against the pipeline of transformers that it stands in for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import duetto
from duetto import audio
from duetto.errors import AudioError, ConfigurationError
from sounds import no_voices, voice

RATE = 16_000


@pytest.fixture(scope="module")
def classify() -> Any:
    return duetto.pipeline("audio-classification")


@pytest.fixture(scope="module")
def original() -> Any:
    """A pipeline of transformers, of a small network with random weights and five classes."""
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=7,
        conv_dim=(8, 8), conv_stride=(5, 2), conv_kernel=(10, 3), num_conv_pos_embedding_groups=2,
        num_conv_pos_embeddings=4, classifier_proj_size=8,
    )  # fmt: skip
    return transformers.pipeline(
        "audio-classification",
        model=transformers.Wav2Vec2ForSequenceClassification(config),
        feature_extractor=transformers.Wav2Vec2FeatureExtractor(),
    )


INPUTS = {
    "one": lambda one: one,
    "raw": lambda one: {"raw": one["array"], "sampling_rate": RATE},
    "a list": lambda one: [dict(one), dict(one)],
    "a list of one": lambda one: [dict(one)],
    "an iterator": lambda one: (dict(one) for _ in range(2)),
}


def shape_of(value: Any) -> Any:
    """Types, lengths and keys, without the values."""
    if isinstance(value, list):
        return [shape_of(each) for each in value]
    if isinstance(value, dict):
        return {key: type(each) for key, each in value.items()}
    return "iterator", [shape_of(each) for each in value]


@pytest.mark.parametrize("top_k", [1, 3])
@pytest.mark.parametrize("form", INPUTS)
def test_answers_have_the_form_of_transformers(classify: Any, original: Any, form: str, top_k: int) -> None:
    one = {"array": voice(), "sampling_rate": RATE}
    assert shape_of(classify(INPUTS[form](one), top_k=top_k)) == shape_of(original(INPUTS[form](one), top_k=top_k))


def test_the_number_of_classes(classify: Any, original: Any) -> None:
    source = {"array": voice(), "sampling_rate": RATE}
    for top_k in (None, 99):  # all that there are
        assert len(original(dict(source), top_k=top_k)) == 7 and len(classify(source, top_k=top_k)) == 4
    assert len(original(dict(source))) == 7 and len(classify(source)) == 4
    two = duetto.pipeline(top_k=2)
    assert len(two(source)) == 2 and len(two(source, top_k=3)) == 3


def test_answers_are_those_of_the_recogniser(classify: Any, tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    audio.write(path, voice(), RATE)
    expected = duetto.load()(path).probabilities
    answer = classify(str(path))
    assert {each["label"]: each["score"] for each in answer} == expected
    assert [each["score"] for each in answer] == sorted(expected.values(), reverse=True)
    for source in (path, path.read_bytes(), path.open("rb"), (audio.load(path).samples, RATE)):
        assert classify(source, top_k=1) == answer[:1]


def test_datasets_are_read_as_they_are_needed(classify: Any, original: Any) -> None:
    """An audio column of `datasets`, and the datasets of transformers, which are no lists."""
    datasets = pytest.importorskip("datasets")
    column = datasets.Dataset.from_dict({"audio": [{"array": voice(0.5).tolist(), "sampling_rate": RATE}] * 3})["audio"]
    answers = classify(column, top_k=2)
    assert next(answers) == classify(column[0], top_k=2) and len(list(answers)) == 2


def test_no_speech_has_no_emotion_unless_any_sound_is_asked_for(classify: Any) -> None:
    source = (no_voices()["mains hum"], RATE)
    assert classify([]) == []
    assert classify(source) == [] and len(duetto.pipeline(require_speech=False)(source)) == 4


@pytest.mark.parametrize("top_k", [0, -1, True, 1.0])
def test_a_wrong_number_of_classes_is_refused(classify: Any, top_k: Any) -> None:
    with pytest.raises(ConfigurationError, match="give a whole number from 1 on, or None"):
        classify("a.wav", top_k=top_k)


def test_what_cannot_be_classified_is_an_error(classify: Any) -> None:
    with pytest.raises(AudioError, match="an array has no sample rate"):
        classify(np.zeros(RATE))
    with pytest.raises(AudioError, match="no such file"):
        classify(["absent.wav"])
    with pytest.raises(AudioError, match="float is no audio source"):
        classify(1.0)
    with pytest.raises(ConfigurationError, match="task 'text-generation' is not known; give 'audio-classification'"):
        duetto.pipeline("text-generation")
