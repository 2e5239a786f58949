"""Text that enters or leaves the program: encodings, file names as text, JSON that every reader accepts.

bytes of a text file ─ decoded ─▶ str
path ─ name_of ─▶ str in a JSON record ─ path_of ─▶ the same path
record ─ to_json ─▶ one line, UTF-8 whatever the terminal or the locale is
"""

from __future__ import annotations

import codecs
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

WINDOWS_1252 = {code: bytes([code]).decode("cp1252", "ignore") or " " for code in range(0x80, 0xA0)}
"""C1 control character → the character that its code has in Windows-1252. No text holds these controls: where they
occur, Windows-1252 was decoded as Latin-1 (U+0092 is an apostrophe). The five codes without a character become a
blank."""

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that are invisible, change a terminal's state or have no UTF-8: controls, format
characters, halves of surrogate pairs, line and paragraph separators."""


def decoded(data: bytes) -> tuple[str, str]:
    """Decode a text file of unknown encoding.

    UTF-8 and UTF-16 by their byte-order mark, UTF-8 without one, and everything else as Windows-1252, which is a
    superset of printable Latin-1. C1 control characters become what they are in Windows-1252.

    Args:
        data: The content of the file.

    Returns:
        The text, and `utf-8-sig`, `utf-16`, `utf-8` or `windows-1252`.

    Raises:
        UnicodeDecodeError: There is a byte-order mark, and what follows is not in that encoding.
    """
    marked = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)
    encoding = marked or "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if marked is not None:
            raise
        text, encoding = data.decode("latin-1"), "windows-1252"
    return text if text.isascii() else text.translate(WINDOWS_1252), encoding


def name_of(path: str | os.PathLike[str]) -> str:
    """Convert a path to text for a JSON record, the same in every locale.

    Bytes that are no UTF-8 become halves of surrogate pairs (U+DC80 … U+DCFF), as Python does it where the locale is
    UTF-8; `to_json` writes them as `\\udce9`.

    Args:
        path: A path.

    Returns:
        The text, from which `path_of` gives the same path.
    """
    return os.fsencode(path).decode("utf-8", "surrogateescape") if os.name == "posix" else os.fspath(path)


def path_of(name: str) -> Path:
    """Convert the text that `name_of` made of a path back to that path.

    Args:
        name: The text.

    Returns:
        The path.

    Raises:
        ValueError: No file can have this name: a null character, or surrogates other than U+DC80 … U+DCFF.
    """
    if "\0" in name:
        raise ValueError("a null character")
    return Path(os.fsdecode(name.encode("utf-8", "surrogateescape")) if os.name == "posix" else name)


def to_json(value: Any) -> str:
    """Write a value as one line of JSON, in which only `INVISIBLE` characters are escaped.

    Args:
        value: Anything that `json` can write.

    Returns:
        The line, without its end.
    """
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(json.dumps(c)[1:-1] if unicodedata.category(c) in INVISIBLE else c for c in text)


def printable(text: str) -> str:
    """Make text from outside fit for a terminal.

    Args:
        text: Any text.

    Returns:
        The text with `INVISIBLE` characters (escape sequences, line breaks, …) as `\\x1b` and the like.
    """
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in INVISIBLE else character
        for character in text
    )
