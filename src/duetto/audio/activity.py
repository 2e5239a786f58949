"""Whether a signal can hold speech at all: what speech recogniser, aligner and segmenter ask before they work on it.

samples (n,) ─ no_speech ─▶ None, or the reason why there can be no word in it
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .timing import SAMPLE_RATE, frame_count, samples

SILENCE_AMPLITUDE = 1e-5
"""A signal that never moves further than this from its mean (−100 dBFS) is silent: a third of a 16-bit step."""

MIN_SECONDS = 0.05
"""A shorter signal holds no word: the acoustic model needs at least 30 ms for each phone."""

MIN_LEVEL_RANGE = 2.0
"""dB. A signal whose level varies less is a hum or noise: that of speech varies by 20 dB and more."""

_LEVEL_SECONDS = 0.1
_MIN_LEVEL_FRAMES = 10
"""One second: a shorter signal may be a sustained vowel."""


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
