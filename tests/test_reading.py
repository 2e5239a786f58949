"""Files from strangers: bounded, typed, one clear error."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duetto.errors import CorpusError, ModelError
from duetto.utils import reading, text
from duetto.utils.arrays import read_arrays


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5_000 + "}", "not valid JSON"),
        ("[1]", "a JSON object is required"),
        ('{"x": "' + "x" * 100 + '"}', "larger than 64 bytes"),
    ],
)
def test_what_is_no_json_object_is_one_error(tmp_path: Path, content: str | bytes, problem: str) -> None:
    path = write(tmp_path / "a.json", content)
    limit = 64 if "larger" in problem else reading.JSON_LIMIT
    with pytest.raises(ModelError, match=rf"a\.json: .*{problem}.*; train again"):
        reading.read_json(path, error=ModelError, limit=limit, repair="train again")


def test_missing_unreadable_and_irregular_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorpusError, match="no such file"):
        reading.read_json(tmp_path / "none", error=CorpusError)
    with pytest.raises(CorpusError, match="no regular file"):
        reading.read_json(tmp_path, error=CorpusError)
    with pytest.raises(CorpusError, match="no file can have this name"):
        reading.read_json("a\0b", error=CorpusError)
    with pytest.raises(CorpusError, match="too long"):
        reading.read_json(tmp_path / ("x" * 300), error=CorpusError)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "b", "{}")
    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(CorpusError, match="permission denied") as caught:
        reading.read_json(path, error=CorpusError)
    assert "damaged" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("read", [reading.read_json, reading.read_toml, read_arrays])
def test_pipes_and_devices_are_not_waited_for(tmp_path: Path, read) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "blob").write_text("{}")
    (tmp_path / "stored").symlink_to("blob")
    for name in ("pipe", "link"):
        with pytest.raises(ModelError, match=rf"{name}: is no regular file"):
            read(tmp_path / name, error=ModelError)
    if read is reading.read_json:
        assert not read(tmp_path / "stored", error=ModelError), "a link to a regular file is one"


FIELDS = {
    "text": "x",
    "number": 1.5,
    "integer": 3,
    "huge": 10**400,
    "infinite": float("inf"),
    "true": True,
    "texts": ["a", "b"],
    "object": {"inner": 1},
    "matrix": [[1, 2], [3, 4]],
    "ragged": [[1], [2, 3]],
}


@pytest.fixture
def record() -> reading.Record:
    return reading.Record(FIELDS, "a.json", ModelError, "train again")


def test_fields_are_read_by_type(record: reading.Record) -> None:
    assert record.text("text") == "x"
    assert record.number("integer") == 3.0
    assert record.integer("integer", low=0, high=3) == 3
    assert record.boolean("true") is True
    assert record.texts("texts") == ("a", "b")
    assert record.record("object").integer("inner", low=0, high=1) == 1
    assert record.array("matrix", (2, 2)).tolist() == [[1, 2], [3, 4]]
    assert record.number("absent", None) is None
    assert record.text("absent", "default") == "default"
    assert "text" in record and "absent" not in record


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda r: r.text("absent"), "'absent' is missing"),
        (lambda r: r.text("number"), "'number' must be a string, not 1.5"),
        (lambda r: r.number("huge"), "'huge' must be a finite number, not an integer of 1329 bits"),
        (lambda r: r.number("infinite"), "must be a finite number, not inf"),
        (lambda r: r.number("true"), "must be a finite number, not True"),
        (lambda r: r.number("number", low=2, high=3), "from 2 to 3"),
        (lambda r: r.integer("integer", low=0, high=2), "an integer from 0 to 2"),
        (lambda r: r.integer("true", low=0, high=2), "an integer from 0 to 2"),
        (lambda r: r.texts("matrix"), "a list of strings"),
        (lambda r: r.record("text"), "'text': a JSON object is required"),
        (lambda r: r.record("object").text("inner"), "'object': 'inner' must be a string"),
        (lambda r: r.array("ragged"), "numbers only"),
        (lambda r: r.array("matrix", (4,)), r"shape \(2, 2\); \(4,\) is required"),
    ],
)
def test_a_wrong_field_is_named(record: reading.Record, read, problem: str) -> None:
    with pytest.raises(ModelError, match=rf"a\.json: .*{problem}.*; train again"):
        read(record)


def arrays(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name + ".npy", content)
    return path


def header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_arrays_of_every_kind_are_unchanged_after_saving(tmp_path: Path) -> None:
    written = {
        "matrix": np.arange(6.0).reshape(2, 3),
        "turned": np.arange(6).reshape(2, 3).T,
        "text": np.array('{"a": 1}'),
        "empty": np.empty((0, 3), np.float32),
        "flags": np.array([True, False]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **written)
        read = read_arrays(tmp_path / "a.npz", error=ModelError)
        assert read.keys() == written.keys()
        for name, array in written.items():
            assert read[name].dtype == array.dtype
            np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (header("(1000000000000,)"), "cannot be float64 of shape"),
        (header("(-1, -8)") + bytes(64), "cannot be float64 of shape"),
        (header("(1,)") + bytes(7), "cannot be float64"),
        (header("(1,)", "'|O'"), "holds Python objects"),
        (header("(" * 60), "damaged"),
        (header("(1,)", "'<f8', 'x'") + bytes(8), "damaged"),
        (b"noise", "damaged"),
        (b"", "damaged"),
    ],
)
def test_damaged_arrays_are_one_error(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        read_arrays(arrays(tmp_path / "a.npz", x=content), error=ModelError)


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = arrays(tmp_path / "a.npz", x=header("(1000000,)") + bytes(8_000_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(ModelError, match=r"unpacks to 8,000,128 bytes; the limit is 1,000,000"):
        read_arrays(path, error=ModelError, limit=1_000_000)


@given(st.data())
def test_no_mutation_of_an_archive_is_a_traceback(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(4.0), header=np.array(json.dumps({"x": 1})))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.npz", bytes(content))
        try:
            read_arrays(path, error=ModelError)
        except ModelError as error:
            assert "a.npz" in str(error)


def test_text_from_outside_cannot_control_a_terminal() -> None:
    assert text.printable("a\x1b[31mb\u202e\n\udce9ä") == "a\\x1b[31mb\\u202e\\n\\udce9ä"
    assert text.printable("a\u2028b") == "a\\u2028b"
    assert reading.shortened("x" * 100) == "'" + "x" * 38 + "…"


def test_an_absent_field_can_be_tested_for() -> None:
    record = reading.Record({"a": 1}, "here", ModelError)
    assert "a" in record and "b" not in record and list(record) == ["a"] and record.get("b") is None
