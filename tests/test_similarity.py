"""Spearman against SciPy, intervals against simulation, benchmarks with planted answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from duetto.embeddings.similarity import (
    BENCHMARKS,
    PUBLISHED_SPEECH2VEC,
    PUBLISHED_WORD2VEC,
    confidence_interval,
    evaluate,
    matched_auc,
    partial_mantel,
    ranks,
    read_benchmark,
    spearman,
)
from duetto.embeddings.vectors import Vectors
from duetto.errors import ConfigurationError, ModelError

PAIRS = dict(zip(BENCHMARKS, (144, 999, 30, 353, 203, 252, 65, 3000, 287, 771, 3500, 2034, 130), strict=True))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-3, 3)), min_size=2, max_size=30))
def test_spearman_and_ranks_agree_with_scipy(items: list[tuple[int, float]]) -> None:
    first, second = zip(*items, strict=True)
    np.testing.assert_array_equal(ranks(first), stats.rankdata(first))
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert np.isnan(spearman(first, second))
    else:
        # Both are double precision; the sums have at most 30 terms.
        assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second)[0], abs=1e-12)


def test_spearman_by_hand_and_its_limits() -> None:
    assert spearman([1, 2, 3], [1, 10, 100]) == pytest.approx(1)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))  # 1 − 6Σd²/(n(n²−1))
    assert np.isnan(spearman([], []))
    assert np.isnan(spearman([1], [1]))
    with pytest.raises(ConfigurationError, match="NaN has no rank"):
        spearman([1, np.nan], [1, 2])
    with pytest.raises(ConfigurationError, match=r"shapes \(2,\) and \(3,\)"):
        spearman([1, 2], [1, 2, 3])


@pytest.mark.parametrize("truth", [0.0, 0.5])
def test_the_interval_covers_the_truth(truth: float) -> None:
    """Coverage over 2,000 samples of a normal pair with known ρ: 95 %, standard error .5 %; ± 1.5 % is 3 of them."""
    rng = np.random.default_rng(0)
    pearson = 2 * np.sin(np.pi * truth / 6)  # for a normal pair
    covered = 0
    for _ in range(2000):
        x, y = rng.standard_normal((2, 60))
        low, high = confidence_interval(spearman(x, pearson * x + np.sqrt(1 - pearson**2) * y), 60)
        covered += low <= truth <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_interval_limits() -> None:
    assert confidence_interval(1.0, 10) == (1.0, 1.0)
    low, high = confidence_interval(0.0, 103)
    assert (low, high) == (-high, pytest.approx(np.tanh(0.196), abs=1e-5))  # 1.96 / √100
    with pytest.raises(ConfigurationError, match="over 4 pairs has no interval"):
        confidence_interval(0.5, 4)


def write_benchmark(folder: Path, name: str, lines: str) -> None:
    (folder / BENCHMARKS[name]).write_text(lines, encoding="utf-8")


@pytest.fixture
def angles() -> Vectors:
    """Words at known angles from `zero`: the nearer the smaller the number."""
    degrees = [0, 10, 30, 60, 100, 150]
    words = ("zero", "ten", "thirty", "sixty", "hundred", "russia")
    turned = np.deg2rad(degrees)
    return Vectors(words, np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32))


def test_evaluate_planted_scores(tmp_path: Path, angles: Vectors) -> None:
    good = "zero\tten\t9\nzero\tthirty\t7\nzero\tsixty\t5\nzero\thundred\t3\nzero\tRussia\t1\nzero\tabsent\t4\n"
    write_benchmark(tmp_path, "MC-30", good)
    write_benchmark(tmp_path, "RG-65", "zero ten 1\nzero thirty 2\nzero sixty 3\n\n")
    write_benchmark(tmp_path, "MEN", "zero absent 1\nzero ten 2\nten thirty 2\n")
    scores = {score.name: score for score in evaluate(angles, tmp_path)}
    assert list(scores) == list(BENCHMARKS)
    best = scores["MC-30"]
    assert best.rho == pytest.approx(1)
    assert (best.pairs_used, best.pairs, best.coverage, best.missing) == (5, 6, 5 / 6, None)
    assert best.ci95 is not None and best.ci95[1] == pytest.approx(1)
    assert scores["RG-65"].rho == pytest.approx(-1)
    assert scores["RG-65"].ci95 is None
    assert (scores["MEN"].rho, scores["MEN"].pairs_used) == (None, 2)
    absent = scores["WS-353"]
    assert (absent.rho, absent.ci95, absent.pairs, absent.missing) == (None, None, 0, "EN-WS-353-ALL.txt")
    assert absent.published_speech2vec == {50: 0.508, 100: 0.502, 200: 0.498}
    json.dumps([score.to_json() for score in scores.values()], allow_nan=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b 1\na b\n", ":2: `word1 word2 score` is required, not 'a b'"),
        ("a b x\n", ":1: `word1"),
        ("a b nan\n", ":1: `word1"),
        ("a b c 1\n", ":1: `word1"),
        ("a b 1 2\n", ":1: `word1"),
        ("\n", "no pair of words"),
    ],
)
def test_broken_benchmark_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.txt"
    path.write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        read_benchmark(path)
    assert str(path) in str(caught.value)


def test_a_folder_without_benchmarks_is_an_error(tmp_path: Path, angles: Vectors) -> None:
    with pytest.raises(ModelError, match=r"none of the word-similarity files \(EN-VERB-143.txt"):
        evaluate(angles, tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_benchmark(tmp_path / "absent.txt")


def test_published_tables() -> None:
    assert set(PUBLISHED_SPEECH2VEC) == set(PUBLISHED_WORD2VEC) == set(BENCHMARKS)
    assert len(BENCHMARKS) == 13
    assert PUBLISHED_WORD2VEC["MEN"] == {50: 0.642, 100: 0.646, 200: 0.632}


def test_matched_auc_by_hand() -> None:
    """Two strata: the item beats both controls; the item ties with one control and loses to the other."""
    auc, (low, high), p = matched_auc([np.array([3.0, 1, 2]), np.array([1.0, 1, 2])], np.random.default_rng(0))
    assert auc == (1 + 0.25) / 2
    assert (low, high) == (0.25, 1.0)
    # Exact: the mean of {0, ½, 1} and {¼, ¼, 1} is at least .625 in 4 of 9 exchanges; 9,999 draws err by < .02 (4 SE).
    assert p == pytest.approx(4 / 9, abs=0.02)
    with pytest.raises(ConfigurationError, match="at least one control"):
        matched_auc([np.array([1.0])], np.random.default_rng(0))
    with pytest.raises(ConfigurationError, match="must be a stratum"):
        matched_auc([], np.random.default_rng(0))


def test_partial_mantel_separates_a_cause_from_a_correlate() -> None:
    """Similarity made from `first` alone; `second` goes along with `first`."""
    rng = np.random.default_rng(0)
    points, upper = rng.normal(size=(40, 2)), np.triu_indices(40, 1)
    first = np.linalg.norm(points[:, None] - points[None], axis=2)
    second = first[upper] + rng.normal(size=780)
    noise = rng.normal(size=(40, 40)) / 5
    square = -first + noise + noise.T
    a, b, partial, p = partial_mantel(square, first[upper], second, np.random.default_rng(1))
    assert a == pytest.approx(stats.spearmanr(square[upper], first[upper])[0], abs=1e-12)
    assert b == pytest.approx(stats.spearmanr(square[upper], second)[0], abs=1e-12)
    assert partial < -0.8 and p == 1 / 500
    _, _, reverse, p_reverse = partial_mantel(square, second, first[upper], np.random.default_rng(1))
    assert abs(reverse) < 0.15 and p_reverse > 1 / 500
    assert np.isnan(partial_mantel(np.ones((40, 40)), first[upper], second, rng)).all()


@pytest.mark.corpora
def test_the_real_benchmarks(data: Path) -> None:
    """All pairs are read, and random vectors score within 4 standard errors of 0."""
    words: dict[str, None] = {}
    for file in BENCHMARKS.values():
        for first, second, _ in read_benchmark(data / "word-similarity" / file):
            words |= {first: None, second: None}
    rng = np.random.default_rng(0)
    vectors = Vectors(tuple(words), rng.standard_normal((len(words), 50)).astype(np.float32))
    for score in evaluate(vectors, data / "word-similarity"):
        assert score.missing is None and score.coverage == 1 and score.rho is not None
        assert score.pairs == PAIRS[score.name]
        if score.name not in ("WS-353", "WS-353-SIM"):  # these hold the pair tiger–tiger, with cosine 1
            assert abs(score.rho) < 4 / np.sqrt(score.pairs - 1)
