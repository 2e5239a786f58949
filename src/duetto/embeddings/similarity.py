"""Word similarity: Spearman's ρ of cosines and human judgements on the 13 benchmarks of the Speech2Vec paper.

    Vectors + folder of `word1 word2 score` files ─ evaluate ─▶ 13 × BenchmarkScore

Published scores for comparison are those of Chung & Glass, "Speech2Vec" (Interspeech 2018), table 1, skip-gram.
Their repository's README shows others for MTurk-771 (Speech2Vec .557/.568/.552 at 50/100/200 dimensions), and a
reproduction by Chen ("A Reality Check", arXiv 2209.10791) reached .08 on MEN and .15 on WS-353-SIM.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigurationError, ModelError
from .vectors import Vectors

BENCHMARKS: dict[str, str] = {
    "Verb-143": "EN-VERB-143.txt",
    "SimLex-999": "EN-SIMLEX-999.txt",
    "MC-30": "EN-MC-30.txt",
    "WS-353": "EN-WS-353-ALL.txt",
    "WS-353-SIM": "EN-WS-353-SIM.txt",
    "WS-353-REL": "EN-WS-353-REL.txt",
    "RG-65": "EN-RG-65.txt",
    "MEN": "EN-MEN-TR-3k.txt",
    "MTurk-287": "EN-MTurk-287.txt",
    "MTurk-771": "EN-MTurk-771.txt",
    "SimVerb-3500": "EN-SimVerb-3500.txt",
    "Rare-Word": "EN-RW-STANFORD.txt",
    "YP-130": "EN-YP-130.txt",
}
"""Benchmark → its file name at wordvectors.org (Faruqui & Dyer 2014)."""

PUBLISHED_DIMENSIONS: tuple[int, ...] = (50, 100, 200)
"""Dimensions of the published scores."""

_PUBLISHED: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    # benchmark: (Speech2Vec, word2vec) at 50, 100, 200 dimensions
    "Verb-143": ((0.315, 0.276, 0.222), (0.378, 0.384, 0.365)),
    "SimLex-999": ((0.292, 0.317, 0.335), (0.280, 0.298, 0.300)),
    "MC-30": ((0.846, 0.815, 0.787), (0.762, 0.746, 0.713)),
    "WS-353": ((0.508, 0.502, 0.498), (0.452, 0.455, 0.471)),
    "WS-353-SIM": ((0.663, 0.653, 0.636), (0.602, 0.599, 0.605)),
    "WS-353-REL": ((0.346, 0.332, 0.331), (0.308, 0.308, 0.327)),
    "RG-65": ((0.790, 0.756, 0.740), (0.752, 0.749, 0.724)),
    "MEN": ((0.619, 0.606, 0.573), (0.642, 0.646, 0.632)),
    "MTurk-287": ((0.468, 0.442, 0.398), (0.504, 0.503, 0.469)),
    "MTurk-771": ((0.521, 0.503, 0.463), (0.499, 0.504, 0.479)),
    "SimVerb-3500": ((0.157, 0.183, 0.204), (0.149, 0.176, 0.193)),
    "Rare-Word": ((0.323, 0.321, 0.317), (0.408, 0.419, 0.431)),
    "YP-130": ((0.321, 0.334, 0.302), (0.391, 0.431, 0.448)),
}


def _by_dimension(scores: tuple[float, float, float]) -> dict[int, float]:
    return dict(zip(PUBLISHED_DIMENSIONS, scores, strict=True))


PUBLISHED_SPEECH2VEC = MappingProxyType({name: _by_dimension(speech) for name, (speech, _) in _PUBLISHED.items()})
"""Benchmark → dimension → ρ of Speech2Vec (skip-gram), as published."""

PUBLISHED_WORD2VEC = MappingProxyType({name: _by_dimension(text) for name, (_, text) in _PUBLISHED.items()})
"""Benchmark → dimension → ρ of the text baseline (skip-gram), as published."""


@dataclass(frozen=True)
class BenchmarkScore:
    """The score of one benchmark.

    Attributes:
        name: Of the benchmark.
        rho: Spearman's ρ of cosine and human score over the pairs of which both words have a vector; None if undefined
            (fewer than 3 such pairs, or all cosines equal) or the file is missing.
        ci95: 95 % confidence interval of ρ (`confidence_interval`); None if ρ is None or there are fewer than 5 pairs.
        pairs_used: Pairs behind ρ.
        pairs: Pairs in the file.
        coverage: `pairs_used / pairs`; 0 if the file is missing.
        published_speech2vec: Dimension → published ρ of Speech2Vec, over all pairs of the benchmark.
        published_word2vec: Dimension → published ρ of word2vec.
        missing: Name of the file if it was not found.
    """

    name: str
    rho: float | None
    ci95: tuple[float, float] | None
    pairs_used: int
    pairs: int
    coverage: float
    published_speech2vec: dict[int, float]
    published_word2vec: dict[int, float]
    missing: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to a JSON object.

        Returns:
            All fields.
        """
        return asdict(self)


