"""Readers of alignment files: the times of words → `Word`s in order, lower-cased, in seconds.

    .wdseg     (Sphinx-3; IEMOCAP)                          ─┐
    .TextGrid  (Praat, Montreal Forced Aligner)              ├─▶ tuple[Word, ...]
    .ctm       (NIST, Kaldi, NeMo; many utterances a file)   │
    .alignment.txt (condensed; LibriSpeech, many utterances) ─┘

Silences and noises are left out. Words are in order of time and do not overlap: an overlap of up to `TOLERANCE` is
taken as rounding and kept, a longer one is an error, as are negative times and words that end before they start.
Every error names file and line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ..data.utterance import Word
from ..errors import CorpusError
from ..utils.reading import shortened
from .parsing import Problem, Report, read_lines, read_text

WDSEG_RATE = 100
"""Frames per second of Sphinx-3."""

TOLERANCE = 0.0101
"""Seconds two neighbouring words may overlap: one 10 ms frame, which is how aligners count, and rounding."""

FILLERS = frozenset(
    {
        *("", "<s>", "</s>", "<sil>", "sil", "!sil", "sp", "spn", "<eps>", "[noise]", "[silence]"),
        *("<p:>", "<nib>", "<usb>"),  # WebMAUS: pause, noise, unintelligible
        *("[bracketed]", "[laughter]", "<cutoff>"),  # Montreal Forced Aligner
        "<b>",  # NeMo: the blank of its network
    }
)
"""Tokens of silence and noise, in lower case; those of the form `++BREATHING++` are matched besides."""

NOT_SPOKEN = frozenset({"non-lex", "misc", "noscore"})
"""Types of a CTM line whose token is not a word."""

_Words = TypeVar("_Words")
_VARIANT = re.compile(r"\(\d+\)$")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[-+]?\d+,\d+", re.ASCII)  # as programs write numbers in a German locale
_CONDENSED = re.compile(r'(?P<id>\S+)\s+"(?P<words>[^"]*)"\s+"(?P<ends>[^"]*)"\s*')
_TEXTGRID = re.compile(
    r"""(?P<newline>\n)
      | (?P<comment>![^\n]*)
      | "(?P<text>(?:[^"]|"")*)"
      | (?P<flag><exists>|<absent>)
      | (?P<junk>[^\s"]+)""",
    re.VERBOSE,
)


def _is_filler(word: str) -> bool:
    return word.strip().lower() in FILLERS or (word.startswith("++") and word.endswith("++"))


def _word(text: str, start: float, end: float, where: str, confidence: float | None = None) -> Word:
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
        raise CorpusError(f"{where}: {text!r} has times {start:g}–{end:g} s; 0 ≤ start ≤ end is required")
    return Word(text.strip().lower(), start, end, confidence=confidence)


def _in_order(words: Iterable[tuple[Word, str]]) -> tuple[Word, ...]:
    """The words of (word, file:line) pairs, if each begins after the end of the word before it."""
    ordered: list[Word] = []
    ended, before = 0.0, ""
    for word, where in words:
        start, end = word.start or 0.0, word.end or 0.0
        if start < ended - TOLERANCE:
            raise CorpusError(
                f"{where}: {word.word!r} starts at {start:g} s, before {before!r} ends at {ended:g} s; "
                "words must follow one another"
            )
        ordered.append(word)
        ended, before = end, word.word
    return tuple(ordered)


def read_if_valid(
    read: Callable[[Path], _Words], file: Path, report: Report, identifier: str, consequence: str
) -> _Words | None:
    """Read an alignment file that a corpus can do without.

    Args:
        read: `read_wdseg`, `read_textgrid` or `read_condensed`.
        file: The file; need not exist.
        report: Called with a `bad-alignment` problem where the file cannot be read.
        identifier: Id of that problem.
        consequence: What the problem entails, for its message.

    Returns:
        What `read` returns; None where the file is missing or cannot be read.
    """
    if not file.is_file():
        return None
    try:
        return read(file)
    except CorpusError as error:
        report(Problem("bad-alignment", identifier, f"{error} ({consequence})"))
        return None


def read_wdseg(path: str | Path) -> tuple[Word, ...]:
    """Read a Sphinx-3 `.wdseg` file.

    A header `SFrm EFrm SegAScr Word`, one row per segment, and a last line `Total score: …`. Frames count from 0 at
    100 per second and both ends are included, so a word ends at (EFrm + 1) / 100 s. The number of a second
    pronunciation, `WORD(2)`, is removed.

    Args:
        path: The file.

    Returns:
        The words of the utterance.

    Raises:
        CorpusError: A line cannot be parsed, words overlap, or the file is truncated.
    """
    path = Path(path)
    lines = read_lines(path)
    if not lines or lines[0].split() != ["SFrm", "EFrm", "SegAScr", "Word"]:
        raise CorpusError(f"{path}:1: a .wdseg file begins with 'SFrm EFrm SegAScr Word'")
    words = []
    for number, line in enumerate(lines[1:], 2):
        where = f"{path}:{number}"
        if line.strip().startswith("Total score:"):
            return _in_order(words)
        if not line.strip():
            continue
        columns = line.split()
        if len(columns) != 4 or not all(re.fullmatch(r"-?\d+", column) for column in columns[:2]):
            raise CorpusError(
                f"{where}: {line.strip()!r} is no segment; a row is: first frame, last frame, score, word"
            )
        if not _is_filler(columns[3]):
            start, end = float(columns[0]) / WDSEG_RATE, (float(columns[1]) + 1) / WDSEG_RATE
            words.append((_word(_VARIANT.sub("", columns[3]), start, end, where), where))
    raise CorpusError(f"{path}:{len(lines)}: the line 'Total score: …' is missing, so the file is cut off; restore it")


def read_ctm(path: str | Path) -> dict[str, tuple[Word, ...]]:
    """Read a `.ctm` file (NIST SCTK, infmts.htm; Kaldi; NeMo's aligner).

    A line is `utterance channel start duration word [confidence [type [speaker]]]`, in seconds; `;;` begins a comment.
    Lines of one utterance may be in any order. A confidence outside 0–1 (a log-likelihood) or `NA` is dropped; the
    types in `NOT_SPOKEN` are left out. Of alternatives (`<ALT_BEGIN>`, `<ALT>`, `<ALT_END>`) the first is read.

    Args:
        path: The file.

    Returns:
        Utterance id → words.

    Raises:
        CorpusError: A line cannot be parsed, words overlap, or an utterance has two channels.
    """
    path = Path(path)
    found: dict[str, list[tuple[Word, str]]] = {}
    channels: dict[str, str] = {}
    skipping = False
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}:{number}"
        columns = line.split()
        if not columns or columns[0].startswith(";;"):
            continue
        if len(columns) == 5 and (mark := columns[4].upper()) in ("<ALT_BEGIN>", "<ALT>", "<ALT_END>"):
            skipping = mark == "<ALT>"
            continue
        _require_ctm(columns, line, where)
        name, channel, text = columns[0], columns[1], columns[4]
        if channels.setdefault(name, channel) != channel:
            raise CorpusError(f"{where}: {name!r} has channels {channels[name]} and {channel}; give each its own id")
        words = found.setdefault(name, [])
        if not (skipping or _is_filler(text) or (columns[6:7] and columns[6].lower() in NOT_SPOKEN)):
            start, duration = float(columns[2]), float(columns[3])
            # Rounded to 0.1 ms, so that 0.1 + 0.2 ends where the next word's 0.3 starts.
            words.append((_word(text, start, round(start + duration, 4), where, _confidence(columns)), where))
    return {name: _in_order(sorted(words, key=lambda item: item[0].start or 0.0)) for name, words in found.items()}


