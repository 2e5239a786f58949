"""What recogniser, aligner and segmenter ask of a signal before they work on it: is it valid, can it hold speech?

samples (n,) ─ checked ─▶ samples (n,) ─ no_speech ─▶ None, or the reason why there can be no word in it
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError
from .timing import SAMPLE_RATE, frame_count, samples

SILENT = 1e-5
"""A signal that never moves further than this from its mean (-100 dBFS) is silent: a third of a 16-bit step."""

SHORTEST_SECONDS = 0.05
"""A shorter signal holds no word: the acoustic model needs at least 30 ms for each phone."""

STEADY_DB = 2.0
"""A signal whose level stays within this is a hum or noise: speech moves by 20 dB and more (syllables, stops)."""

_LEVEL_SECONDS = 0.1
_STEADY_FRAMES = 10  # a second: a shorter signal may be one held vowel


def checked(signal: np.ndarray) -> NDArray[np.floating]:
    """`signal` (n,), n ≥ 1, finite, floating-point; `AudioError` says what else came."""
    signal = np.asarray(signal)
    if signal.ndim != 1 or not np.issubdtype(signal.dtype, np.floating):
        raise AudioError(
            f"samples of shape {signal.shape} and type {signal.dtype} came; (n,) floating-point numbers at "
            f"{SAMPLE_RATE} Hz are needed: duetto.audio.load gives them"
        )
    if signal.size == 0:
        raise AudioError("the utterance holds no sample at all: check where it was cut")
    if not np.isfinite(signal).all():
        at = int(np.flatnonzero(~np.isfinite(signal))[0])
        raise AudioError(f"sample {at} is {signal[at]}: every sample must be a finite number")
    return signal


def no_speech(signal: NDArray[np.floating]) -> str | None:
    """Why a checked signal at 16 kHz cannot hold a word (too short, silent, steady), or None where it may.

    Steady: the level of the differenced signal over 100 ms frames (its 5th to 95th percentile) stays
    within `STEADY_DB`. White, pink and brown noise, hums and tones do; speech, even at 5 dB above
    noise, does not. Signals under a second are not judged by it.
    """
    if len(signal) < samples(SHORTEST_SECONDS):
        return f"{len(signal)} samples ({len(signal) / SAMPLE_RATE:.4f} s) are too short to hold a word"
    peak = float(np.ptp(signal)) / 2
    if peak < SILENT:
        return f"the recording is silent (peak {peak:.1e} of full scale)"
    length = samples(_LEVEL_SECONDS)
    frames = frame_count(len(signal) - 1, length, partial=False)
    if frames < _STEADY_FRAMES:
        return None
    steps = np.diff(signal.astype(np.float64, copy=False))[: frames * length].reshape(frames, length)
    levels = 10 * np.log10(np.mean(steps**2, axis=1) + SILENT**2)
    low, high = np.percentile(levels, [5, 95])
    if high - low < STEADY_DB:
        return f"its level stays within {high - low:.1f} dB: a hum or noise, no speech"
    return None
