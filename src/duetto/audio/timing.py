"""All conversions of time: seconds ↔ samples ↔ frames.

Two frame rates are used in duetto. The acoustic encoder gets one frame every 100 ms (paper, section 2.1); Speech2Vec
gets one every 10 ms. Both count at 16 kHz, and both divide with integers, so that a boundary falls on the same sample
wherever it is computed.
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
    """Convert seconds to the nearest whole number of samples.

    Args:
        seconds: A duration.
        sample_rate: Hz.

    Returns:
        Samples.
    """
    return round(seconds * sample_rate)


def seconds(n_samples: int, sample_rate: int = SAMPLE_RATE) -> float:
    """Convert samples to seconds.

    Args:
        n_samples: A number of samples.
        sample_rate: Hz.

    Returns:
        Seconds.
    """
    return n_samples / sample_rate


def frame_length(sample_rate: int = SAMPLE_RATE, frame_seconds: float = FRAME_SECONDS) -> int:
    """Convert the length of a frame to samples.

    Args:
        sample_rate: Hz.
        frame_seconds: Length of the frame in seconds.

    Returns:
        Samples in one frame.
    """
    return samples(frame_seconds, sample_rate)


def frame_count(n_samples: int, length: int, *, partial: bool) -> int:
    """Count the frames of a signal.

    Args:
        n_samples: Length of the signal.
        length: Samples of one frame, which is also the step.
        partial: Whether a last frame that is not full counts, so that one sample has one frame. pyAudioAnalysis
            counts full frames only.

    Returns:
        Frames.
    """
    return -(-n_samples // length) if partial else n_samples // length
