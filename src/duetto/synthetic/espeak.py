"""A speaker who says a text and knows when each word was said: espeak-ng through ctypes.

    text, rate, pitch … ─ Speaker.synthesise ─▶ (n,) float32 samples at `sample_rate`, (Word(start, end), …)

    samples, words = Speaker("f2").synthesise("the kettle is on", rate=160)

The library and its data come in the wheel `espeakng-loader` (extra `synth`). espeak-ng reports the sample
at which each word and each phoneme begins; a word ends where the next one begins or, if a pause comes
first, where that pause begins. The events carry sample numbers, so times are exact to one sample of
espeak-ng's own 22.05 kHz; what is audible starts up to some 50 ms later where a word opens with a stop,
whose silent closure belongs to the word.

espeak-ng keeps its state (voice, noise generator, oscillator phase) in global variables, and neither
`espeak_Terminate` nor a new seed clears all of it: a sentence would sound slightly different after
another one. So each call loads a fresh copy of the library (about 1 ms), seeds it and unloads it, under
a lock. What `synthesise` returns then depends on its arguments alone, in any order, thread or process.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import audio
from ..audio.timing import SAMPLE_RATE
from ..data.utterance import Word
from ..errors import ConfigurationError, MissingExtraError

# espeak-ng/speak_lib.h
_SYNCHRONOUS, _PHONEME_EVENTS, _DONT_EXIT = 2, 0x0001, 0x8000
_RATE, _VOLUME, _PITCH, _RANGE, _WORD_GAP = 1, 2, 3, 4, 7
_POSITION_CHARACTER, _CHARS_UTF8 = 1, 1
_END_OF_LIST, _WORD, _PHONEME, _MESSAGE_END = 0, 1, 7, 6
_BUFFER = 1000
"""Milliseconds of sound between two calls back."""

_LONGEST_DATA_PATH = 150
"""espeak-ng cuts the path of its data at 160 bytes without a word, and then finds no voice."""

_LIMITS = {"rate": (80, 450), "pitch": (0, 100), "pitch_range": (0, 100), "volume": (0, 200), "word_gap": (0, 50)}
_lock = threading.Lock()


class _Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class _Mark:
    """Something that begins at `sample`: the word at `position` of the text, or a phoneme or pause."""

    sample: int
    word: bool
    position: int
    pause: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice of espeak-ng: `variant` (f1–f5, m1–m8, Annie, …; "" for the plain voice) on a `language`."""

    variant: str = "f2"
    language: str = "en-us"

    def synthesise(
        self,
        text: str,
        *,
        rate: int = 175,
        pitch: int = 50,
        pitch_range: int = 50,
        volume: int = 100,
        word_gap: int = 0,
        seed: int = 0,
        sample_rate: int = SAMPLE_RATE,
    ) -> tuple[np.ndarray, tuple[Word, ...]]:
        """Speak `text`.

        rate: words a minute, 80–450. pitch, pitch_range: 0–100, 50 as the voice has it. volume: 0–200,
        100 as the voice has it. word_gap: pause between words, 0–50 units of 10 ms (at the default rate).
        seed: of the noise in breathy and whispering voices.

        Returns (n,) float32 samples at `sample_rate`, and one `Word` for each whitespace-separated token of
        `text` that has a letter or digit: its lower-case spelling without outer punctuation, true start
        and end in seconds from the first sample. Should espeak-ng run tokens together all the same, they
        share the time in proportion to their letters, and their `source` is `segmented`, not `gold`.

        Raises ConfigurationError for an unknown voice, a setting out of range or a text without a word, and
        MissingExtraError without the extra `synth`.
        """
        settings = {"rate": rate, "pitch": pitch, "pitch_range": pitch_range, "volume": volume, "word_gap": word_gap}
        for name, value in settings.items():
            low, high = _LIMITS[name]
            if not low <= value <= high:
                raise ConfigurationError(f"{name}={value} is out of range: give {low} to {high}")
        tokens = [(m.start(), m.group()) for m in re.finditer(r"\S+", text) if any(map(str.isalnum, m.group()))]
        if not tokens:
            raise ConfigurationError(f"the text {text[:40]!r} has no word to speak")
        # espeak-ng speaks pairs such as "in the" as one word with one time, unless the space forbids a break.
        text = re.sub(r"(?<=\w)\s(?=\w)", "\u00a0", text)
        samples, own_rate, marks = _synthesise(text, self, tuple(settings.values()), seed)
        words = _words(tokens, marks, len(samples), own_rate)
        if own_rate != sample_rate:
            samples = audio.load({"waveform": samples, "sample_rate": own_rate}, sample_rate=sample_rate).samples
        return samples, words


