"""What the pages on deployment and on voice agents show, as far as it runs without a container and without systemd."""

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx2")
pytest.importorskip("websockets")


from websockets.sync.client import connect as connect_sync

from documented import ROOT, blocks, parse
from serving import Process, pcm, process, recogniser, speech, stream_messages, wav
from test_server_stream import answers, expected

PAGE = ROOT / "docs/deploy.md"
TITLED = {block.title: block.text for block in blocks(PAGE) if block.title}
NAME = "emotions.example.org"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def nginx(folder: Path, behind: int) -> Iterator[tuple[int, Path]]:
    """nginx with the documented server, a certificate of its own and other ports; its port, and the certificate."""
    certificate, key, port = folder / "own.pem", folder / "own.key", free_port()
    names = f"subjectAltName=DNS:{NAME},IP:127.0.0.1"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN={NAME} -addext {names}"
    subprocess.run([*shlex.split(made), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    text = TITLED["nginx.conf"].replace("listen 443", f"listen 127.0.0.1:{port}").replace(":8000", f":{behind}")
    text = re.sub(r"/etc/letsencrypt\S+fullchain.pem", str(certificate), text)
    text = re.sub(r"/etc/letsencrypt\S+privkey.pem", str(key), text)
    paths = "\n".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}} http {{ {paths}\n{text} }}"
    (folder / "nginx.conf").write_text(whole, encoding="utf-8")
    run = subprocess.Popen(
        ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "log"], stderr=subprocess.PIPE
    )
    try:
        end = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert run.poll() is None and time.monotonic() < end, (folder / "log").read_text()
        yield port, certificate
    finally:
        run.terminate()
        run.communicate()


@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="needs nginx and openssl")
def test_the_server_behind_the_documented_proxy(tmp_path: Path) -> None:
    options = ["--workers", "0", "--behind-proxy", "--allow-host", NAME]
    with process(*options, folder=tmp_path, environment={"DUETTO_TOKEN": "s3cret"}) as server:
        with nginx(tmp_path, server.port) as (port, certificate):
            trust = ssl.create_default_context(cafile=str(certificate))
            headers = {"Authorization": "Bearer s3cret", "Host": NAME}
            with httpx.Client(
                base_url=f"https://127.0.0.1:{port}", verify=trust, headers=headers, timeout=120
            ) as client:
                answer = client.post("/v1/predict", files={"file": ("a.wav", wav(speech()))})
                assert answer.status_code == 200
                (tmp_path / "a.wav").write_bytes(wav(speech()))
                assert answer.json() == json.loads(json.dumps(recogniser()(tmp_path / "a.wav").to_json("a.wav")))
                large = client.post("/v1/predict", files={"file": ("a.wav", bytes(101 << 20))})
                assert (large.status_code, large.json()["error"]["code"]) == (
                    413,
                    "too_large",
                )  # by duetto, not by nginx
                assert client.get("/healthz", headers={"Host": "other.example"}).status_code == 403
                page = client.get("/", headers={"Origin": f"https://{NAME}"})
                assert page.status_code == 200 and "microphone=(self)" in page.headers["permissions-policy"]
            address = f"wss://127.0.0.1:{port}/v1/stream"
            own = {"Authorization": "Bearer s3cret"}
            with connect_sync(address, ssl=trust, server_hostname=NAME, additional_headers=own) as stream:
                messages = stream_messages(stream, [pcm(speech())], interval=None)
            assert answers(messages) == json.loads(json.dumps(expected(speech(), interval=None)))
        files = [p for name in ("client_body", "proxy") for p in (tmp_path / name).rglob("*") if p.is_file()]
        assert not files


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_of_systemd_is_valid(tmp_path: Path) -> None:
    unit = tmp_path / "duetto.service"
    unit.write_text(TITLED["duetto.service"].replace("/opt/duetto/bin/duetto", sys.executable), encoding="utf-8")
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False, env=environment
    )
    own = [line for line in done.stderr.splitlines() if "duetto" in line]
    assert done.returncode == 0 and not own, done.stderr


def test_the_commands_of_the_page_are_valid() -> None:
    (unit,) = re.findall(r"^ExecStart=/opt/duetto/bin/duetto (.*)$", TITLED["duetto.service"], flags=re.M)
    parse(shlex.split(unit))
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", TITLED["Containerfile"], flags=re.M)
    parse([*json.loads(entry)[1:], "--allow-host", NAME])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert re.findall(r'"/src\[(\w+)\]"', TITLED["Containerfile"]) == ["serve"] and "serve" in extras
    assert (ROOT / "constraints.txt").exists()


