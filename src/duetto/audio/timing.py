"""The one home of time arithmetic: seconds ↔ samples ↔ frames.

Two clocks run in duetto. The acoustic encoder sees one frame every 100 ms (paper, section 2.1);
Speech2Vec sees one every 10 ms. Both count at 16 kHz, and both divide with integers, so that a
boundary falls on the same sample wherever it is computed.
"""

SAMPLE_RATE = 16_000
"""Samples per second of every waveform inside duetto."""

FRAME_SECONDS = 0.1
"""Length and step of one short-term frame (paper, section 2.1: 100 ms, no overlap)."""

MAX_FRAMES = 200
"""Frames kept in paper mode: 20 s (paper, section 2.1)."""

MAX_WORDS = 128
"""Words kept in paper mode (paper, section 4.2)."""


def samples(seconds: float, sample_rate: int = SAMPLE_RATE) -> int:
    """Seconds as the nearest whole number of samples."""
    return round(seconds * sample_rate)


def seconds(n_samples: int, sample_rate: int = SAMPLE_RATE) -> float:
    """Samples as seconds."""
    return n_samples / sample_rate


def frame_length(sample_rate: int = SAMPLE_RATE, frame_seconds: float = FRAME_SECONDS) -> int:
    """Samples in one frame."""
    return samples(frame_seconds, sample_rate)


def frame_count(n_samples: int, length: int, *, partial: bool) -> int:
    """Frames in a signal of `n_samples`, stepping by `length` samples.

    With `partial`, a last frame that is not full counts, so a signal of one sample has one frame.
    Without, only full frames count, as pyAudioAnalysis does.
    """
    return -(-n_samples // length) if partial else n_samples // length