def evaluate(vectors: Vectors, folder: str | Path) -> list[BenchmarkScore]:
    """Score vectors on all 13 benchmarks.

    A word is looked up as written, then in lower case. A pair of one word with itself counts, as in the published
    evaluations.

    Args:
        vectors: To score.
        folder: With the files of `BENCHMARKS`.

    Returns:
        A score for each benchmark, in the paper's order; one whose file is missing is marked.

    Raises:
        ModelError: The folder has none of the files, or a line is not `word1 word2 score`.
    """
    folder = Path(folder)
    if not any((folder / file).is_file() for file in BENCHMARKS.values()):
        raise ModelError(
            f"{folder}: holds none of the word-similarity files ({', '.join(BENCHMARKS.values())}); "
            "fetch them from wordvectors.org"
        )
    return [_score(name, vectors, folder / file) for name, file in BENCHMARKS.items()]


def read_benchmark(path: str | Path) -> list[tuple[str, str, float]]:
    """Read a word-similarity file.

    Args:
        path: With lines `word1 word2 score`.

    Returns:
        The pairs and their scores.

    Raises:
        ModelError: The file cannot be read, has no pair, or a line is not valid.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read as a word-similarity file ({error})") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not (fields := line.split()):
            continue
        try:
            score = float(fields[2])
        except (IndexError, ValueError):
            score = math.nan
        if len(fields) != 3 or not math.isfinite(score):
            raise ModelError(f"{path}:{number}: `word1 word2 score` is required, not {line.strip()[:60]!r}")
        pairs.append((fields[0], fields[1], score))
    if not pairs:
        raise ModelError(f"{path}: no pair of words in it")
    return pairs


def _score(name: str, vectors: Vectors, path: Path) -> BenchmarkScore:
    published = dict(PUBLISHED_SPEECH2VEC[name]), dict(PUBLISHED_WORD2VEC[name])
    if not path.is_file():
        return BenchmarkScore(name, None, None, 0, 0, 0.0, *published, missing=path.name)
    pairs = read_benchmark(path)
    found = [
        (a, b, score)
        for first, second, score in pairs
        if (a := _as_in(first, vectors)) is not None and (b := _as_in(second, vectors)) is not None
    ]
    rho = None
    if len(found) >= 3:
        rho = spearman([vectors.cosine(a, b) for a, b, _ in found], [score for *_, score in found])
        rho = None if math.isnan(rho) else rho
    ci95 = None if rho is None or len(found) < 5 else confidence_interval(rho, len(found))
    return BenchmarkScore(name, rho, ci95, len(found), len(pairs), len(found) / len(pairs), *published)


def _as_in(word: str, vectors: Vectors) -> str | None:
    return next((form for form in (word, word.lower()) if form in vectors), None)


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank values; ties get the mean of their ranks.

    Args:
        values: (n,).

    Returns:
        (n,) float64, from 1.
    """
    array = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Compute Spearman's rank correlation: Pearson's correlation of the ranks, which handles ties.

    Args:
        first: (n,).
        second: (n,).

    Returns:
        −1 to 1; NaN if undefined (fewer than 2 items, or all values of one side equal).

    Raises:
        ConfigurationError: The shapes differ, or a value is NaN.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ConfigurationError(f"two lists of one length are required, not shapes {a.shape} and {b.shape}")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ConfigurationError("NaN has no rank: remove the items that are not defined first")
    if len(a) < 2:
        return math.nan
    x, y = ranks(a) - (len(a) + 1) / 2, ranks(b) - (len(b) + 1) / 2
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(np.clip(x @ y / scale, -1.0, 1.0)) if scale > 0 else math.nan


