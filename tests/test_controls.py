"""Controls without any input, against counts worked by hand."""

from dataclasses import replace

import numpy as np

import planted
from duetto.baselines.controls import CONTROLS, majority, scenario, tfidf
from duetto.data.labels import LABEL_SETS
from duetto.report.run_summary import controls

CLASSES = LABEL_SETS["four"]
FOLD = planted.fold(160).fold
TARGET = np.array([CLASSES.index(str(u.label)) for u in FOLD.test])


def test_majority_answers_the_most_frequent_training_class() -> None:
    more = (*FOLD.train, *(replace(u, id=u.id + "x") for u in FOLD.train if u.label == "sad"))
    answers = majority(replace(FOLD, train=more), CLASSES)
    assert set(answers.argmax(1)) == {CLASSES.index("sad")}
    np.testing.assert_allclose(np.exp(answers).sum(1), 1)


def test_scenario_answers_that_scenarios_class_and_falls_back_on_all() -> None:
    betrayed = [replace(u, scenario=f"impro0{CLASSES.index(str(u.label))}") for u in (*FOLD.train, *FOLD.test)]
    n = len(FOLD.train)
    fold = replace(FOLD, train=tuple(betrayed[:n]), test=tuple(betrayed[n:]))
    np.testing.assert_array_equal(scenario(fold, CLASSES).argmax(1), TARGET)
    new = replace(fold, test=tuple(replace(u, scenario="impro09") for u in fold.test))
    np.testing.assert_allclose(scenario(new, CLASSES), majority(fold, CLASSES))


def test_tfidf_reads_what_is_in_the_words_and_no_more() -> None:
    """The planted words tell pleasant from unpleasant: half of the classes."""
    answers = tfidf(FOLD, CLASSES).argmax(1)
    pleasant = np.isin(answers, [CLASSES.index(c) for c in planted.PLEASANT])
    np.testing.assert_array_equal(pleasant, np.isin(TARGET, [CLASSES.index(c) for c in planted.PLEASANT]))


def test_tfidf_without_any_transcript_is_the_majority() -> None:
    silent = replace(FOLD, train=tuple(replace(u, text=None) for u in FOLD.train))
    np.testing.assert_allclose(tfidf(silent, CLASSES), majority(silent, CLASSES))


def test_all_controls_are_scored_as_controls() -> None:
    results = controls([FOLD], CLASSES)
    assert [r.system for r in results] == list(CONTROLS) and {r.kind for r in results} == {"control"}
