"""Archives: shards, their outputs, the ledger of a job, and the command."""

import errno
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import duetto
from duetto import audio
from duetto.cli import app
from duetto.errors import AudioError, ConfigurationError, StorageError
from sounds import voice

pa = pytest.importorskip("pyarrow", reason="needs the extra scale")
pytest.importorskip("fsspec", reason="needs the extra scale")

import pyarrow.parquet
from fsspec.implementations.memory import MemoryFileSystem

from duetto.asr.align import Aligner
from duetto.features.registry import feature_spec
from duetto.live.timeline import analyse
from duetto.scale import Size, job, ledger, parquet, plan, process_shard, retry, source, storage, tasks
from duetto.scale.engines import ENGINES, Workers, ray_data
from duetto.scale.shard import COMMON, Work, process_alone
from duetto.scale.source import recordings, shards_of
from duetto.scale.tasks import Align, Features, Predict, Timeline
from scale_tasks import Deadly, Stillborn

RUN = CliRunner()
TWO = Workers(2)


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a job, in order."""
    return pyarrow.parquet.read_table(folder).to_pylist()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """calls.jsonl: 8 recordings, a cut, and four lines that hold none."""
    folder = tmp_path_factory.mktemp("archive")
    sound = voice(2.0)
    lines = [json.dumps({"id": f"r{i}", "audio": f"a/{i}.wav", "text": "hello"}) for i in range(8)]
    for i in range(8):
        audio.write(folder / f"a/{i}.wav", np.roll(sound, 999 * i), 16_000)
    (folder / "a/bad.wav").write_text("no audio")
    lines.insert(3, '{"id": "bad", "audio": "a/bad.wav"}')
    lines += ['{"id": "gone", "audio": "a/gone.wav"}', "", "{damaged", '{"id": "other", "audio": "a/1.wav", "x": 1}']
    lines.append('{"id": "cut", "audio": "a/1.wav", "start": 0.5, "end": 1.25}')
    (folder / "calls.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_every_engine_of_this_computer_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    for name in ("loop", "processes"):
        planned = plan(str(archive / "calls.jsonl"), str(tmp_path / name), Features(), Size(3))
        state = job.run(planned, name, TWO)
        assert (state.done, state.left, state.recordings, state.failed) == (5, 0, 13, 4)
    assert contents(tmp_path / "loop") == contents(tmp_path / "processes")
    found = rows(tmp_path / "loop")
    assert [row["id"] for row in found][:5] == ["r0", "r1", "r2", "bad", "r3"] and found[-1]["id"] == "cut"
    errors = {row["id"]: row["error"] for row in found if row["error"]}
    assert errors.keys() == {"bad", "gone", "calls.jsonl:12", "other"}
    assert errors["gone"] == "a/gone.wav: no such file" and "unknown key 'x'" in errors["other"]
    assert errors["bad"].startswith("a/bad.wav: ") and str(archive) not in errors["bad"]  # the same wherever it lies


def test_rows_hold_what_the_library_computes(archive: Path, tmp_path: Path) -> None:
    shard = replace(shards_of(str(archive / "calls.jsonl"))[0])
    recogniser, path = duetto.load(), archive / "a/2.wav"
    extractor = feature_spec("corrected").extractor

    def row(task: Any, name: str = "r2") -> dict[str, Any]:
        out = tmp_path / f"{task.name}.parquet"
        process_shard(shard, str(out), task)
        return next(row for row in pyarrow.parquet.read_table(out).to_pylist() if row["id"] == name)

    prediction = row(Predict())
    answer = recogniser(path)
    assert prediction["label"] == answer.label and answer.label is not None
    assert prediction["probabilities"] == pytest.approx(answer.probabilities, abs=1e-6)  # rounded to 6 places
    segments = analyse(recogniser, path).to_json("")["segments"]
    found = row(Timeline())["segments"]
    assert [s["probabilities"] for s in found] == [s["probabilities"] for s in segments] and len(segments) > 0
    cut = row(Features(), "cut")
    waveform = audio.load(archive / "a/1.wav", start=0.5, end=1.25)
    expected = extractor.extract(waveform.samples, 16_000).astype(np.float32)
    assert np.array_equal(np.reshape(cut["features"], (cut["frames"], -1)), expected) and cut["duration"] == 0.75
    states = row(Features("whisper"))
    assert np.array_equal(
        np.ravel(feature_spec("whisper").extractor.extract(audio.load(path).samples, 16_000)),
        np.float32(states["features"]),
    ), "stored in 16 bits, without loss"
    aligned = row(Align())
    words = Aligner().align(audio.load(path).samples, "hello")
    assert [w["word"] for w in aligned["words"] or ()] == [w.word for w in words.words if words.matches]
    assert bool(aligned["error"]) is not words.matches


def test_a_shard_that_is_done_is_not_touched_and_a_key_is_of_the_content(archive: Path, tmp_path: Path) -> None:
    shard = shards_of(str(archive / "calls.jsonl"))[0]
    out = tmp_path / "out.parquet"
    first = process_shard(shard, str(out), Features())
    before, content = out.stat(), out.read_bytes()
    assert process_shard(shard, str(out), Features()) == first
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    out.write_bytes(content[:-20])  # a damaged one is made again
    assert process_shard(shard, str(out), Features()) == first and out.read_bytes() == content
    second = process_shard(shard, str(out), Features("functionals"))
    assert second.key != first.key

    copies = tmp_path / "copies"
    copies.mkdir()
    lines = [("same", "a/1.wav", {}), ("cut", "a/1.wav", {"start": 0.5}), ("words", "a/1.wav", {"text": "bye"})]
    (copies / "x.wav").write_bytes((archive / "a/1.wav").read_bytes())
    (copies / "m.jsonl").write_text(
        "".join(json.dumps({"id": name, "audio": str(archive / path)} | more) + "\n" for name, path, more in lines)
        + '{"id": "renamed", "audio": "x.wav"}\n'
    )
    process_shard(shards_of(str(copies / "m.jsonl"))[0], str(out), Features())
    keys = {row["id"]: row["key"] for row in pyarrow.parquet.read_table(out).to_pylist()}
    assert keys["renamed"] == keys["same"] and len({*keys.values()}) == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(['{"id":1}\n', "\n", "x\r\n", "é\n", "  \n"]), max_size=30), st.integers(1, 5))
def test_shards_cover_a_manifest(tmp_path_factory: pytest.TempPathFactory, lines: list[str], size: int) -> None:
    """Their ranges of bytes are the whole file, but for blank lines at its end, and hold so many lines at most."""
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    path.write_bytes(content := "".join(lines).encode())
    if not content.strip():
        with pytest.raises(ConfigurationError, match="no line in it"):
            shards_of(str(path))
        return
    shards = shards_of(str(path), Size(size))
    parts = [content[s.offset : s.offset + s.length] for s in shards]
    assert content.startswith(b"".join(parts)) and not content[sum(map(len, parts)) :].strip()
    assert all(part.count(b"\n") <= size for part in parts)
    assert [s.line for s in shards] == [1 + b"".join(parts[:i]).count(b"\n") for i in range(len(parts))]
    assert sum(len(list(recordings(s))) for s in shards) == sum(bool(line.strip()) for line in lines)


def test_shards_by_seconds(archive: Path, tmp_path: Path) -> None:
    lines = [{"id": str(i), "audio": str(archive / "a/0.wav"), "start": 0, "end": e} for i, e in enumerate((4, 5, 2))]
    lines.append({"id": "measured", "audio": str(archive / "a/0.wav")})  # 2 s
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shards = shards_of(str(tmp_path / "m.jsonl"), Size(seconds=6))
    assert [shard.line for shard in shards] == [1, 2, 3]  # 4 | 5 | 2 + 2
    (tmp_path / "u.jsonl").write_text('{"id": "a", "audio": "s3://bucket/a.wav"}\n')
    with pytest.raises(ConfigurationError, match=r"u.jsonl:1: states no start and end"):
        shards_of(str(tmp_path / "u.jsonl"), Size(seconds=6))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.jsonl", "[{}]", "a JSON array cannot be divided"),
        ("none.jsonl", None, "no such file"),
        ("none-*.tar", None, "no such file"),
        ("m.csv", "", "is no source; give a manifest"),
        ("nowhere://m.jsonl", None, "Protocol not known: nowhere"),
    ],
)
def test_what_is_no_source(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        shards_of(name if "://" in name else str(tmp_path / name))


def tar_of(path: Path, members: dict[str, bytes]) -> bytes:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path.read_bytes()


def members_of(archive: Path) -> dict[str, bytes]:
    sound = [(archive / f"a/{i}.wav").read_bytes() for i in range(3)]
    about = {"text": "hello there", "speaker": "f1"}
    return {
        "x/0.wav": sound[0],
        "x/0.json": json.dumps(about).encode(),
        "x/1.left.wav": sound[1],
        "x/1.txt": b"oh no\n",
        "x/2.jpg": b"no recording",
        "x/3.wav": sound[2],
        "x/3.json": b"{damaged",
        "x/4.wav": sound[2],
    }


def test_members_of_a_tar_file(archive: Path, tmp_path: Path) -> None:
    members = members_of(archive)
    tar_of(tmp_path / "calls-1.tar", members)
    with tarfile.open(tmp_path / "calls-0.tar.gz", "w:gz") as tar:
        tar.add(archive / "a/0.wav", "only.wav")
    assert [storage.name_of(s.source) for s in shards_of(f"{tmp_path}/calls-*.tar.gz")] == ["calls-0.tar.gz"]
    (tmp_path / "calls-12.tar").mkdir()
    (shard,) = shards_of(f"{tmp_path}/calls-1*.tar")
    found = {}
    for item in recordings(shard):
        with item.opened() as path:
            found[item.id] = (item, path.read_bytes() if item.utterance else b"")
    assert list(found) == ["x/0.wav", "x/1.left.wav", "x/2.jpg", "x/3.wav", "x/4.wav"]
    assert all(found[name][1] == members[name] for name in ("x/0.wav", "x/1.left.wav", "x/4.wav"))
    about = [found[name][0].utterance for name in ("x/0.wav", "x/1.left.wav")]
    assert [u and (u.text, u.speaker) for u in about] == [("hello there", "f1"), ("oh no", None)]
    assert "no recording is beside it" in found["x/2.jpg"][0].problem
    assert "not valid JSON" in found["x/3.wav"][0].problem


@pytest.mark.parametrize(
    ("damage", "whole", "reason"),
    [
        (lambda c: c[:-12_000], 1, "unexpected end of data"),
        (lambda c: c[: 512 + 64_512 + 512 + 100], 1, "unexpected end of data"),
        (lambda c: c[: 512 + 64_512], 1, "its end is missing"),
        (lambda c: c[: 512 + 64_512] + b"x" * 512 + c[512 + 64_512 + 512 :], 1, "no header at byte 65024"),
        (lambda c: b"", 0, "empty file"),
        (lambda c: b"garbage" * 1000, 0, "could not be opened|invalid|truncated"),
    ],
    ids=["in the last", "in a member", "between members", "a header", "empty", "no tar"],
)
def test_a_damaged_tar_file_gives_what_is_whole_and_one_error(
    archive: Path, tmp_path: Path, damage: Callable[[bytes], bytes], whole: int, reason: str
) -> None:
    wav = (archive / "a/0.wav").read_bytes()
    assert 64_000 < len(wav) <= 64_512
    content = tar_of(tmp_path / "t.tar", {"0.wav": wav, "1.wav": wav})
    (tmp_path / "t.tar").write_bytes(damage(content))
    *good, bad = recordings(shards_of(f"{tmp_path}/t.tar")[0])
    assert [item.id for item in good] == ["0.wav"][:whole]
    assert bad.id == "t.tar" and pytest.importorskip("re").search(reason, bad.problem), bad.problem
    assert f"damaged after {whole} recordings" in bad.problem


def in_memory(archive: Path) -> MemoryFileSystem:
    """The archive as memory://archive, and nothing else there."""
    fs = MemoryFileSystem()
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    for path in archive.rglob("*.*"):
        fs.pipe_file(f"memory://archive/{path.relative_to(archive)}", path.read_bytes())
    return fs


