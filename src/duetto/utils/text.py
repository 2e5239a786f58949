"""Text that crosses the program's border: encodings, file names as text, JSON that any reader takes.

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
"""C1 control character → what it is in Windows-1252. No text holds these controls; where they occur, text in
Windows-1252 was decoded as Latin-1 (U+0092 is an apostrophe). The five codes without a character become a blank."""

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")


def decoded(data: bytes) -> tuple[str, str]:
    """The text of a file and the encoding it was read in.

    UTF-8 and UTF-16 by their byte-order mark, UTF-8 without one, and everything else as Windows-1252, which is a
    superset of printable Latin-1. C1 control characters become what they are in Windows-1252.

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
    """A path as text of a JSON record.

    Bytes that are no UTF-8 become halves of surrogate pairs (U+DC80 … U+DCFF), as Python does it where the locale is
    UTF-8; `to_json` writes them as `\\udce9`. So the text is the same in every locale.
    """
    return os.fsencode(path).decode("utf-8", "surrogateescape") if os.name == "posix" else os.fspath(path)


def path_of(name: str) -> Path:
    """The path that `name_of` made a text of.

    Raises:
        ValueError: No file can have this name: a null character, or surrogates other than U+DC80 … U+DCFF.
    """
    if "\0" in name:
        raise ValueError("a null character")
    return Path(os.fsdecode(name.encode("utf-8", "surrogateescape")) if os.name == "posix" else name)


def to_json(value: Any) -> str:
    """A value as one line of JSON.

    Characters stand as they are, but for those that are invisible, change a terminal's state or have no UTF-8
    (controls, format characters, line separators, halves of surrogate pairs): these are escaped.
    """
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(json.dumps(c)[1:-1] if unicodedata.category(c) in _INVISIBLE else c for c in text)
