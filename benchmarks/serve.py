"""The server under load, on loopback: live streams, uploads, and memory over many of both; every answer is checked.

    python benchmarks/serve.py --data $DUETTO_DATA --write
    python benchmarks/serve.py --data $DUETTO_DATA --streams 10,25,50,75 --interval 1
    python benchmarks/serve.py --data $DUETTO_DATA --only memory --requests 10000 --openings 1000

Streams: N clients each send a sound of their own at its own pace, in frames of `--frame` ms. The latency of an answer
is the time from when the last sample that it needs was spoken (and the frame that holds it), which is where the
look-ahead of the segmenter ends, to when the client has the message. What a client sends late counts, too.

Uploads: `--clients` clients send recordings one after the other.

Memory: resident sets of the server and its workers, added up, over many requests (half of them refused, since they are
damaged, empty or not audio), many streams (every second client vanishes amid its sound), and with many open sockets.

Each answer is compared with the one that the library gives for the same samples: `wrong` counts those that differ, are
lost or are another client's. Clients and server share the cores of this computer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from harness import parser, publish, table
from live import speech
from websockets.asyncio.client import ClientConnection, connect

import duetto
from duetto import audio
from duetto.audio.timing import SAMPLE_RATE
from duetto.inference.recogniser import Recogniser
from duetto.live import SegmenterConfig, StreamConfig, StreamingRecogniser, analyse
from duetto.server.protocol import Outgoing

SOUNDS = 12
"""Different sounds; clients take them in turn."""
GOAL = 0.3
_COMMAND = "from duetto.cli import main; main()"
_SILENCE = np.zeros(2 * SAMPLE_RATE, np.int16)
_JUNK: Sequence[bytes] = (b"", b"RIFF", b"hello " * 500, bytes(5000), b"OggS" + bytes(300), b"\xff\xfb" * 900)


class Server:
    """`duetto serve` as a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-c", _COMMAND, "serve", "--port", "0", *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        found = re.search(r"http://(\S+)/", line := self._process.stderr.readline())
        if not found:
            sys.exit(line + self._process.stderr.read())
        self.address = found[1]
        self._printed: list[str] = []
        self._reader = threading.Thread(target=lambda: self._printed.extend(self._process.stderr or ()))
        self._reader.start()

    def _files(self, name: str) -> Iterator[str]:
        """A file of /proc, of the server and each of its workers."""
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        for pid in (own, *map(int, children)):
            yield Path(f"/proc/{pid}/{name}").read_text()

    def memory(self) -> float:
        """MB resident."""
        return sum(int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) for text in self._files("status")) / 1024

    def processor(self) -> float:
        """Seconds of processor time so far."""
        fields = (text.rpartition(")")[2].split() for text in self._files("stat"))
        return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait()
        self._reader.join()
        if status or any("Traceback" in line for line in self._printed):
            sys.exit(f"the server ended with {status}: {''.join(self._printed)}")


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    server = Server(*options)
    try:
        yield server
    finally:
        server.stop()


# what the library answers


@dataclass
class Sound:
    """A sound, and what the library answers for it.

    Attributes:
        samples: (n,) int16 at 16 kHz.
        messages: Of a stream, with the sample after which each is known; None for what is known at its end.
        records: Address → the answer to an upload.
    """

    samples: np.ndarray
    messages: list[tuple[dict[str, Any], int | None]] = field(default_factory=list)
    records: dict[str, Any] = field(default_factory=dict)


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def sounds_of(data: Path, seconds: float) -> list[Sound]:
    """Different parts of the recordings of LJ Speech, with silence at the end."""
    found = []
    for seed in range(SOUNDS):
        pieces = itertools.islice(speech(data, seed), 5 * seed, None)
        parts, length = [], 0
        while length < seconds * SAMPLE_RATE:
            parts.append(next(pieces))
            length += len(parts[-1])
        sound = np.concatenate(parts)[: round(seconds * SAMPLE_RATE)]
        found.append(Sound(np.concatenate((np.rint(32767 * np.clip(sound, -1, 1)).astype(np.int16), _SILENCE))))
    return found


