"""Probe word vectors: do they encode how words sound, or what they mean?

    Vectors (and text vectors, if available) ─ inspect ─▶ Inspection: evidence and a verdict

A speech encoder that sees only the recording of a word must give homophones (`sea`, `see`) nearly the same vector,
whatever it was trained for; vectors of written words need not. Chen ("A Reality Check", arXiv 2209.10791) examined the
released Speech2Vec vectors by that idea. Here each homophone pair is compared with control pairs of equally similar
spelling and frequency that do not sound the same, since subword text vectors encode spelling.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..asr.pronunciation import edit_distance, homophones, phone_distance, pronunciations
from ..errors import ConfigurationError
from .inspection import Agreement, DistanceCorrelation, Inspection, PairTest, judge
from .similarity import matched_auc, partial_mantel, spearman
from .vectors import Vectors

RELATED_WORDS: tuple[tuple[str, str], ...] = tuple(
    (first, second)
    for line in (
        "king-queen man-woman boy-girl husband-wife brother-sister mother-father son-daughter uncle-aunt cat-dog",
        "horse-cow day-night morning-evening summer-winter monday-friday january-march red-blue black-white",
        "green-yellow big-small good-bad happy-sad angry-afraid hot-cold rich-poor young-old love-hate war-peace",
        "life-death doctor-nurse teacher-student soldier-officer church-priest school-college river-lake sea-ocean",
        "mountain-hill tree-forest flower-garden sun-moon rain-snow wind-storm fire-smoke bread-butter coffee-tea",
        "wine-beer meat-fish apple-orange table-chair door-window house-room street-road city-town ship-boat",
        "car-train gun-knife head-face hand-arm eye-nose foot-leg north-south east-west left-right seven-eight",
        "hundred-thousand always-never question-answer money-bank judge-court paper-book music-song walk-run",
        "eat-drink buy-sell laugh-cry speak-listen gold-silver iron-steel england-france",
    )
    for first, _, second in (pair.partition("-") for pair in line.split())
)
"""Common words that are related in meaning but not in sound (our own list), to probe for meaning."""

_PROBES = ("happy", "sad", "angry", "good", "know", "night", "see", "mother")
_POOL = 40_000  # most frequent words in the dictionary, from which pairs and controls are taken
_MAX_PAIRS = 300
_CONTROLS_A_SIDE = 5
_CORRELATION_WORDS = 160
_AGREEMENT_WORDS = 400
_MAP_WORDS = 300


def inspect(
    vectors: Vectors, *, other: Vectors | None = None, words: Sequence[str] | None = None, seed: int = 0
) -> Inspection:
    """Examine word vectors; `inspection` states the rules of the verdict.

    Args:
        vectors: In order of frequency, as vector files are: controls are matched by frequency.
        other: Vectors that are known to come from text.
        words: To list the neighbours of; by default some common words.
        seed: Of the random draws; each test has a stream of its own, so that one does not change another.

    Returns:
        The evidence and the verdict.

    Raises:
        ConfigurationError: `words` is a text instead of a list.
        ModelError: One of `words` has no vector.
    """
    if isinstance(words, str):
        raise ConfigurationError(f"words must be a list of words, not the text {words!r}")
    listed = [word for word in _PROBES if word in vectors] if words is None else list(words)
    rows = [vectors.row(word) for word in listed]
    pool = _Pool([word for word in vectors.words if pronunciations(word)][:_POOL])
    same_sound = _pair_test(vectors, pool, _homophone_pairs(pool), np.random.default_rng([seed, 1]))
    related = [pair for pair in RELATED_WORDS if pair[0] in pool.index and pair[1] in pool.index]
    meaning = _pair_test(vectors, pool, related, np.random.default_rng([seed, 2]))
    distance = _distance_correlation(vectors, pool.words, np.random.default_rng([seed, 3]))
    agreement = None if other is None else _agreement(vectors, other, np.random.default_rng([seed, 4]))
    points, variance = _map(vectors, rows)
    verdict, reasons = judge(same_sound, meaning, distance, agreement)
    return Inspection(
        words=len(vectors),
        dimension=vectors.dimension,
        pronounced=sum(bool(pronunciations(word)) for word in vectors.words),
        homophones=same_sound,
        meaning=meaning,
        distance=distance,
        agreement=agreement,
        neighbours={word: vectors.nearest(word) for word in listed},
        map=points,
        map_variance=variance,
        verdict=verdict,
        reasons=reasons,
    )


class _Pool:
    """Words of the dictionary, the most frequent first, and the similarity of their spelling."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.index = {word: row for row, word in enumerate(words)}
        self.grams = [{*word, *(f"<{word}>"[i : i + 2] for i in range(len(word) + 1))} for word in words]
        self.sizes = np.array([len(grams) for grams in self.grams], dtype=np.float64)
        rows: defaultdict[str, list[int]] = defaultdict(list)
        self.sounds: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for row, (word, grams) in enumerate(zip(words, self.grams, strict=True)):
            for gram in grams:
                rows[gram].append(row)
            for phones in pronunciations(word):
                self.sounds[phones].append(row)
        self.rows = {gram: np.array(found) for gram, found in rows.items()}

    def spelling_similarity(self, row: int) -> NDArray[np.float64]:
        """(n,) Dice index of one word's letters and letter bigrams with those of every word."""
        shared = np.zeros(len(self.words))
        for gram in self.grams[row]:
            shared[self.rows[gram]] += 1
        return 2 * shared / (self.sizes + self.sizes[row])

    def controls(self, row: int, partner: int) -> tuple[list[int], NDArray[np.float64]]:
        """Words as similar to `row` in spelling as `partner` is, then nearest to `partner` in frequency.

        Returns them, and the spelling similarities to `row` of `partner` and of each.
        """
        similarity = self.spelling_similarity(row)
        gap = np.round(np.abs(similarity - similarity[partner]) / 0.02)
        frequency = np.abs(np.log((np.arange(len(similarity)) + 1) / (partner + 1)))
        excluded = {row, partner} | {same for phones in pronunciations(self.words[row]) for same in self.sounds[phones]}
        best = np.lexsort((frequency, gap))[: _CONTROLS_A_SIDE + len(excluded)]
        chosen = [int(i) for i in best if int(i) not in excluded][:_CONTROLS_A_SIDE]
        return chosen, similarity[[partner, *chosen]]


