"""Synthetic speech with exact word times: espeak-ng through ctypes.

    text, rate, pitch … ─ Speaker.synthesise ─▶ (n,) float32 samples at `sample_rate`, (Word(start, end), …)

    samples, words = Speaker("f2").synthesise("the kettle is on", rate=160)

The library and its data come in the wheel `espeakng-loader` (extra `synth`). espeak-ng reports the sample at which each
word and each phoneme begins; a word ends where the next one begins or, if a pause comes first, where that pause begins.
The events carry sample numbers, so times are exact to one sample of espeak-ng's own 22.05 kHz; the audible sound starts
up to some 50 ms later where a word opens with a stop, whose silent closure belongs to the word.

espeak-ng keeps its state (voice, noise generator, oscillator phase) in global variables, and neither
`espeak_Terminate` nor a new seed clears all of it: a sentence would sound slightly different after another one. So each
call loads a fresh copy of the library (about 1 ms), seeds it and unloads it, under a lock. The result of `synthesise`
then depends on its arguments alone, in any order, thread or process.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
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
"""Milliseconds of sound between two calls of the callback."""

_MAX_DATA_PATH = 150
"""espeak-ng silently truncates the path of its data at 160 bytes, and then finds no voice."""

_RANGES = {"rate": (80, 450), "pitch": (0, 100), "pitch_range": (0, 100), "volume": (0, 200), "word_gap": (0, 50)}
_lock = threading.Lock()


class _Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _RawEvent(ctypes.Structure):
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


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_RawEvent))


@dataclass(frozen=True, slots=True)
class Event:
    """A word, phoneme or pause that begins.

    Attributes:
        sample: Where it begins.
        is_word: Whether it is a word.
        position: Of the word in the text, in characters.
        is_pause: Whether it is a pause.
    """

    sample: int
    is_word: bool
    position: int
    is_pause: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice of espeak-ng.

    Attributes:
        variant: f1–f5, m1–m8, Annie, …; "" for the plain voice.
        language: Language and accent.
    """

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
        """Synthesise speech.

        Args:
            text: What to speak, with at least one letter or digit.
            rate: Words a minute, 80–450.
            pitch: 0–100; 50 is that of the voice.
            pitch_range: 0–100; 50 is that of the voice.
            volume: 0–200; 100 is that of the voice.
            word_gap: Pause between words, 0–50 units of 10 ms (at the default rate).
            seed: Of the noise in breathy and whispering voices.
            sample_rate: Of the samples, in Hz.

        Returns:
            (n,) float32 samples, and one `Word` for each whitespace-separated token of `text` that has a letter or
            digit: its lower-case spelling without outer punctuation, true start and end in seconds from the first
            sample. Should espeak-ng run tokens together, they share the time in proportion to their letters, and their
            `source` is `segmented`, not `gold`.

        Raises:
            ConfigurationError: An unknown voice, a setting out of range or a text without a word.
            MissingExtraError: The extra `synth` is not installed.
        """
        settings = {"rate": rate, "pitch": pitch, "pitch_range": pitch_range, "volume": volume, "word_gap": word_gap}
        _check_ranges(settings)
        tokens = [(m.start(), m.group()) for m in re.finditer(r"\S+", text) if any(map(str.isalnum, m.group()))]
        if not tokens:
            raise ConfigurationError(f"the text {text[:40]!r} has no word to speak")
        # espeak-ng speaks pairs such as "in the" as one word with one time, unless the space forbids a break.
        text = re.sub(r"(?<=\w)\s(?=\w)", "\u00a0", text)
        samples, own_rate, events = _synthesise(text, self, tuple(settings.values()), seed)
        words = word_times(tokens, events, len(samples), own_rate)
        if own_rate != sample_rate:
            samples = audio.load({"waveform": samples, "sample_rate": own_rate}, sample_rate=sample_rate).samples
        return samples, words


def _check_ranges(settings: dict[str, int]) -> None:
    for name, value in settings.items():
        low, high = _RANGES[name]
        if not low <= value <= high:
            raise ConfigurationError(f"{name}={value} is out of range: give {low} to {high}")


