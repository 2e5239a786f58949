"""`RequestError`: why a request gets no answer, under one of the names of `ERRORS`.

Over HTTP it is `{"error": {"code", "message", "type", "param"}}`, the shape of OpenAI's errors, with the status and,
where trying again helps, `Retry-After`. Over a WebSocket it is `{"type": "error", "error": {"code", "message"}}`, and
the socket is closed with the code of `ERRORS`, unless that is 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Kind(NamedTuple):
    """How an error is answered.

    Attributes:
        status: Of HTTP.
        close: Code with which a WebSocket is closed; 0 where it stays open.
        meaning: In one sentence.
        retry: Seconds of `Retry-After`; None where trying again does not help.
    """

    status: int
    close: int
    meaning: str
    retry: int | None = None


ERRORS: dict[str, Kind] = {
    "request_invalid": Kind(422, 1008, "A field is missing, unknown or not valid."),
    "audio_invalid": Kind(422, 1007, "The recording is audio, but cannot be analysed: damaged, empty, …"),
    "not_audio": Kind(415, 1003, "The file is not audio, or in a format that is not read."),
    "media_type_invalid": Kind(415, 1003, "The body is not multipart/form-data."),
    "too_large": Kind(413, 1009, "The upload has more bytes than the server takes."),
    "too_long": Kind(413, 1009, "The recording lasts longer than the server analyses."),
    "upload_timeout": Kind(408, 1008, "The body of the request did not arrive in time."),
    "unauthorised": Kind(401, 1008, "The server asks for a bearer token, and this request has none, or another one."),
    "host_forbidden": Kind(403, 1008, "The server is not known under the host name of the request."),
    "origin_forbidden": Kind(403, 1008, "The request comes from the page of another site."),
    "not_found": Kind(404, 1008, "There is nothing at this address."),
    "method_not_allowed": Kind(405, 1008, "The address does not take this method."),
    "model_not_found": Kind(404, 1008, "The server has no model of this name."),
    "rate_limited": Kind(429, 1013, "This client has too many requests or streams at a time.", 5),
    "overloaded": Kind(503, 1013, "The server has as much work as it takes; others are served first.", 5),
    "timed_out": Kind(503, 1013, "The analysis took longer than the server allows.", 30),
    "not_ready": Kind(503, 1013, "The server is loading its models.", 2),
    "shutting_down": Kind(503, 1012, "The server is ending; another one may take its place.", 10),
    "worker_failed": Kind(503, 1011, "The process that worked on the request died; a new one has started.", 2),
    "internal_error": Kind(500, 1011, "A defect of duetto; its log has the kind of error, not the request."),
    "config_invalid": Kind(422, 1008, "A session.update is not valid, or came after the first audio."),
    "message_invalid": Kind(422, 1007, "A text message is not a JSON object of a known type."),
    "invalid_audio_frame": Kind(422, 0, "The audio ends within a sample; the bytes of that sample are left out."),
    "message_too_large": Kind(413, 1009, "One message has more bytes than the server takes; send shorter ones."),
    "idle_timeout": Kind(408, 1008, "The stream got no message for too long."),
    "client_too_slow": Kind(408, 1008, "The client does not read the messages that it is sent."),
}
"""Name → how it is answered."""

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class RequestError(Exception):
    """A request that is refused or fails.

    Args:
        code: A key of `ERRORS`.
        message: What came, what is valid, what to do; without any content of the request but names of its fields.
        param: The field that is at fault, if one is.

    Attributes:
        code: As given.
        message: As given.
        param: As given.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param

    def __reduce__(self) -> tuple[type[RequestError], tuple[str, str, str | None]]:
        """Pickle the arguments: it crosses from a worker process."""
        return type(self), (self.code, self.message, self.param)

    @property
    def kind(self) -> Kind:
        """How it is answered."""
        return ERRORS[self.code]

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the HTTP answer."""
        headers = {} if self.kind.retry is None else {"Retry-After": str(self.kind.retry)}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.kind.status == 401 else {})

    def body(self) -> dict[str, Any]:
        """Make the body of the HTTP answer.

        Returns:
            JSON values.
        """
        type_ = _TYPES.get(self.kind.status, "server_error" if self.kind.status >= 500 else "invalid_request_error")
        return {"error": {"code": self.code, "message": self.message, "type": type_, "param": self.param}}

    def event(self) -> dict[str, Any]:
        """Make the message of a WebSocket.

        Returns:
            JSON values.
        """
        return {"type": "error", "error": {"code": self.code, "message": self.message}}
