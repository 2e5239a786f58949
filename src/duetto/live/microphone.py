"""The microphone as a stream: the only user of sounddevice."""

from __future__ import annotations

import queue
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import AudioError, MissingExtraError
from .channel_streams import LiveSound

MOST_BEHIND = 600
"""Blocks that may wait; a recogniser that is a minute behind is too slow, which is an error rather than a gap."""
_BLOCK_SECONDS = 0.1


@contextmanager
def microphone(device: str | int | None = None, *, rate: int = 16_000, channels: int = 1) -> Generator[LiveSound]:
    """Open a microphone.

    Args:
        device: Name or number of it, as `python -m sounddevice` lists them; None for the default one.
        rate: Hz.
        channels: Number of channels.

    Yields:
        The stream, which does not end by itself.

    Raises:
        MissingExtraError: sounddevice is not installed.
        AudioError: PortAudio is missing, or there is no such device.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError("the microphone", "live") from error
    except OSError as error:
        raise AudioError(f"the microphone needs PortAudio ({error}); on Debian: apt install libportaudio2") from error
    waiting: queue.Queue[np.ndarray] = queue.Queue(MOST_BEHIND)
    lost = [0]

    def take(block: Any, frames: int, _time: object, status: object) -> None:
        try:
            waiting.put_nowait(block.copy())
        except queue.Full:
            lost[0] += frames

    def blocks() -> Iterator[np.ndarray]:
        while True:
            if lost[0]:
                raise AudioError("the microphone is a minute ahead of the recogniser: this computer is too slow for it")
            yield waiting.get()

    size = round(_BLOCK_SECONDS * rate)
    try:
        stream = sounddevice.InputStream(
            samplerate=rate, channels=channels, dtype="float32", blocksize=size, device=device, callback=take
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise AudioError(f"the microphone cannot be opened ({error}); python -m sounddevice lists devices") from error
    with stream:
        yield LiveSound(rate, channels, blocks())