def test_the_entry_point_and_the_health_check_of_the_container(tmp_path: Path) -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", TITLED["Containerfile"], flags=re.M)
    (check,) = re.findall(r"^HEALTHCHECK CMD (.*)$", TITLED["Containerfile"], flags=re.M)
    _, _, *options = json.loads(entry)
    _, flag, code = json.loads(check)
    with process(*options, "--workers", "0", folder=tmp_path, environment={"DUETTO_TOKEN": "s3cret"}) as server:
        healthy = [sys.executable, flag, code.replace("8000", str(server.port))]
        assert subprocess.run(healthy, check=False).returncode == 0
        server.stop()
        assert subprocess.run(healthy, check=False, stderr=subprocess.DEVNULL).returncode != 0


# voice agents


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with process("--workers", "0", folder=tmp_path_factory.mktemp("agents")) as found:
        yield found


@pytest.fixture
def agents() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "agents"}
    code = next(block.text for block in blocks(ROOT / "docs/agents.md") if block.language == "python")
    module = types.ModuleType("agents")
    sys.modules["agents"] = module  # where dataclasses look their own types up
    exec(code, names)
    return names


def frames() -> list[bytes]:
    """20 ms each."""
    sound = pcm(speech())
    return [sound[at : at + 640] for at in range(0, len(sound), 640)]


def measurements() -> list[dict[str, Any]]:
    return [m for m in json.loads(json.dumps(expected(speech()))) if m["type"] == "measurement"]


def test_an_agent_on_livekit(server: Process, agents: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class AudioStream:
        def __init__(self, track: str, *, sample_rate: int, num_channels: int) -> None:
            assert (track, sample_rate, num_channels) == ("a track", 16_000, 1)

        async def __aiter__(self) -> Any:
            for part in frames():
                data = memoryview(np.frombuffer(part, np.int16).copy())
                yield types.SimpleNamespace(frame=types.SimpleNamespace(data=data, sample_rate=16_000, num_channels=1))

        async def aclose(self) -> None:
            closed.append(True)

    livekit = types.ModuleType("livekit")
    livekit.rtc = types.SimpleNamespace(AudioStream=AudioStream)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "livekit", livekit)

    async def main() -> list[dict[str, Any]]:
        return [m async for m in agents["livekit_emotions"]("a track", f"ws://{server.address}/v1/stream")]

    assert asyncio.run(main()) == measurements() and closed == [True]


def test_an_agent_on_pipecat(server: Process, agents: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Frame: ...

    class DataFrame(Frame): ...

    class EndFrame(Frame): ...

    class CancelFrame(Frame): ...

    @dataclasses.dataclass
    class InputAudioRawFrame(Frame):
        audio: bytes
        sample_rate: int = 16_000
        num_channels: int = 1

    pushed: list[tuple[Any, str]] = []

    class FrameProcessor:
        async def process_frame(self, frame: Any, direction: str) -> None: ...

        async def push_frame(self, frame: Any, direction: str) -> None:
            pushed.append((frame, direction))

    own = {
        "CancelFrame": CancelFrame,
        "DataFrame": DataFrame,
        "EndFrame": EndFrame,
        "InputAudioRawFrame": InputAudioRawFrame,
    }
    direction = types.SimpleNamespace(DOWNSTREAM="down", UPSTREAM="up")
    modules = {
        "pipecat": {}, "pipecat.frames": {}, "pipecat.frames.frames": own, "pipecat.processors": {},
        "pipecat.processors.frame_processor": {"FrameDirection": direction, "FrameProcessor": FrameProcessor},
    }  # fmt: skip
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)

    async def main(parts: list[bytes]) -> None:
        processor = agents["pipecat_emotions"](f"ws://{server.address}/v1/stream")
        for part in parts:
            await processor.process_frame(InputAudioRawFrame(part), "down")
        await processor.process_frame(EndFrame(), "down")

    asyncio.run(main(frames()))
    passed = [frame for frame, _ in pushed if not hasattr(frame, "measurement")]
    assert [frame.audio for frame in passed[:-1]] == frames() and isinstance(passed[-1], EndFrame)
    assert [frame.measurement for frame, _ in pushed if hasattr(frame, "measurement")] == measurements()
    assert isinstance(pushed[-1][0], EndFrame) and {where for _, where in pushed} == {"down"}
    pushed.clear()
    asyncio.run(main([]))  # nobody spoke
    assert len(pushed) == 1


def test_errors_reach_the_agent(server: Process, agents: dict[str, Any]) -> None:
    async def main() -> None:
        stream = agents["EmotionStream"](f"ws://{server.address}/v1/stream", model="none of this name")
        await stream.send(b"\0\0", 16_000)
        with pytest.raises(RuntimeError, match="model"):
            async for _ in stream:
                pass

    asyncio.run(main())
