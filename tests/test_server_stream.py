"""`WS /v1/stream`: equal answers however the audio is cut, errors by name, slow and vanishing clients."""

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
jsonschema = pytest.importorskip("jsonschema")

from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from duetto.live import SegmenterConfig, StreamConfig, StreamingRecogniser
from duetto.server import ERRORS, Limits, RequestError, ServerSettings, create_app
from duetto.server.pending import PendingAudio
from duetto.server.protocol import Outgoing, StreamSettings, parse_settings
from duetto.server.schemas import CLIENT_MESSAGES, SERVER_MESSAGES
from serving import RATE, call, pcm, recogniser, serving, speech, stream_messages

URL = "/v1/stream"


@pytest.fixture(scope="module")
def client() -> Any:
    with serving() as (found, _):
        yield found


def expected(samples: np.ndarray, rate: int = RATE, interval: float | None = 1.0) -> list[dict[str, Any]]:
    """The messages of the library's own streams: each channel pushed whole."""
    config = StreamConfig(SegmenterConfig(snapshot=interval))
    stored = np.frombuffer(pcm(samples), "<i2").reshape(-1, *samples.shape[:-1])
    events = []
    for channel, sound in enumerate(stored.reshape(len(stored), -1).T):
        stream = StreamingRecogniser(recogniser(), config, sample_rate=rate, channel=channel)
        events += [*stream.push(sound), *stream.finish()]
    out = Outgoing()
    return [out.message(event) for event in sorted(events, key=lambda event: event.known_at)]


