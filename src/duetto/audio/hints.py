"""Recognises what a file is that cannot be read as audio, for a message that states what to do about it."""

from __future__ import annotations

import shlex
from pathlib import PurePath

_READABLE = "WAV, FLAC, OGG, OPUS and MP3 are read, and where ffmpeg is installed, whatever that reads"
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftyp", "an MP4 file (m4a, mp4, mov, 3gp)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska file (webm, mkv)"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file (wma, wmv, asf)"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"\xff\xf1", "AAC audio"),
    (0, b"\xff\xf9", "AAC audio"),
    (0, b"ADIF", "AAC audio"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b".RMF", "a RealMedia file"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack audio"),
    (0, b"OggS", "an Ogg file that breaks off at once, or of a codec such as Speex"),
    (8, b"AVI ", "an AVI video"),
)
"""Position, bytes there, what such a file is. `RIFF` is not among them: libsndfile states what is missing in a WAV."""
_TEXT = frozenset(range(0x20, 0x100)) | frozenset(b"\t\n\r\f\x1b")


def holds_no_sound(head: bytes) -> bool:
    """Guess whether a file holds no sound in any encoding.

    Args:
        head: Its first bytes.

    Returns:
        Whether they are text, or zeros only.
    """
    return is_text(head) or not any(head)


def kind_of(head: bytes) -> str | None:
    """Recognise a file that libsndfile does not read.

    Args:
        head: Its first bytes.

    Returns:
        What it is; None where that is not known.
    """
    return next((kind for at, magic, kind in _SIGNATURES if head[at : at + len(magic)] == magic), None)


def not_audio(name: str, head: bytes, why: str, *, is_path: bool, by_ffmpeg: str | None = None) -> str:
    """Write the error message for a file that is not read.

    Args:
        name: Of the file, for the message.
        head: Its first bytes.
        why: The reason that libsndfile gives.
        is_path: Whether `name` is a path, which can stand in a command.
        by_ffmpeg: The reason that ffmpeg gives; None where it was not tried.

    Returns:
        The message.
    """
    if is_text(head):
        return f"{name}: is text, not audio. {_READABLE}; give a recording"
    if head and not any(head):
        return f"{name}: cannot be read as audio: it begins with zero bytes only. {_READABLE}; copy the recording again"
    kind = kind_of(head)
    if by_ffmpeg is not None:
        what = why if kind is None else f"it begins like {kind}"
        return f"{name}: cannot be read as audio ({what}; {by_ffmpeg}). Copy or convert the recording again"
    convert = f"install ffmpeg, or convert it elsewhere{_command(name, is_path)}"
    if kind is not None:
        return f"{name}: cannot be read as audio: it is {kind}, which needs ffmpeg. {_READABLE}; {convert}"
    return f"{name}: cannot be read as audio ({why}). {_READABLE}; if another program plays it, {convert}"


def is_text(head: bytes) -> bool:
    """Guess whether a file is text, in UTF-8, UTF-16 or an encoding of one byte a letter.

    Args:
        head: Its first bytes.

    Returns:
        Whether they look like text.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        sample = head[2:512]
        with_zero = max(sample[::2].count(0), sample[1::2].count(0))
        return len(sample) >= 2 and with_zero > len(sample) // 4 and set(sample) <= _TEXT | {0}
    if not head or not set(head) <= _TEXT:
        return False
    letters = sum(byte < 0x80 for byte in head)
    return letters > 0.7 * len(head) or _is_utf8(head)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # cut within a character
    return True


def _command(name: str, is_path: bool) -> str:
    source, out = (name, str(PurePath(name).with_suffix(".converted.wav"))) if is_path else ("FILE", "converted.wav")
    return f": ffmpeg -i {shlex.quote(source)} {shlex.quote(out)}"
