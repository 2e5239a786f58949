"""Servers for the tests: within this process, and as a process of its own on a free port of this computer."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import soundfile
from starlette.testclient import TestClient

import duetto
from duetto.inference.recogniser import Recogniser
from duetto.server import Limits, ServerSettings, create_app
from duetto.server.state import ServerState
from sounds import RATE, voice


@cache
def recogniser() -> Recogniser:
    return duetto.load()


@cache
def speech(seed: int = 0) -> np.ndarray:
    """Two utterances with a pause between them, (n,) float32; another seed has other lengths and levels."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(RATE // 2)]
    for _ in range(2):
        parts += [rng.uniform(0.3, 1.0) * voice(rng.uniform(1.2, 2.2)), np.zeros(round(rng.uniform(0.7, 1.2) * RATE))]
    sound = np.concatenate(parts)
    return (sound + 1e-4 * rng.standard_normal(len(sound))).astype(np.float32)


@cache
def call() -> np.ndarray:
    """(2, n): the first speaks, then the second."""
    one, two = speech(1), speech(2)
    return np.stack((np.pad(one, (0, len(two))), np.pad(two, (len(one), 0))))


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """A wav file of (n,) or (channels, n) samples, 16 bits."""
    out = io.BytesIO()
    soundfile.write(out, samples.T, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def pcm(samples: np.ndarray) -> bytes:
    """Raw 16-bit little-endian frames of (n,) or (channels, n) samples."""
    return np.rint(np.clip(samples.T * 32768, -32768, 32767)).astype("<i2").tobytes()


@contextlib.contextmanager
def serving(limits: dict[str, Any] | None = None, **settings: Any) -> Iterator[tuple[TestClient, ServerState]]:
    """A server in this process, that recognises in a thread unless `workers` is given."""
    settings = {"workers": 0, "asr": "segments", "limits": Limits(**(limits or {})), **settings}
    app, state = create_app(ServerSettings(**settings))
    with TestClient(app) as client:
        yield client, state


COMMAND = "from duetto.cli import main\nif __name__ == '__main__':\n    main()\n"


class Process:
    """A server as a process of its own.

    Args:
        options: Of `duetto serve`.
    """

    def __init__(self, *options: str, folder: Any, environment: dict[str, str] | None = None) -> None:
        script = folder / "serve.py"  # worker processes import the main module again
        script.write_text(COMMAND, encoding="utf-8")
        arguments = [sys.executable, str(script), "serve", "--port", "0", *options]
        # Unbuffered: `communicate` would not return what a buffered `readline` has read ahead.
        self.popen = subprocess.Popen(
            arguments, stderr=subprocess.PIPE, bufsize=0, env={**os.environ, **(environment or {})}
        )
        assert self.popen.stderr is not None
        first = self.popen.stderr.readline()
        found = re.search(rb"http://\S+:(\d+)/", first)
        assert found, (first + self.popen.stderr.read()).decode()
        self.port = int(found[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> tuple[int, str]:
        """End it by SIGTERM; its exit status and the rest of what it printed."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        _, printed = self.popen.communicate(timeout=120)
        return self.popen.returncode, printed.decode()


@contextlib.contextmanager
def process(*options: str, folder: Any, environment: dict[str, str] | None = None) -> Iterator[Process]:
    server = Process(*options, folder=folder, environment=environment)
    try:
        yield server
    finally:
        if server.popen.poll() is None:
            server.popen.kill()
        server.popen.wait()


def stream_messages(socket: Any, audio: list[bytes], **session: Any) -> list[dict[str, Any]]:
    """What a stream in `TestClient` or `websockets` answers to audio messages; to the end."""
    send, receive = (
        (socket.send_text, socket.receive_text) if hasattr(socket, "send_text") else (socket.send, socket.recv)
    )
    binary = getattr(socket, "send_bytes", send)
    send(json.dumps({"type": "session.update", "session": session}))
    for piece in audio:
        binary(piece)
    send(json.dumps({"type": "session.close"}))
    messages = []
    while not messages or messages[-1]["type"] != "session.closed":
        messages.append(json.loads(receive()))
    return messages