def test_stores_of_fsspec(archive: Path, tmp_path: Path) -> None:
    """The same rows from memory and from files, and to memory."""
    fs = in_memory(archive)
    names = ["memory://archive/calls.jsonl", str(archive / "calls.jsonl"), f"file://{archive}/calls.jsonl"]
    outs = ["memory://jobs/one", str(tmp_path / "two"), f"file://{tmp_path}/three"]
    for name, out in zip(names, outs, strict=True):
        state = job.run(plan(name, out, Features(), Size(6)), "loop")
        assert (state.left, state.recordings, state.failed) == (0, 13, 4), (name, out)
    stored = {Path(name).name: fs.cat_file(name) for name in fs.ls("memory://jobs/one", detail=False)}
    assert {n: c for n, c in stored.items() if n.startswith("part-")} == contents(tmp_path / "two")
    assert contents(tmp_path / "two") == contents(tmp_path / "three")
    assert job.read("memory://jobs/one").shards[0].source == names[0]
    with pytest.raises(ConfigurationError, match="the memory of one process; take the engine loop"):
        job.run(job.read("memory://jobs/one"), "processes")


def test_parts_of_an_array_make_the_whole(archive: Path, tmp_path: Path) -> None:
    manifest = str(archive / "calls.jsonl")
    job.run(plan(manifest, str(tmp_path / "whole"), Features(), Size(2)), "loop")
    for index in (2, 0, 1):
        part = plan(manifest, str(tmp_path / "parts"), Features(), Size(2), again=False).part(index, 3)
        job.run(part, "loop")
    assert contents(tmp_path / "whole") == contents(tmp_path / "parts") and len(contents(tmp_path / "whole")) == 7
    with pytest.raises(ConfigurationError, match="part 3 of 3 does not exist; give 0 to 2"):
        part.part(3, 3)