def library_paths() -> tuple[str, str]:
    """Find the installed espeak-ng.

    Returns:
        Path of the library, and of its data.

    Raises:
        MissingExtraError: The extra `synth` is not installed.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingExtraError("Synthetic speech", "synth") from error
    return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())


def variants() -> tuple[str, ...]:
    """List the voice variants of the installed espeak-ng.

    Returns:
        Their names, sorted.

    Raises:
        MissingExtraError: The extra `synth` is not installed.
    """
    folder = Path(library_paths()[1]) / "voices" / "!v"
    return tuple(sorted(path.name for path in folder.iterdir()))


@contextmanager
def _library(seed: int) -> Iterator[tuple[ctypes.CDLL, int]]:
    """A fresh copy of espeak-ng and its sample rate; unloaded afterwards, with all its state."""
    path, data = library_paths()
    with _lock, ExitStack() as stack:
        if len(os.fsencode(data)) > _MAX_DATA_PATH:
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
) -> tuple[np.ndarray, int, list[Event]]:
    """(n,) float32 samples, their rate, and everything that began in them, in order."""
    voice = f"{speaker.language}+{speaker.variant}" if speaker.variant else speaker.language
    if speaker.variant not in ("", *variants()):  # espeak-ng itself would fall back to the plain voice
        raise ConfigurationError(f"espeak-ng has no variant {speaker.variant!r}; choose from {', '.join(variants())}")
    blocks: list[np.ndarray] = []
    events: list[Event] = []
    callback = Callback(_receiver(blocks, events))
    with _library(seed) as (library, rate):
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ConfigurationError(
                f"espeak-ng has no voice {voice!r}; English is en-us, en-gb-x-rp or en-gb-scotland"
            )
        library.espeak_SetSynthCallback(callback)
        for parameter, value in zip((_RATE, _PITCH, _RANGE, _VOLUME, _WORD_GAP), settings, strict=True):
            library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        with _signals_deferred():
            # A size in bytes with its final zero; no end position, no identifier, no user data.
            library.espeak_Synth(encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
    if not blocks:
        raise ConfigurationError(f"espeak-ng synthesised nothing for the text {text[:40]!r}")
    return np.concatenate(blocks) / np.float32(32768), rate, events


def _receiver(blocks: list[np.ndarray], events: list[Event]) -> Callable[..., int]:
    """What espeak-ng calls with each block of samples and its events; both are appended to the lists."""

    def receive(samples, count, raw_events) -> int:
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32))
        index = 0
        while raw_events[index].type not in (_END_OF_LIST, _MESSAGE_END):
            raw = raw_events[index]
            if raw.type in (_WORD, _PHONEME):
                is_word = raw.type == _WORD
                is_pause = not is_word and raw.id.string.startswith(b"_")
                events.append(Event(raw.sample, is_word, raw.text_position - 1, is_pause))
            index += 1
        return 0

    return receive


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Handle Ctrl-C, and other signals that raise an exception, after the block: ctypes drops what a callback raises,
    and the synthesis would go on with samples missing."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where no signal is an exception
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    pending: list[int] = []
    for number in before:
        signal.signal(number, lambda number, _: pending.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in pending[:1]:
        before[signal.Signals(number)](number, None)


def word_times(
    tokens: list[tuple[int, str]], events: list[Event], n_samples: int, sample_rate: int
) -> tuple[Word, ...]:
    """Find the times of words; tokens without an event share that of the one before.

    Args:
        tokens: Position in the text, and token.
        events: What began in the sound, in order.
        n_samples: Length of the sound.
        sample_rate: Hz.

    Returns:
        One word a token.
    """
    words: list[Word] = []
    groups = _groups(tokens, events)
    firsts = [first for first, _ in groups]
    for (first, group), following in zip(groups, [*firsts[1:], len(events)], strict=True):
        start = events[first].sample if events else 0
        end = _end(events, first, following, n_samples)
        shares = np.cumsum([0] + [len(token) for token in group]) / sum(map(len, group))
        times = (start + shares * (end - start)) / sample_rate
        source = "gold" if len(group) == 1 else "segmented"
        for token, left, right in zip(group, times[:-1], times[1:], strict=True):
            words.append(Word(spelling(token), float(left), float(right), source))
    return tuple(words)


def _groups(tokens: list[tuple[int, str]], events: list[Event]) -> list[tuple[int, list[str]]]:
    """Tokens that share an event, after the index of that event."""
    groups: list[tuple[int, list[str]]] = []
    word_events = [(index, event) for index, event in enumerate(events) if event.is_word]
    previous_end = 0
    for position, token in tokens:
        own = [index for index, event in word_events if position <= event.position < position + len(token)]
        # Punctuation that stands alone carries the event of the word after it.
        before = [index for index, event in word_events if previous_end <= event.position < position]
        previous_end = position + len(token)
        if own or before or not groups:
            groups.append((own[0] if own else before[-1] if before else 0, [token]))
        else:
            groups[-1][1].append(token)
    return groups


def _end(events: list[Event], first: int, following: int, n_samples: int) -> int:
    """Where the sound that began at event `first` ends: the pause before event `following`, or that event."""
    last = following
    while last > first + 1 and (events[last - 1].is_pause or events[last - 1].is_word):
        last -= 1
    return min(events[last].sample if last < len(events) else n_samples, n_samples)


def spelling(token: str) -> str:
    """Spell a token of running text as a word.

    Args:
        token: Such as `"Well,`.

    Returns:
        The token in lower case, without outer punctuation.
    """
    return re.sub(r"^\W+|\W+$", "", token.replace("’", "'")).lower()
