"""What probing finds out about word vectors: the evidence, and a verdict by fixed rules.

    PairTest, DistanceCorrelation, Agreement ─ judge ─▶ verdict, reasons

- sound: at least 8 homophone pairs, their AUC ≥ .90 and p ≤ .01. With fewer pairs: the correlation of cosine and phone
  distance, controlling for spelling, ≤ −.20 and p ≤ .01.
- no sound: at least 8 homophone pairs, their AUC ≤ .75 and its interval below .90. With fewer: that correlation above
  −.10, over 50 words or more.
- meaning: at least 8 pairs of related words, their AUC ≥ .65 and p ≤ .01; or pairwise cosines that agree with those of
  text vectors by ρ ≥ .30 over 30 common words or more.

The verdict is `sound` if there is sound (with or without meaning), `text` if there is no sound but meaning, and
`undecided` otherwise: random vectors, too few words, or evidence between the bounds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["sound", "text", "undecided"]

MIN_PAIRS = 8
SOUND_AUC, NO_SOUND_AUC, MEANING_AUC = 0.90, 0.75, 0.65
SOUND_CORRELATION, NO_SOUND_CORRELATION = -0.20, -0.10
MIN_CORRELATION_WORDS = 50
AGREEMENT, MIN_AGREEMENT_WORDS = 0.30, 30
SIGNIFICANT = 0.01


@dataclass(frozen=True)
class PairTest:
    """Cosines of pairs of a kind against those of their matched controls.

    Attributes:
        pairs: Number of pairs.
        controls: Number of control pairs.
        auc: Probability that a pair's cosine exceeds that of one of its own controls (ties count half), mean over
            pairs; .5 is no difference.
        ci95: Percentile bootstrap over pairs.
        effect: Difference of the mean cosines in units of the pooled standard deviation (Cohen's d; 0 if that is 0).
        p: One-sided permutation test of the AUC, each pair exchanged with its own controls.
        cosine: Mean of the pairs.
        control_cosine: Mean of the controls.
        spelling: Mean spelling similarity of the pairs (Dice index of letters and letter bigrams).
        control_spelling: The same of the controls, which should match.
        examples: Up to ten of the most frequent pairs and their cosine.
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
    """Spearman correlation of cosine with phone and spelling distance over all pairs of a sample of words.

    Attributes:
        words: Size of the sample.
        pairs: Number of pairs.
        phones: With the normalised edit distance of phones; negative: similar sound, similar vectors.
        spelling: With the normalised edit distance of letters.
        phones_partial: With phone distance, controlling for spelling distance.
        p: One-sided Mantel test of `phones_partial` (the words of the cosines are permuted).
    """

    words: int
    pairs: int
    phones: float
    spelling: float
    phones_partial: float
    p: float


@dataclass(frozen=True)
class Agreement:
    """Representational similarity analysis: the pairwise cosines of common words in two sets of vectors.

    Attributes:
        words: Number of common words.
        pairs: Number of pairs.
        rho: Spearman's ρ.
    """

    words: int
    pairs: int
    rho: float


@dataclass(frozen=True)
class Inspection:
    """Everything that `probing.inspect` found; a test is None if there were too few words for it.

    Attributes:
        words: Number of vectors.
        dimension: Of the vectors.
        pronounced: Words with a pronunciation in CMUdict.
        homophones: Test of homophone pairs.
        meaning: Test of pairs of related words.
        distance: Correlation with phone and spelling distance.
        agreement: With text vectors, if any were given.
        neighbours: Word → its ten nearest and their cosines.
        map: (word, x, y) of the most frequent words on the first two principal components of the unit vectors.
        map_variance: Fraction of the variance that each of the two explains.
        verdict: See the module docstring.
        reasons: The evidence in sentences, the conclusion first.
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
        """Convert to a JSON object.

        Returns:
            All fields, nested.
        """
        return asdict(self)


def judge(
    homophones: PairTest | None,
    meaning: PairTest | None,
    distance: DistanceCorrelation | None,
    agreement: Agreement | None,
) -> tuple[Verdict, tuple[str, ...]]:
    """Reach a verdict by the rules of this module.

    Args:
        homophones: Test of homophone pairs.
        meaning: Test of pairs of related words.
        distance: Correlation with phone and spelling distance.
        agreement: With text vectors.

    Returns:
        The verdict and its reasons, the conclusion first.
    """
    has_sound, sound_reason = _judge_sound(homophones, distance)
    has_meaning, meaning_reasons = _judge_meaning(meaning, agreement)
    if has_sound:
        verdict: Verdict = "sound"
        summary = "the vectors follow how words sound" + (", and carry meaning as well" if has_meaning else "")
    elif has_sound is False and has_meaning:
        verdict, summary = "text", "the vectors follow meaning, with no sign that they come from sound"
    elif has_sound is False:
        verdict, summary = "undecided", "no sign that the vectors come from sound, and none of meaning either"
    else:
        verdict, summary = "undecided", "the evidence on sound does not suffice"
    return verdict, (summary, sound_reason, *meaning_reasons)


def _judge_sound(homophones: PairTest | None, distance: DistanceCorrelation | None) -> tuple[bool | None, str]:
    """Whether there is sound, or None if that is open, and why."""
    if homophones is not None and homophones.pairs >= MIN_PAIRS:
        auc, (low, high) = homophones.auc, homophones.ci95
        text = (
            f"{homophones.pairs} homophone pairs against controls of equally similar spelling: AUC {auc:.2f} "
            f"({low:.2f}–{high:.2f}), p {homophones.p:.4f}, mean cosine {homophones.cosine:.2f} "
            f"against {homophones.control_cosine:.2f}"
        )
        if auc >= SOUND_AUC and homophones.p <= SIGNIFICANT:
            return True, text
        return (False if auc <= NO_SOUND_AUC and high < SOUND_AUC else None), text
    few = f"only {homophones.pairs if homophones else 0} homophone pairs ({MIN_PAIRS} are required)"
    if distance is None:
        return None, f"{few}, and too few words with a known pronunciation to compare distances"
    text = (
        f"{few}; cosine and phone distance, controlling for spelling: ρ {distance.phones_partial:.2f}, "
        f"p {distance.p:.3f}, over {distance.words} words"
    )
    if distance.phones_partial <= SOUND_CORRELATION and distance.p <= SIGNIFICANT:
        return True, text
    unrelated = distance.phones_partial > NO_SOUND_CORRELATION and distance.words >= MIN_CORRELATION_WORDS
    return (False if unrelated else None), text


def _judge_meaning(meaning: PairTest | None, agreement: Agreement | None) -> tuple[bool, list[str]]:
    """Whether there is meaning, and why."""
    found, reasons = False, []
    if meaning is not None:
        found = meaning.pairs >= MIN_PAIRS and meaning.auc >= MEANING_AUC and meaning.p <= SIGNIFICANT
        reasons.append(f"{meaning.pairs} pairs of related words: AUC {meaning.auc:.2f}, p {meaning.p:.4f}")
    if agreement is not None:
        found = found or (agreement.words >= MIN_AGREEMENT_WORDS and agreement.rho >= AGREEMENT)
        reasons.append(f"agreement with the text vectors: ρ {agreement.rho:.2f} over {agreement.words} common words")
    return found, reasons or ["no pair of related words to look for meaning in"]