def _loader() -> tuple[str, str]:
    """Paths of the library and of its data."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingExtraError("Synthetic speech", "synth") from error
    return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())


def variants() -> tuple[str, ...]:
    """The voice variants of the installed espeak-ng, sorted."""
    folder = Path(_loader()[1]) / "voices" / "!v"
    return tuple(sorted(path.name for path in folder.iterdir()))


@contextmanager
def _library(seed: int) -> Iterator[tuple[ctypes.CDLL, int]]:
    """A fresh copy of espeak-ng and its sample rate; unloaded afterwards, with all its state."""
    path, data = _loader()
    with _lock, ExitStack() as stack:
        if len(os.fsencode(data)) > _LONGEST_DATA_PATH:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            link = Path(folder) / "espeak-ng-data"
            link.symlink_to(data, target_is_directory=True)
            data = str(link)
        library = ctypes.CDLL(path)
        stack.callback(_unload, library)
        rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER, os.fsencode(data), _PHONEME_EVENTS | _DONT_EXIT)
        if rate <= 0:
            raise ConfigurationError(f"espeak-ng could not start with its data at {data}: reinstall espeakng-loader")
        stack.callback(library.espeak_Terminate)
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed + 1))
        yield library, rate


def _unload(library: ctypes.CDLL) -> None:
    import _ctypes

    release = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary  # pyright: ignore[reportAttributeAccessIssue]
    release(library._handle)


def _synthesise(
    text: str, speaker: Speaker, settings: tuple[int, ...], seed: int
) -> tuple[np.ndarray, int, list[_Mark]]:
    """(n,) float32 samples, their rate, and everything that began in them, in order."""
    blocks: list[np.ndarray] = []
    marks: list[_Mark] = []

    def receive(samples, count, events) -> int:
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32))
        index = 0
        while events[index].type not in (_END_OF_LIST, _MESSAGE_END):
            event = events[index]
            if event.type in (_WORD, _PHONEME):
                word = event.type == _WORD
                pause = not word and event.id.string.startswith(b"_")
                marks.append(_Mark(event.sample, word, event.text_position - 1, pause))
            index += 1
        return 0

    callback = _Callback(receive)
    voice = f"{speaker.language}+{speaker.variant}" if speaker.variant else speaker.language
    if speaker.variant not in ("", *variants()):  # espeak-ng itself would speak with the plain voice
        raise ConfigurationError(f"espeak-ng has no variant {speaker.variant!r}; choose from {', '.join(variants())}")
    with _library(seed) as (library, rate):
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ConfigurationError(
                f"espeak-ng has no voice {voice!r}; English is en-us, en-gb-x-rp or en-gb-scotland"
            )
        library.espeak_SetSynthCallback(callback)
        for parameter, value in zip((_RATE, _PITCH, _RANGE, _VOLUME, _WORD_GAP), settings, strict=True):
            library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        with _uninterrupted():
            # A size in bytes with its final zero; no end position, no identifier, no user data.
            library.espeak_Synth(encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
    if not blocks:
        raise ConfigurationError(f"espeak-ng said nothing for the text {text[:40]!r}")
    return np.concatenate(blocks) / np.float32(32768), rate, marks


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C, and other signals that end the program by an exception, wait until the block is done: ctypes drops what a
    callback raises, and the work would go on with samples missing."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where no signal is an exception
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    asked: list[int] = []
    for number in before:
        signal.signal(number, lambda number, _: asked.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in asked[:1]:
        before[signal.Signals(number)](number, None)


def _words(tokens: list[tuple[int, str]], marks: list[_Mark], n_samples: int, rate: int) -> tuple[Word, ...]:
    """One word a token, from the marks that lie in it; tokens without a mark share that of the one before."""
    groups: list[list[str]] = []
    starts: list[int] = []
    heard = [(index, mark) for index, mark in enumerate(marks) if mark.word]
    previous_end = 0
    for position, token in tokens:
        own = [index for index, mark in heard if position <= mark.position < position + len(token)]
        # Punctuation that stands alone carries the mark of the word after it.
        before = [index for index, mark in heard if previous_end <= mark.position < position]
        previous_end = position + len(token)
        if own or before or not groups:
            groups.append([token])
            starts.append(own[0] if own else before[-1] if before else 0)
        else:
            groups[-1].append(token)
    words: list[Word] = []
    for group, first, following in zip(groups, starts, [*starts[1:], len(marks)], strict=True):
        start = marks[first].sample if marks else 0
        end = _end(marks, first, following, n_samples)
        shares = np.cumsum([0] + [len(token) for token in group]) / sum(map(len, group))
        times = (start + shares * (end - start)) / rate
        source = "gold" if len(group) == 1 else "segmented"
        for token, left, right in zip(group, times[:-1], times[1:], strict=True):
            words.append(Word(spelling(token), float(left), float(right), source))
    return tuple(words)


def _end(marks: list[_Mark], first: int, following: int, n_samples: int) -> int:
    """Where the sound that began at mark `first` ends: the pause before mark `following`, or that mark."""
    last = following
    while last > first + 1 and (marks[last - 1].pause or marks[last - 1].word):
        last -= 1
    return min(marks[last].sample if last < len(marks) else n_samples, n_samples)


def spelling(token: str) -> str:
    """A token of running text as a word: lower case, no outer punctuation."""
    return re.sub(r"^\W+|\W+$", "", token.replace("’", "'")).lower()