def _homophone_pairs(pool: _Pool) -> list[tuple[str, str]]:
    """The most frequent pairs of different words (not variant spellings of one) with the same main pronunciation."""
    pairs = [
        (a, b)
        for a, b in homophones(pool.words)
        if pronunciations(a)[0] == pronunciations(b)[0] and _skeleton(a) != _skeleton(b)
    ]
    return sorted(pairs, key=lambda pair: max(pool.index[pair[0]], pool.index[pair[1]]))[:_MAX_PAIRS]


def _skeleton(word: str) -> str:
    """A key that is equal for inflections that differ by an apostrophe and for British and American variants."""
    word = {"grey": "gray"}.get(word, word.replace("'", ""))
    for british, american in (("our", "or"), ("is", "iz"), ("ys", "yz"), ("ogue", "og"), ("ll", "l"), ("ence", "ense")):
        word = word.replace(british, american)
    return word[:-2] + "er" if word.endswith("re") else word


def _pair_test(
    vectors: Vectors, pool: _Pool, pairs: list[tuple[str, str]], rng: np.random.Generator
) -> PairTest | None:
    """Test cosines of pairs against matched controls; None if no pair has any (a tiny vocabulary)."""
    strata, similarity = [], []
    for a, b in pairs:
        cosines = [vectors.cosine(a, b)]
        for row, partner in ((pool.index[a], pool.index[b]), (pool.index[b], pool.index[a])):
            chosen, spelling = pool.controls(row, partner)
            cosines += [vectors.cosine(pool.words[row], pool.words[i]) for i in chosen]
            similarity.append((spelling[0], spelling[1:].mean() if len(spelling) > 1 else spelling[0]))
        strata.append(np.array(cosines))
    used = [stratum for stratum in strata if len(stratum) > 1]
    if not used:
        return None
    auc, ci95, p = matched_auc(used, rng)
    own, control = np.array([s[0] for s in used]), np.concatenate([s[1:] for s in used])
    spread = math.sqrt((own.var() + control.var()) / 2)
    return PairTest(
        pairs=len(used),
        controls=len(control),
        auc=auc,
        ci95=ci95,
        effect=float((own.mean() - control.mean()) / spread) if spread > 0 else 0.0,
        p=p,
        cosine=float(own.mean()),
        control_cosine=float(control.mean()),
        spelling=float(np.mean([pair for pair, _ in similarity])),
        control_spelling=float(np.mean([control for _, control in similarity])),
        examples=tuple((a, b, float(s[0])) for (a, b), s in zip(pairs[:10], strata, strict=False)),
    )


def _distance_correlation(vectors: Vectors, words: list[str], rng: np.random.Generator) -> DistanceCorrelation | None:
    if len(words) < 10:
        return None
    chosen = [words[i] for i in np.sort(rng.permutation(len(words))[:_CORRELATION_WORDS])]
    pairs = list(combinations(chosen, 2))
    phones = np.array([phone_distance(pronunciations(a)[0], pronunciations(b)[0]) for a, b in pairs])
    spelling = np.array([edit_distance(a, b) / max(len(a), len(b)) for a, b in pairs])
    unit = vectors.unit[[vectors.row(word) for word in chosen]]
    by_phones, by_spelling, partial, p = partial_mantel(np.round(unit @ unit.T, 6), phones, spelling, rng)
    if math.isnan(partial):  # all cosines, or all distances, are equal
        return None
    return DistanceCorrelation(len(chosen), len(pairs), by_phones, by_spelling, partial, p)


def _agreement(vectors: Vectors, other: Vectors, rng: np.random.Generator) -> Agreement | None:
    common = [word for word in vectors.words if word in other]
    chosen = [common[i] for i in np.sort(rng.permutation(len(common))[:_AGREEMENT_WORDS])]
    upper = np.triu_indices(len(chosen), 1)
    sides = []
    for side in (vectors, other):
        unit = side.unit[[side.row(word) for word in chosen]]
        sides.append((unit @ unit.T)[upper])
    rho = spearman(*sides)
    return None if math.isnan(rho) else Agreement(len(chosen), len(sides[0]), rho)


def _map(vectors: Vectors, rows: list[int]) -> tuple[tuple[tuple[str, float, float], ...], tuple[float, float]]:
    """The most frequent words and the given rows, projected on their first two principal components.

    Also the fraction of variance of each. The sign of a component makes its largest coefficient positive.
    """
    shown = list(dict.fromkeys([*rows, *range(min(_MAP_WORDS, len(vectors)))]))
    centred = vectors.unit[shown].astype(np.float64)
    centred -= centred.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((2, vectors.dimension))
    plane[: len(directions[:2])] = directions[:2]
    largest = np.abs(plane).argmax(axis=1)
    plane *= np.where(plane[[0, 1], largest] < 0, -1.0, 1.0)[:, None]
    points = centred @ plane.T
    shares = np.append(values**2, [0.0, 0.0])[:2] / max(float((values**2).sum()), 1e-30)
    named = tuple((vectors.words[row], float(x), float(y)) for row, (x, y) in zip(shown, points, strict=True))
    return named, (float(shares[0]), float(shares[1]))
