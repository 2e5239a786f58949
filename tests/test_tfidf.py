"""Weighted counts of words and the lexical system: held against scikit-learn, and followed to its predictions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

import duetto
import planted
from duetto import audit, inference, training
from duetto.config import experiment
from duetto.data.labels import LABEL_SETS
from duetto.data.manifest import read_manifest
from duetto.data.text import tokens
from duetto.data.utterance import Word
from duetto.embeddings.tfidf import MOST, Tfidf, ngrams
from duetto.errors import ConfigurationError, ModelError
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.metrics import softmax
from duetto.training import FoldInputs
from duetto.utils.reading import Record

SENTENCES = (
    "the day was lovely and the day was long",
    "the day was awful",
    "don't say that",
    "that was lovely don't you think",
    "",
    "once",
)


def test_words_then_pairs() -> None:
    assert ngrams(["so", "so", "good"]) == ["so", "so", "good", "so so", "so good"]
    assert ngrams(["one"]) == ["one"] and ngrams([]) == []


def test_the_weights_are_those_of_scikit_learn() -> None:
    documents = [sentence for sentence in SENTENCES if sentence]
    oracle = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\S+").fit(documents)
    found = Tfidf.fit([sentence.split() for sentence in SENTENCES])
    assert found.terms == tuple(oracle.get_feature_names_out())
    for sentence in (*SENTENCES[:4], "lovely day was lovely unheard"):
        expected = oracle.transform([sentence]).toarray()
        vector = found(sentence.split())
        assert vector.shape == (1, found.dim) and vector.dtype == np.float32
        np.testing.assert_allclose(vector[:, :-1], expected, atol=1e-7)
        assert vector[0, -1] == 0


@pytest.mark.parametrize("sentence", ["", "entirely unheard", "once"])
def test_without_known_words_the_last_value_is_one(sentence: str) -> None:
    vector = Tfidf.fit([s.split() for s in SENTENCES])(sentence.split())
    assert vector[0, -1] == 1 and not vector[0, :-1].any()


def test_the_order_of_utterances_does_not_matter() -> None:
    there = Tfidf.fit([s.split() for s in SENTENCES])
    back = Tfidf.fit([s.split() for s in reversed(SENTENCES)])
    assert there.terms == back.terms
    np.testing.assert_array_equal(there.idf, back.idf)


def test_it_is_unchanged_after_saving_and_loading() -> None:
    found = Tfidf.fit([s.split() for s in SENTENCES])
    value = json.loads(json.dumps(found.to_json()))
    again = Tfidf.from_json(Record(value, "model.json", ModelError))
    assert again.terms == found.terms
    np.testing.assert_array_equal(again.idf, found.idf)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"terms": ["a", "a"], "idf": [1, 1]}, "distinct texts"),
        ({"terms": ["a", ""], "idf": [1, 1]}, "distinct texts"),
        ({"terms": ["a"], "idf": [1, 1]}, "need as many weights"),
        ({"terms": ["a"], "idf": [0]}, "above 0 and up to 100"),
        ({"terms": ["a"], "idf": [1e9]}, "above 0 and up to 100"),
        ({"terms": ["a"], "idf": [None]}, "'idf'"),
        ({"terms": [1], "idf": [1]}, "must be a list of strings"),
        ({"terms": ["a"]}, "'idf' is missing"),
        ({"terms": [str(i) for i in range(MOST + 1)], "idf": [1] * (MOST + 1)}, "at most 500,000 are read"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(value: dict, message: str) -> None:
    with pytest.raises(ModelError, match=f"model.json.*{message}"):
        Tfidf.from_json(Record(value, "model.json", ModelError))


def lexical(folder: Path, inputs: FoldInputs | None = None) -> inference.Session:
    training.train(experiment.load("lexical"), inputs or planted.fold(), folder, seed=0)
    return inference.Session(folder)


def test_a_lexical_system_learns_the_labels_of_the_words(tmp_path: Path) -> None:
    """The planted words tell pleasant from unpleasant without error, and nothing else: a UA of 0.5."""
    inputs = planted.fold()
    session = lexical(tmp_path, inputs)
    logits = training.exported_logits(session, inputs.fold.test, inputs, seed=0)
    labels = LABEL_SETS["four"]
    pleasant = np.array([u.label in planted.PLEASANT for u in inputs.fold.test])
    found = np.array([labels[k] in planted.PLEASANT for k in logits.argmax(1)])
    assert (found == pleasant).all()


def test_unknown_words_give_the_shares_of_the_training_data(tmp_path: Path) -> None:
    inputs = planted.fold()
    train = tuple(
        u for i, u in enumerate(inputs.fold.train) if u.label != "sad" or i // 4 % 2
    )  # classes of unlike sizes
    inputs = replace(inputs, fold=replace(inputs.fold, train=train))
    session = lexical(tmp_path, inputs)
    labels = list(LABEL_SETS["four"])
    shares = np.bincount([labels.index(str(u.label)) for u in train], minlength=4) / len(train)
    assert shares.min() < 0.2
    for words in ([], ["unheard"], ["quite", "unheard"]):
        logits = session.logits_of(None, [session.preprocessor.encode_words(words)])
        np.testing.assert_allclose(softmax(logits / session.temperature)[0], shares, atol=1e-3)


def test_test_transcripts_change_nothing(tmp_path: Path) -> None:
    inputs = planted.fold()
    test = tuple(replace(u, text="wholly other words wholly other words") for u in inputs.fold.test)
    first = lexical(tmp_path / "a", inputs).preprocessor
    second = lexical(tmp_path / "b", replace(inputs, fold=replace(inputs.fold, test=test))).preprocessor
    assert first.to_json() == second.to_json()
    assert not {"wholly", "other"} & set(second.vocabulary.words)


def test_the_error_of_training_without_repeated_words_names_the_change(tmp_path: Path) -> None:
    inputs = planted.fold()
    train = tuple(replace(u, text="") for u in inputs.fold.train)
    with pytest.raises(ConfigurationError, match="counts words that occur in two training utterances, and there are"):
        lexical(tmp_path, replace(inputs, fold=replace(inputs.fold, train=train)))


def test_a_model_without_its_words_is_refused(tmp_path: Path) -> None:
    lexical(tmp_path)
    path = tmp_path / inference.DESCRIPTION
    value = json.loads(path.read_text())
    fewer = {"terms": value["ngrams"]["terms"][1:], "idf": value["ngrams"]["idf"][1:]}
    path.write_text(json.dumps({**value, "ngrams": fewer}))
    with pytest.raises(ModelError, match="they are not of one model"):
        inference.Session(tmp_path)
    del value["ngrams"]
    path.write_text(json.dumps(value))
    with pytest.raises(ModelError, match="'ngrams' is missing"):
        inference.Session(tmp_path)


def test_from_a_manifest_to_predictions(manifest: Path, tmp_path: Path) -> None:
    """What is predicted is what was scored; the audit finds nothing; unknown words are named."""
    utterances = read_manifest(manifest)
    workspace = Workspace(manifest.parent / "cache")
    (result,) = run_systems([experiment.load("lexical")], utterances, "session5", [tmp_path / "run"], workspace)
    found = audit.load(tmp_path / "run")
    assert found is not None and found.verdict == "clean"
    recogniser = duetto.load(tmp_path / "run")
    for utterance in [u for u in utterances if u.session == "5" and tokens(u)][:3]:
        words = [Word(w.word) for w in utterance.words or ()] or [Word(w) for w in tokens(utterance)]
        prediction = recogniser(utterance.audio, words=words)
        expected = result.calibrated[0, list(result.ids).index(utterance.id)]
        # float32 in two libraries
        np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-4)
    prediction = recogniser(utterances[0].audio, words=[Word("zork")])
    assert any("1 of 1 words are not in the system's vocabulary: zork" in warning for warning in prediction.warnings)
