"""Unsupervised segmentation of speech into word-like units: no recogniser, no transcript, any language.

    samples (n,) ─▶ 10 ms frames: log-mel spectrum, energy, syllable envelope
                 ─▶ stretches of speech between pauses ─▶ candidates: peaks of the boundary score
                 ─▶ best sequence of boundaries (dynamic programming) ─▶ Word("", start, end, "segmented")

Within a stretch, the boundaries b maximise

    Σ_b (score(b) − threshold) − Σ_segments (duration_weight · ln²(length / duration) + no_nucleus · [no nucleus])

score(t) = change_weight · spectral change + dip_weight · dip − rise_weight · rise, where

- spectral change: root mean square over mel bands of the difference (dB) between the mean log spectra of the
  30 ms after t and before t;
- dip: how far the syllable envelope (300–3000 Hz, dB) lies below the lower of its maxima on either side, at most
  30 dB;
- rise: the mean over bands of that difference if positive, at most 30 dB: stop releases change the spectrum
  abruptly, but mostly within words;
- nucleus: a local maximum of the envelope, i.e. the vowel of a syllable (Mermelstein 1975).

Räsänen, Doyle & Frank (2018) survey methods of this kind; the score and its weights are duetto's own, tuned on half of
a set of LJ Speech recordings (docs/words.md gives the results on the other half). The result is an approximation: about
six in ten boundaries fall within 50 ms of a word boundary.

Example:
    >>> import numpy as np
    >>> segment(np.zeros(16_000, np.float32))
    ()
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..audio.activity import no_speech
from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE, samples, seconds
from ..data.utterance import Word
from ..errors import ConfigurationError

STEP_SECONDS = 0.01
"""Frame step in seconds; frame t is centred on t steps, and every boundary falls on such a centre."""

_WINDOW_SECONDS = 0.025
_FFT = 512
_BANDS, _LOWEST, _HIGHEST = 24, 80.0, 7600.0  # mel bands; hertz
_SYLLABLE = (300.0, 3000.0)  # hertz: first and second formant
_RANGE_DB = 50.0  # a band this far below the loudest frames counts as silent
_FLOOR = 1e-5  # added to every power, with the peak of the signal at 1: some 80 dB below a loud vowel
_BLOCK = 8192  # frames transformed at once: bounds memory
_REACH = 64  # candidates looked back over: far more than a word spans

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """Parameters of the segmenter; the module docstring describes how the defaults were tuned."""

    change_frames: int = 3
    """Frames before and after a boundary whose spectra are compared."""
    envelope_frames: int = 5
    """Frames of the Hann window that smooths the syllable envelope."""
    dip_frames: int = 19
    """Frames on either side of a dip that are searched for the maxima."""
    change_weight: float = 0.47
    """Weight of the spectral change in the boundary score."""
    dip_weight: float = 0.45
    """Weight of the dip in the boundary score."""
    rise_weight: float = 0.85
    """Weight of the rise, which is subtracted from the boundary score."""
    threshold: float = 8.4
    """Score above which a boundary raises the objective, durations aside."""
    duration: float = 0.64
    """Length of a segment without cost, in seconds. Longer than a word: boundaries of high score shorten segments."""
    duration_weight: float = 1.6
    """Weight of the squared log ratio of a segment's length and `duration`."""
    no_nucleus: float = 2.5
    """Cost of a segment without a syllable nucleus."""
    nucleus_db: float = 1.0
    """Height of a nucleus above the envelope 30 ms before and after it, whichever is higher, in dB."""
    pause_db: float = 27.0
    """A frame this far below the loud frames (95th percentile) is silent."""
    pause_frames: int = 10
    """Fewest frames of a pause; shorter silences (stop closures) belong to the speech."""
    shortest_frames: int = 3
    """Fewest frames of a stretch of speech, and of a segment."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_frames"):
                valid, rule = value >= 1 and value == int(value), "a whole number of frames, 1 or more"
            elif field.name == "duration":
                valid, rule = 0 < value < math.inf, "seconds above 0"
            else:
                valid, rule = 0 <= value < math.inf, "a number, 0 or more"
            if not valid:
                raise ConfigurationError(f"segmenter setting {field.name}={value} is not valid; give {rule}")


def segment(samples: np.ndarray, settings: SegmenterConfig | None = None) -> tuple[Word, ...]:
    """Segment speech into word-like units; the level of the recording does not matter.

    Args:
        samples: (n,), floating-point at 16 kHz.
        settings: By default the tuned ones.

    Returns:
        The segments in order, with `word=""` and `source="segmented"`: contiguous within a stretch of speech, with gaps
        for pauses. () if there is no speech.

    Raises:
        AudioError: `samples` are not a valid signal.
    """
    signal = as_float(samples, max_amplitude=math.inf)
    if no_speech(signal):
        return ()
    settings = settings or SegmenterConfig()
    bands, energy, envelope = _features(signal, settings)
    score = _score(bands, envelope, settings)
    nuclei = _nuclei(envelope, settings.nucleus_db)
    candidates = _peaks(score)
    duration = seconds(len(signal))
    words = []
    for first, stop in _stretches(energy, settings):
        edges = _boundaries(first, stop, candidates, score, nuclei, settings)
        times = [min(round(edge * STEP_SECONDS, 4), duration) for edge in edges]
        words += [Word("", a, b, "segmented") for a, b in pairwise(times) if b > a]
    return tuple(words)


def without_spelling(words: Iterable[Word]) -> tuple[Word, ...]:
    """Turn recognised words into segments: a recogniser's boundaries are more accurate than its words.

    Args:
        words: Those without times are left out.

    Returns:
        The same times, with `word=""` and `source="segmented"`.
    """
    return tuple(Word("", word.start, word.end, "segmented") for word in words if word.start is not None)


def _features(signal: NDArray[np.floating], settings: SegmenterConfig) -> tuple[Floats, Floats, Floats]:
    """Log-mel spectrum (frames, bands), energy (frames,) and smoothed syllable envelope (frames,), all in dB."""
    length, step = samples(_WINDOW_SECONDS), samples(STEP_SECONDS)
    signal = signal - signal.mean(dtype=np.float64)
    signal = np.pad(signal / np.abs(signal).max(), length // 2)
    frames = sliding_window_view(signal, length)[::step]
    frequency = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    voiced = (frequency > _SYLLABLE[0]) & (frequency < _SYLLABLE[1])
    sums = np.column_stack([_filters(), frequency > _LOWEST, voiced])
    window = np.hanning(length)
    blocks = []
    for first in range(0, len(frames), _BLOCK):
        power = np.abs(np.fft.rfft(frames[first : first + _BLOCK] * window, _FFT)) ** 2
        blocks.append(10 * np.log10(power @ sums + _FLOOR))
    levels = np.concatenate(blocks)
    bands, energy, envelope = levels[:, :_BANDS], levels[:, _BANDS], levels[:, _BANDS + 1]
    loudest = np.percentile(bands.max(axis=1), 95)
    return np.maximum(bands, loudest - _RANGE_DB), energy, _smooth(envelope, settings.envelope_frames)


@cache
def _filters() -> Floats:
    """Triangular mel filters (frequencies, bands), O'Shaughnessy's mel scale, peaks of 1."""
    low, high = (2595 * np.log10(1 + edge / 700) for edge in (_LOWEST, _HIGHEST))
    edges = 700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None]
    up = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(up, down), 0, None)


def _score(bands: Floats, envelope: Floats, settings: SegmenterConfig) -> Floats:
    """The boundary score of every frame (frames,), see the module docstring."""
    width, count = settings.change_frames, len(bands)
    total = np.cumsum(np.pad(bands, ((width + 1, width), (0, 0)), mode="edge"), axis=0)
    before = total[width : width + count] - total[:count]
    after = total[2 * width : 2 * width + count] - total[width : width + count]
    difference = (after - before) / width
    change = np.sqrt(np.mean(difference**2, axis=1))
    rise = difference.mean(axis=1).clip(0, 30)
    left, right = _sides(envelope, settings.dip_frames)
    dip = (np.minimum(left, right) - envelope).clip(0, 30)
    return settings.change_weight * change + settings.dip_weight * dip - settings.rise_weight * rise


def _sides(values: Floats, reach: int) -> tuple[Floats, Floats]:
    """Running maxima: of each value and the `reach` values before it, and of each and the `reach` values after it."""
    before = sliding_window_view(np.pad(values, (reach, 0), mode="edge"), reach + 1).max(axis=1)
    after = sliding_window_view(np.pad(values, (0, reach), mode="edge"), reach + 1).max(axis=1)
    return before, after


def _nuclei(envelope: Floats, prominence: float) -> NDArray[np.intp]:
    """Frames at which the envelope has a local maximum with a prominence of `prominence` dB within 30 ms."""
    left, right = _sides(-envelope, 3)
    peaks = _peaks(envelope)
    return peaks[(envelope - np.maximum(-left, -right))[peaks] >= prominence]


def _peaks(values: Floats) -> NDArray[np.intp]:
    """Positions of local maxima, the ends excluded; of a plateau, its first."""
    return np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])) + 1


def _smooth(values: Floats, width: int) -> Floats:
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return sliding_window_view(padded, width) @ (window / window.sum())


def _stretches(energy: Floats, settings: SegmenterConfig) -> list[tuple[int, int]]:
    """First frame and stop frame of each stretch of speech between pauses."""
    smooth = _smooth(energy, 3)
    loud = smooth > np.percentile(smooth, 95) - settings.pause_db
    flips = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    pause = flips[1:, 0] - flips[:-1, 1] >= settings.pause_frames
    firsts = flips[np.concatenate(([True], pause)), 0]
    stops = flips[np.concatenate((pause, [True])), 1]
    return [(int(a), int(b)) for a, b in zip(firsts, stops, strict=True) if b - a >= settings.shortest_frames]


def _boundaries(
    first: int,
    stop: int,
    candidates: NDArray[np.intp],
    score: Floats,
    nuclei: NDArray[np.intp],
    settings: SegmenterConfig,
) -> list[int]:
    """The best boundaries of one stretch, its two ends included."""
    shortest = settings.shortest_frames
    inner = candidates[(candidates >= first + shortest) & (candidates <= stop - shortest)]
    times = np.concatenate(([first], inner, [stop]))
    gains = np.concatenate(([0.0], score[inner] - settings.threshold, [0.0]))
    passed = np.searchsorted(nuclei, times)
    lengths = times * STEP_SECONDS / settings.duration
    best = np.full(len(times), -np.inf)
    best[0] = 0.0
    origin = np.zeros(len(times), dtype=np.intp)
    for j in range(1, len(times)):
        low = max(0, j - _REACH)
        cost = settings.duration_weight * np.log(lengths[j] - lengths[low:j]) ** 2
        cost += settings.no_nucleus * (passed[j] == passed[low:j])
        cost[times[j] - times[low:j] < shortest] = np.inf
        values = best[low:j] + gains[j] - cost
        origin[j] = low + int(np.argmax(values))
        best[j] = values[origin[j] - low]
    edges = [len(times) - 1]
    while edges[-1]:
        edges.append(int(origin[edges[-1]]))
    return [int(times[edge]) for edge in reversed(edges)]
