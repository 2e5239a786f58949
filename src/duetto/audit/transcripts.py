"""Transcripts that are, verbatim or nearly, on both sides of a split.

Two transcripts are near-duplicates where the Jaccard index of their word sets, |A ∩ B| / |A ∪ B|, is at least 0.7.
They are found without comparing all pairs: with the words of every set ordered from the rarest to the most
frequent, two sets of index ≥ t share a word among the first |A| − ⌈t·|A|⌉ + 1 of each (prefix filtering: S. Chaudhuri,
V. Ganti and R. Kaushik, "A primitive operator for similarity joins in data cleaning", ICDE 2006; R. Bayardo, Y. Ma and
R. Srikant, "Scaling up all pairs similarity search", WWW 2007). So only sets that share a rare word are compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..data.text import tokens
from ..data.utterance import Utterance
from ..splits import Fold
from .findings import Finding, make_finding

NEAR = Fraction(7, 10)
"""Jaccard index from which two transcripts count as near-duplicates. A fraction: 0.7 · |A| must not round."""

FEWEST_WORDS = 5
"""Distinct words that a transcript needs before a near-duplicate of it means anything: everybody says "okay" and "I
don't know"."""


@dataclass(frozen=True)
class NearDuplicates:
    """Near-duplicates of queries in a pool.

    Attributes:
        nearest: Number of a query → number of its most similar set in the pool, for queries that have a near-duplicate.
        comparisons: Pairs of sets that were compared to find them.
    """

    nearest: dict[int, int]
    comparisons: int


def near_duplicates(
    queries: Sequence[frozenset[str]], pool: Sequence[frozenset[str]], threshold: Fraction = NEAR
) -> NearDuplicates:
    """Find for every query its most similar set of the pool.

    Args:
        queries: Sets of words. An empty set resembles none.
        pool: Sets of words; of equally similar ones, the first is found.
        threshold: Least Jaccard index, above 0.

    Returns:
        The near-duplicates.
    """
    first: dict[frozenset[str], int] = {}
    for number, words in enumerate(pool):
        first.setdefault(words, number)
    frequency = Counter(word for words in first for word in words)
    index: dict[str, list[frozenset[str]]] = defaultdict(list)
    for words in first:
        for word in _prefix(words, frequency, threshold):
            index[word].append(words)
    nearest: dict[int, int] = {}
    known: dict[frozenset[str], int | None] = {}
    comparisons = 0
    for number, words in enumerate(queries):
        if words not in known:
            candidates = {c for w in _prefix(words, frequency, threshold) for c in index.get(w, ())}
            candidates = {c for c in candidates if _sizes_allow(len(words), len(c), threshold)}
            comparisons += len(candidates)
            known[words] = _most_similar(words, candidates, first, threshold)
        if (match := known[words]) is not None:
            nearest[number] = match
    return NearDuplicates(nearest, comparisons)


def _sizes_allow(a: int, b: int, threshold: Fraction) -> bool:
    """Whether sets of a and b words can be near-duplicates at all; in whole numbers, which are fast and exact."""
    return min(a, b) * threshold.denominator >= max(a, b) * threshold.numerator


def _most_similar(
    words: frozenset[str],
    candidates: Iterable[frozenset[str]],
    first: Mapping[frozenset[str], int],
    threshold: Fraction,
) -> int | None:
    best: tuple[float, int] | None = None
    for candidate in candidates:
        shared = len(words & candidate)
        union = len(words) + len(candidate) - shared
        if shared * threshold.denominator >= union * threshold.numerator:
            place = (-shared / union, first[candidate])  # equal fractions give equal quotients
            best = place if best is None else min(best, place)
    return None if best is None else best[1]


def _prefix(words: frozenset[str], frequency: Counter[str], threshold: Fraction) -> list[str]:
    """The rarest words of a set, of which every near-duplicate has at least one."""
    ordered = sorted(words, key=lambda word: (frequency.get(word, 0), word))
    least = -(-len(words) * threshold.numerator // threshold.denominator)  # ⌈t·|A|⌉
    return ordered[: len(words) - least + 1] if words else []


Transcript = tuple[str, ...]
"""The tokens of an utterance."""


def check(fold: Fold) -> Iterator[Finding]:
    """Find transcripts of test data that training or development data hold too.

    Args:
        fold: The fold.

    Yields:
        The findings.
    """
    pool, test = _transcribed((*fold.train, *fold.development)), _transcribed(fold.test)
    yield from _verbatim(fold.name, test, pool)
    yield from _near(fold.name, [(u, words) for u, words in test if len(set(words)) >= FEWEST_WORDS], pool)


def _transcribed(utterances: Iterable[Utterance]) -> list[tuple[Utterance, Transcript]]:
    """The utterances that have words, with these."""
    return [(utterance, words) for utterance in utterances if (words := tuple(tokens(utterance)))]


def _verbatim(
    fold: str, test: Sequence[tuple[Utterance, Transcript]], pool: Sequence[tuple[Utterance, Transcript]]
) -> Iterator[Finding]:
    first: dict[tuple[str, ...], str] = {}
    for utterance, words in pool:
        first.setdefault(words, utterance.id)
    pairs = [(u.id, first[words]) for u, words in test if words in first]
    if not pairs:
        return
    short = sum(words in first and len(set(words)) < FEWEST_WORDS for _, words in test)
    yield make_finding(
        "same-transcript",
        fold,
        f"{share(len(pairs), len(test))} have word for word the transcript of a training or development "
        f"utterance, {short} of them with fewer than {FEWEST_WORDS} different words",
        utterances=len(pairs),
        of=len(test),
        share=round(len(pairs) / len(test), 4),
        short=short,
        examples=[a for a, _ in pairs],
        twins=[b for _, b in pairs],
    )


def _near(
    fold: str, test: Sequence[tuple[Utterance, Transcript]], pool: Sequence[tuple[Utterance, Transcript]]
) -> Iterator[Finding]:
    nearest = near_duplicates([frozenset(s) for _, s in test], [frozenset(s) for _, s in pool]).nearest
    if not nearest:
        return
    # Examples that are not verbatim come first: `_verbatim` reports the others.
    transcripts = {words for _, words in pool}
    pairs = sorted(nearest.items(), key=lambda pair: test[pair[0]][1] in transcripts)
    verbatim = sum(test[number][1] in transcripts for number in nearest)
    yield make_finding(
        "near-transcript",
        fold,
        f"{share(len(pairs), len(test))} with {FEWEST_WORDS} or more different words have a near-duplicate among "
        f"training and development transcripts (Jaccard index of the word sets ≥ {float(NEAR):g}), {verbatim} of them "
        "verbatim",
        utterances=len(pairs),
        of=len(test),
        share=round(len(pairs) / len(test), 4),
        verbatim=verbatim,
        examples=[test[a][0].id for a, _ in pairs],
        twins=[pool[b][0].id for _, b in pairs],
    )


def share(part: int, whole: int) -> str:
    """Format a share of the test data: `264 of 1,241 test utterances (21.3 %)`.

    Args:
        part: Number of utterances.
        whole: Number of all test utterances.

    Returns:
        The text.
    """
    return f"{part:,} of {whole:,} test utterances ({100 * part / whole:.1f} %)"