def answers(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the first and the last message, after a check of all by their schemas."""
    for message in messages:
        jsonschema.validate(message, SERVER_MESSAGES[message["type"]])
    assert (messages[0]["type"], messages[-1]["type"]) == ("session.created", "session.closed")
    return messages[1:-1]


def cut(content: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(content) + 1) for place in places})
    return [content[a:b] for a, b in zip([0, *at], [*at, len(content)], strict=True)]


@given(places=st.lists(st.integers(0, 10**7), max_size=25))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_audio_cut_anywhere_gives_the_answers_of_the_library(client: Any, places: list[int]) -> None:
    with client.websocket_connect(URL) as socket:
        messages = stream_messages(socket, cut(pcm(speech()), places), rate=RATE, interval=0.5)
    found = answers(messages)
    assert found == json.loads(json.dumps(expected(speech(), interval=0.5)))
    kinds = [message.get("trigger", message["type"]) for message in found]
    assert {*kinds} == {"utterance.start", "interval", "speech_ended", "utterance.end"}
    assert messages[-1]["audio_ms"] == round(1000 * len(speech()) / RATE)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 1), (16_000, 2)])
def test_rates_and_channels(client: Any, rate: int, channels: int) -> None:
    sound = call() if channels == 2 else speech()
    with client.websocket_connect(URL) as socket:
        messages = stream_messages(socket, cut(pcm(sound), [1, 77_777]), rate=rate, channels=channels, interval=None)
    assert answers(messages) == json.loads(json.dumps(expected(sound, rate, None)))
    assert {m["channel"] for m in answers(messages)} == set(range(channels))


def test_times_of_measurements_are_those_of_the_timeline() -> None:
    (first, *_) = (m for m in expected(speech(), interval=None) if m["type"] == "measurement")
    stream = StreamingRecogniser(recogniser(), StreamConfig(), channel=0)
    stored = np.frombuffer(pcm(speech()), "<i2")
    segment = next(e for e in [*stream.push(stored), *stream.finish()] if e.event == "utterance").to_json()
    assert first["audio_start_ms"] == round(1000 * segment["start"])
    assert first["audio_end_ms"] == round(1000 * segment["end"])
    assert {k: first[k] for k in ("label", "probabilities", "words")} == {
        k: segment[k] for k in ("label", "probabilities", "words")
    }


def test_a_stream_needs_no_hello_and_may_have_no_audio(client: Any) -> None:
    with client.websocket_connect(URL, subprotocols=["duetto.v1"]) as socket:
        assert socket.accepted_subprotocol == "duetto.v1"
        socket.send_bytes(pcm(speech()))
        socket.send_text('{"type": "session.close"}')
        found = [socket.receive_json()]
        while found[-1]["type"] != "session.closed":
            found.append(socket.receive_json())
        assert answers(found) == json.loads(json.dumps(expected(speech())))
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1000
    with client.websocket_connect(URL) as socket:
        socket.send_text('{"type": "session.close"}')
        assert socket.receive_json()["audio_ms"] == 0


def test_settings_are_answered_by_what_they_set(client: Any) -> None:
    with client.websocket_connect(URL) as socket:
        for given_ in ({"rate": 8000}, {"language": "de", "interval": None, "adapt": False}):
            message = {"type": "session.update", "session": given_}
            jsonschema.validate(message, CLIENT_MESSAGES["session.update"])
            socket.send_json(message)
            created = socket.receive_json()
            jsonschema.validate(created, SERVER_MESSAGES["session.created"])
            assert given_.items() <= created["session"].items()
        socket.send_json({"type": "session.close"})
        assert socket.receive_json()["type"] == "session.closed"
        assert created["session"]["rate"] == 8000 and created["session"]["labels"] == list(recogniser().labels)


UPDATE = '{"type": "session.update", "session": %s}'
WRONG = [
    *((UPDATE % session, "config_invalid") for session in (
        '{"rate": 7999}', '{"rate": 16000.5}', '{"rate": true}', '{"rate": "16000"}', '{"channels": 0}',
        '{"channels": 9}', '{"language": "EN"}', '{"language": 1}', '{"interval": 0}', '{"interval": NaN}',
        '{"interval": 1e999}', '{"adapt": 1}', '{"model": "x"}', '{"model": null}', '{"modell": "x"}', "[]", "3",
    )),
    ('{"type": "session.update", "more": 1}', "config_invalid"),
    ("", "message_invalid"),
    ("[]", "message_invalid"),
    ("hello", "message_invalid"),
    ('{"type": []}', "message_invalid"),
    ('{"type": "audio", "audio": "AAAA"}', "message_invalid"),
    ("[" * 100_000, "message_invalid"),
    (" " * (2 << 20), "message_too_large"),
    (bytes(2 << 20), "message_too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "code"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_messages_that_are_not_valid_end_the_stream_by_name(client: Any, message: str | bytes, code: str) -> None:
    with client.websocket_connect(URL) as socket:
        refused(socket, message, code)


def refused(socket: Any, message: str | bytes, code: str) -> None:
    socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
    found = socket.receive_json()
    while found["type"] != "error":
        found = socket.receive_json()
    jsonschema.validate(found, SERVER_MESSAGES["error"])
    assert found["error"]["code"] == code
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert (closed.value.code, closed.value.reason) == (ERRORS[code].close, code)


MODELS = [
    {"id": "english", "languages": ["en"]},
    {"id": "two", "languages": ["de", "fr"]},
    {"id": "voice", "languages": None},
]


@pytest.mark.parametrize(
    ("models", "before", "given_", "model"),
    [
        (MODELS, "english", {"language": "en"}, "english"),
        (MODELS, "english", {"language": "fr"}, "two"),
        (MODELS, "english", {"language": "it"}, "voice"),
        (MODELS, "english", {"language": None}, "english"),
        (MODELS, "english", {"language": "de", "model": "voice"}, "voice"),
        (MODELS, "english", {"language": "de", "model": "english"}, None),
        (MODELS, "two", {"language": "en"}, None),  # a message before chose it
        (MODELS[:2], "english", {"language": "it"}, None),
    ],
)
def test_the_language_chooses_a_model_or_is_refused(
    models: list[dict[str, Any]], before: str, given_: dict[str, Any], model: str | None
) -> None:
    message = {"type": "session.update", "session": given_}
    if model is not None:
        assert parse_settings(message, StreamSettings(before), models).model == model
        return
    with pytest.raises(RequestError) as refusal:
        parse_settings(message, StreamSettings(before), models)
    assert (refusal.value.code, refusal.value.param) == ("config_invalid", "language")


def test_settings_after_the_first_audio_are_refused(client: Any) -> None:
    with client.websocket_connect(URL) as socket:
        socket.send_bytes(b"\0\0")
        refused(socket, UPDATE % '{"rate": 8000}', "config_invalid")


def test_half_a_sample_at_the_end_is_left_out_by_name(client: Any) -> None:
    with client.websocket_connect(URL) as socket:
        messages = stream_messages(socket, [pcm(speech()), b"\1"])
    error = messages.pop(-2)
    jsonschema.validate(error, SERVER_MESSAGES["error"])
    assert error["error"]["code"] == "invalid_audio_frame"
    assert answers(messages) == json.loads(json.dumps(expected(speech())))


def test_limits_of_streams() -> None:
    for limits, code in (({"streams": 1}, "overloaded"), ({"streams_per_client": 1}, "rate_limited")):
        with serving(limits) as (client, state):
            with client.websocket_connect(URL) as first:
                first.send_json({"type": "session.update"})
                assert first.receive_json()["type"] == "session.created"
                with client.websocket_connect(URL) as second:
                    refused_at_once(second, code)
                first.send_json({"type": "session.close"})
                assert first.receive_json()["type"] == "session.closed"
            with client.websocket_connect(URL) as third:  # the place of the first is free again
                assert stream_messages(third, [])[-1]["reason"] == "session.close"
            assert state.streams == 0
    with serving({"idle_seconds": 0.05}) as (client, _), client.websocket_connect(URL) as socket:
        refused_at_once(socket, "idle_timeout")
    with serving({"stream_seconds": 1.0}) as (client, _), client.websocket_connect(URL) as socket:
        assert stream_messages(socket, [pcm(speech())] * 3)[-1]["reason"] == "too_long"


def refused_at_once(socket: Any, code: str) -> None:
    assert socket.receive_json()["error"]["code"] == code
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert closed.value.code == ERRORS[code].close


def test_a_token_may_come_as_a_subprotocol() -> None:
    with serving(token="s3cret/é".encode().decode("ascii", "ignore")) as (client, _):
        right = "duetto.token." + base64.urlsafe_b64encode(b"s3cret/").decode().rstrip("=")
        with client.websocket_connect(URL, subprotocols=["duetto.v1", right]) as socket:
            assert socket.accepted_subprotocol == "duetto.v1"
            assert stream_messages(socket, [])[-1]["type"] == "session.closed"
        for wrong in ([], ["duetto.v1"], ["duetto.token."], ["duetto.token.!"], ["duetto.token.AAAA"]):
            with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(URL, subprotocols=wrong):
                pass
            assert denied.value.status_code == 401 and denied.value.json()["error"]["code"] == "unauthorised"


def test_metrics_count_streams(client: Any) -> None:
    with client.websocket_connect(URL) as socket:
        stream_messages(socket, [pcm(speech())])
    text = client.get("/metrics").text
    assert 'duetto_measurements_total{trigger="speech_ended"}' in text
    assert 'duetto_streams_ended_total{reason="session.close"}' in text
    assert "duetto_streams 0.0" in text


def connected(app: Any, send: Any, incoming: asyncio.Queue[dict[str, Any]]) -> Any:
    """A stream whose client is a queue and a function."""
    scope = {"type": "websocket", "path": URL, "headers": [], "subprotocols": [], "query_string": b"", "scheme": "ws"}
    incoming.put_nowait({"type": "websocket.connect"})
    return app({**scope, "raw_path": b"", "root_path": "", "client": ("c", 1), "extensions": {}}, incoming.get, send)


def test_a_client_that_does_not_read_is_cut_off_and_nothing_piles_up() -> None:
    async def main() -> None:
        app, state = create_app(ServerSettings(workers=0, limits=Limits(send_seconds=0.2)))
        await state.engine.start()
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        never = asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            if message["type"] != "websocket.accept":
                await never.wait()

        stream = connected(app, send, incoming)
        for _ in range(30):
            incoming.put_nowait({"type": "websocket.receive", "bytes": pcm(speech())})
        await asyncio.wait_for(stream, 60)
        assert 'duetto_streams_ended_total{reason="client_too_slow"} 1.0' in state.metrics.text().decode()
        assert incoming.qsize() >= 20  # most of it was never taken from the socket
        assert state.streams == 0
        await state.engine.stop()

    asyncio.run(main())


def test_draining_finishes_a_stream_that_has_begun() -> None:
    async def main() -> None:
        app, state = create_app(ServerSettings(workers=0))
        await state.engine.start()
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(json.loads(message["text"]) if "text" in message else message)

        stream = asyncio.create_task(connected(app, send, incoming))
        sound = speech()[: round(1.5 * RATE)]  # ends within the first utterance
        incoming.put_nowait({"type": "websocket.receive", "bytes": pcm(sound)})
        while not any(message["type"] == "utterance.start" for message in sent):
            await asyncio.sleep(0.01)
        state.draining.set()
        await asyncio.wait_for(stream, 60)
        assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", 1012)
        assert sent[-2]["reason"] == "shutting_down"
        finals = [m for m in sent if m.get("trigger") == "speech_ended"]
        assert finals == [m for m in json.loads(json.dumps(expected(sound))) if m.get("trigger") == "speech_ended"]
        assert len(finals) == 1
        await state.engine.stop()

    asyncio.run(main())


@pytest.mark.parametrize("before", [[], [{"text": '{"type": "session.update"}'}], [{"bytes": pcm(speech())}] * 3])
def test_a_client_that_vanishes_leaves_nothing_open(before: list[dict[str, Any]]) -> None:
    async def main() -> None:
        app, state = create_app(ServerSettings(workers=0))
        await state.engine.start()
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def send(_: dict[str, Any]) -> None: ...

        stream = connected(app, send, incoming)
        for message in before:
            incoming.put_nowait({"type": "websocket.receive", **message})
        incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(stream, 60)
        assert 'duetto_streams_ended_total{reason="disconnected"} 1.0' in state.metrics.text().decode()
        assert state.streams == 0 and all(lane.load == 0 for lane in state.engine._lanes)
        await state.engine.stop()

    asyncio.run(main())


@given(
    lengths=st.lists(st.integers(0, 30_000), max_size=40),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    channels=st.integers(1, 2),
)
@settings(max_examples=60, deadline=None)
def test_audio_is_given_out_in_whole_groups(lengths: list[int], rate: int, channels: int) -> None:
    rng, pending = np.random.default_rng(len(lengths)), PendingAudio(rate, channels)
    group = pending.width * (2048 if rate == RATE else 512 * rate // RATE)
    sent, given_ = b"", []
    for length in lengths:
        sent += (more := rng.bytes(length))
        pending.add(more)
        assert pending.ready == (len(sent) // group * group > pending.taken)
        if rng.random() < 0.7:
            given_ += iter(lambda: pending.take(ended=False), None)
            assert not pending.ready and pending.taken == len(sent) // group * group
    assert pending.full == (len(sent) - pending.taken >= 8 * rate * pending.width)
    whole = len(given_)
    given_ += iter(lambda: pending.take(ended=True), None)
    assert b"".join(piece for piece, _ in given_) == sent[: len(sent) // pending.width * pending.width]
    assert all(len(piece) % group == 0 and len(piece) <= rate * pending.width for piece, _ in given_[:whole])
    assert [at for _, at in given_] == sorted(at for _, at in given_) and len(pending) == len(sent) % pending.width
