"""Sentence embeddings beside counted words: the vector by hand, and a system from training to its export."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import duetto
import planted
from corpus_trees import wav
from duetto import audit, inference, metrics, runs, training
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.data.text import tokens
from duetto.data.utterance import Word
from duetto.embeddings import sentences
from duetto.embeddings.sentences import SentenceEncoder
from duetto.errors import ConfigurationError, ModelError
from duetto.experiments.export import export
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.inference.fusion_folder import has_content
from duetto.preprocessing.normalisation import Normaliser
from test_sentences import CONFIG, write_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "random")


@pytest.fixture
def system(encoder: Path) -> Experiment:
    return experiment.load("lexical", sentences=str(encoder))


def test_the_vector_is_the_embedding_beside_the_counts(encoder: Path, system: Experiment) -> None:
    inputs = planted.fold()
    preprocessor = training.fit_preprocessor(system, inputs)
    alone = training.fit_preprocessor(experiment.load("lexical"), inputs)
    assert alone.tfidf is not None
    embed, dim = SentenceEncoder(encoder), int(CONFIG["hidden_size"])
    normaliser = Normaliser.fit([embed([" ".join(tokens(u))]) for u in inputs.fold.train], dim)
    for text in ("the day was lovely", "unheard of", "cafes the sun"):
        vector, words = preprocessor.encode_words(text.split()), text.split()
        counts = alone.tfidf(words)
        counts[0, -1] = 0  # there are words, whether or not they are counted
        expected = np.concatenate([normaliser(embed([text])) / np.sqrt(dim), counts], axis=1)
        assert vector.shape == (1, preprocessor.word_dim) and vector.dtype == np.float32
        np.testing.assert_allclose(vector, expected, atol=1e-6)
    silence = preprocessor.encode_words([])
    assert silence[0, -1] == 1 and not silence[0, :-1].any()


def test_words_outside_the_vocabulary_are_content(system: Experiment) -> None:
    preprocessor = training.fit_preprocessor(system, planted.fold())
    assert has_content(preprocessor, ["xyzzy"], timed=False) and not has_content(preprocessor, [], timed=False)


def test_it_is_trained_exported_and_predicts_alike_without_the_folder(
    system: Experiment, encoder: Path, tmp_path: Path
) -> None:
    """The encoder goes along: everything else is deleted before the prediction."""
    own = tmp_path / "encoder"
    shutil.copytree(encoder, own)
    utterances, _ = planted.corpus()
    utterances = [
        replace(u, audio=wav(tmp_path / "wav" / u.audio.name, frequency=100 + i)) for i, u in enumerate(utterances)
    ]
    run = tmp_path / "run"
    used = replace(system, sentences=str(own))
    (result,) = run_systems([used], utterances, "session5", [run], Workspace(tmp_path / "cache"))
    exported = export(run, tmp_path / "out")
    shutil.rmtree(own)
    shutil.rmtree(run / "fold0-seed0")
    recogniser = duetto.load(exported.folder, require_speech=False)
    by_id = {u.id: u for u in utterances}
    for at in range(4):
        words = [Word(word) for word in tokens(by_id[str(result.ids[at])])]
        found = recogniser(by_id[str(result.ids[at])].audio, words=words)
        np.testing.assert_allclose(list(found.probabilities.values()), result.calibrated[0, at], atol=1e-5)
    found = audit.load(run)
    assert found is not None
    notes = [f for f in found.findings if f.kind == "unknown-weights"]
    assert len(notes) == 1 and "sentences are embedded by encoder" in notes[0].detail
    assert "model.safetensors" in json.dumps(runs.read(run))  # its digest is part of what the run is


def test_words_without_a_known_one_are_told_apart_by_the_embedding(system: Experiment, tmp_path: Path) -> None:
    inputs = planted.fold()
    training.train(system, inputs, tmp_path, seed=0)
    session = inference.Session(tmp_path)
    encoded = [session.preprocessor.encode_words(words) for words in (["cafes"], ["sun"], [])]
    one, other, none = metrics.softmax(session.logits_of(None, encoded) / session.temperature)
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_allclose(none, 0.25, atol=1e-3)  # the shares of the training data


def test_settings_and_folders_that_do_not_fit(system: Experiment, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='set word_encoder = "tfidf"'):
        experiment.load("embedding-random", sentences=str(encoder))
    with pytest.raises(ConfigurationError, match="stands beside counted words"):
        experiment.load("acoustic", sentences=str(encoder))
    with pytest.raises(ModelError, match=r"config\.json"):
        training.fit_preprocessor(replace(system, sentences=str(tmp_path / "nowhere")), planted.fold())
    training.train(system, planted.fold(), tmp_path / "model", seed=0)
    (tmp_path / "model" / inference.model_folder.SENTENCES / sentences.WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        duetto.load(tmp_path / "model")


def test_an_encoder_of_another_width_is_refused(system: Experiment, tmp_path: Path) -> None:
    training.train(system, planted.fold(), tmp_path, seed=0)
    description = tmp_path / inference.DESCRIPTION
    value = json.loads(description.read_text())
    value["words"] = Normaliser.identity(5).to_json()
    description.write_text(json.dumps(value))
    with pytest.raises(ModelError):
        duetto.load(tmp_path)
