"""The server over HTTP: equal answers, refusals by name, limits, what it keeps and shows."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
jsonschema = pytest.importorskip("jsonschema")

from duetto import audio, live
from duetto.asr.engines import RecogniserConfig
from duetto.errors import ConfigurationError
from duetto.server import ERRORS, Limits, RequestError, ServerSettings
from duetto.server.documents import EXAMPLES, asyncapi
from duetto.server.schemas import ERROR, FORMATS, MODELS, PREDICTION, TIMELINE, TRANSCRIPTION
from duetto.server.stepwise import Stepwise
from duetto.server.subtitles import Transcription
from duetto.server.uploads import safe_name
from serving import RATE, call, recogniser, serving, speech, wav
from sounds import no_voices


def files(content: bytes, name: str = "a.wav") -> dict[str, tuple[str, bytes]]:
    return {"file": (name, content)}


@pytest.fixture(scope="module")
def client() -> Any:
    with serving() as (found, _):
        yield found


def same(answer: Any, expected: dict[str, Any]) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.json() == json.loads(json.dumps(expected))


def test_a_prediction_equals_that_of_the_library(client: Any, tmp_path: Path) -> None:
    for name, sound in {"speech": speech(), "silence": no_voices()["white noise"]}.items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(wav(sound))
        answer = client.post("/v1/predict", files=files(path.read_bytes(), path.name))
        same(answer, recogniser()(path).to_json(path.name))
        jsonschema.validate(answer.json(), PREDICTION)
    assert answer.json()["label"] is None and "no speech" in answer.json()["warnings"][0]


def test_a_transcript_is_given_to_the_system(client: Any) -> None:
    answer = client.post("/v1/predict", files=files(wav(speech())), data={"transcript": "well"})
    assert "this system uses the acoustics only; the given words are not used" in answer.json()["warnings"]
    answer = client.post("/v1/timeline", files=files(wav(speech())), data={"transcript": "well"})
    assert "this system uses the acoustics only; the given words are not used" in answer.json()["warnings"]
    answer = client.post("/v1/timeline", files=files(wav(call())), data={"transcript": "well"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "transcript")


def test_an_explanation_is_that_of_the_library(client: Any) -> None:
    data = {"explain": "true", "transcript": "well"}
    answer = client.post("/v1/predict", files=files(wav(speech())), data=data)
    found = recogniser().explain(io.BytesIO(wav(speech())), transcript="well")
    same(answer, {**found.prediction.to_json("a.wav"), "explanation": found.to_json()})
    jsonschema.validate(answer.json(), PREDICTION)
    assert len(found.moments) >= 2
    plain = client.post("/v1/predict", files=files(wav(speech())), data={"transcript": "well", "explain": "false"})
    assert plain.json() == {key: value for key, value in answer.json().items() if key != "explanation"}
    silent = files(wav(no_voices()["white noise"]))
    assert client.post("/v1/predict", files=silent, data=data).json()["explanation"]["moments"] == []


@pytest.mark.parametrize(
    ("fields", "config", "channels"),
    [
        ({}, live.StreamConfig(), "split"),
        ({"channels": "mix"}, live.StreamConfig(), "mix"),
        ({"channels": "1", "adapt": "false"}, live.StreamConfig(adapt=False), 1),
        ({"window": "1.5", "hop": "1"}, live.StreamConfig(window=1.5, hop=1.0), "split"),
    ],
)
def test_a_timeline_equals_that_of_the_library(
    client: Any, tmp_path: Path, fields: dict[str, str], config: live.StreamConfig, channels: Any
) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wav(call()))
    answer = client.post("/v1/timeline", files=files(path.read_bytes(), "call.wav"), data=fields)
    expected = live.analyse(recogniser(), path, config, channels=channels)
    assert len(expected.segments) >= 2
    same(answer, expected.to_json("call.wav"))
    jsonschema.validate(answer.json(), TIMELINE)


def test_transcriptions_have_an_emotion_in_each_segment(client: Any) -> None:
    timeline = client.post("/v1/timeline", files=files(wav(speech()))).json()
    url, upload = "/v1/audio/transcriptions", files(wav(speech()))
    data = {"model": "whisper-1", "response_format": "verbose_json", "timestamp_granularities[]": "word"}
    verbose = client.post(url, files=upload, data=data).json()
    jsonschema.validate(verbose, TRANSCRIPTION)
    assert verbose["text"] == "" and verbose["words"] == [] and verbose["task"] == "transcribe"
    assert len(verbose["segments"]) == len(timeline["segments"]) >= 2
    for segment, expected in zip(verbose["segments"], timeline["segments"], strict=True):
        assert (segment["start"], segment["end"]) == (expected["start"], expected["end"])
        assert segment["emotion"] == {key: expected[key] for key in segment["emotion"]}
    brief = client.post(url, files=upload).json()
    assert [each["emotion"] for each in brief["segments"]] == [each["emotion"] for each in verbose["segments"]]
    first = timeline["segments"][0]
    srt = client.post(url, files=upload, data={"response_format": "srt"})
    assert (
        srt.text.startswith(f"1\n00:00:0{first['start']:.3f}".replace(".", ",")) and f"[{first['label']}]" in srt.text
    )
    vtt = client.post(url, files=upload, data={"response_format": "vtt"})
    assert vtt.text.startswith("WEBVTT\n\n00:00:0") and vtt.headers["content-type"].startswith("text/vtt")
    assert client.post(url, files=upload, data={"response_format": "text"}).text == "\n"


def test_transcriptions_of_a_system_without_words_are_those_of_the_speech_recogniser() -> None:
    with serving(asr="general") as (client, _):
        answer = client.post("/v1/audio/transcriptions", files=files(wav(speech()))).json()
    engine = RecogniserConfig().start()
    stored = audio.load(io.BytesIO(wav(speech()))).samples
    expected = []
    for segment in live.analyse(recogniser(), {"waveform": stored, "sample_rate": RATE}).segments:
        start, end = (round(t * RATE) for t in (segment.start - 0.2, segment.end))
        expected.append(" ".join(word.word for word in engine.transcribe(stored[max(0, start) : end]).words))
    assert [each["text"] for each in answer["segments"]] == expected
    assert any(expected)


def test_subtitles_escape_what_is_markup() -> None:
    segment = live.TimelineSegment("utterance", 3661.0005, 3662.0, 0, "happy", {"happy": 1.0})
    made = Transcription([segment], {(3661.0005, 0): "a <b> & c"}, 2.0)
    assert made.vtt() == "WEBVTT\n\n01:01:01.000 --> 01:01:02.000\n[happy] a &lt;b&gt; &amp; c\n"
    assert made.srt() == "1\n01:01:01,000 --> 01:01:02,000\n[happy] a <b> & c\n"


def test_a_timeline_in_every_format(client: Any) -> None:
    answer = client.post("/v1/timeline", files=files(wav(call()), "call.wav")).json()
    formats = client.get("/v1/formats").json()
    jsonschema.validate(formats, FORMATS)
    assert {"json", "csv", "vtt"} <= {each["id"] for each in formats["data"]}
    for each in formats["data"]:
        fields = {"format": each["id"]}
        direct = client.post("/v1/timeline", files=files(wav(call()), "call.wav"), data=fields)
        converted = client.post("/v1/timeline/convert", params=fields, content=json.dumps(answer))
        assert direct.status_code == converted.status_code == 200
        assert direct.headers["content-type"] == converted.headers["content-type"]
        if each["id"] == "json":
            assert direct.json() == converted.json() == answer
        elif each["id"] == "csv":
            rows = list(csv.DictReader(io.StringIO(converted.text)))
            assert [(r["start"], r["label"], r["channel"]) for r in rows] == [
                (str(s["start"]), s["label"], str(s["channel"])) for s in answer["segments"]
            ]
            assert [float(r["probability_happy"]) for r in rows] == [
                s["probabilities"]["happy"] for s in answer["segments"]
            ]
        elif each["id"] in ("vtt", "srt"):
            assert converted.text.count("-->") == len(answer["segments"])
        elif each["id"] == "audformat":
            names = zipfile.ZipFile(io.BytesIO(converted.content)).namelist()
            assert "timeline/db.yaml" in names
        assert direct.content == converted.content or each["id"] == "json"


@pytest.mark.parametrize(
    "change", [{"segments": None}, {"labels": [1]}, {"segments": [{}]}, {"duration": -1}, {"x": 0}]
)
def test_what_is_no_timeline_is_not_converted(client: Any, change: dict[str, Any]) -> None:
    content = {**EXAMPLES["/v1/timeline"], **change}
    answer = client.post("/v1/timeline/convert", content=json.dumps(content))
    assert answer.status_code == (200 if "x" in change else 422)
    for wrong in (b"", b"[", b"\xff", b"[]", b"[" * 10**6):
        answer = client.post("/v1/timeline/convert", content=wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")
    answer = client.post("/v1/timeline/convert", content=b" " * (17 << 20))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def multipart(content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": "multipart/form-data; boundary=x"}}


PART = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("text as audio", {"files": files(b"hello " * 50)}, "not_audio", "text, not audio"),
    ("random bytes", {"files": files(np.random.default_rng(0).bytes(5000))}, "not_audio", "a.wav"),
    ("no bytes", {"files": files(b"")}, "audio_invalid", "empty (0 bytes)"),
    ("a header alone", {"files": files(wav(speech())[:44])}, "audio_invalid", "a.wav"),
    ("no file", {"files": {"model": (None, "x")}}, "request_invalid", "field file"),
    ("an unknown field", {"files": {**files(b"x"), "modle": (None, "x")}}, "request_invalid", "not known"),
    ("an unknown model", {"files": files(b"x"), "data": {"model": "y"}}, "model_not_found", "emodb-ravdess"),
    ("two files", multipart(2 * (PART % (b"file", b"x")) + b"--x--\r\n"), "request_invalid", "more than one"),
    (
        "a field twice",
        multipart(2 * (PART % (b"model", b"x")) + PART % (b"file", b"x") + b"--x--\r\n"),
        "request_invalid",
        "2 times",
    ),
    ("many fields", multipart(40 * (PART % (b"model", b"x")) + b"--x--\r\n"), "request_invalid", "more than 32"),
    ("no multipart", {"json": {"file": "x"}}, "media_type_invalid", "multipart/form-data"),
    ("no boundary", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "media_type_invalid", ""),
    ("a torn body", multipart((PART % (b"file", b"x"))[:-6]), "request_invalid", "ends within"),
    ("no form", multipart(b"hello"), "request_invalid", ""),
    ("no body", multipart(b""), "request_invalid", ""),
    ("text that is no UTF-8", multipart(PART % (b"model", b"\xff") + b"--x--\r\n"), "request_invalid", ""),
    ("a long header", multipart(b"--x\r\nA: " + b"a" * 9000 + b"\r\n\r\n\r\n--x--\r\n"), "request_invalid", ""),
    ("long text", multipart(PART % (b"model", b"x" * 70_000) + b"--x--\r\n"), "too_large", "64 KiB"),
]


@pytest.mark.parametrize(("request_", "code", "text"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
@pytest.mark.parametrize("url", ["/v1/predict", "/v1/timeline"])
def test_what_is_not_valid_is_refused_by_name(
    client: Any, url: str, request_: dict[str, Any], code: str, text: str
) -> None:
    answer = client.post(url, **request_)
    jsonschema.validate(answer.json(), ERROR)
    assert (answer.status_code, answer.json()["error"]["code"]) == (ERRORS[code].status, code), answer.text
    assert text in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("url", "data", "param"),
    [
        ("/v1/timeline", {"channels": "7"}, "channels"),
        ("/v1/timeline", {"channels": "-1"}, "channels"),
        ("/v1/timeline", {"window": "nan"}, "window"),
        ("/v1/timeline", {"window": "1e9"}, "window"),
        ("/v1/timeline", {"hop": "1"}, "hop"),
        ("/v1/timeline", {"adapt": "yes"}, "adapt"),
        ("/v1/predict", {"explain": "1"}, "explain"),
        ("/v1/timeline", {"format": "exe"}, "format"),
        ("/v1/audio/transcriptions", {"response_format": "docx"}, "response_format"),
    ],
)
def test_fields_that_are_not_valid_are_named(client: Any, url: str, data: dict[str, str], param: str) -> None:
    answer = client.post(url, files=files(wav(speech())), data=data)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "request_invalid", param)


def test_addresses_and_methods_that_do_not_exist(client: Any) -> None:
    for method, url, code in (
        ("GET", "/v2", "not_found"),
        ("GET", "/static/../errors.py", "not_found"),
        ("GET", "/static/%2e%2e/errors.py", "not_found"),
        ("GET", "/v1/predict", "method_not_allowed"),
    ):
        answer = client.request(method, url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (ERRORS[code].status, code)
        jsonschema.validate(answer.json(), ERROR)


@given(body=st.binary(max_size=400), head=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_a_defect(client: Any, body: bytes, head: bool) -> None:
    prefix = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' if head else b"--x"
    answer = client.post("/v1/predict", **multipart(prefix + body))
    assert answer.status_code in (415, 422)
    jsonschema.validate(answer.json(), ERROR)


@given(at=st.integers(0, 400), byte=st.integers(0, 255), end=st.integers(45, 4000))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damaged_wav_is_a_defect(client: Any, at: int, byte: int, end: int) -> None:
    content = bytearray(wav(speech()[:8000])[:end])
    content[at % len(content)] = byte
    answer = client.post("/v1/timeline", files=files(bytes(content)))
    assert answer.status_code in (200, 413, 415, 422)


def test_limits_have_their_statuses() -> None:
    sound = files(wav(speech()))
    for limits, code in (
        ({"upload_bytes": 1000}, "too_large"),
        ({"audio_seconds": 2.0}, "too_long"),
        ({"spool_bytes": 1000}, "overloaded"),
        ({"request_seconds": 1e-9}, "timed_out"),
    ):
        with serving(limits) as (client, state):
            for url in ("/v1/predict", "/v1/timeline"):
                answer = client.post(url, files=sound)
                kind = ERRORS[code]
                assert (answer.status_code, answer.json()["error"]["code"]) == (kind.status, code), answer.text
                assert answer.headers.get("retry-after") == (None if kind.retry is None else str(kind.retry))
            assert state.spool.used == 0 and state.engine.running == 0


def test_a_body_whose_length_is_not_stated_is_bounded() -> None:
    def body() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield b"a" * 1000

    with serving({"upload_bytes": 10_000}) as (client, _):
        answer = client.post("/v1/predict", **multipart(body()))  # pyright: ignore[reportArgumentType]
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_token_is_asked_for_where_one_is_set() -> None:
    with serving(token="s3cret") as (client, _):
        for header in (None, "Bearer wrong", "Bearer ", "Basic s3cret", "s3cret", "Bearer s3cret\xe9"):
            headers = {} if header is None else {"Authorization": header.encode("latin-1")}
            for method, url in (("POST", "/v1/predict"), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/v9")):
                answer = client.request(method, url, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorised")
                assert answer.headers["www-authenticate"] == "Bearer"
        right = {"Authorization": "Bearer s3cret"}
        assert client.post("/v1/predict", files=files(wav(speech())), headers=right).status_code == 200
        for url in ("/", "/healthz", "/readyz", "/openapi.json", "/asyncapi.json"):
            assert client.get(url).status_code == 200


def test_pages_of_other_sites_and_other_host_names_are_refused() -> None:
    with serving(hosts=frozenset({"localhost", "127.0.0.1", "::1"})) as (client, _):
        for host, origin, status in (
            ("localhost:8000", None, 200),
            ("[::1]:8000", None, 200),
            ("localhost:8000", "http://localhost:8000", 200),
            ("localhost:8000", "http://evil.example", 403),
            ("localhost:8000", "null", 403),
            ("evil.example", None, 403),
            ("evil.example", "http://evil.example", 403),
            ("[", None, 403),
        ):
            headers = {"host": host} | ({} if origin is None else {"origin": origin})
            assert client.get("/v1/models", headers=headers).status_code == status, (host, origin)


def test_every_answer_has_the_headers_of_a_strict_page(client: Any) -> None:
    for answer in (client.get("/"), client.get("/nothing"), client.post("/v1/predict"), client.get("/healthz")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_models_health_and_metrics(client: Any) -> None:
    models = client.get("/v1/models").json()
    jsonschema.validate(models, MODELS)
    assert models["data"][0]["labels"] == list(recogniser().labels)
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json() == {"status": "ready"}
    client.get("/secret-name-of-a-client")
    text = client.get("/metrics").text
    assert 'duetto_requests_total{route="/healthz",status="200"}' in text
    assert 'route="other",status="404"' in text and "secret-name" not in text
    assert "duetto_uploads 0.0" in text and "duetto_spooled_bytes 0.0" in text


def test_a_server_that_ends_or_loads_takes_nothing_new() -> None:
    with serving() as (client, state):
        state.engine.ready = False
        assert client.get("/readyz").json()["error"]["code"] == "not_ready"
        assert client.post("/v1/predict").json()["error"]["code"] == "not_ready"
        state.engine.ready = True
        state.draining.set()
        answer = client.post("/v1/predict", files=files(wav(speech())))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
        assert answer.headers["retry-after"] == "10"
        assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200


def test_documents_describe_every_address_and_their_examples_are_valid(client: Any) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) >= {"/v1/predict", "/v1/timeline", "/v1/models", "/v1/audio/transcriptions"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            for status, response in operation["responses"].items():
                for content in response.get("content", {}).values():
                    schema = content.get("schema", {})
                    examples = [each["value"] for each in content.get("examples", {}).values()]
                    for example in examples + ([content["example"]] if "example" in content else []):
                        jsonschema.validate(example, schema)
                        assert status == "200" or ERRORS[example["error"]["code"]].status == int(status)
    jsonschema.validate(EXAMPLES["/v1/timeline"], TIMELINE)
    messages = client.get("/asyncapi.json").json()
    assert messages == json.loads(json.dumps(asyncapi(document["info"]["version"])))
    assert messages["asyncapi"] == "3.0.0"
    for operation in messages["operations"].values():
        for reference in operation["messages"]:
            _, _, channel, _, name = reference["$ref"].split("/")
            target = messages["channels"][channel]["messages"][name]["$ref"]
            assert target == f"#/components/messages/{name}" and name in messages["components"]["messages"]


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    content = wav(speech())
    with serving(keep=tmp_path / "kept") as (client, _):
        answer = client.post("/v1/predict", files=files(content, "../../etc/passwd")).json()
    kept = sorted((tmp_path / "kept").iterdir())
    assert [path.suffix for path in kept] == [".audio", ".json"]
    assert kept[0].read_bytes() == content
    assert json.loads(kept[1].read_text(encoding="utf-8")) == {"route": "/v1/predict", "answer": answer}
    assert not any("passwd" in path.name for path in kept)


NOTHING_WRITTEN = """
import io, logging, os, pathlib, sys
sys.path.insert(0, {tests!r})
import numpy as np
from duetto.audio import decode, ffmpeg
from serving import call, serving, speech, wav, stream_messages, pcm
logging.basicConfig(level=0)
ffmpeg._MOST_BYTES_IN_MEMORY = 1000  # as if what follows were large
mp3 = io.BytesIO()
decode.encode(mp3, speech()[:, None], 16_000, container="MP3", subtype="MPEG_LAYER_III")
damaged = np.frombuffer(mp3.getvalue(), np.uint8).copy()
damaged[3000::97] ^= 0xFF
sounds = [wav(call()), damaged.tobytes(), b"RIFF", b"OggS" + bytes(300)]
sounds += [pathlib.Path(path).read_bytes() for path in sys.argv[1:]]
opened = []
with serving() as (client, _):
    def post(url, sound, **data):
        return client.post(url, files={{"file": ("secret-name.wav", sound)}}, data=data)
    def all_of_them():
        for sound in sounds:
            answers = [post("/v1/predict", sound, transcript="secret-text"), post("/v1/timeline", sound)]
            answers.append(post("/v1/audio/transcriptions", sound))
            assert {{each.status_code for each in answers}} <= {{200, 415, 422}}
        with client.websocket_connect("/v1/stream") as socket:
            assert stream_messages(socket, [pcm(speech())])[-1]["type"] == "session.closed"
    def hook(event, arguments):
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        if event == "open" and not isinstance(arguments[0], int) and (arguments[2] or 0) & writes:  # by its name
            opened.append(str(arguments[0]))
        if event in ("os.rename", "os.mkdir", "tempfile.mkstemp", "tempfile.mkdtemp"):
            opened.append(event)
    sys.addaudithook(hook)
    all_of_them()