def test_a_folder_holds_one_job(archive: Path, tmp_path: Path) -> None:
    manifest, out = tmp_path / "m.jsonl", str(tmp_path / "job")
    manifest.write_text("".join(f'{{"id": "{i}", "audio": "{archive}/a/{i}.wav"}}\n' for i in range(4)))
    planned = plan(str(manifest), out, Features(), Size(2))
    assert plan(str(manifest), out, Features(), Size(2)) == planned == job.read(out)
    with pytest.raises(ConfigurationError, match="a job with other options, or another model; begin another"):
        plan(str(manifest), out, Features("voice"), Size(2))
    with pytest.raises(ConfigurationError, match="another source, or shards of another size"):
        plan(str(manifest), out, Features(), Size(3))
    manifest.write_text(manifest.read_text().replace("a/3.wav", "a/5.wav"))
    with pytest.raises(ConfigurationError, match="another source"):
        plan(str(manifest), out, Features(), Size(2))
    unchecked = plan(str(manifest), out, Features(), Size(2), again=False)
    with pytest.raises(ConfigurationError, match=r"m.jsonl: was changed since the job began"):
        job.run(unchecked, "loop")
    with pytest.raises(ConfigurationError, match="the model, the speech recogniser or the version of duetto"):
        Work(Features(), "of another machine", out)(planned.shards[0])
    with pytest.raises(ConfigurationError, match="there is no engine 'spark'; choose from loop, processes, ray"):
        job.run(planned, "spark")
    (tmp_path / "job/_job.json").write_text('{"format": "duetto-scale-1", "task": "dance", "options": {}}')
    with pytest.raises(ConfigurationError, match="task 'dance' of the job is not one of this version"):
        job.read(out)
    (tmp_path / "job/_job.json").write_text('{"format": "duetto-scale-9"}')
    with pytest.raises(ConfigurationError, match="is damaged, or of another version"):
        job.read(out)
    with pytest.raises(ConfigurationError, match="no job in it"):
        job.read(str(tmp_path))


