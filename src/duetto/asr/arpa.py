"""Is a text the ARPA file of a language model, whole and consistent?

pocketsphinx reads such files in C and believes them: one that was cut off, that counts wrong, or that lacks the history
of an n-gram ends the process. So all of that is checked here, for a file may have been damaged or come from anybody.

    \\data\\
    ngram 1=3                      as many n-grams of each order as are listed below
    ngram 2=2

    \\1-grams:
    -99.000000  <s>   -0.301030    log10 of a probability, the words, log10 of the back-off weight
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
"""log10 of the probability of what is never predicted, and the least that may stand in a file."""

_COUNT = re.compile(r"ngram ([1-9])=([0-9]{1,9})")
_LINE = re.compile(r"(-?[0-9]{1,2}\.[0-9]{6})\t([^\t]+)(?:\t(-?[0-9]{1,2}\.[0-9]{6}))?")


def check(text: str, words: Sequence[str]) -> None:
    """Nothing, for an ARPA file as `language` writes it, whose words are `words`, `<s>` and `</s>`.

    Raises:
        ValueError: What is wrong with it, and in which line.
    """
    lines = _Lines(text)
    lines.expect("\\data\\")
    counts = []
    while found := _COUNT.fullmatch(lines.next()):
        counts.append(int(found[2]))
        if int(found[1]) != len(counts) or len(counts) > LONGEST_HISTORY + 1:
            raise lines.wrong("an order that is not next")
    lines.back()
    shorter: set[str] = {""}
    for order, count in enumerate(counts, 1):
        lines.expect("")
        lines.expect(f"\\{order}-grams:")
        grams = set(_grams(lines, order, count, shorter, last=order == len(counts)))
        if len(grams) != count:
            raise lines.wrong("an n-gram that is listed twice above")
        if order == 1 and grams != {START, END, *words}:
            raise lines.wrong("other words above than the model is said to have")
        shorter = grams
    lines.expect("")
    lines.expect("\\end\\")
    lines.expect("")
    if not counts or not lines.ended:
        raise lines.wrong("no n-gram, or a text that goes on")


def _grams(lines: _Lines, order: int, count: int, shorter: set[str], *, last: bool) -> Iterator[str]:
    """The words of each n-gram of one order; `shorter` are those of the order below."""
    for _ in range(count):
        found = _LINE.fullmatch(lines.next())
        if not found:
            raise lines.wrong("no n-gram")
        probability, gram, weight = found.groups()
        history, _, following = gram.rpartition(" ")
        if not (NEVER <= float(probability) <= 0) or (weight and not NEVER <= float(weight) <= 0):
            raise lines.wrong("a probability or back-off weight outside of 0 to 1")
        if gram.count(" ") != order - 1 or (weight and (last or following == END)):
            raise lines.wrong("an n-gram of another order, or a back-off weight where none can be")
        if history not in shorter or (order > 1 and gram.partition(" ")[2] not in shorter):
            raise lines.wrong("an n-gram whose shorter n-grams are not listed")
        if (order > 1 and following == START) or END in history.split(" "):
            raise lines.wrong("an n-gram across the end of a sentence")
        yield gram


class _Lines:
    """The lines of a text, one after the other."""

    def __init__(self, text: str) -> None:
        self._lines, self._at = text.split("\n"), 0

    def next(self) -> str:
        if self.ended:
            raise ValueError("it ends too early")
        self._at += 1
        return self._lines[self._at - 1]

    def back(self) -> None:
        self._at -= 1

    @property
    def ended(self) -> bool:
        return self._at == len(self._lines)

    def expect(self, line: str) -> None:
        if self.next() != line:
            raise self.wrong(f"not {line!r}")

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"line {self._at} of it has {what}")