def _require_ctm(columns: list[str], line: str, where: str) -> None:
    if not 5 <= len(columns) <= 8 or not all(_NUMBER.fullmatch(column) for column in columns[2:4]):
        form = "utterance channel start duration word [confidence [type [speaker]]]"
        raise CorpusError(f"{where}: {shortened(line.strip(), 60)} is no CTM line: {form}")
    if "<space>" in columns[4]:  # NeMo writes segments and words into files of the same form
        raise CorpusError(
            f"{where}: {shortened(columns[4], 60)} is a segment of several words; give the CTM of the words"
        )


def _confidence(columns: list[str]) -> float | None:
    if len(columns) < 6 or not _NUMBER.fullmatch(columns[5]):
        return None
    value = float(columns[5])
    return value if 0 <= value <= 1 else None


def read_condensed(path: str | Path) -> dict[str, tuple[Word, ...]]:
    """Read an `.alignment.txt` file of the LibriSpeech Alignments (C. Jemine, 2018).

    A line is `id ",GO,,DO," "0.490,0.890,1.270,1.380,1.490"`: the words, an empty one for each silence, and the
    second at which each ends; a word starts where the one before it ended.

    Args:
        path: The file.

    Returns:
        Utterance id → words.

    Raises:
        CorpusError: A line cannot be parsed, or an utterance is listed twice.
    """
    path = Path(path)
    found: dict[str, tuple[Word, ...]] = {}
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        match = _CONDENSED.fullmatch(line)
        if match is None:
            raise CorpusError(f'{where}: {line.strip()[:60]!r} is no alignment; a line is: id ",WORDS," "end,times"')
        texts, ends = match["words"].split(","), match["ends"].split(",")
        if len(texts) != len(ends) or not all(_NUMBER.fullmatch(end) for end in ends):
            raise CorpusError(f"{where}: {len(texts)} words and {len(ends)} end times; each word needs one, in seconds")
        if match["id"] in found:
            raise CorpusError(f"{where}: {match['id']!r} comes twice in this file; remove one line")
        times = [0.0, *map(float, ends)]
        words = [(text, times[at], times[at + 1]) for at, text in enumerate(texts)]
        for text, start, end in words:
            _word(text, start, end, where)
        found[match["id"]] = tuple(_word(*word, where) for word in words if not _is_filler(word[0]))
    return found


