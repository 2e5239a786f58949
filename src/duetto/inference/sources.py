"""Recordings as arguments: their names in messages, and their way into another process."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from .. import audio
from ..errors import AudioError, DuettoError

_log = logging.getLogger(__name__)
T = TypeVar("T")


def source_name(source: audio.Source) -> str:
    """Name a recording in a message.

    Args:
        source: The recording.

    Returns:
        The path, also of a row of an audio column, or the name of a file object that has one; else `a recording`.
    """
    if isinstance(source, audio.Channel | audio.RawPcm):
        return source_name(source.source)
    if isinstance(source, str | os.PathLike):
        return str(source)
    if isinstance(source, Mapping):
        return str(source.get("path") or "a recording")
    return str(getattr(source, "name", "a recording"))


def picklable(source: audio.Source, *, raw: bool = False) -> audio.Source | DuettoError:
    """Make a recording that another process can read.

    Args:
        source: The recording.
        raw: Whether it holds samples without a header.

    Returns:
        The source itself, or the content of a stream that only this process can read; an error if reading it fails.
    """
    if isinstance(source, audio.Channel | audio.RawPcm):
        inner = picklable(source.source, raw=isinstance(source, audio.RawPcm))
        return inner if isinstance(inner, DuettoError) else replace(source, source=inner)
    content = io.BytesIO()
    try:
        source = audio.common_form(source)
        in_memory = isinstance(source, Mapping | audio.NamedBytes)
        if in_memory or (isinstance(source, str | os.PathLike) and not audio.is_stream(source)):
            return source
        audio.save(source, content, raw=raw)
    except DuettoError as error:
        return error
    return audio.NamedBytes(content.getvalue(), source_name(source))


def guarded(predict: Callable[[audio.Source], T], source: audio.Source) -> T | DuettoError:
    """Return what a function makes of a recording, or the error that prevented it.

    Args:
        predict: The function.
        source: The recording.

    Returns:
        Its value, or the error, whatever it was.
    """
    try:
        return predict(source)
    except DuettoError as error:
        return error
    except (UnicodeError, OSError) as error:  # a file name may contain bytes that are no text, or be too long
        return AudioError(f"{source_name(source)!r}: {error}")
    except MemoryError:
        return AudioError(f"{source_name(source)}: there is not enough memory to analyse it")
    except Exception as error:  # a defect of duetto; reported with its type
        _log.debug("%s", source_name(source), exc_info=True)
        return DuettoError(f"{source_name(source)}: {type(error).__name__}: {error}")


@contextmanager
def named_errors(source: audio.Source) -> Iterator[None]:
    """Add the name of a recording to errors that are raised for its samples.

    Args:
        source: The recording.

    Yields:
        Nothing.

    Raises:
        AudioError: As the block raises it, with the name.
    """
    try:
        yield
    except AudioError as error:
        raise AudioError(f"{source_name(source)}: {error}") from error


def crashed(source: audio.Source | DuettoError) -> DuettoError:
    """Make the error for a recording whose process died.

    Args:
        source: The recording, or the error that it had already.

    Returns:
        The error.
    """
    if isinstance(source, DuettoError):
        return source
    return AudioError(f"{source_name(source)}: the process that worked on it died")


def with_mixing_named(waveform: audio.Waveform) -> audio.Waveform:
    """Add a warning to a recording whose channels were mixed, as in a call, where each is a speaker.

    Args:
        waveform: The recording.

    Returns:
        The same, where it has one channel or all channels are alike.
    """
    if not waveform.mixed:
        return waveform
    warning = f"its {waveform.mixed} channels were mixed; if each is a speaker, predict each by itself (split)"
    return replace(waveform, warnings=(*waveform.warnings, warning))
