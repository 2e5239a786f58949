"""Language models: which word sequences the recogniser expects.

    sentences ─ from_corpus ─▶ LanguageModel (n-gram)               ─▶ decoder
    vocabulary ─ word_loop ─▶ LanguageModel (any word at any time)  ─▶ decoder

Both are passed to pocketsphinx as ARPA files. (A word loop could also be a JSGF grammar, but pocketsphinx searches its
lattice tens of times slower than real time, and gives no confidence without. A uniform unigram is equivalent.)

The recogniser's own model covers general English. Where the wording is known in advance, a matching model recognises
far better: the n-gram if word order is known too, the loop if only the words are. A model built from the transcripts of
test utterances leaks the answer: use training transcripts.

The n-gram probabilities are smoothed by interpolation (Witten & Bell 1991, method C). With c(h w) the count of word w
after history h, c(h) that of the history, and T(h) the number of distinct words after it:

    P(w | h) = (c(h w) + T(h) P(w | h')) / (c(h) + T(h)),      h' = h without its first word

and P(w | no history) is the same over 1 / V, for V distinct words. The back-off weight of h, which an ARPA file needs
for words never seen after h, is then T(h) / (c(h) + T(h)).

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
from .letter_to_sound import LONGEST_WORD, guess
from .pronunciation import pronunciations
from .sphinx import create_decoder

MOST_LETTERS = 1_000_000
"""Letters of all words of a model together: guessing the pronunciation of unknown words takes 0.15 ms a letter."""

_WORD = re.compile(r"'?[a-z][a-z']*")

LanguageModelType = Literal["general", "ngram", "loop"]


@final
@dataclass(frozen=True, slots=True)
class LanguageModel:
    """The language model of a recogniser.

    Attributes:
        kind: `general` (the English model of the pocketsphinx wheel), `ngram`, or `loop`.
        words: All words that can be recognised, sorted; empty for `general`.
        arpa: Content of the ARPA file; empty for `general`.
    """

    kind: LanguageModelType = "general"
    words: tuple[str, ...] = ()
    arpa: str = ""

    @classmethod
    def from_corpus(cls, sentences: Iterable[str | Sequence[str]], order: int = 3) -> LanguageModel:
        """Estimate an n-gram model.

        Args:
            sentences: Texts, or token lists as `data.text.normalise` returns them; those without words are ignored.
            order: Length of the n-grams, 1–5.

        Returns:
            The model.

        Raises:
            ConfigurationError: `order` is out of range, or there is no word.
        """
        if not 1 <= order <= LONGEST_HISTORY + 1:
            raise ConfigurationError(f"an n-gram of order {order} is not valid; give 1 to {LONGEST_HISTORY + 1}")
        token_lists = [tokens for sentence in sentences if (tokens := _tokens(sentence))]
        words = tuple(sorted({word for tokens in token_lists for word in tokens}))
        if not words:
            raise ConfigurationError("no sentence holds a word: a language model needs at least one")
        return cls("ngram", words, _arpa(token_lists, len(words), order))

    @classmethod
    def word_loop(cls, vocabulary: Iterable[str]) -> LanguageModel:
        """Allow any word of a vocabulary at any time, all equally likely: for commands and fixed word lists.

        Args:
            vocabulary: The words; each is normalised.

        Returns:
            The model.

        Raises:
            ConfigurationError: There is no word.
        """
        words = tuple(sorted({token for entry in vocabulary for token in _tokens(entry)}))
        if not words:
            raise ConfigurationError("the vocabulary holds no word: a word loop needs at least one")
        return cls("loop", words, _arpa([words], len(words), 1))

    @classmethod
    def from_json(cls, record: Record) -> LanguageModel:
        """Read a model from a JSON object and validate it, so that pocketsphinx can load it (`arpa.check`).

        Args:
            record: With the fields of this class.

        Returns:
            The model.

        Raises:
            DuettoError: The record is not valid; the error class is that of `record`.
        """
        kind, words, text = record.text("kind"), record.texts("words"), record.text("arpa")
        if kind not in get_args(LanguageModelType):
            raise record.wrong(f"'kind' must be one of {', '.join(get_args(LanguageModelType))}, not {shortened(kind)}")
        if kind == "general" and not words and not text:
            return cls()
        invalid = [word for word in words if not _WORD.fullmatch(word) or len(word) > LONGEST_WORD]
        if invalid or not 0 < len(set(words)) == len(words) or sum(map(len, words)) > MOST_LETTERS or kind == "general":
            raise record.wrong(
                f"'words' must be different words of a to z and the apostrophe, of up to {LONGEST_WORD} letters, "
                f"{MOST_LETTERS:,} together; none of a general model"
                + (f", not {shortened(invalid[0])}" if invalid else "")
            )
        try:
            arpa.check(text, words)
        except ValueError as error:
            raise record.wrong(f"'arpa' is no ARPA language model: {error}") from error
        return cls(kind, words, text)

    @property
    def digest(self) -> str:
        """Hash of the content, 16 hexadecimal digits: equal models have equal digests."""
        return hashlib.sha256("\n".join((self.kind, *self.words, self.arpa)).encode()).hexdigest()[:16]

    def decoder(self) -> tuple[Any, tuple[str, ...]]:
        """Create a pocketsphinx decoder with this model.

        Its dictionary contains the words of the model only: loading all of CMUdict as well would take 25 s.

        Returns:
            The decoder, and the words whose pronunciation was guessed.

        Raises:
            ModelError: pocketsphinx cannot load the model.
        """
        if self.kind == "general":
            return create_decoder(), ()
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
                return create_decoder(lm=str(model), dict=str(dictionary)), guessed
            except (RuntimeError, ValueError) as error:
                raise ModelError(
                    f"pocketsphinx can't load the language model ({error}); train or export again"
                ) from error


def _tokens(sentence: str | Sequence[str]) -> tuple[str, ...]:
    """The tokens of a sentence (a list holds tokens already) that are short enough to be words."""
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
