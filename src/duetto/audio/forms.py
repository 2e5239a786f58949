"""Recordings as other libraries pass them → the forms that `opening` knows.

    {"array", "sampling_rate"} · {"raw", "sampling_rate"} · (samples, Hz) · AudioDecoder ─▶ {"waveform", "sample_rate"}
    bytes · {"bytes", "path"} ─▶ a file in memory

They come from `datasets` (audio columns, decoded or not), `transformers` (pipelines), soundfile and librosa (pairs),
torchcodec (decoders). Where an array has two axes, the longer one is time (`signal.as_frames`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import AudioError

_SAMPLES, _RATES = ("waveform", "array", "raw"), ("sample_rate", "sampling_rate")
"""Keys of the samples, and of their rate."""
_FORMS = (
    'a path, a file object, the bytes of a file, (samples, Hz), {"waveform", "sample_rate"}, '
    '{"array" or "raw", "sampling_rate"}, or {"bytes", "path"}'
)


@runtime_checkable
class SampleDecoder(Protocol):
    """A decoder of torchcodec, as audio columns of `datasets` hold them."""

    def get_all_samples(self) -> Any:
        """Decode the recording.

        Returns:
            An object with `data`, (channels, n), and `sample_rate`, Hz.
        """
        ...


class NamedBytes(io.BytesIO):
    """The content of a file in memory, with the file's name; picklable.

    Args:
        content: All of it.
        name: For messages.

    Attributes:
        name: For messages.
    """

    name: str

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name

    def __reduce__(self) -> tuple[type[NamedBytes], tuple[bytes, str]]:
        return NamedBytes, (self.getvalue(), self.name)


def common_form(source: Any) -> Any:
    """Convert a recording to a path, a binary file object, or {"waveform", "sample_rate"}.

    Args:
        source: The recording. A path, a file object, and what is no recording at all are returned as they are.

    Returns:
        The same recording.

    Raises:
        AudioError: It resembles one of the forms, but is not valid.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return NamedBytes(bytes(source), "bytes")
    if isinstance(source, Mapping):
        return _mapping(source)
    if isinstance(source, tuple):
        return _pair(source)
    if isinstance(source, SampleDecoder):
        decoded = source.get_all_samples()
        return {"waveform": decoded.data, "sample_rate": decoded.sample_rate}
    return source


def refusal(source: Any) -> AudioError:
    """Make the error for what is no recording.

    Args:
        source: What came instead.

    Returns:
        The error, which lists the valid forms.
    """
    if isinstance(source, np.ndarray):
        return AudioError('an array has no sample rate: give (array, Hz), or {"waveform": array, "sample_rate": Hz}')
    return AudioError(f"{type(source).__name__} is no audio source: give {_FORMS}")


def _mapping(source: Mapping[str, Any]) -> Any:
    samples, rate = (next((key for key in keys if source.get(key) is not None), None) for keys in (_SAMPLES, _RATES))
    if samples and rate:
        return {"waveform": source[samples], "sample_rate": source[rate]}
    if source.get("bytes") is not None:
        return NamedBytes(bytes(source["bytes"]), str(source.get("path") or "bytes"))
    if not (samples or rate) and source.get("path") is not None:
        return source["path"]
    missing = "sample_rate missing" if samples else "waveform missing"
    raise AudioError(
        f'{{"waveform": array, "sample_rate": Hz}} needed; {missing}: the keys are {", ".join(map(str, source))}'
    )


def _pair(source: tuple[Any, ...]) -> dict[str, Any]:
    if len(source) != 2:
        raise AudioError(f"a tuple of {len(source)} is no recording: give (samples, Hz)")
    samples, rate = source
    if np.ndim(samples) == 0 and np.ndim(rate) > 0:
        raise AudioError(f"({samples!r}, samples) has the sample rate first: give (samples, Hz)")
    return {"waveform": samples, "sample_rate": rate}
