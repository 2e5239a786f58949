"""Manifests survive the way to disk and back, and a bad line is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto.errors import ConfigurationError, CorpusError
from duetto.frames import frame_count, samples, seconds
from duetto.labels import LABEL_MAPS, LABEL_SETS, classes, label_map, selected
from duetto.utterance import Utterance, Word, read_manifest, write_manifest

text = st.none() | st.text(max_size=12)
words = st.none() | st.lists(
    st.builds(lambda w, a, b: Word(w, a, a + b), st.text(max_size=5), st.floats(0, 9), st.floats(0, 9)), max_size=3
).map(tuple)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(
            Utterance, id=st.uuids().map(str), audio=st.just(Path("a.wav")), label=text, speaker=text, text=text,
            words=words,
            votes=st.none() | st.dictionaries(st.text(max_size=3), st.lists(st.text()).map(tuple), max_size=2),
        ),
        min_size=1, max_size=4, unique_by=lambda u: u.id,
    )
)  # fmt: skip
def test_a_manifest_survives_the_way_to_disk_and_back(utterances: list[Utterance]) -> None:
    import tempfile
    from dataclasses import replace

    with tempfile.TemporaryDirectory() as folder:
        inside = [replace(u, audio=Path(folder) / u.audio) for u in utterances]
        write_manifest(Path(folder) / "m.jsonl", inside)
        assert read_manifest(Path(folder) / "m.jsonl") == inside


def test_audio_below_the_manifest_is_relative_and_other_audio_absolute(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Utterance("a", tmp_path / "w" / "a.wav"), Utterance("b", Path("/far/b.wav"))])
    assert [json.loads(line)["audio"] for line in path.read_text().splitlines()] == ["w/a.wav", "/far/b.wav"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON object is required"),
        ('{"id": "a"}', "'audio' is required"),
        ('{"id": 3, "audio": "a"}', "'id' is required and must be a non-empty string"),
        ('{"id": "a", "audio": "a", "emotion": "sad"}', "unknown key 'emotion'; known keys are id, audio"),
        ('{"id": "a", "audio": "a", "start": "1"}', "'start' must be a number"),
        ('{"id": "a", "audio": "a", "start": 2, "end": 1}', "ends at 1"),
        ('{"id": "a", "audio": "a", "start": -1}', "give seconds from 0 on"),
        ('{"id": "a", "audio": "a", "label": 3}', "'label' must be a string"),
        ('{"id": "a", "audio": "a", "words": ["x"]}', "'words' must be a list"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "start": 1}]}', "only one of start and end"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "start": 2, "end": 1}]}', "0 ≤ start ≤ end"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "start": -1, "end": 1}]}', "0 ≤ start ≤ end"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "confidence": NaN}]}', "confidence nan: a finite number"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "source": 5}]}', "'source' of a word must be a string"),
        ('{"id": "a", "audio": "a", "votes": {"x": "sad"}}', "'votes' must map"),
        ('{"id": "a", "audio": "a\\u0000"}', "no file name can have"),
        ('{"id": "\\udfff", "audio": "a"}', "no file name can have"),
        ("[" * 100_000, "not JSON"),
        ('{"id": "ok", "audio": "a"}', "id 'ok' stands on line 1 already"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": "ok", "audio": "a"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=message) as error:
        read_manifest(path)
    assert str(error.value).startswith(f"{path}:2: ")


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="duetto corpus manifest"):
        read_manifest(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(CorpusError, match="no utterance in it"):
        read_manifest(tmp_path / "empty.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="not UTF-8"):
        read_manifest(tmp_path / "bytes.jsonl")


def test_style_is_read_from_the_scenario() -> None:
    styles = {s: Utterance("a", Path("a"), scenario=s).style for s in ("impro01", "script03", "a01", None)}
    assert styles == {"impro01": "improvised", "script03": "scripted", "a01": None, None: None}


def test_every_label_map_leads_into_its_set() -> None:
    for name, maps in LABEL_MAPS.items():
        for corpus in maps:
            assert set(label_map(name, corpus).values()) == set(LABEL_SETS[name])
    for wrong in (lambda: classes("five"), lambda: label_map("four", "meld")):
        with pytest.raises(ConfigurationError):
            wrong()
    assert selected([Utterance("a", Path("a"), label="sad"), Utterance("b", Path("b"))])[0].id == "a"


def test_time_arithmetic_by_hand() -> None:
    assert samples(0.1) == 1600 and seconds(800) == 0.05
    assert [frame_count(n, 1600, partial=True) for n in (0, 1, 1600, 1601)] == [0, 1, 1, 2]
    assert [frame_count(n, 1600, partial=False) for n in (0, 1, 1600, 3199)] == [0, 0, 1, 1]
