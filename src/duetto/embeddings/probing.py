"""The reality check: do word vectors come from how words sound, or from what they mean?

    Vectors (and, if at hand, text vectors) ─ inspect ─▶ Inspection: evidence and a verdict in plain words

A speech encoder that sees nothing but the recording of a word must give homophones (`sea`, `see`) nearly one vector,
whatever it was trained for; vectors of written words need not. Chen ("A Reality Check", arXiv 2209.10791) examined
the released Speech2Vec vectors by that idea. Here a homophone pair is compared with control pairs that are spelt
just as much alike and are about as frequent, but do not sound the same, since subword text vectors know spelling.

Rules of the verdict (constants below):
- sound: at least 8 homophone pairs, their AUC ≥ .90 and p ≤ .01. With fewer pairs: the correlation of cosine with
  phone distance, spelling held constant, ≤ −.20 and p ≤ .01.
- no sound: at least 8 homophone pairs, their AUC ≤ .75 and its interval below .90. With fewer: that correlation
  above −.10, over 50 words or more.
- meaning: at least 8 pairs of related words, their AUC ≥ .65 and p ≤ .01; or pairwise cosines that agree with those of
  the text vectors by ρ ≥ .30 over 30 common words or more.
The verdict is `sound` where there is sound (meaning may be there too), `text` where there is no sound but meaning, and
`undecided` otherwise: random vectors, too few words, or evidence between the bounds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..asr.pronunciation import edit_distance, homophones, phone_distance, pronunciations
from ..errors import ConfigurationError
from .similarity import matched_auc, partial_mantel, spearman
from .vectors import Vectors

Verdict = Literal["sound", "text", "undecided"]

MIN_PAIRS = 8
SOUND_AUC, NO_SOUND_AUC, MEANING_AUC = 0.90, 0.75, 0.65
SOUND_CORRELATION, NO_SOUND_CORRELATION = -0.20, -0.10
MIN_CORRELATION_WORDS = 50
AGREEMENT, MIN_AGREEMENT_WORDS = 0.30, 30
SIGNIFICANT = 0.01

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
"""Common words related in meaning and unlike in sound (our own list), as a probe of meaning."""

_PROBES = ("happy", "sad", "angry", "good", "know", "night", "see", "mother")
_POOL = 40_000  # most frequent pronounced words from which pairs and controls are taken
_MAX_PAIRS = 300
_CONTROLS_A_SIDE = 5
_CORRELATION_WORDS = 160
_AGREEMENT_WORDS = 400
_MAP_WORDS = 300


@dataclass(frozen=True)
class PairTest:
    """Cosines of pairs of a kind against those of their matched controls.

    auc: chance that a pair's cosine is above that of one of its own controls (ties count half), the mean over pairs;
        .5 is no difference. ci95: percentile bootstrap over pairs.
    effect: difference of the mean cosines in units of the pooled standard deviation (Cohen's d; 0 where that is 0).
    p: one-sided permutation test of the AUC, each pair exchanged with its own controls.
    spelling, control_spelling: mean likeness in spelling (Dice index of letters and letter bigrams): do they match?
    examples: up to ten of the most frequent pairs and their cosine.
    """

    pairs: int
    controls: int
    auc: float
    ci95: tuple[float, float]
    effect: float
    p: float
    cosine: float
    control_cosine: float
    spelling: float
    control_spelling: float
    examples: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True)
class DistanceCorrelation:
    """Spearman correlation of cosine with distance in sound and in spelling over all pairs of a sample of words.

    phones, spelling: with the normalised edit distance of phones and of letters; negative: the nearer, the more alike.
    phones_partial: with phone distance, spelling distance held constant. p: one-sided Mantel test of it (the words of
    the cosines are permuted).
    """

    words: int
    pairs: int
    phones: float
    spelling: float
    phones_partial: float
    p: float


@dataclass(frozen=True)
class Agreement:
    """Representational similarity: Spearman's ρ of the pairwise cosines of common words in two sets of vectors."""

    words: int
    pairs: int
    rho: float


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found; a test is None where there were too few words for it.

    words, dimension: of the vectors; pronounced: words with a pronunciation in CMUdict.
    neighbours: word → its ten nearest and their cosines.
    map: (word, x, y) of the most frequent words on the first two principal components of the unit vectors;
    map_variance: share of the variance that each of the two carries.
    """

    words: int
    dimension: int
    pronounced: int
    homophones: PairTest | None
    meaning: PairTest | None
    distance: DistanceCorrelation | None
    agreement: Agreement | None
    neighbours: dict[str, list[tuple[str, float]]]
    map: tuple[tuple[str, float, float], ...]
    map_variance: tuple[float, float]
    verdict: Verdict
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields, nested, for a JSON file."""
        return asdict(self)


def inspect(
    vectors: Vectors, *, other: Vectors | None = None, words: Sequence[str] | None = None, seed: int = 0
) -> Inspection:
    """Examine word vectors; see the top of this module for the tests and the rules of the verdict.

    vectors: in order of frequency, as vector files are; frequency serves to match controls. other: vectors known to
    come from text. words: whose neighbours to list (a word without a vector is a `ModelError`); by default some
    common words. Each of the seed's random draws is its own, so that one test does not change another.
    """
    if isinstance(words, str):
        raise ConfigurationError(f"words must be a list of words, not the text {words!r}")
    listed = [word for word in _PROBES if word in vectors] if words is None else list(words)
    rows = [vectors.row(word) for word in listed]
    pool = _Pool([word for word in vectors.words if pronunciations(word)][:_POOL])
    sound = _pair_test(vectors, pool, _homophone_pairs(pool), np.random.default_rng([seed, 1]))
    related = [pair for pair in RELATED_WORDS if pair[0] in pool.index and pair[1] in pool.index]
    meaning = _pair_test(vectors, pool, related, np.random.default_rng([seed, 2]))
    distance = _distance_correlation(vectors, pool.words, np.random.default_rng([seed, 3]))
    agreement = None if other is None else _agreement(vectors, other, np.random.default_rng([seed, 4]))
    points, variance = _map(vectors, rows)
    verdict, reasons = _judge(sound, meaning, distance, agreement)
    return Inspection(
        words=len(vectors),
        dimension=vectors.dimension,
        pronounced=sum(bool(pronunciations(word)) for word in vectors.words),
        homophones=sound,
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
    """Pronounced words, the most frequent first, and how alike they are spelt."""

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

    def spelt_alike(self, row: int) -> NDArray[np.float64]:
        """(n,) Dice index of one word's letters and letter bigrams with those of every word."""
        shared = np.zeros(len(self.words))
        for gram in self.grams[row]:
            shared[self.rows[gram]] += 1
        return 2 * shared / (self.sizes + self.sizes[row])

    def controls(self, row: int, partner: int) -> tuple[list[int], NDArray[np.float64]]:
        """Words as alike to `row` in spelling as `partner` is, then nearest to `partner` in frequency."""
        alike = self.spelt_alike(row)
        gap = np.round(np.abs(alike - alike[partner]) / 0.02)
        frequency = np.abs(np.log((np.arange(len(alike)) + 1) / (partner + 1)))
        banned = {row, partner} | {same for phones in pronunciations(self.words[row]) for same in self.sounds[phones]}
        best = np.lexsort((frequency, gap))[: _CONTROLS_A_SIDE + len(banned)]
        chosen = [int(i) for i in best if int(i) not in banned][:_CONTROLS_A_SIDE]
        return chosen, alike[[partner, *chosen]]


def _homophone_pairs(pool: _Pool) -> list[tuple[str, str]]:
    """The most frequent pairs of different words (not spellings of one) whose main pronunciations agree."""
    pairs = [
        (a, b)
        for a, b in homophones(pool.words)
        if pronunciations(a)[0] == pronunciations(b)[0] and _skeleton(a) != _skeleton(b)
    ]
    return sorted(pairs, key=lambda pair: max(pool.index[pair[0]], pool.index[pair[1]]))[:_MAX_PAIRS]


def _skeleton(word: str) -> str:
    """Equal for inflections that differ by an apostrophe and for common British and American variants."""
    word = {"grey": "gray"}.get(word, word.replace("'", ""))
    for british, american in (("our", "or"), ("is", "iz"), ("ys", "yz"), ("ogue", "og"), ("ll", "l"), ("ence", "ense")):
        word = word.replace(british, american)
    return word[:-2] + "er" if word.endswith("re") else word


def _pair_test(
    vectors: Vectors, pool: _Pool, pairs: list[tuple[str, str]], rng: np.random.Generator
) -> PairTest | None:
    strata, likeness = [], []
    for a, b in pairs:
        cosines = [vectors.cosine(a, b)]
        for row, partner in ((pool.index[a], pool.index[b]), (pool.index[b], pool.index[a])):
            chosen, alike = pool.controls(row, partner)
            cosines += [vectors.cosine(pool.words[row], pool.words[i]) for i in chosen]
            likeness.append((alike[0], alike[1:].mean() if len(alike) > 1 else alike[0]))
        strata.append(np.array(cosines))
    # A pair without any control (tiny vocabulary) says nothing.
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
        spelling=float(np.mean([pair for pair, _ in likeness])),
        control_spelling=float(np.mean([control for _, control in likeness])),
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
    """The most frequent words and the given rows in the plane of largest variance; signs are fixed."""
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


def _judge(
    sound: PairTest | None,
    meaning: PairTest | None,
    distance: DistanceCorrelation | None,
    agreement: Agreement | None,
) -> tuple[Verdict, tuple[str, ...]]:
    heard, sound_reason = _judge_sound(sound, distance)
    meant, meaning_reasons = _judge_meaning(meaning, agreement)
    if heard:
        verdict: Verdict = "sound"
        summary = "the vectors follow how words sound" + (", and carry meaning as well" if meant else "")
    elif heard is False and meant:
        verdict, summary = "text", "the vectors follow meaning, with no sign that the words were heard"
    elif heard is False:
        verdict, summary = "undecided", "no sign that the words were heard, and none of meaning either"
    else:
        verdict, summary = "undecided", "the evidence on sound does not suffice"
    return verdict, (summary, sound_reason, *meaning_reasons)


def _judge_sound(sound: PairTest | None, distance: DistanceCorrelation | None) -> tuple[bool | None, str]:
    if sound is not None and sound.pairs >= MIN_PAIRS:
        text = (
            f"{sound.pairs} homophone pairs against controls spelt as much alike: AUC {sound.auc:.2f} "
            f"({sound.ci95[0]:.2f}–{sound.ci95[1]:.2f}), p {sound.p:.4f}, mean cosine {sound.cosine:.2f} "
            f"against {sound.control_cosine:.2f}"
        )
        if sound.auc >= SOUND_AUC and sound.p <= SIGNIFICANT:
            return True, text
        return (False if sound.auc <= NO_SOUND_AUC and sound.ci95[1] < SOUND_AUC else None), text
    few = f"only {sound.pairs if sound else 0} homophone pairs ({MIN_PAIRS} are required)"
    if distance is None:
        return None, f"{few}, and too few words with a known pronunciation to compare distances"
    text = (
        f"{few}; cosine and phone distance, spelling held constant: ρ {distance.phones_partial:.2f}, "
        f"p {distance.p:.3f}, over {distance.words} words"
    )
    if distance.phones_partial <= SOUND_CORRELATION and distance.p <= SIGNIFICANT:
        return True, text
    unlike = distance.phones_partial > NO_SOUND_CORRELATION and distance.words >= MIN_CORRELATION_WORDS
    return (False if unlike else None), text


def _judge_meaning(meaning: PairTest | None, agreement: Agreement | None) -> tuple[bool, list[str]]:
    found, reasons = False, []
    if meaning is not None:
        found = meaning.pairs >= MIN_PAIRS and meaning.auc >= MEANING_AUC and meaning.p <= SIGNIFICANT
        reasons.append(f"{meaning.pairs} pairs of related words: AUC {meaning.auc:.2f}, p {meaning.p:.4f}")
    if agreement is not None:
        found = found or (agreement.words >= MIN_AGREEMENT_WORDS and agreement.rho >= AGREEMENT)
        reasons.append(f"agreement with the text vectors: ρ {agreement.rho:.2f} over {agreement.words} common words")
    return found, reasons or ["no pair of related words to look for meaning in"]
