"""What a server is not meant to be sent: no crash, no status 500, nothing left open, errors as JSON."""

import asyncio
import base64
import contextlib
import functools
import io
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
jsonschema = pytest.importorskip("jsonschema")
httpx = pytest.importorskip("httpx2")
schemathesis = pytest.importorskip("schemathesis")

from duetto.server import Limits, ServerSettings, create_app
from duetto.server.connection import uvicorn_config
from duetto.server.schemas import ERROR, SERVER_MESSAGES
from duetto.server.state import ServerState
from serving import Process, process, recogniser, serving, speech, wav

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]


@pytest.fixture(scope="module")
def client() -> Any:
    with serving() as (found, _):
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One server for all; at its end it must still be well, and have printed nothing."""
    with process("--workers", "1", "--max-streams", "300", folder=tmp_path_factory.mktemp("abused")) as found:
        yield found
        well(found)
        status, printed = found.stop()
        assert (status, printed.count("\n")) == (0, 1), printed  # the notice on the law


def well(server: Process) -> None:
    """It answers, has answered no request with 500, and forgets what has gone."""
    with httpx.Client(base_url=f"http://{server.address}", timeout=60) as http:
        answer = http.post("/v1/predict", files={"file": ("a.wav", wav(speech()))})
        assert answer.json() == json.loads(json.dumps(recogniser()(io.BytesIO(wav(speech()))).to_json("a.wav")))
        until(lambda: "duetto_streams 0.0" in http.get("/metrics").text)
        text = http.get("/metrics").text
    assert 'status="500"' not in text and "internal_error" not in text
    assert "duetto_spooled_bytes 0.0" in text and "duetto_uploads 0.0" in text


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def said(server: Process, content: bytes, *, shut: bool = False) -> bytes:
    """What the server sends back to raw bytes, until it closes the socket."""
    found = b""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw,
        contextlib.suppress(OSError),  # closed by the server
    ):
        raw.sendall(content)
        if shut:
            raw.shutdown(socket.SHUT_WR)
        while part := raw.recv(65536):
            found += part
    return found


# requests that follow the OpenAPI document, and requests that do not


@pytest.fixture(scope="module")
def api(server: Process) -> Any:
    return schemathesis.openapi.from_url(f"http://{server.address}/openapi.json")


OPERATIONS = [
    *(("POST", path) for path in ("/v1/predict", "/v1/timeline", "/v1/audio/transcriptions", "/v1/timeline/convert")),
    *(("GET", path) for path in ("/v1/models", "/v1/formats", "/healthz", "/readyz", "/metrics", "/asyncapi.json")),
]


def test_every_address_of_the_document_is_tried(api: Any) -> None:
    assert {(each.ok().method.upper(), each.ok().path) for each in api.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_openapi_document_describes_what_is_answered(api: Any, method: str, path: str) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    # Random bytes as audio are rightly refused, so valid forms need not be accepted.
    wanted = [not_a_server_error, checks.status_code_conformance, checks.content_type_conformance]
    wanted += [checks.response_schema_conformance, checks.negative_data_rejection]

    @given(case=api[path][method].as_strategy())
    @settings(max_examples=15 if method == "POST" else 3, deadline=None, suppress_health_check=SLOW)
    def conforms(case: Any) -> None:
        case.call_and_validate(checks=wanted)

    conforms()


@pytest.mark.parametrize(
    "target",
    [
        "/static/../../etc/passwd", "/static/..%2f..%2fetc%2fpasswd", "/static/%2e%2e/%2e%2e/etc/passwd", 
        "//etc/passwd", "/static/%00", "/static/%ff", "/static/a%0d%0ab", "/static/" + "a" * 5000,
        "/static//etc/passwd", "/static/.", "/v1/predict/..", "/%2e%2e/", "*", "http://evil.example/",
        "/healthz%00", "/\xff",
    ],
)  # fmt: skip
def test_path_like_addresses(server: Process, target: str) -> None:
    head = f"GET {target} HTTP/1.1\r\nHost: {server.address}\r\nConnection: close\r\n\r\n"
    answer = said(server, head.encode("latin-1"))
    assert int(answer.split()[1]) in (400, 404), answer
    jsonschema.validate(json.loads(answer.partition(b"\r\n\r\n")[2]), ERROR)
    assert b"root:" not in answer and b"evil" not in answer


NAMES = [
    b"../../../etc/passwd", rb"C:\windows\x", b"/etc/passwd", b"file:///etc/passwd", b"http://evil.example/a.wav",
    b"\0", b"a" * 3000, b"\xff\xfe", b"CON", b"| touch /tmp/x", b"-i", b"concat:/etc/passwd", b"%s%n", b"a\rb",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=[str(i) for i in range(len(NAMES))])
def test_path_like_names_of_recordings_are_names_only(client: Any, name: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for content, status in ((wav(speech()), 200), (b"hello " * 90, 415)):
        answer = client.post("/v1/timeline", content=head + content + b"\r\n--x--\r\n", headers=headers)
        if answer.status_code == status:
            assert "/" not in answer.json().get("file", "") and "root:" not in answer.text
        else:  # a name that no header can hold
            assert answer.status_code == 422, answer.text
            jsonschema.validate(answer.json(), ERROR)


# sound that is none


HEADS = [
    b"", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\xff", b"RF64\xff\xff\xff\xffWAVE",
    b"fLaC\0\0\0\x22", b"OggS\0\2", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80",
    b"\0\0\0\x20ftypM4A ", b"\0\0\0\x01ftypisom\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01", b"FORM\x7f\xff\xff\xffAIFF", b".snd\0\0\0\x18\xff\xff\xff\xff",
    b"caff\0\1\0\0", b"#!AMR\n", b"#!AMR-WB\n", b"MThd\0\0\0\6", b"wvpk", b"MAC ", b"TTA1", b"0&\xb2u\x8ef\xcf\x11",
    b"FLV\1\5", b"\x47\x40\0\x10", b"\0\0\1\xba", b"Creative Voice File\x1a", b".RMF", b"DSD ",
    b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"[playlist]\nFile1=/etc/passwd\n", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
    b"<?xml version='1.0'?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>", b"%PDF-1.7\n", b"PK\3\4",
    b"\x1f\x8b\x08", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"<html>", b"NIST_1A\n   1024\n", b"2BIT",
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS, ids=[str(i) for i in range(len(HEADS))])
def test_random_bytes_after_the_head_of_any_container(client: Any, head: bytes) -> None:
    rng = np.random.default_rng(len(head))
    for rest in (b"", rng.bytes(40), rng.bytes(9000), bytes(3000)):
        checked(client, head + rest)


def checked(client: Any, content: bytes) -> int:
    """The status of an upload, whose answer is a prediction or an error as JSON."""
    answer = client.post("/v1/predict", files={"file": ("a", content)})
    assert answer.status_code in (200, 413, 415, 422), answer.text
    if answer.status_code != 200:
        jsonschema.validate(answer.json(), ERROR)
    assert "root:" not in answer.text
    return answer.status_code


KINDS = {"m4a": ("-c:a", "aac"), "webm": ("-c:a", "libopus"), "mka": ("-c:a", "flac"), "wma": ("-c:a", "wmav2")}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_containers(client: Any, tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.wav").write_bytes(wav(speech()))
    made = ["ffmpeg", "-loglevel", "error", "-i", tmp_path / "a.wav", *KINDS[kind], tmp_path / f"a.{kind}"]
    if subprocess.run(made, check=False).returncode:
        pytest.skip(f"this ffmpeg writes no {kind}")
    whole = (tmp_path / f"a.{kind}").read_bytes()
    assert checked(client, whole) == 200
    rng = np.random.default_rng(0)
    for share in (0.01, 0.1, 0.5, 0.99):
        checked(client, whole[: int(share * len(whole))])
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), int(share * 100))] ^= 0xFF
        checked(client, damaged.tobytes())


# streams


TEXTS = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda session: json.dumps({"type": "session.update", "session": session}),
        st.dictionaries(
            st.sampled_from(["rate", "channels", "language", "interval", "adapt", "model", "x"]),
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([])),
            max_size=3,
        ),
    ),
    st.sampled_from(['{"type": "session.update"}', '{"type": "session.close"}', '{"type": 1}', "[]", "null"]),
)


@given(st.lists(st.one_of(st.binary(max_size=9000), TEXTS), max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
def test_messages_of_any_kind_in_any_order_end_a_stream_by_name(client: Any, messages: list[str | bytes]) -> None:
    with client.websocket_connect("/v1/stream") as socket_:
        for message in [*messages, '{"type": "session.close"}']:
            socket_.send_bytes(message) if isinstance(message, bytes) else socket_.send_text(message)
        found: list[dict[str, Any]] = []
        while not found or found[-1]["type"] not in ("error", "session.closed") or left_open(found[-1]):
            found.append(socket_.receive_json())
            jsonschema.validate(found[-1], SERVER_MESSAGES[found[-1]["type"]])
    assert "internal_error" not in json.dumps(found)


def left_open(message: dict[str, Any]) -> bool:
    return message["type"] == "error" and message["error"]["code"] == "invalid_audio_frame"


def frame(opcode: int, payload: bytes = b"", *, head: int = 0x80, masked: bool = True, length: bytes = b"") -> bytes:
    length = length or bytes([(0x80 if masked else 0) | len(payload)])
    return bytes([head | opcode]) + length + (bytes(4) if masked else b"") + payload


FRAMES = {
    "no mask": frame(2, b"ab", masked=False),
    "an unknown opcode": frame(3, b"ab"),
    "reserved bits": frame(2, b"ab", head=0xF0),
    "a control frame in parts": frame(9, b"ab", head=0),
    "a long control frame": frame(9, length=b"\xfe\x01\x00") + bytes(256),
    "a continuation of nothing": frame(0, b"ab"),
    "text amid parts": frame(2, b"ab", head=0) + frame(1, b"{}"),
    "a length of 2^63": frame(2, length=b"\xff\x80" + bytes(7)),
    "a length of 2^62": frame(2, length=b"\xff\x40" + bytes(7)),
    "text that is no UTF-8": frame(1, b"\xff\xfe"),
    "a close code that is none": frame(8, b"\x00\x01"),
    "a close reason that is no UTF-8": frame(8, b"\x03\xe8\xff"),
    "half of a close code": frame(8, b"\x03"),
    "half a frame": b"\x82",
    "half of a length": b"\x82\xfe\x01",
    "many empty messages": frame(2) * 5000,
    "many pings": frame(9, b"x") * 2000,
    "no frame at all": b"GET / HTTP/1.1\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", FRAMES)
def test_malformed_frames_end_the_stream(server: Process, name: str) -> None:
    key = base64.b64encode(bytes(16)).decode()
    head = f"GET /v1/stream HTTP/1.1\r\nHost: {server.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    assert said(server, head.encode() + FRAMES[name], shut=True).startswith(b"HTTP/1.1 101 ")


HANDSHAKES = [
    "Sec-WebSocket-Version: 12",
    "Sec-WebSocket-Key: x",
    "Sec-WebSocket-Version: 13",
    "Upgrade: h2c",
    "A: \x01",
]


@pytest.mark.parametrize("line", HANDSHAKES)
def test_handshakes_that_are_not_valid(server: Process, line: str) -> None:
    head = f"GET /v1/stream HTTP/1.1\r\nHost: {server.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += f"{line}\r\n\r\n"
    answer = said(server, head.encode())
    assert not answer if "\x01" in line else 400 <= int(answer.split()[1]) < 500


# sockets


def descriptors(server: Process) -> int:
    return len(os.listdir(f"/proc/{server.popen.pid}/fd"))  # noqa: PTH208


def memory(server: Process) -> float:
    """MB."""
    text = Path(f"/proc/{server.popen.pid}/status").read_text("ascii")
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_a_thousand_open_sockets_do_not_keep_others_from_being_served(server: Process) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 3000:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3000, hard))
    well(server)
    before, used = descriptors(server), memory(server)
    try:
        asyncio.run(crowd(server))
        assert memory(server) - used < 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: descriptors(server) <= before + 2)
    well(server)


async def crowd(server: Process) -> None:
    """Silent sockets, half requests and streams; then one request that must be answered."""
    from websockets.asyncio.client import connect

    async with contextlib.AsyncExitStack() as stack:
        for i in range(900):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
            if i % 3 == 1:
                writer.write(b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            elif i % 3 == 2:
                head = "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n"
                if i < 180:  # at most 64 forms of one client are read at a time
                    writer.write(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x".encode())
        for _ in range(200):
            stream = await stack.enter_async_context(connect(f"ws://{server.address}/v1/stream", open_timeout=60))
            await stream.send(bytes(3200))
            assert json.loads(await stream.recv())["type"] == "session.created"
        await asyncio.to_thread(ready, server)


def ready(server: Process) -> None:
    with httpx.Client(base_url=f"http://{server.address}", timeout=60) as http:
        assert http.get("/readyz").status_code == 200
        assert "duetto_streams 200.0" in http.get("/metrics").text
        content = {"file": ("a.wav", wav(speech()))}
        until(lambda: http.post("/v1/predict", files=content).status_code == 200)


@contextlib.contextmanager
def own_server(**limits: Any) -> Iterator[tuple[int, ServerState, set[Any]]]:
    """A server in a thread, over real sockets, whose limits have no options: port, state, and connections."""
    app, state = create_app(ServerSettings(workers=0, limits=Limits(**limits)))
    own = uvicorn.Server(uvicorn_config(app, state.settings.limits))

    async def run() -> None:
        await state.engine.start()
        await own.serve([listening])
        await state.engine.stop()

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=functools.partial(asyncio.run, run()))
        thread.start()
        try:
            until(lambda: own.started)
            yield listening.getsockname()[1], state, own.server_state.connections
        finally:
            own.should_exit = True
            thread.join()


def test_a_socket_on_which_no_request_comes_is_closed() -> None:
    with own_server(head_seconds=0.5) as (port, *_):
        for sent in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET"):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as silent:
                silent.sendall(sent)
                answer = b"".join(iter(lambda s=silent: s.recv(65536), b""))
            assert answer.count(b"HTTP/1.1 200 ") == sent.count(b"\r\n\r\n")
        # The time is that of the whole head, not of its next byte.
        with socket.create_connection(("127.0.0.1", port), timeout=60) as trickling, pytest.raises(OSError):
            for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000:
                trickling.sendall(bytes([byte]))
                time.sleep(0.02)


def test_a_client_that_never_reads_its_answer_is_cut_off() -> None:
    """An answer of 12 MB, which no buffer of the system holds."""
    timeline = {"file": "a", "duration": 1, "channels": 1, "model": "m" * (12 << 20), "labels": [], "segments": []}
    body = json.dumps(timeline).encode()
    head = b"POST /v1/timeline/convert?format=json HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with own_server(head_seconds=0.5, send_seconds=0.5) as (port, state, connections), socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(head % len(body) + body)
        until(lambda: b'route="/v1/timeline/convert",status="200"' in state.metrics.text())
        until(lambda: not connections)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while part := deaf.recv(1 << 20):
                received += len(part)
        assert received < len(body)


def test_more_requests_than_sockets_are_refused_as_json() -> None:
    with own_server(connections=1) as (port, *_), socket.create_connection(("127.0.0.1", port)) as first:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        first.sendall(head + b"Content-Length: 5000\r\n\r\n--x\r\n")
        answers: list[Any] = []

        def refused() -> bool:
            answers.append(httpx.get(f"http://127.0.0.1:{port}/healthz"))
            return answers[-1].status_code == 503

        until(refused)
        assert answers[-1].json()["error"]["code"] == "overloaded" and answers[-1].headers["retry-after"] == "5"


def test_an_upload_whose_client_leaves_is_given_up() -> None:
    content = wav(np.tile(speech(), 200))  # a quarter of an hour: seconds of work
    form = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + content + b"\r\n--x--\r\n"
    head = b"POST /v1/timeline HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with own_server() as (port, state, _):
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            leaving.sendall(head + b"Content-Length: %d\r\n\r\n" % len(form) + form)
            until(lambda: state.engine.running == 1)
        until(lambda: state.engine.running == 0)
        assert 'route="/v1/timeline",status="499"' in state.metrics.text().decode()
        assert state.spool.used == 0 and not state.engine._lanes[0].load


def test_uploads_with_lengths_that_lie(server: Process) -> None:
    head = f"POST /v1/predict HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + wav(speech()) + b"\r\n--x--\r\n"
    for length in ("Content-Length: 10", f"Content-Length: {len(body) + 9}", "Content-Length: -1", "Content-Length: x",
                   "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked",
                   "Transfer-Encoding: chunked\r\nContent-Length: 5"):  # fmt: skip
        answer = said(server, f"{head}{length}\r\nConnection: close\r\n\r\n".encode() + body, shut=True)
        if answer:
            assert 400 <= int(answer.split()[1]) < 500, (length, answer)
            content = answer.partition(b"\r\n\r\n")[2]
            jsonschema.validate(json.loads(io.BytesIO(content).read()), ERROR)