def read_textgrid(path: str | Path, tier: str = "words") -> tuple[Word, ...]:
    """Read one interval tier of a Praat `.TextGrid`, long or short form, in UTF-8 or UTF-16.

    Empty intervals and those marked as silence are left out. Like Praat, this function reads a TextGrid as a sequence
    of numbers and quoted strings and ignores what is between them; it also accepts decimal commas.

    Args:
        path: The file.
        tier: Name of the tier, in upper or lower case. `words` also matches `word`, `speaker - words` (the Montreal
            Forced Aligner's name where it was given the speaker), and the only interval tier of a file.

    Returns:
        The words of the utterance.

    Raises:
        CorpusError: The file is damaged, has no such tier, or words overlap.
    """
    path = Path(path)
    reader = _Tokens(path)
    if reader.take("text")[0] not in ("ooTextFile", "ooTextFile short") or reader.take("text")[0] != "TextGrid":
        raise CorpusError(
            f'{path}:1: not a TextGrid; it begins with File type = "ooTextFile", Object class = "TextGrid"'
        )
    reader.span()
    if reader.take("flag")[0] != "<exists>":
        raise CorpusError(f"{path}: holds no tiers; export one with a tier named {tier!r}")
    tiers = [_tier(reader) for _ in range(reader.count("tiers"))]
    intervals = [(name, rows) for name, rows in tiers if rows is not None]
    named = [rows for name, rows in intervals if _is_tier(name, tier)]
    if not named and len(tiers) == len(intervals) == 1:
        named = [intervals[0][1]]
    if len(named) != 1:
        names = ", ".join(repr(name) for name, _ in tiers) or "none"
        raise CorpusError(f"{path}: {len(named)} interval tiers named {tier!r}, one is needed; its tiers are {names}")
    words = [(_word(text, start, end, where), where) for start, end, text, where in named[0] if not _is_filler(text)]
    return _in_order(words)


def _is_tier(name: str, tier: str) -> bool:
    wanted = {tier.lower(), tier.lower().removesuffix("s")}
    return name.strip().lower().rpartition(" - ")[2] in wanted


def _tier(reader: _Tokens) -> tuple[str, list[tuple[float, float, str, str]] | None]:
    """Name and (start, end, text, file:line) of the next tier; None in place of a point tier's rows."""
    kind, where = reader.take("text")
    if kind not in ("IntervalTier", "TextTier"):
        raise CorpusError(f"{where}: {kind!r} is no kind of tier; Praat has IntervalTier and TextTier")
    name = reader.take("text")[0]
    reader.span()
    rows = []
    for _ in range(reader.count(f"intervals of tier {name!r}")):
        start, where = reader.number()
        end = reader.number()[0] if kind == "IntervalTier" else start
        rows.append((start, end, reader.take("text")[0], where))
    return name, rows if kind == "IntervalTier" else None


class _Tokens:
    """The numbers, strings and flags of a TextGrid, each with its file:line; anything between them is skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens: list[tuple[str, str, int]] = []
        self._at = 0
        line = 1
        text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
        for match in _TEXTGRID.finditer(text):
            kind, value = match.lastgroup or "", match[match.lastgroup or 0]
            if kind in ("text", "flag"):
                self._tokens.append((kind, value.replace('""', '"'), line))
            elif kind == "junk" and _NUMBER.fullmatch(value := value.removesuffix("s")):
                self._tokens.append(("number", value, line))
            elif kind == "junk" and _COMMA.fullmatch(value):
                self._tokens.append(("number", value.replace(",", "."), line))
            line += match[0].count("\n")

    def take(self, kind: str) -> tuple[str, str]:
        """The next token, which must be of `kind`, and its file:line."""
        if self._at == len(self._tokens):
            line = self._tokens[-1][2] if self._tokens else 1
            raise CorpusError(f"{self._path}:{line}: the TextGrid ends here, too early; it is cut off: restore it")
        found, value, line = self._tokens[self._at]
        where = f"{self._path}:{line}"
        if found != kind:
            raise CorpusError(f"{where}: a {kind} is expected here, not the {found} {value!r}; the TextGrid is damaged")
        self._at += 1
        return value, where

    def number(self) -> tuple[float, str]:
        """The next token, which must be a number, and its file:line."""
        value, where = self.take("number")
        return float(value), where

    def span(self) -> None:
        """Skip the xmin and xmax of a grid or tier."""
        self.number()
        self.number()

    def count(self, what: str) -> int:
        """The next token, which must be a whole number from 0 on."""
        value, where = self.number()
        if value < 0 or not value.is_integer():
            raise CorpusError(f"{where}: {value:g} {what}; a whole number from 0 on is required")
        return int(value)