def answer_streams(recogniser: Recogniser, sounds: Sequence[Sound], interval: float | None) -> None:
    for sound in sounds:
        config = StreamConfig(SegmenterConfig(snapshot=interval))
        stream, out = StreamingRecogniser(recogniser, config, channel=0), Outgoing()
        known = [(event, round(event.known_at * SAMPLE_RATE)) for event in stream.push(sound.samples)]
        known += [(event, None) for event in stream.finish()]
        sound.messages = [(as_json(out.message(event)), at) for event, at in known]


def wav(samples: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        audio.write(path, samples, SAMPLE_RATE)
        return path.read_bytes()


def answer_uploads(recogniser: Recogniser, sounds: Sequence[Sound]) -> None:
    for sound in sounds:
        source = {"waveform": sound.samples, "sample_rate": SAMPLE_RATE}
        sound.records["/v1/predict"] = as_json(recogniser(source).to_json("a.wav"))
        sound.records["/v1/timeline"] = as_json(analyse(recogniser, source).to_json("a.wav"))


# streams


@dataclass
class Outcome:
    """Of some clients: seconds of each kind of message, and how many answers differ."""

    finals: list[float] = field(default_factory=list)
    partials: list[float] = field(default_factory=list)
    answers: int = 0
    wrong: int = 0


async def spoken(
    server: Server, sound: Sound, delay: float, outcome: Outcome, *, interval: float | None, frame: int
) -> None:
    """One client; frame: samples."""
    async with connect(f"ws://{server.address}/v1/stream", max_queue=None, open_timeout=60) as socket:
        await socket.send(json.dumps({"type": "session.update", "session": {"interval": interval}}))
        await asyncio.sleep(delay)
        began = time.perf_counter()
        sender = asyncio.create_task(_send(socket, sound.samples, frame, began))
        found = [(json.loads(text), time.perf_counter()) async for text in socket]
        await sender
    found = [(m, at) for m, at in found if m["type"] not in ("session.created", "session.closed")]
    outcome.answers += len(sound.messages)
    outcome.wrong += sum(
        a != b for a, b in itertools.zip_longest(*([m for m, _ in x] for x in (found, sound.messages)))
    )
    for (message, at), (_, needed) in zip(found, sound.messages, strict=False):
        if needed is not None and message["type"] == "measurement":
            late = at - began + (-needed // frame) * frame / SAMPLE_RATE  # −⌈needed / frame⌉ frames
            (outcome.finals if message["trigger"] == "speech_ended" else outcome.partials).append(late)


async def _send(socket: ClientConnection, samples: np.ndarray, frame: int, began: float) -> None:
    for at in range(0, len(samples), frame):
        part = samples[at : at + frame]
        await asyncio.sleep(max(0.0, began + (at + len(part)) / SAMPLE_RATE - time.perf_counter()))
        await socket.send(part.tobytes())
    await socket.send('{"type": "session.close"}')


def streams(server: Server, sounds: Sequence[Sound], count: int, **how: Any) -> tuple[Outcome, float, float]:
    """The outcome of so many clients, and the cores that server and clients used."""
    outcome, rng = Outcome(), np.random.default_rng(0)

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for i, delay in enumerate(rng.uniform(0, 4, count)):
                group.create_task(spoken(server, sounds[i % len(sounds)], float(delay), outcome, **how))

    before = server.processor(), time.process_time(), time.perf_counter()
    asyncio.run(run())
    wall = time.perf_counter() - before[2]
    return outcome, (server.processor() - before[0]) / wall, (time.process_time() - before[1]) / wall


def milliseconds(values: Sequence[float], *quantiles: float) -> list[str]:
    return [f"{1000 * q:.0f} ms" for q in np.percentile(values, quantiles)] if values else ["–"] * len(quantiles)


def streams_table(server: Server, sounds: Sequence[Sound], options: argparse.Namespace) -> str:
    rows, within = [], 0
    how = {"interval": options.interval, "frame": round(options.frame * SAMPLE_RATE / 1000)}
    for count in options.streams:
        outcome, used, clients = streams(server, sounds, count, **how)
        if np.percentile(outcome.finals, 95) <= GOAL:
            within = max(within, count)
        times = [*milliseconds(outcome.finals, 50, 95, 100), *milliseconds(outcome.partials, 50, 95)]
        rows.append([count, len(outcome.finals), *times, used, clients, f"{outcome.wrong} of {outcome.answers}"])
        print(rows[-1], file=sys.stderr)
    header = [
        "streams",
        "final answers",
        "median",
        "95 %",
        "longest",
        "partial: median",
        "95 %",
        "cores: server",
        "clients",
        "wrong",
    ]
    told = f"The 95 % of final answers is within {1000 * GOAL:g} ms for up to {within} streams of those tried."
    return table(header, rows) + f"\n\nPartial answers every: {options.interval or 'none'}. {told}"


# uploads


@contextlib.asynccontextmanager
async def http(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=f"http://{server.address}", timeout=600, limits=limits) as client:
        yield client


async def in_turn(count: int, clients: int, work: Callable[[int], Awaitable[None]]) -> None:
    """Do so much work, by so many clients at a time."""
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


def uploads_table(server: Server, sounds: Sequence[Sound], options: argparse.Namespace) -> str:
    contents, rows = [wav(sound.samples) for sound in sounds], []
    for route in ("/v1/predict", "/v1/timeline"):
        taken: list[float] = []
        wrong = 0

        async def upload(number: int, client: httpx2.AsyncClient, route: str = route, taken: Any = taken) -> None:
            nonlocal wrong
            which, began = number % len(sounds), time.perf_counter()
            answer = await client.post(route, files={"file": ("a.wav", contents[which])})
            taken.append(time.perf_counter() - began)
            wrong += answer.status_code != 200 or answer.json() != sounds[which].records[route]

        async def run(upload: Any = upload) -> None:
            async with http(server) as client:
                await in_turn(options.uploads, options.clients, lambda number: upload(number, client))

        began = time.perf_counter()
        asyncio.run(run())
        rate = options.uploads / (time.perf_counter() - began)
        length = len(sounds[0].samples) / SAMPLE_RATE
        rows.append([route, options.uploads, rate, f"{rate * length:.0f} ×", *milliseconds(taken, 50, 95), wrong])
    header = ["address", "uploads", "a second", "real time ÷ time", "median", "95 %", "wrong"]
    return table(header, rows) + f"\n\n{options.clients} clients; recordings of {length:g} s."


# memory


def measured(server: Server, count: int, run: Callable[[int], int]) -> list[str]:
    """MB after a tenth, a half and all of so many; and how many answers were wrong."""
    shares, wrong = (count // 10, count // 2 - count // 10, count - count // 2), 0
    memory = []
    for share in shares:
        wrong += run(share)
        memory.append(server.memory())
    return [*(f"{each:.0f} MB" for each in memory), f"{memory[-1] - memory[0]:+.0f} MB", str(wrong)]


def many_requests(server: Server, sounds: Sequence[Sound], clients: int) -> Callable[[int], int]:
    contents = [wav(sound.samples) for sound in sounds]

    def run(count: int) -> int:
        wrong = 0

        async def request(number: int, client: httpx2.AsyncClient) -> None:
            nonlocal wrong
            which, route = number // 2 % len(sounds), ("/v1/predict", "/v1/timeline")[number // 2 % 8 == 7]
            if number % 2:
                junk = _JUNK[number // 2 % len(_JUNK)]
                answer = await client.post(route, files={"file": ("a.wav", junk)})
                wrong += answer.status_code not in (415, 422) or "error" not in answer.json()
                return
            answer = await client.post(route, files={"file": ("a.wav", contents[which])})
            wrong += answer.status_code != 200 or answer.json() != sounds[which].records[route]

        async def main() -> None:
            async with http(server) as client:
                await in_turn(count, clients, lambda number: request(number, client))

        asyncio.run(main())
        return wrong

    return run


def many_streams(server: Server, sounds: Sequence[Sound], clients: int) -> Callable[[int], int]:
    def run(count: int) -> int:
        outcome, wrong = Outcome(), 0

        async def stream(number: int) -> None:
            nonlocal wrong
            sound = sounds[number % len(sounds)]
            async with connect(f"ws://{server.address}/v1/stream", max_queue=None, open_timeout=60) as socket:
                await socket.send(json.dumps({"type": "session.update", "session": {"interval": None}}))
                await socket.send(sound.samples[: len(sound.samples) // (1 + number % 2)].tobytes())
                if number % 2:
                    socket.transport.abort()
                    return
                await socket.send('{"type": "session.close"}')
                found = [json.loads(text) async for text in socket][1:-1]
                wrong += found != [message for message, _ in sound.messages]

        asyncio.run(in_turn(count, clients, stream))
        return wrong + outcome.wrong

    return run


async def open_sockets(server: Server, sound: Sound, count: int) -> tuple[float, int]:
    """MB with so many open streams that send nothing after their first sound, while another is answered."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            socket = await stack.enter_async_context(connect(f"ws://{server.address}/v1/stream", open_timeout=60))
            await socket.send(sound.samples[:2048].tobytes())
            await socket.recv()
        async with http(server) as client:
            answer = await client.post("/v1/predict", files={"file": ("a.wav", wav(sound.samples))})
        return server.memory(), int(answer.json() != sound.records["/v1/predict"])


def memory_table(server: Server, sounds: Sequence[Sound], options: argparse.Namespace) -> str:
    rows = []
    requests = many_requests(server, sounds, options.clients)
    rows.append(["requests", options.requests, *measured(server, options.requests, requests)])
    streamed = many_streams(server, sounds, options.clients)
    rows.append(["streams, one after the other", options.openings, *measured(server, options.openings, streamed)])
    before = server.memory()
    during, wrong = asyncio.run(open_sockets(server, sounds[0], options.sockets))
    each = f"{1024 * (during - before) / max(1, options.sockets):.0f} kB a stream"
    rows.append(["open streams", options.sockets, f"{before:.0f} MB", "", f"{during:.0f} MB", each, wrong])
    header = ["of", "number", "after a tenth", "after a half", "at the end", "growth since the tenth", "wrong"]
    return table(header, rows)


def main() -> None:
    made = parser(__doc__, data="the folder with ljspeech")
    made.add_argument("--streams", type=lambda t: [*map(int, t.split(","))], default=[10, 25, 50, 75], metavar="N,N")
    made.add_argument("--interval", type=float, help="seconds between partial answers; none by default")
    made.add_argument("--frame", type=float, default=20.0, help="ms of sound in a message of a stream")
    made.add_argument("--seconds", type=float, default=60.0, help="of each stream")
    made.add_argument("--uploads", type=int, default=400, help="of each kind")
    made.add_argument("--clients", type=int, default=8, help="that upload at a time")
    made.add_argument("--requests", type=int, default=10_000, help="over which memory is measured")
    made.add_argument("--openings", type=int, default=1000, help="of streams over which memory is measured")
    made.add_argument("--sockets", type=int, default=1000, help="that are open at a time")
    made.add_argument("--workers", type=int, default=2, help="processes of the server that recognise")
    made.add_argument("--only", choices=("streams", "uploads", "memory"), help="measure one of them")
    options = made.parse_args()
    if options.data is None:
        made.error("--data FOLDER is needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    recogniser = duetto.load()
    long, short = sounds_of(options.data, options.seconds), sounds_of(options.data, 4.0)
    answer_streams(recogniser, long, options.interval)
    answer_streams(recogniser, short, None)
    answer_uploads(recogniser, short)
    most = str(max(2000, *options.streams))
    parts = []
    with serving("--workers", str(options.workers), "--max-streams", most, "--max-requests", "200") as server:
        for name, make, sounds in (
            ("streams", streams_table, long),
            ("uploads", uploads_table, short),
            ("memory", memory_table, short),
        ):
            if options.only in (None, name):
                parts.append(make(server, sounds, options))
    parts.append(f"The bundled model (voice only), {options.workers} workers; clients and server on the same cores.")
    name = "Server under load" + (f": {options.only}" if options.only else "")
    name += f", partial answers every {options.interval:g} s" if options.interval else ""
    publish(name, parts, packages=("duetto", "uvicorn", "websockets", "onnxruntime"), into=options.write)


if __name__ == "__main__":
    main()
