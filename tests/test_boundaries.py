"""Boundary and word metrics against values worked by hand, SciPy's matching, and a plain Levenshtein."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from duetto.asr.metrics import BoundaryCounts, WordErrors, boundary_counts, boundary_errors, boundary_times, word_errors
from duetto.asr.pronunciation import edit_distance
from duetto.data.utterance import Word
from duetto.errors import ConfigurationError

TIMES = st.lists(st.integers(0, 200).map(lambda i: i / 100), max_size=12)


def test_counts_by_hand():
    # 0.10–0.11 and 0.50–0.52 lie within 20 ms, 0.80–0.83 does not; 1.20 has no partner.
    counts = boundary_counts([0.10, 0.50, 0.80], [0.11, 0.52, 0.83, 1.20], 0.02)
    assert counts == BoundaryCounts(hits=2, reference=3, found=4)
    assert counts.precision == 2 / 4
    assert counts.recall == 2 / 3
    assert counts.f_score == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert boundary_counts([0.10, 0.50, 0.80], [0.11, 0.52, 0.83, 1.20], 0.05).hits == 3


def test_each_boundary_is_used_once():
    assert boundary_counts([0.5], [0.49, 0.5, 0.51], 0.02).hits == 1
    assert boundary_counts([0.49, 0.5, 0.51], [0.5], 0.02).hits == 1


def test_a_difference_of_just_the_tolerance_counts():
    # 0.12 - 0.10 is 0.01999…, 0.3 - 0.28 is 0.02000…02 in floating point: both are 20 ms.
    assert boundary_counts([0.10, 0.28], [0.12, 0.30], 0.02).hits == 2


def test_r_value_by_hand():
    # Everything right: H = 1, O = 0. Räsänen et al. (2009), eqs. 5–7.
    assert BoundaryCounts(10, 10, 10).r_value == 1.0
    # H = 0.8, O = 0.2: r1 = √(0.04 + 0.04) = 0.28284, r2 = (0.8 − 0.2 − 1)/√2 = −0.28284; R = 1 − 0.28284.
    assert BoundaryCounts(8, 10, 12).r_value == pytest.approx(1 - math.sqrt(0.08))
    # H = 1 by three times too many: O = 2, r1 = 2, r2 = −√2. R = 1 − (2 + √2)/2 < 0, while F is still 0.5.
    counts = BoundaryCounts(10, 10, 30)
    assert counts.r_value == pytest.approx(1 - (2 + math.sqrt(2)) / 2)
    assert counts.f_score == 0.5


def test_empty_sides():
    neither, no_reference, none_found = boundary_counts([], []), boundary_counts([], [1.0]), boundary_counts([1.0], [])
    assert all(math.isnan(v) for v in (neither.precision, neither.recall, neither.f_score, neither.r_value))
    assert (no_reference.precision, no_reference.recall, no_reference.f_score) == (0, 0, 0)
    assert math.isnan(no_reference.r_value)
    assert (none_found.precision, none_found.recall, none_found.f_score) == (0, 0, 0)


@settings(deadline=None)
@given(TIMES, TIMES, st.sampled_from([0.0, 0.02, 0.05, 0.3]))
def test_pairing_is_the_largest_possible(reference, found, tolerance):
    counts = boundary_counts(reference, found, tolerance)
    near = np.abs(np.subtract.outer(np.array(reference), np.array(found))) <= tolerance + 1e-9
    largest = np.sum(maximum_bipartite_matching(csr_array(near)) >= 0) if near.size and near.any() else 0
    assert counts.hits == largest
    assert boundary_counts(found, reference, tolerance).hits == counts.hits


def test_counts_are_added_not_averaged():
    total = BoundaryCounts(1, 1, 1) + BoundaryCounts(0, 9, 9)
    assert total.f_score == pytest.approx(0.1)


@pytest.mark.parametrize("times", [[math.nan], [math.inf], [[0.1]]])
def test_times_that_are_none(times):
    with pytest.raises(ConfigurationError, match=r"found boundaries must be finite seconds of shape \(n,\)"):
        boundary_counts([0.1], times)


@pytest.mark.parametrize("tolerance", [-0.01, math.nan])
def test_tolerance_that_is_none(tolerance):
    with pytest.raises(ConfigurationError, match="tolerance"):
        boundary_counts([0.1], [0.1], tolerance)


def test_boundary_times_join_where_words_touch():
    words = [Word("a", 0.1, 0.3), Word("b", 0.3, 0.5), Word("c", 0.7, 0.9), Word("unknown")]
    assert boundary_times(words).tolist() == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert boundary_times([]).shape == (0,)


def test_word_errors_by_hand():
    # the cat sat on the mat → the bat sat on mat now: cat→bat, "the" deleted, "now" inserted.
    errors = word_errors(["the", "cat", "sat", "on", "the", "mat"], ["the", "bat", "sat", "on", "mat", "now"])
    assert errors == WordErrors(substitutions=1, deletions=1, insertions=1, reference=6)
    assert errors.rate == 0.5
    assert (errors + WordErrors(0, 0, 0, 6)).rate == 0.25


def test_word_errors_of_nothing():
    assert math.isnan(word_errors([], []).rate)
    assert word_errors([], ["a"]).rate == math.inf
    assert word_errors(["a", "b"], []) == WordErrors(0, 2, 0, 2)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=9), st.lists(st.sampled_from("abc"), max_size=9))
def test_word_errors_are_the_fewest(reference, recognised):
    errors = word_errors(reference, recognised)
    assert errors.substitutions + errors.deletions + errors.insertions == edit_distance(reference, recognised)
    assert len(recognised) == len(reference) - errors.deletions + errors.insertions


def test_boundary_errors_by_hand():
    reference = [Word("a", 0.0, 0.2), Word("b", 0.2, 0.5), Word("c", 0.5, 0.9), Word("untimed")]
    found = [Word("a", 0.01, 0.2), Word("x", 0.2, 0.3), Word("c", 0.45, 1.0)]  # b was missed, x put in its place
    errors = boundary_errors(reference, found)
    assert errors.starts == pytest.approx([0.01, 0.05])
    assert errors.ends == pytest.approx([0.0, 0.1])
    assert errors.unpaired == 1
    summary = (errors + boundary_errors([Word("d", 0, 1)], [Word("d", 0.03, 1)])).summary()
    assert summary["start_median"] == pytest.approx(0.03)
    assert summary["start_max"] == pytest.approx(0.05)
    assert summary["end_p90"] == pytest.approx(0.08)  # of 0, 0, 0.1: 0.8 of the way from the second to the third


def test_boundary_errors_of_nothing():
    errors = boundary_errors([], [Word("a", 0, 1)])
    assert errors.unpaired == 0
    assert all(math.isnan(value) for value in errors.summary().values())
