"""The server as a process: real sockets, many clients, worker processes, signals."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
websockets = pytest.importorskip("websockets")
httpx = pytest.importorskip("httpx2")

from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_sync

from duetto import live
from serving import RATE, Process, pcm, process, recogniser, serving, speech, stream_messages, wav
from test_server_stream import answers, expected

BOUNDARY = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%s\r\n--x--\r\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with process("--workers", "2", folder=tmp_path_factory.mktemp("server")) as found:
        yield found


def test_many_clients_at_a_time_each_get_their_own_answers(server: Process, tmp_path: Path) -> None:
    async def stream(seed: int) -> list[dict[str, Any]]:
        sound, messages = pcm(speech(seed)), []
        async with connect(f"ws://{server.address}/v1/stream") as client:
            for at in range(0, len(sound), 3333 + 2 * seed + 1):
                await client.send(sound[at : at + 3333 + 2 * seed + 1])
            await client.send('{"type": "session.close"}')
            async for message in client:
                messages.append(json.loads(message))
        return messages

    async def upload(client: Any, seed: int) -> Any:
        return (
            await client.post(f"http://{server.address}/v1/predict", files={"file": ("a", wav(speech(seed)))})
        ).json()

    async def main() -> tuple[list[Any], list[Any]]:
        async with httpx.AsyncClient(timeout=300) as client:
            streams = asyncio.gather(*(stream(seed) for seed in [*range(5)] * 4))
            uploads = asyncio.gather(*(upload(client, seed) for seed in [*range(5)] * 4))
            return await streams, await uploads

    streams, uploads = asyncio.run(main())
    for seed in range(5):
        path = tmp_path / "a"
        path.write_bytes(wav(speech(seed)))
        wanted = json.loads(json.dumps(expected(speech(seed))))
        prediction = json.loads(json.dumps(recogniser()(path).to_json("a")))
        for k in range(seed, 20, 5):
            assert answers(streams[k]) == wanted
            assert uploads[k] == prediction


def request(server: Process, content: bytes, length: int | None = None) -> bytes:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    length = len(content) if length is None else length
    return head % server.address.encode() + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % length + content


def test_torn_uploads_and_odd_bytes_leave_the_server_well(server: Process) -> None:
    body = BOUNDARY % wav(speech())
    for content in (
        request(server, body)[:-1000],
        request(server, body, 10**12),
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /v1/stream HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(content)
    with connect_sync(f"ws://{server.address}/v1/stream") as client:
        client.socket.sendall(b"\xff" * 100)  # no WebSocket frame
        with pytest.raises(websockets.ConnectionClosed):
            client.recv()
    assert httpx.get(f"http://{server.address}/readyz").status_code == 200
    text = httpx.get(f"http://{server.address}/metrics").text
    assert 'status="500"' not in text and "duetto_streams 0.0" in text


def test_a_message_of_the_websocket_layer_that_is_too_long_closes_the_socket(server: Process) -> None:
    with connect_sync(f"ws://{server.address}/v1/stream", max_size=None) as client:
        client.send(bytes(5 << 20))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            client.recv()
            client.recv()
    assert closed.value.rcvd.code == 1009


def test_a_body_that_does_not_come_and_a_client_with_too_many_uploads() -> None:
    """Over real sockets, one server in a thread: its limits have no options."""
    import uvicorn

    from duetto.server import Limits, ServerSettings, create_app

    app, state = create_app(ServerSettings(workers=0, limits=Limits(upload_seconds=1.5, requests_per_client=1)))
    config = uvicorn.Config(app, port=0, log_config=None)
    own = uvicorn.Server(config)
    thread = threading.Thread(target=own.run)
    thread.start()
    try:
        while not own.started:
            assert thread.is_alive()
        port = own.servers[0].sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as slow:
            head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            slow.sendall(head + b"Content-Length: 5000\r\n\r\n--x\r\n")
            while not state._uploads_of:
                assert thread.is_alive()
            upload = {"file": ("a", wav(speech()))}
            second = httpx.post(f"http://127.0.0.1:{port}/v1/predict", files=upload)
            assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limited")
            assert second.headers["retry-after"] == "5"
            assert slow.recv(10_000).startswith(b"HTTP/1.1 408 ")
        assert httpx.post(f"http://127.0.0.1:{port}/v1/predict", files=upload, timeout=60).status_code == 200
    finally:
        own.should_exit = True
        thread.join()


def test_a_worker_that_dies_is_replaced() -> None:
    with serving(workers=1) as (client, state):
        upload = {"file": ("a.wav", wav(speech()))}
        assert client.post("/v1/predict", files=upload).status_code == 200
        (pid,) = state.engine._lanes[0]._executor._processes
        os.kill(pid, signal.SIGKILL)
        codes = [client.post("/v1/predict", files=upload).status_code for _ in range(3)]
        assert codes[-1] == 200 and set(codes) <= {200, 503}


def test_a_signal_to_stop_finishes_what_was_begun(tmp_path: Path) -> None:
    with process("--workers", "1", folder=tmp_path) as server:
        sound = speech()[: round(1.5 * RATE)]  # ends within the first utterance
        with connect_sync(f"ws://{server.address}/v1/stream") as client:
            client.send(pcm(sound))
            messages = []
            while not any(m["type"] == "utterance.start" for m in messages):
                messages.append(json.loads(client.recv()))
            with socket.create_connection(("127.0.0.1", server.port)) as upload:
                content = request(server, BOUNDARY % wav(speech()))
                upload.sendall(content)  # whole, so that it has begun
                begun = ("duetto_uploads 1.0", 'route="/v1/predict"')
                while not any(text in httpx.get(f"http://{server.address}/metrics").text for text in begun):
                    pass
                server.popen.send_signal(signal.SIGTERM)
                with pytest.raises(websockets.ConnectionClosedError) as closed:  # by its code the client may try again
                    while True:
                        messages.append(json.loads(client.recv()))
                answer = b"".join(iter(lambda: upload.recv(65536), b""))
        assert messages[-1]["type"] == "session.closed" and messages[-1]["reason"] == "shutting_down"
        assert closed.value.rcvd.code == 1012
        assert answers(messages) == json.loads(json.dumps(expected(sound)))
        assert answer.startswith(b"HTTP/1.1 200 ")
        status, printed = server.stop()
        assert status == 0, printed
        assert "Traceback" not in printed
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port)).close()


def test_what_the_command_opens_is_stated(tmp_path: Path) -> None:
    with process("--workers", "0", "--host", "0.0.0.0", "--keep", str(tmp_path / "kept"), folder=tmp_path) as server:
        _, printed = server.stop()
    assert "open to everyone in every network" in printed and "without a token" in printed
    assert f"are kept in {tmp_path / 'kept'}" in printed and "prohibited in the EU" in printed
    token = {"DUETTO_TOKEN": "s3cret"}
    with process("--workers", "0", folder=tmp_path, environment=token) as server:
        assert httpx.get(f"http://{server.address}/v1/models").status_code == 401
        headers = {"Authorization": "Bearer s3cret"}
        assert httpx.get(f"http://{server.address}/v1/models", headers=headers).status_code == 200
        other = httpx.get(f"http://{server.address}/v1/models", headers={**headers, "Host": "evil.example"})
        assert other.json()["error"]["code"] == "host_forbidden"
        with connect_sync(f"ws://{server.address}/v1/stream", additional_headers=headers) as client:
            assert stream_messages(client, [])[-1]["type"] == "session.closed"
        _, printed = server.stop()
    assert "open to everyone" not in printed


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--model", "a=emodb-ravdess", "--model", "a=emodb-ravdess"], "each name once"),
        (["--token-file", "no-such-file"], "no-such-file"),
        (["--asr", "nonsense"], "is not known"),
    ],
)
def test_options_that_are_not_valid(options: list[str], text: str) -> None:
    code = "from duetto.cli import main; import sys; sys.argv[0] = 'duetto'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--port", "0", "--workers", "0", *options],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode in (1, 2) and text in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_the_clients_of_the_documentation(server: Process, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[1] / "docs/serve.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S))
    clients: dict[str, Any] = {}
    exec(code.replace("127.0.0.1:8000", server.address), clients)
    path = tmp_path / "call.wav"
    path.write_bytes(wav(speech()))
    clients["show"](path)
    asyncio.run(clients["stream"](pcm(speech())))
    segments = live.analyse(recogniser(), path).segments
    lines = [f"{s.channel} {round(s.start, 3)} {round(s.end, 3)} {s.label}" for s in segments]
    measured = [m for m in expected(speech()) if m["type"] == "measurement"]
    lines += [f"{m['trigger']} {m['audio_end_ms']} {m['label']}" for m in measured]
    assert capsys.readouterr().out.splitlines() == lines
