"""Uploads: multipart/form-data, read as it comes into memory, within limits; nothing goes to a file.

body ─ chunks ─ python-multipart ─▶ fields and one file
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ..utils.text import printable
from .errors import RequestError
from .settings import MIB, Limits

_LONGEST_NAME = 200
_MOST_PARTS = 32
_MOST_HEADER = 4096
MOST_JSON = 16 * MIB
"""Bytes of a time line that is converted: of ten hours of speech."""


@dataclass
class Spool:
    """How much of the memory for uploads is in use.

    Attributes:
        limits: Of the server.
        used: Bytes.
    """

    limits: Limits
    used: int = 0

    def take(self, count: int) -> None:
        """Take memory.

        Args:
            count: Bytes.

        Raises:
            RequestError: There is not so much left.
        """
        if self.used + count > self.limits.spool_bytes:
            raise RequestError("overloaded", "other uploads fill the memory for them; try again later")
        self.used += count


@dataclass
class Form:
    """The content of an upload.

    Attributes:
        spool: From which its memory is taken; `free` gives it back.
        file: The recording; None where there is none.
        file_name: Of it, as the client states it, without folders and control characters.
        fields: Name → texts, in order.
        taken: Bytes that it holds.
    """

    spool: Spool
    file: bytearray | None = None
    file_name: str = "recording"
    fields: dict[str, list[str]] = field(default_factory=dict)
    taken: int = 0

    def free(self) -> None:
        """Give its memory back."""
        self.spool.used -= self.taken
        self.taken, self.file = 0, None

    def text(self, name: str, default: str | None = None) -> str | None:
        """Read a field that may be given once.

        Args:
            name: Of the field.
            default: Where it is not given, or empty.

        Returns:
            Its text.

        Raises:
            RequestError: It is given more than once.
        """
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise RequestError("request_invalid", f"field {name} is given {len(values)} times; give it once", name)
        return values[0] if values and values[0] else default

    def one_of(self, name: str, valid: Collection[str], default: str) -> str:
        """Read a field that has one of several values.

        Args:
            name: Of the field.
            valid: The values.
            default: Where it is not given.

        Returns:
            Its value.

        Raises:
            RequestError: It has another value.
        """
        value = self.text(name) or default
        if value not in valid:
            raise RequestError("request_invalid", f"{name} is not valid; give one of {', '.join(valid)}", name)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Read a field that is `true` or `false`.

        Args:
            name: Of the field.
            default: Where it is not given.

        Returns:
            Its value.

        Raises:
            RequestError: It has another value.
        """
        return self.one_of(name, ("true", "false"), str(default).lower()) == "true"

    def number(self, name: str, low: float, high: float) -> float | None:
        """Read a number.

        Args:
            name: Of the field.
            low: Least value.
            high: Largest value.

        Returns:
            The number; None where it is not given.

        Raises:
            RequestError: It is no number, or out of range.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise RequestError("request_invalid", f"{name} is not valid; give a number from {low:g} to {high:g}", name)
        return value

    def recording(self) -> bytes:
        """Return the recording.

        Returns:
            Its bytes.

        Raises:
            RequestError: There is none, or it is empty.
        """
        if self.file is None:
            raise RequestError("request_invalid", "there is no recording; send one as the field file", "file")
        if not self.file:
            raise RequestError("audio_invalid", f"{self.file_name}: is empty (0 bytes)", "file")
        return bytes(self.file)


async def read_form(request: Request, spool: Spool, known: Collection[str]) -> Form:
    """Read the body of a request.

    Args:
        request: The request.
        spool: From which its memory is taken.
        known: Names of its fields, `file` aside.

    Returns:
        The form; `Form.free` has to be called.

    Raises:
        RequestError: The body is not valid, too large, or does not arrive in time.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise RequestError("media_type_invalid", "send the recording as multipart/form-data, in the field file")
    limits = spool.limits
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limits.upload_bytes + limits.text_bytes + _MOST_PARTS * _MOST_HEADER:
        raise _too_large(limits)
    form = Form(spool)
    try:
        parts = _Parts(form, known, limits)
        parser = MultipartParser(boundary, parts.callbacks, max_size=float("inf"))
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in request.stream():
                parser.write(chunk)
        parser.finalize()
        parts.check_end()
    except BaseException as error:
        form.free()
        raise _refused(error, limits) from error
    return form


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read a body that is not a form.

    Args:
        request: The request.
        limits: Of the server.

    Returns:
        Its bytes.

    Raises:
        RequestError: It is too large, or does not arrive in time.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MOST_JSON:
                    raise RequestError("too_large", f"at most {MOST_JSON / MIB:g} MiB are taken")
    except (TimeoutError, ClientDisconnect) as error:
        raise _refused(error, limits) from error
    return bytes(content)