def confidence_interval(rho: float, n: int) -> tuple[float, float]:
    """Compute the 95 % confidence interval of Spearman's ρ by Fisher's z-transform.

    The standard error of z is √((1 + ρ²/2) / (n − 3)) (Bonett & Wright 2000), accurate for |ρ| < .95. It assumes
    independent pairs; benchmarks repeat words, so the interval is somewhat too narrow.

    Args:
        rho: Spearman's ρ.
        n: Number of pairs, at least 5.

    Returns:
        Lower and upper bound; (ρ, ρ) if |ρ| = 1.

    Raises:
        ConfigurationError: `rho` or `n` is out of range.
    """
    if n < 5 or not -1 <= rho <= 1:
        raise ConfigurationError(f"ρ = {rho} over {n} pairs has no interval: −1 ≤ ρ ≤ 1 and 5 pairs are required")
    if abs(rho) == 1:
        return rho, rho
    width = 1.959963984540054 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - width), math.tanh(math.atanh(rho) + width)


def matched_auc(
    strata: list[NDArray[np.float64]], rng: np.random.Generator
) -> tuple[float, tuple[float, float], float]:
    """Compute the AUC of items against their matched controls.

    The AUC is the fraction of its controls that an item exceeds (ties count half), mean over strata; .5 is chance.

    Args:
        strata: In each, first the item, then its own controls (at least one).
        rng: Of bootstrap and permutations.

    Returns:
        The AUC; its 95 % interval (percentile bootstrap over strata, 2,000 draws); and a one-sided p (permutation of
        item and controls within each stratum, 9,999 draws).

    Raises:
        ConfigurationError: There is no stratum, or one without controls.
    """
    if not strata or any(len(stratum) < 2 for stratum in strata):
        raise ConfigurationError("each stratum needs an item and at least one control, and there must be a stratum")
    # After rounding, values that differ only by float32 arithmetic are equal.
    shares = [(ranks(np.round(stratum, 6)) - 1) / (len(stratum) - 1) for stratum in strata]
    wins = np.array([share[0] for share in shares])
    drawn = np.mean([share[rng.integers(0, len(share), 9_999)] for share in shares], axis=0)
    resampled = wins[rng.integers(0, len(wins), (2_000, len(wins)))].mean(axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(wins.mean()), (float(low), float(high)), float((1 + np.sum(drawn >= wins.mean() - 1e-12)) / 10_000)


def partial_mantel(
    square: NDArray[np.floating], first: NDArray[np.float64], second: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Correlate similarities with two kinds of distances (Spearman), by a partial Mantel test.

    Args:
        square: (n, n) symmetric similarities.
        first: (n(n−1)/2,) distances in the order of `np.triu_indices(n, 1)`.
        second: Distances like `first`.
        rng: Of the permutations.

    Returns:
        ρ of `square` with `first`; with `second`; with `first` controlling for `second`; and the one-sided p of the
        latter (a correlation at least as negative; 499 permutations of the items of `square`; Smouse, Long & Sokal
        1986). All four are NaN if one of the three is constant.
    """
    n = len(square)
    upper = np.triu_indices(n, 1)
    ranked = np.zeros((n, n))
    ranked[upper] = ranks(square[upper])
    ranked += ranked.T
    sides = np.stack([ranks(first), ranks(second)])
    sides -= sides.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(sides, axis=1)
    if not norms.all() or np.ptp(ranked[upper]) == 0:
        return math.nan, math.nan, math.nan, math.nan
    sides /= norms[:, None]
    between = float(sides[0] @ sides[1])

    def correlate(order: NDArray[np.int64]) -> tuple[float, float, float]:
        values = ranked[np.ix_(order, order)][upper]
        values = values - values.mean()
        a, b = sides @ values / np.linalg.norm(values)
        return float(a), float(b), float((a - b * between) / math.sqrt(max((1 - b * b) * (1 - between**2), 1e-12)))

    with_first, with_second, partial = correlate(np.arange(n))
    permuted = np.array([correlate(rng.permutation(n))[2] for _ in range(499)])
    return with_first, with_second, partial, float((1 + np.sum(permuted <= partial + 1e-12)) / 500)
