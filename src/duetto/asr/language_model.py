"""Language models: which word sequences the recogniser may expect.

    sentences ─ from_corpus ─▶ LanguageModel (n-gram)               ─▶ decoder
    vocabulary ─ word_loop ─▶ LanguageModel (any word at any time)  ─▶ decoder

Both are handed over as an ARPA file. (A word loop could also be a JSGF grammar; pocketsphinx searches its
lattice tens of times slower than real time, and gives no confidence without. A uniform unigram says the same.)

The recogniser's own model knows general English. Where the wording is known beforehand, a model that
follows it recognises far better: the n-gram where the order of words is known too, the loop where only
the words are. A model taken from the transcripts of test utterances has seen the answer: take it from
training transcripts.

The n-gram probabilities are smoothed by interpolation (Witten & Bell 1991, method C). With c(h w) the
count of word w after history h, c(h) that of the history, T(h) the number of different words after it:

    P(w | h) = (c(h w) + T(h) P(w | h')) / (c(h) + T(h)),      h' = h without its first word

and P(w | no history) the same over 1 / V, for V different words. The back-off weight of h, which an ARPA
file needs for words that were never seen after h, is then T(h) / (c(h) + T(h)).

Example:
    >>> LanguageModel.from_corpus(["we won the game", "we lost the game"]).words
    ('game', 'lost', 'the', 'we', 'won')
"""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final, get_args

from ..data.text import normalise
from ..errors import ConfigurationError, ModelError
from ..utils.reading import Record, shortened
from . import arpa
from .arpa import END, LONGEST_HISTORY, NEVER, START
from .pronunciation import guess, pronunciations
from .sphinx import create

LONGEST_WORD, MOST_LETTERS = 100, 1_000_000
"""Letters of a word, and of all words of a model together: pronouncing those that no dictionary has takes 0.15 ms a
letter."""

_WORD = re.compile(r"'?[a-z][a-z']*")

Kind = Literal["general", "ngram", "loop"]


@final
@dataclass(frozen=True, slots=True)
class LanguageModel:
    """What the recogniser expects to hear.

    kind: `general` (the English model in the wheel of pocketsphinx), `ngram`, or `loop`.
    words: every word it can recognise, sorted; empty for `general`.
    arpa: the text of its ARPA file; empty for `general`.
    """

    kind: Kind = "general"
    words: tuple[str, ...] = ()
    arpa: str = ""

    @classmethod
    def from_corpus(cls, sentences: Iterable[str | Sequence[str]], order: int = 3) -> LanguageModel:
        """An n-gram over sentences (texts, or lists of tokens as `data.text.normalise` gives them).

        order: words of a history plus one, 1–5. Sentences without a word are passed over.
        """
        if not 1 <= order <= LONGEST_HISTORY + 1:
            raise ConfigurationError(f"an n-gram of order {order} was asked for; give 1 to {LONGEST_HISTORY + 1}")
        tokens = [kept for sentence in sentences if (kept := _tokens(sentence))]
        words = tuple(sorted({word for sentence in tokens for word in sentence}))
        if not words:
            raise ConfigurationError("no sentence holds a word: a language model needs at least one")
        return cls("ngram", words, _arpa(tokens, len(words), order))

    @classmethod
    def word_loop(cls, vocabulary: Iterable[str]) -> LanguageModel:
        """Any word of the vocabulary at any time, all equally likely: for commands and fixed word lists."""
        words = tuple(sorted({token for entry in vocabulary for token in _tokens(entry)}))
        if not words:
            raise ConfigurationError("the vocabulary holds no word: a word loop needs at least one")
        return cls("loop", words, _arpa([words], len(words), 1))

    @classmethod
    def from_json(cls, record: Record) -> LanguageModel:
        """The model in a file, which pocketsphinx can load: see `arpa.check`.

        Args:
            record: With the fields of this class. What is wrong with it is an error of its class.
        """
        kind, words, text = record.text("kind"), record.texts("words"), record.text("arpa")
        if kind not in get_args(Kind):
            raise record.wrong(f"'kind' must be one of {', '.join(get_args(Kind))}, not {shortened(kind)}")
        if kind == "general" and not words and not text:
            return cls()
        odd = [word for word in words if not _WORD.fullmatch(word) or len(word) > LONGEST_WORD]
        if odd or not 0 < len(set(words)) == len(words) or sum(map(len, words)) > MOST_LETTERS or kind == "general":
            raise record.wrong(
                f"'words' must be different words of a to z and the apostrophe, of up to {LONGEST_WORD} letters, "
                f"{MOST_LETTERS:,} together; none of a general model" + (f", not {shortened(odd[0])}" if odd else "")
            )
        try:
            arpa.check(text, words)
        except ValueError as error:
            raise record.wrong(f"'arpa' is no ARPA language model: {error}") from error
        return cls(kind, words, text)

    @property
    def digest(self) -> str:
        """Names the content: equal models have equal digests."""
        return hashlib.sha256("\n".join((self.kind, *self.words, self.arpa)).encode()).hexdigest()[:16]

    def decoder(self) -> tuple[Any, tuple[str, ...]]:
        """A decoder that expects this, and the words whose pronunciation had to be guessed.

        Its dictionary holds the words of the model alone: with all of CMUdict the same takes 25 s to load.
        """
        if self.kind == "general":
            return create(), ()
        known = {word: pronunciations(word) for word in self.words}
        guessed = tuple(word for word in self.words if not known[word])
        entries = known | {word: (guess(word),) for word in guessed}
        lines = [
            f"{word}{f'({number})' if number > 1 else ''} {' '.join(phones)}\n"
            for word, variants in entries.items()
            for number, phones in enumerate(variants, 1)
        ]
        with tempfile.TemporaryDirectory(prefix="duetto-") as folder:
            model, dictionary = Path(folder) / "corpus.lm", Path(folder) / "corpus.dict"
            model.write_text(self.arpa, encoding="utf-8")
            dictionary.write_text("".join(lines), encoding="utf-8")
            try:
                return create(lm=str(model), dict=str(dictionary)), guessed
            except (RuntimeError, ValueError) as error:
                raise ModelError(
                    f"pocketsphinx can't load the language model ({error}); train or export again"
                ) from error


