"""Protocols on planted corpora: what is disjoint is, and what cannot be done says so."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import planted
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError
from duetto.splits import PROTOCOLS, default_protocol, folds, transfer

OWN = {"1": "train", "2": "train", "3": "Train", "4": "dev", "5": "test"}
UTTERANCES = [
    replace(u, corpus="ab"[u.session in ("4", "5")], split=OWN[str(u.session)]) for u in planted.corpus(240)[0]
]
DISJOINT = {
    "session5": {"speaker", "session"},
    "loso": {"speaker", "session"},
    "speaker": {"speaker"},
    "scenario": {"speaker", "session", "scenario"},
    "corpus": {"speaker", "session", "corpus"},
    "split": {"speaker", "session"},
    "improvised": {"speaker", "session"},
}


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_parts_never_share_an_utterance_and_tests_never_overlap(protocol: str) -> None:
    tested: Counter[str] = Counter()
    for fold in folds(protocol, UTTERANCES):
        parts = [{u.id for u in part} for part in (fold.train, fold.development, fold.test)]
        assert all(parts)
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        tested.update(parts[2])
    assert max(tested.values()) == 1


@pytest.mark.parametrize("protocol", sorted(DISJOINT))
def test_every_fold_is_disjoint_in_what_the_protocol_is_for(protocol: str) -> None:
    for fold in folds(protocol, UTTERANCES):
        assert DISJOINT[protocol] <= set(fold.disjoint_in)
        assert not {u.speaker for u in fold.train} & {u.speaker for u in fold.development}


def test_a_random_split_leaks_and_is_marked_as_leaking() -> None:
    (fold,) = folds("random", UTTERANCES)
    assert fold.disjoint_in == () and "leaks" in fold.name
    assert len(fold.shared("speaker")) == 10


def test_session5_is_the_papers() -> None:
    (fold,) = folds("session5", UTTERANCES)
    assert {u.session for u in fold.test} == {"5"}
    assert {u.session for u in (*fold.train, *fold.development)} == {"1", "2", "3", "4"}
    assert len(fold.train) + len(fold.development) + len(fold.test) == len(UTTERANCES)


def test_all_sessions_and_all_speakers_are_tested_once() -> None:
    assert len(folds("loso", UTTERANCES)) == 5
    for protocol in ("loso", "speaker"):
        assert sum(len(fold.test) for fold in folds(protocol, UTTERANCES)) == len(UTTERANCES)


def test_scenario_folds_together_test_session_5() -> None:
    tested = {u.id for fold in folds("scenario", UTTERANCES) for u in fold.test}
    assert tested == {u.id for u in UTTERANCES if u.session == "5"}


def test_improvised_has_improvised_only() -> None:
    (fold,) = folds("improvised", UTTERANCES)
    assert {u.style for u in (*fold.train, *fold.development, *fold.test)} == {"improvised"}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_seed_moves_development_speakers_only(seed: int) -> None:
    (first,), (second,) = folds("session5", UTTERANCES, seed), folds("session5", UTTERANCES, seed)
    assert first == second
    assert {u.id for u in first.test} == {u.id for u in folds("session5", UTTERANCES, seed + 1)[0].test}


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_the_order_of_utterances_does_not_matter(protocol: str) -> None:
    shuffled = [UTTERANCES[i] for i in np.random.default_rng(0).permutation(len(UTTERANCES))]
    assert folds(protocol, shuffled, seed=3) == folds(protocol, UTTERANCES, seed=3)
    assert transfer("new", shuffled[:40], shuffled[40:]) == transfer("new", shuffled[39::-1], shuffled[:39:-1])


def test_unlabelled_utterances_take_no_part() -> None:
    some = [replace(u, label=None) if i % 3 == 0 else u for i, u in enumerate(UTTERANCES)]
    (fold,) = folds("session5", some)
    assert all(u.label for u in (*fold.train, *fold.development, *fold.test))


@pytest.mark.parametrize(
    ("change", "protocol", "message"),
    [
        ({"session": None}, "session5", "needs the session of every utterance; 'u000' has none"),
        ({"speaker": None}, "speaker", "needs the speaker"),
        ({"speaker": "one"}, "session5", r"1 speaker\(s\) to train on"),
        ({"scenario": None}, "scenario", "needs the scenario"),
        ({"scenario": "other"}, "improvised", "begin with 'impro'"),
        ({"label": None}, "session5", "no utterance has a label"),
        ({"label": "sad"}, "session5", "one class only, 'sad'"),
        ({"split": None}, "split", "needs the part of the corpus' own division .*'u000' has none"),
        ({"split": "test2"}, "split", "finds no training data among the parts test2; name them in the manifest"),
        ({"split": "train"}, "split", "finds no test data among the parts train"),
        ({}, "tenfold", "choose from session5, loso"),
    ],
)
def test_the_error_of_an_impossible_split_gives_the_reason(change: dict, protocol: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        folds(protocol, [replace(u, **change) for u in UTTERANCES])


def test_the_corpus_own_division_is_what_it_states() -> None:
    (fold,) = folds("split", UTTERANCES)
    parts = {"train": fold.train, "development": fold.development, "test": fold.test}
    sessions = {name: {u.session for u in part} for name, part in parts.items()}
    assert sessions == {"train": {"1", "2", "3"}, "development": {"4"}, "test": {"5"}}
    assert fold.name == "the corpus' own division" and sum(map(len, parts.values())) == len(UTTERANCES)
    assert fold == folds("split", UTTERANCES, seed=1)[0]


def test_further_test_parts_are_left_out_and_named_and_development_is_drawn_where_there_is_none() -> None:
    further = [replace(u, split="test2" if u.session == "4" else u.split) for u in UTTERANCES]
    (fold,) = folds("split", further)
    assert fold.name == "the corpus' own division, without test2"
    assert {u.session for u in (*fold.train, *fold.development)} == {"1", "2", "3"} and fold.development
    assert not {u.speaker for u in fold.train} & {u.speaker for u in fold.development}


def test_the_default_is_the_corpus_own_division_where_its_test_speakers_are_new() -> None:
    assert default_protocol(UTTERANCES) == "split"
    assert default_protocol([*UTTERANCES, replace(UTTERANCES[0], id="x", label=None, split=None)]) == "split"
    one_corpus = [replace(u, corpus="a") for u in UTTERANCES]
    shared = [replace(u, split="test" if i % 5 == 0 else "train") for i, u in enumerate(one_corpus)]
    assert default_protocol(shared) == "session5"
    assert default_protocol([replace(u, split=None) for u in one_corpus]) == "session5"
    assert default_protocol([replace(u, split=None, session=None) for u in one_corpus]) == "speaker"
    assert default_protocol([replace(one_corpus[0], split=None), *one_corpus[1:]]) == "session5"


def test_a_class_that_training_lacks_is_an_error() -> None:
    only = [u for u in UTTERANCES if u.session == "5" or u.label != "sad"]
    with pytest.raises(ConfigurationError, match="no training utterance labelled sad"):
        folds("session5", only)


def numbered(n: int, sessions: int) -> list[Utterance]:
    """Utterances of n speakers in two classes and sessions from 1 on."""
    return [
        Utterance(str(i), Path("a"), label=("sad", "angry")[i % 2], session=str(i % sessions + 1), speaker=str(i))
        for i in range(n)
    ]


def test_unknown_speakers_are_not_called_disjoint() -> None:
    assert "scenario" not in folds("session5", numbered(12, sessions=3))[0].disjoint_in


def test_the_last_session_is_the_tenth_not_the_ninth() -> None:
    assert {u.session for u in folds("session5", numbered(40, sessions=10))[0].test} == {"10"}


def test_a_session_named_by_a_digit_that_is_no_number_is_a_name() -> None:
    r"""`\d` and `int` know decimals alone, `str.isdigit` takes ² for one as well."""
    named = [replace(u, session={"1": "²"}.get(u.session or "", u.session)) for u in numbered(40, sessions=3)]
    assert {u.session for u in folds("session5", named)[0].test} == {"²"}  # names after numbers