@pytest.mark.parametrize("name", list(tasks.TASKS))
def test_contract_of_the_tasks(name: str) -> None:
    """What job.json holds makes the same task, whose columns are types, and whose key states its options."""
    task = tasks.TASKS[name]()
    assert tasks.from_json(name, json.loads(json.dumps(asdict(task)))) == task and hash(task)  # type: ignore[call-overload]
    ready = task.open()
    assert not COMMON.keys() & ready.columns.keys() and all(map(parquet._type, ready.columns.values()))
    assert ready.key == task.open().key


def test_the_key_of_a_model_is_its_content(tmp_path: Path) -> None:
    import shutil

    from duetto.inference.model_folder import find

    shutil.copytree(find("emodb-ravdess"), tmp_path / "copy")
    assert Predict(str(tmp_path / "copy")).open().key == Predict().open().key
    (tmp_path / "copy/terms.txt").write_text("others")
    assert Predict(str(tmp_path / "copy")).open().key != Predict().open().key
    assert Predict(require_speech=False).open().key != Predict().open().key


def test_a_recording_that_ends_its_process_is_an_error_and_no_other_is(archive: Path, tmp_path: Path) -> None:
    task = Deadly("r6")
    planned = plan(str(archive / "calls.jsonl"), str(tmp_path / "job"), task, Size(4))
    state = job.run(planned, "processes", TWO)
    errors = {row["id"]: row["error"] for row in rows(tmp_path / "job") if row["error"]}
    assert state.left == 0 and errors.keys() == {"r6", "r5", "gone", "calls.jsonl:12", "other"}
    assert errors["r6"] == "a/6.wav: the process that worked on it died 2 times"
    assert errors["r5"] == "a/5.wav: KeyError: 'a defect'"


