"""Speech or not: where in a signal somebody speaks, and whether it can hold speech at all.

samples ─ speech_probabilities ─▶ one probability for each 32 ms ─ speech_segments ─▶ [(start, end), …] in samples
        └────────────────────── detect_speech ──────────────────────────────────────▶ the same
samples ─ no_speech ─▶ None, or the reason why there can be no word in it

`no_speech` is what recognisers, aligner and segmenter ask before they work on a signal; it needs no network and only
rules out what is certain. The probabilities are those of Silero VAD (`audio.silero`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from .io import load
from .loudness import sound_ranges, with_silence
from .signal import as_float
from .silero import CHUNK, CHUNKS_AT_ONCE, SileroVad
from .timing import SAMPLE_RATE, frame_count, samples

CHUNK_SECONDS = CHUNK / SAMPLE_RATE
"""From one probability to the next: 32 ms."""

SILENCE_AMPLITUDE = 1e-5
"""A signal that never moves further than this from its mean (−100 dBFS) is silent: a third of a 16-bit step."""

MIN_SECONDS = 0.05
"""A shorter signal holds no word: the acoustic model needs at least 30 ms for each phone."""

MIN_LEVEL_RANGE = 2.0
"""dB. A signal whose level varies less is a hum or noise: that of speech varies by 20 dB and more."""

MIN_SPEECH_SECONDS = 0.25
"""A recording with less speech than this in all is answered as one without speech."""

CERTAIN, MIN_CERTAIN_CHUNKS = 0.9, 4
"""So is one in which fewer chunks have a probability from `CERTAIN` on. Of 161 recordings of LJ Speech, EmoDB and
RAVDESS, clean and at 5 dB SNR, all but three of RAVDESS have 8 or more; of 150 synthesised melodies, chords and
other sounds, none has more than 3."""

QUIET_PEAK = 0.05
"""A softer recording is amplified to this peak first, by `MAX_GAIN` at most: below a peak of about 0.01 the network
detects less and less."""
MAX_GAIN = 500.0
"""54 dB: the peak of a recording that gets it is that of a few 16-bit steps."""

QUIET_DECIBELS = -45
"""Relative to the loudest 20 ms of the recording: softer stretches hold no speech, and what exceeds `QUIET_SECONDS` of
them is not given to the network. What it finds then does not depend on how long they are."""
QUIET_SECONDS = 0.5
_LEAD_SECONDS = 0.128
"""Silence that the network is given before the recording: four chunks."""

_SLOW_RATE = 10_000
"""Hz. A recording in which no speech is found is searched again as if it had been sampled at this rate, which lowers
its pitch by a factor of 1.6: the network does not detect voices above about 500 Hz, such as screams and shouts."""
_MIN_SLOW_SECONDS = 0.5
"""Speech that such a search must find: it is less certain of speech, but finds less than this in music."""

_LEVEL_SECONDS = 0.1
_MIN_LEVEL_FRAMES = 10
"""One second: a shorter signal may be a sustained vowel."""

_DITHER_STEP = 2.0**-15
"""Peak of the dither: one step of 16 bits, −90 dBFS."""
_DITHER_SEED = 396


@dataclass(frozen=True)
class ActivityConfig:
    """How probabilities become segments. The defaults are those of Silero VAD, but for `min_speech`.

    Attributes:
        threshold: A segment starts with a probability from this on.
        release: It lasts until the probability stays below this for `min_silence`.
        min_speech: Seconds; a shorter segment is dropped. Silero's 0.25 s would drop short exclamations.
        min_silence: Seconds; a shorter gap does not end a segment.
        padding: Seconds added to both ends of a segment, at most half of the gap to the next one.

    Raises:
        ConfigurationError: A value is out of its range: 0 < release ≤ threshold < 1, durations 0 to 10 s.
    """

    threshold: float = 0.5
    release: float = 0.35
    min_speech: float = 0.1
    min_silence: float = 0.1
    padding: float = 0.03

    def __post_init__(self) -> None:
        if not 0 < self.release <= self.threshold < 1:
            raise ConfigurationError(
                f"threshold {self.threshold!r} and release {self.release!r}: give 0 < release ≤ threshold < 1"
            )
        for name in ("min_speech", "min_silence", "padding"):
            if not 0 <= getattr(self, name) <= 10:
                raise ConfigurationError(f"{name} is {getattr(self, name)!r}; give 0 to 10 seconds")


Segment = tuple[int, int]
"""First sample of a stretch, and the one after its last."""


class SpeechDetector:
    """The probability of speech, block by block, in constant memory; for one recording and one thread.

    The probabilities do not depend on the lengths of the blocks, to the last bit, and none depends on a later sample
    than its chunk.

    Dither of one 16-bit step is added to every chunk, always the same: on near-digital silence the network answers
    wrongly without it (silero-vad issue 396).
    """

    def __init__(self) -> None:
        """Start a recording."""
        self._network = SileroVad()
        self._rest = np.empty(0, np.float32)

    def add(self, block: np.ndarray) -> NDArray[np.float32]:
        """Take the next samples.

        Args:
            block: (n,) samples at 16 kHz (`signal.validate_samples`).

        Returns:
            (chunks,) probabilities of the chunks that are now complete; the rest is kept for the next block.

        Raises:
            AudioError: The samples are not valid.
        """
        samples = as_float(block).astype(np.float32, copy=False)
        joined = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        whole = len(joined) - len(joined) % CHUNK
        self._rest = joined[whole:].copy()
        return self._probabilities(joined[:whole])

    def finish(self) -> NDArray[np.float32]:
        """End the recording.

        Returns:
            (1,) probability of the incomplete last chunk, padded with silence; (0,) where there is none.
        """
        rest, self._rest = self._rest, self._rest[:0]
        return self._probabilities(np.pad(rest, (0, -len(rest) % CHUNK)))

    def _probabilities(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        chunks = signal.reshape(-1, CHUNK)
        out = np.empty(len(chunks), np.float32)
        for at in range(0, len(chunks), CHUNKS_AT_ONCE):
            part = chunks[at : at + CHUNKS_AT_ONCE]
            out[at : at + len(part)] = self._network(part + _dither())
        return out


@lru_cache(maxsize=1)
def _dither() -> NDArray[np.float32]:
    """(512,) triangular noise of one 16-bit step. Raw bits of the generator: NumPy keeps their stream unchanged."""
    raw = np.random.PCG64(_DITHER_SEED).random_raw(2 * CHUNK).reshape(2, CHUNK) >> 11
    uniform = raw * 2.0**-53
    return ((uniform[0] - uniform[1]) * _DITHER_STEP).astype(np.float32)


def speech_probabilities(signal: np.ndarray | Iterable[np.ndarray]) -> NDArray[np.float32]:
    """Compute the probability of speech in every 32 ms.

    Args:
        signal: (n,) samples at 16 kHz, or blocks of them in turn, which need not be of one length (`audio.stream`).

    Returns:
        (⌈n / 512⌉,) probabilities.

    Raises:
        AudioError: The samples are not valid (`signal.validate_samples`).
    """
    detector = SpeechDetector()
    blocks = [signal] if isinstance(signal, np.ndarray) else signal
    parts = [detector.add(block) for block in blocks]
    return np.concatenate((*parts, detector.finish()))


def speech_segments(
    probabilities: np.ndarray, length: int | None = None, config: ActivityConfig | None = None
) -> list[Segment]:
    """Find the stretches of speech.

    Args:
        probabilities: (chunks,) of `speech_probabilities`.
        length: Samples of the recording, where the last segment ends at the latest; by default those of all chunks.
        config: Thresholds and durations.

    Returns:
        Segments in samples, in order, without overlap.

    Example:
        >>> speech_segments(np.repeat([0.0, 0.9, 0.0], 20))
        [(9760, 20960)]
    """
    config = config or ActivityConfig()
    length = len(probabilities) * CHUNK if length is None else length
    shortest = samples(config.min_speech)
    found = [
        (start, min(end, length))
        for start, end in _hysteresis(probabilities, config)
        if min(end, length) - start >= shortest
    ]
    padding = samples(config.padding)
    padded = []
    for i, (start, end) in enumerate(found):
        before = found[i - 1][1] if i else -length
        after = found[i + 1][0] if i + 1 < len(found) else 2 * length
        left, right = min(padding, (start - before) // 2), min(padding, (after - end) // 2)
        padded.append((max(0, start - left), min(length, end + right)))
    return padded


def _hysteresis(probabilities: np.ndarray, config: ActivityConfig) -> Iterator[Segment]:
    """Stretches that start at the threshold and end where the release is not reached for `min_silence`."""
    start, silent_from = None, None
    for i, p in enumerate(probabilities):
        at = i * CHUNK
        if start is None:
            start = at if p >= config.threshold else None
        elif p >= config.release:
            silent_from = None
        else:
            silent_from = at if silent_from is None else silent_from
            if at + CHUNK - silent_from >= samples(config.min_silence):
                yield start, silent_from
                start, silent_from = None, None
    if start is not None:
        yield start, len(probabilities) * CHUNK if silent_from is None else silent_from


def detect_speech(signal: np.ndarray, config: ActivityConfig | None = None) -> list[Segment]:
    """Find the stretches of speech of a signal.

    A soft recording is amplified (`QUIET_PEAK`). Where less than `MIN_SPEECH_SECONDS` are found in all, or nothing is
    certain, the signal is searched again at a lower pitch.

    Args:
        signal: (n,) samples at 16 kHz.
        config: Thresholds and durations.

    Returns:
        Segments in samples, in order, without overlap; none where there is no speech, or less than
        `MIN_SPEECH_SECONDS` of it.

    Raises:
        AudioError: The samples are not valid (`signal.validate_samples`).
    """
    sound = with_silence(_audible(as_float(signal)))
    pieces = _pieces(sound)
    if not pieces:
        return []
    lead = np.zeros(samples(_LEAD_SECONDS), sound.dtype)
    compact = np.concatenate((lead, *(sound[start:end] for start, end in pieces)))
    probabilities = speech_probabilities(compact)
    found = speech_segments(probabilities, len(compact), config)
    certain = np.count_nonzero(probabilities >= CERTAIN) >= MIN_CERTAIN_CHUNKS
    if not certain or speech_seconds(found) < MIN_SPEECH_SECONDS:
        found = _high_voice(compact, config)
    margin = (len(sound) - len(signal)) // 2
    shifted = ((start - margin, end - margin) for start, end in _in_recording(found, pieces, len(lead)))
    return [(max(0, start), min(len(signal), end)) for start, end in shifted if end > 0 and start < len(signal)]


def _pieces(sound: NDArray[np.floating]) -> list[Segment]:
    """The recording without the middle of long quiet stretches, and without those at its ends."""
    begins, ends = sound_ranges(sound, QUIET_DECIBELS)
    half = samples(QUIET_SECONDS) // 2
    pieces: list[Segment] = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if pieces and begin - pieces[-1][1] <= 2 * half:
            pieces[-1] = (pieces[-1][0], end)
        elif pieces:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + half)
            pieces.append((begin - half, end))
        else:
            pieces.append((begin, end))
    return pieces


def _in_recording(segments: Iterable[Segment], pieces: Sequence[Segment], lead: int) -> list[Segment]:
    """Segments of the pieces end to end, after `lead` samples, as segments of the recording."""
    found, segments = [], list(segments)
    at = lead
    for begin, end in pieces:
        for start, stop in segments:
            first, last = max(start, at), min(stop, at + end - begin)
            if first < last:
                found.append((first - at + begin, last - at + begin))
        at += end - begin
    return found


def _audible(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    """A soft recording amplified, without its offset."""
    low, high = float(signal.min()), float(signal.max())
    peak = (high - low) / 2
    if peak >= QUIET_PEAK:
        return signal
    return (signal - np.float32((low + high) / 2)) * np.float32(min(MAX_GAIN, QUIET_PEAK / max(peak, 1e-9)))


def _high_voice(signal: NDArray[np.floating], config: ActivityConfig | None) -> list[Segment]:
    """Segments found at a lower pitch, on the scale of the signal."""
    slowed = load({"waveform": signal, "sample_rate": _SLOW_RATE}).samples
    found = speech_segments(speech_probabilities(slowed), len(slowed), config)
    scaled = ((start * _SLOW_RATE // SAMPLE_RATE, end * _SLOW_RATE // SAMPLE_RATE) for start, end in found)
    within = [(start, min(end, len(signal))) for start, end in scaled]
    return within if speech_seconds(within) >= _MIN_SLOW_SECONDS else []


def speech_seconds(segments: Iterable[Segment]) -> float:
    """Add up segments.

    Args:
        segments: Of `speech_segments`.

    Returns:
        Their seconds in all.
    """
    return sum(end - start for start, end in segments) / SAMPLE_RATE


def no_speech(signal: NDArray[np.floating]) -> str | None:
    """Find a reason why a signal cannot hold a word: it is too short, silent, or steady.

    Steady: the level of the differenced signal in frames of 100 ms (its 5th to 95th percentile) varies by less than
    `MIN_LEVEL_RANGE`. That of white, pink and brown noise, hums and tones does; that of speech, even at 5 dB above
    noise, does not. Signals shorter than a second are not tested for it.

    Args:
        signal: (n,) floating-point samples at 16 kHz, n ≥ 1, finite (`signal.as_float`).

    Returns:
        The reason, as part of a message; None where there may be speech.
    """
    if len(signal) < samples(MIN_SECONDS):
        return f"{len(signal)} samples ({len(signal) / SAMPLE_RATE:.4f} s) are too short to hold a word"
    amplitude = float(np.ptp(signal)) / 2
    if amplitude < SILENCE_AMPLITUDE:
        return f"the recording is silent (peak {amplitude:.1e} of full scale)"
    length = samples(_LEVEL_SECONDS)
    frames = frame_count(len(signal) - 1, length, partial=False)
    if frames < _MIN_LEVEL_FRAMES:
        return None
    differences = np.diff(signal.astype(np.float64, copy=False))[: frames * length].reshape(frames, length)
    levels = 10 * np.log10(np.mean(differences**2, axis=1) + SILENCE_AMPLITUDE**2)
    low, high = np.percentile(levels, [5, 95])
    if high - low < MIN_LEVEL_RANGE:
        return f"its level stays within {high - low:.1f} dB: a hum or noise, no speech"
    return None