print([name for name in opened if name != os.devnull])
"""


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs files in memory, which Linux has")
def test_nothing_of_a_request_reaches_a_disk_or_the_log(tmp_path: Path) -> None:
    media = []
    if shutil.which("ffmpeg"):  # a whole file, and one that ends amid its sound
        (tmp_path / "a.wav").write_bytes(wav(speech()))
        subprocess.run(["ffmpeg", "-loglevel", "error", "-i", tmp_path / "a.wav", tmp_path / "a.mka"], check=True)
        (tmp_path / "b.mka").write_bytes((tmp_path / "a.mka").read_bytes()[:-5000])
        media = [tmp_path / "a.mka", tmp_path / "b.mka"]
    code = NOTHING_WRITTEN.format(tests=str(Path(__file__).parent))
    home = tmp_path / "home"  # and where temporary files go
    home.mkdir()
    own = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    own |= {"TMPDIR": str(home), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, *media]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert not list(home.iterdir())  # ONNX Runtime's telemetry would keep files here, too
    lines = [line for line in done.stderr.splitlines() if "httpx" not in line]  # the client logs what it sends
    assert not any("secret" in line for line in lines)


def test_work_in_steps_ends_where_it_is_closed() -> None:
    seen: list[int] = []

    def count(pause: Callable[[], None]) -> str:
        for i in range(3):
            seen.append(i)
            pause()
        return "done"

    work = Stepwise(count)
    assert [work.advance() for _ in range(4)] == [True, True, True, False] and work.result == "done"
    work.close()
    seen.clear()
    for steps in (0, 1, 2):
        work = Stepwise(count)
        assert all(work.advance() for _ in range(steps))
        work.close()
        assert not work._thread.is_alive()
    assert seen == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        Stepwise(lambda pause: 1 // 0).advance()


def test_names_of_files_are_names_only() -> None:
    assert safe_name(b"../../a.wav") == "a.wav" and safe_name(rb"C:\x\b.wav") == "b.wav"
    assert safe_name(b"\x1b[31m\xff.wav") == "\\x1b[31m\ufffd.wav"
    assert safe_name(b"/") == "recording" and len(safe_name(b"a" * 5000)) == 200


def test_settings_that_are_not_valid() -> None:
    for wrong in ({"models": {}}, {"workers": -1}, {"token": ""}, {"token": " a"}, {"token": "é"}):
        with pytest.raises(ConfigurationError):
            ServerSettings(**wrong)
    with pytest.raises(ConfigurationError, match="upload_bytes"):
        Limits(upload_bytes=0)
    assert set(ERRORS) >= {"config_invalid", "invalid_audio_frame", "message_too_large", "rate_limited"}
    with pytest.raises(KeyError):
        RequestError("unknown", "").kind  # noqa: B018


def test_the_documentation_lists_every_error() -> None:
    text = (Path(__file__).parents[1] / "docs/serve.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+|\(stays open\)) \| (.*) \|$", text, flags=re.M)
    assert rows == [(c, str(k.status), str(k.close or "(stays open)"), k.meaning) for c, k in ERRORS.items()]
