"""Validate ARPA language model files.

pocketsphinx reads such files in C without checking them: a file that is truncated, has wrong counts, or lacks the
history of an n-gram crashes the process. All of that is checked here, since a file may be damaged or untrusted.

    \\data\\
    ngram 1=3                      number of n-grams of each order listed below
    ngram 2=2

    \\1-grams:
    -99.000000  <s>   -0.301030    log10 of the probability, the words, log10 of the back-off weight
    -0.477121   yes   -0.301030
    -0.477121   </s>

    \\2-grams:
    -0.176091   <s> yes
    -0.176091   yes </s>

    \\end\\
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

START, END = "<s>", "</s>"
LONGEST_HISTORY = 4
NEVER = -99.0
"""log10 probability of what is never predicted, and the lowest value allowed in a file."""

_COUNT = re.compile(r"ngram ([1-9])=([0-9]{1,9})")
_LINE = re.compile(r"(-?[0-9]{1,2}\.[0-9]{6})\t([^\t]+)(?:\t(-?[0-9]{1,2}\.[0-9]{6}))?")


def check(text: str, words: Sequence[str]) -> None:
    """Check that a text is a complete and consistent ARPA file as `language_model` writes it.

    Args:
        text: Content of the file.
        words: All unigrams that it must list, besides `<s>` and `</s>`.

    Raises:
        ValueError: States the problem and its line.
    """
    lines = _Lines(text)
    lines.expect("\\data\\")
    counts = []
    while found := _COUNT.fullmatch(lines.next()):
        counts.append(int(found[2]))
        if int(found[1]) != len(counts) or len(counts) > LONGEST_HISTORY + 1:
            raise lines.error("an order that is not next")
    lines.back()
    shorter: set[str] = {""}
    for order, count in enumerate(counts, 1):
        lines.expect("")
        lines.expect(f"\\{order}-grams:")
        grams = set(_grams(lines, order, count, shorter, last=order == len(counts)))
        if len(grams) != count:
            raise lines.error("an n-gram that is listed twice above")
        if order == 1 and grams != {START, END, *words}:
            raise lines.error("unigrams above that are not the words of the model")
        shorter = grams
    lines.expect("")
    lines.expect("\\end\\")
    lines.expect("")
    if not counts or not lines.ended:
        raise lines.error("no n-gram, or text after the end")


def _grams(lines: _Lines, order: int, count: int, shorter: set[str], *, last: bool) -> Iterator[str]:
    """The words of each n-gram of one order; `shorter` are those of the order below."""
    for _ in range(count):
        found = _LINE.fullmatch(lines.next())
        if not found:
            raise lines.error("no n-gram")
        probability, gram, weight = found.groups()
        history, _, following = gram.rpartition(" ")
        if not (NEVER <= float(probability) <= 0) or (weight and not NEVER <= float(weight) <= 0):
            raise lines.error("a probability or back-off weight outside of 0 to 1")
        if gram.count(" ") != order - 1 or (weight and (last or following == END)):
            raise lines.error("an n-gram of another order, or a back-off weight where none can be")
        if history not in shorter or (order > 1 and gram.partition(" ")[2] not in shorter):
            raise lines.error("an n-gram whose shorter n-grams are not listed")
        if (order > 1 and following == START) or END in history.split(" "):
            raise lines.error("an n-gram across the end of a sentence")
        yield gram


class _Lines:
    """The lines of a text, one after the other."""

    def __init__(self, text: str) -> None:
        self._lines, self._position = text.split("\n"), 0

    def next(self) -> str:
        if self.ended:
            raise ValueError("it ends too early")
        self._position += 1
        return self._lines[self._position - 1]

    def back(self) -> None:
        self._position -= 1

    @property
    def ended(self) -> bool:
        return self._position == len(self._lines)

    def expect(self, line: str) -> None:
        if self.next() != line:
            raise self.error(f"not {line!r}")

    def error(self, problem: str) -> ValueError:
        return ValueError(f"line {self._position} of it has {problem}")