def test_an_actor_of_ray_outlives_its_process(archive: Path, tmp_path: Path) -> None:
    """Without Ray: an actor is a class like any other."""
    (tmp_path / "m.jsonl").write_text(f'{{"id": "r6", "audio": "{archive}/a/6.wav"}}\n')
    shard = asdict(shards_of(str(tmp_path / "m.jsonl"))[0])
    done = ray_data.Actor(Work(task := Deadly("r6"), task.open().key, str(tmp_path)))(shard)
    assert (done["index"], done["error"], done["rows"], done["failed"]) == (0, "", 1, 1)
    failed = ray_data.Actor(Work(task, "of another machine", str(tmp_path)))(shard)
    assert "is another one here than where the job began" in failed["error"]


def test_a_process_that_dies_without_a_recording_ends_the_job(archive: Path, tmp_path: Path) -> None:
    shard = shards_of(str(archive / "calls.jsonl"))[0]
    with pytest.raises(duetto.DuettoError, match="died between recordings, again and again; give it more memory"):
        process_alone(Work(Stillborn(), "", str(tmp_path)), shard)


class HttpError(Exception):
    """As of aiohttp."""

    def __init__(self, status: int) -> None:
        self.status = status


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (HttpError(503), True),
        (HttpError(429), True),
        (HttpError(403), False),
        (FileNotFoundError(), False),
        (PermissionError(), False),
        (OSError(errno.ENOSPC, "full"), False),
        (OSError(errno.ECONNRESET, "reset"), True),
        (TimeoutError(), True),
        (EOFError("half"), True),
        (KeyError("defect"), False),
    ],
    ids=str,
)
def test_errors_that_pass_are_tried_again(error: Exception, passes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(retry, "sleep", waits.append)
    calls: list[int] = []

    def call(failures: int) -> str:
        calls.append(1)
        if len(calls) <= failures:
            raise error
        return "answer"

    if not passes:
        with pytest.raises(type(error)):
            retry.retried(lambda: call(1), "x")
        assert calls == [1] and not waits
        return
    assert retry.retried(lambda: call(3), "x") == "answer"
    assert [0.5 * w <= got <= 1.5 * w for w, got in zip((0.5, 1.0, 2.0), waits, strict=True)] == [True] * 3
    calls.clear()
    with pytest.raises(StorageError, match=r"x: failed 6 times \(.*\); run the same again later"):
        retry.retried(lambda: call(99), "x")
    assert len(calls) == retry.TRIES


def test_what_a_store_does_not_give_is_tried_by_the_next_run(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each recording is there once or as an error; in the end the bytes are those without faults."""
    monkeypatch.setattr(retry, "sleep", lambda _: None)
    in_memory(archive)
    out, fails = str(tmp_path / "job"), {"/archive/a/2.wav", "/archive/a/6.wav"}
    get = MemoryFileSystem.get_file

    def flaky(self: Any, path: str, *rest: Any, **more: Any) -> Any:
        if path in fails:
            raise OSError(errno.EIO, "the store is out of order")
        return get(self, path, *rest, **more)

    job.run(plan("memory://archive/calls.jsonl", str(tmp_path / "good"), Features(), Size(4)), "loop")
    monkeypatch.setattr(MemoryFileSystem, "get_file", flaky)
    planned = plan("memory://archive/calls.jsonl", out, Features(), Size(4))
    state = job.run(planned, "loop")
    assert (state.done, state.left, state.failed, state.retryable, state.recordings) == (2, 2, 6, 2, 13)
    assert "the store is out of order" in next(row["error"] for row in rows(Path(out)) if row["id"] == "r2")
    fails.clear()
    state = job.run(planned, "loop")
    assert (state.done, state.left, state.failed, state.retryable) == (4, 0, 4, 0)
    assert contents(Path(out)) == contents(tmp_path / "good")
    fails |= {f"/archive/a/{i}.wav" for i in range(8)}  # a store that is down is no error of every recording
    with pytest.raises(StorageError, match="failed 6 times"):
        job.run(plan("memory://archive/calls.jsonl", str(tmp_path / "down"), Features(), Size(4)), "loop")
    assert not contents(tmp_path / "down")


def test_the_ledger_by_hand(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "job"
    planned = plan(str(archive / "calls.jsonl"), str(out), Features(), Size(3))
    job.run(planned.part(0, 2), "loop")  # shards 0, 2, 4
    for number, minutes in ((0, 0), (2, 10), (4, 30)):
        os.utime(out / f"part-00000{number}.parquet", (0, 60 * minutes))
    state, left = ledger.read(planned.work, planned.shards)
    assert [shard.index for shard in left] == [1, 3]
    assert state.shards_per_hour == 4 and state.seconds_left == 1800  # 2 in half an hour; 2 are left
    assert (state.recordings, state.failed, state.seconds) == (8, 1, 12.75)  # 6 recordings of 2 s, and the cut
    (out / "part-000002.parquet").write_bytes(b"PAR1 damaged PAR1")
    (out / "part-000004.parquet").write_bytes((out / "part-000000.parquet").read_bytes())  # of another shard
    state, left = ledger.read(planned.work, planned.shards)
    assert (state.done, [shard.index for shard in left], state.shards_per_hour) == (1, [1, 2, 3, 4], None)


def test_rows_in_groups_of_bounded_size(tmp_path: Path) -> None:
    made = [parquet.Row({"x": np.full(1 << 20, i, np.float32)}) for i in range(9)]
    columns = {"x": ["float"]}
    parquet.write(tmp_path / "a", made, columns, "key")
    assert pyarrow.parquet.read_metadata(tmp_path / "a").num_row_groups == 2  # 8 arrays of 4 MB, and one
    parquet.write(tmp_path / "b", [parquet.Row({"x": None})] * 257, columns, "key")
    assert pyarrow.parquet.read_metadata(tmp_path / "b").num_row_groups == 2
    parquet.write(tmp_path / "c", iter(made), columns, "key")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    assert parquet.counts(str(tmp_path / "b")) == parquet.Counts("key", 257, 0, 0, 0.0)
    assert parquet.counts(str(tmp_path / "none")) is None


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are escaped, as in every record."""
    (tmp_path / "m.jsonl").write_text('{"id": "a", "audio": "b\\udce9.wav"}\n')
    process_shard(shards_of(str(tmp_path / "m.jsonl"))[0], str(tmp_path / "out"), Features())
    (row,) = pyarrow.parquet.read_table(tmp_path / "out").to_pylist()
    assert row["audio"] == "b\\udce9.wav" and "no such file" in row["error"]


def test_sizes_and_workers_that_are_not_valid() -> None:
    for wrong in (lambda: Size(0), lambda: Size(seconds=0.0)):
        with pytest.raises(ConfigurationError, match="holds nothing"):
            wrong()
    for wrong in (lambda: Workers(0), lambda: Workers(1, 0.0)):
        with pytest.raises(ConfigurationError, match="can do nothing"):
            wrong()
    with pytest.raises(ConfigurationError, match="words cannot be found by 'magic'"):
        Align("magic").open()
    assert set(ENGINES) == {"loop", "processes", "ray"}
    assert isinstance(AudioError(""), duetto.DuettoError) and source.Size().recordings == 500


@pytest.mark.parametrize(
    ("command", "column"), [("predict", "label"), ("timeline", "segments"), ("features", "frames"), ("align", "words")]
)
def test_the_commands(archive: Path, tmp_path: Path, command: str, column: str) -> None:
    (tmp_path / "two.jsonl").write_text(
        f'{{"id": "a", "audio": "{archive}/a/0.wav"}}\n{{"id": "b", "audio": "{archive}/a/2.wav"}}\n'
    )
    words = ["scale", command, str(tmp_path / "two.jsonl"), "-o", str(tmp_path / "job"), "--engine", "loop"]
    more = ["--by", "segment"] if command == "align" else []
    done = RUN.invoke(app, [*words, *more, "--json"])
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["shards"], record["done"], record["recordings"], record["failed"]) == (1, 1, 2, 0)
    assert all(row[column] for row in rows(tmp_path / "job"))
    assert json.loads(RUN.invoke(app, ["scale", "status", str(tmp_path / "job"), "--json"]).stdout) == record
    again = RUN.invoke(app, [*words, *more])
    assert again.exit_code == 0 and "1 of 1 shards, 2 recordings, 0 failed" in again.stdout


def test_the_command_with_errors(archive: Path, tmp_path: Path) -> None:
    words = ["scale", "features", str(archive / "calls.jsonl"), "-o", str(tmp_path / "job"), "--engine", "loop"]
    part = RUN.invoke(app, [*words, "--shard-size", "4", "--shard", "1", "--of", "2"])
    assert part.exit_code == 1 and "2 of 2 shards, 6 recordings, 1 failed" in part.stdout  # lines 5–8 and 13–14
    again = RUN.invoke(app, [*words, "--shard-size", "4", "--shard", "1", "--of", "2", "--errors-ok"])
    assert again.exit_code == 0, again.stderr
    status = RUN.invoke(app, ["scale", "status", str(tmp_path / "job")])
    assert status.exit_code == 0 and "2 of 4 shards" in status.stdout
    assert RUN.invoke(app, [*words, "--shard", "2", "--of", "2"]).exit_code == 2
    assert RUN.invoke(app, [*words, "--engine", "spark"]).exit_code == 2
    assert RUN.invoke(app, ["scale", "features", "x.jsonl", "-o", "y", "--mode", "none"]).exit_code == 2