def _tokens(sentence: str | Sequence[str]) -> tuple[str, ...]:
    """The tokens of a sentence (a list holds tokens already), without what is too long to be spoken as one word."""
    tokens = normalise(sentence) if isinstance(sentence, str) else sentence
    return tuple(token for token in tokens if len(token) <= LONGEST_WORD)


def _arpa(sentences: Sequence[tuple[str, ...]], n_words: int, order: int) -> str:
    """The ARPA file (log10 probabilities and back-off weights) of sentences, with `<s>` and `</s>` around each."""
    counts: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        padded = (START, *sentence, END)
        for n in range(1, order + 1):
            counts[n - 1].update(padded[i : i + n] for i in range(len(padded) - n + 1))
    del counts[0][(START,)]  # it is never predicted, only a history
    probabilities: dict[tuple[str, ...], float] = {}
    lines = ["\\data\\"]
    lines += [f"ngram {n}={len(grams) + (n == 1)}" for n, grams in enumerate(counts, 1)]
    weights = _weights(counts)
    for n, grams in enumerate(counts, 1):
        lines += ["", f"\\{n}-grams:"]
        if n == 1:
            lines.append(_line(NEVER, (START,), weights))
        for gram, count in sorted(grams.items()):
            history, weight = weights[gram[:-1]]
            shorter = probabilities[gram[1:]] if n > 1 else 1 / (n_words + 1)
            probabilities[gram] = count / history * (1 - weight) + weight * shorter
            lines.append(_line(math.log10(probabilities[gram]), gram, weights))
    return "\n".join([*lines, "", "\\end\\", ""])


def _weights(counts: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], tuple[int, float]]:
    """Each history's count of words after it, c(h), and its back-off weight, T(h) / (c(h) + T(h))."""
    after: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for grams in counts:
        for gram, count in grams.items():
            after[gram[:-1]].append(count)
    return {history: (sum(seen), len(seen) / (sum(seen) + len(seen))) for history, seen in after.items()}


def _line(log10: float, gram: tuple[str, ...], weights: dict[tuple[str, ...], tuple[int, float]]) -> str:
    line = f"{log10:.6f}\t{' '.join(gram)}"
    return f"{line}\t{math.log10(weights[gram][1]):.6f}" if gram in weights else line