def _refused(error: BaseException, limits: Limits) -> BaseException:
    if isinstance(error, TimeoutError):
        most = f"{limits.upload_seconds:g} s"
        return RequestError("upload_timeout", f"the body did not arrive within {most}")
    if isinstance(error, FormParserError | UnicodeError | ClientDisconnect):
        return RequestError("request_invalid", "the body is no complete multipart/form-data; send it again")
    return error


def _too_large(limits: Limits) -> RequestError:
    most = limits.upload_bytes / MIB
    return RequestError("too_large", f"at most {most:g} MiB are taken; send a shorter or compressed recording", "file")


class _Parts:
    """Takes the parts of a body into a form."""

    def __init__(self, form: Form, known: Collection[str], limits: Limits) -> None:
        self._form, self._known, self._limits = form, known, limits
        self._headers: dict[bytes, bytes] = {}
        self._header_name, self._header_value = bytearray(), bytearray()
        self._count = self._text_bytes = 0
        self._name, self._text = "", bytearray()
        self._is_file = self._ended = False
        names = ("part_begin", "header_field", "header_value", "header_end", "headers_finished", "part_data")
        self.callbacks: Any = {f"on_{n}": getattr(self, n) for n in (*names, "part_end")}
        self.callbacks["on_end"] = self.end

    def part_begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise RequestError("request_invalid", f"the form has more than {_MOST_PARTS} fields")
        self._headers, self._text = {}, bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._grown(self._header_name, data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._grown(self._header_value, data[start:end])

    def _grown(self, to: bytearray, data: bytes) -> None:
        to += data
        if len(to) > _MOST_HEADER or len(self._headers) > _MOST_PARTS:
            raise RequestError("request_invalid", "a field of the form has too long headers")

    def header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name, self._header_value = bytearray(), bytearray()

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace").removesuffix("[]")
        self._is_file = self._name == "file"
        if not self._is_file and self._name not in self._known:
            known = ", ".join(("file", *self._known))
            raise RequestError("request_invalid", f"the form has a field that is not known; known are {known}")
        if self._is_file:
            if self._form.file is not None:
                raise RequestError("request_invalid", "the form has more than one recording; send one", "file")
            self._form.file = bytearray()
            self._form.file_name = safe_name(options.get(b"filename", b""))

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and self._form.file is not None:
            if len(self._form.file) + end - start > self._limits.upload_bytes:
                raise _too_large(self._limits)
            self._form.spool.take(end - start)
            self._form.taken += end - start
            self._form.file += data[start:end]
            return
        self._text_bytes += end - start
        if self._text_bytes > self._limits.text_bytes:
            most = self._limits.text_bytes >> 10
            raise RequestError("too_large", f"at most {most} KiB of text are taken", self._name)
        self._text += data[start:end]

    def part_end(self) -> None:
        if not self._is_file:
            self._form.fields.setdefault(self._name, []).append(self._text.decode("utf-8"))

    def end(self) -> None:
        self._ended = True

    def check_end(self) -> None:
        if not self._ended:
            raise RequestError("request_invalid", "the body ends within the form; send it again, whole")


def safe_name(name: bytes) -> str:
    """Make the name of an uploaded file fit for messages; no file is opened by it.

    Args:
        name: As the client states it.

    Returns:
        Its last part, printable and not too long; `recording` where there is none.
    """
    text = name.decode("utf-8", "replace").replace("\\", "/").rsplit("/", 1)[-1].strip()
    return printable(text)[:_LONGEST_NAME] or "recording"
