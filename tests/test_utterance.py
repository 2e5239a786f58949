"""Manifests survive the way to disk and back, and a bad line is named."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged import damaged
from duetto.audio.timing import frame_count, samples, seconds
from duetto.corpora import CORPORA, Corpus
from duetto.data.labels import LABEL_SETS, selected
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance, Word, languages
from duetto.errors import ConfigurationError, CorpusError

text = st.none() | st.text(max_size=12)
words = st.none() | st.lists(
    st.builds(lambda w, a, b: Word(w, a, a + b), st.text(max_size=5), st.floats(0, 9), st.floats(0, 9)), max_size=3
).map(tuple)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(
            Utterance, id=st.uuids().map(str), audio=st.just(Path("a.wav")), label=text, speaker=text, text=text,
            words=words, language=st.sampled_from([None, "en", "de", "yue"]),
            dimensions=st.none() | st.dictionaries(
                st.sampled_from(["arousal", "warmth"]), st.floats(-9, 9), min_size=1
            ),
            votes=st.none() | st.dictionaries(st.text(max_size=3), st.lists(st.text()).map(tuple), max_size=2),
        ),
        min_size=1, max_size=4, unique_by=lambda u: u.id,
    )
)  # fmt: skip
def test_a_manifest_is_unchanged_after_writing_and_reading(utterances: list[Utterance]) -> None:
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
        ("{", "not valid JSON"),
        ("[1]", "a JSON object is required"),
        ('{"id": "a"}', "'audio' is required"),
        ('{"id": 3, "audio": "a"}', "'id' is required and must be a non-empty string"),
        ('{"id": "a", "audio": "a", "emotion": "sad"}', "unknown key 'emotion'; known keys are id, audio"),
        ('{"id": "a", "audio": "a", "language": "German"}', "give an ISO 639-1 code in lower case, such as en or de"),
        ('{"id": "a", "audio": "a", "start": "1"}', "'start' must be a finite number"),
        ('{"id": "a", "audio": "a", "start": 2, "end": 1}', "ends at 1"),
        ('{"id": "a", "audio": "a", "start": -1}', "give seconds from 0 on"),
        ('{"id": "a", "audio": "a", "label": 3}', "'label' must be a string"),
        ('{"id": "a", "audio": "a", "words": ["x"]}', "'words' must be a list"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "start": 1}]}', "only one of start and end"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "start": 2, "end": 1}]}', "0 ≤ start ≤ end"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "start": -1, "end": 1}]}', "0 ≤ start ≤ end"),
        (
            '{"id": "a", "audio": "a", "words": [{"word": "x", "confidence": NaN}]}',
            "'confidence' must be a finite number",
        ),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "source": 5}]}', "'source' of a word must be a string"),
        ('{"id": "a", "audio": "a", "votes": {"x": "sad"}}', "'votes' must map"),
        ('{"id": "a", "audio": "a", "dimensions": [1]}', "'dimensions' must map"),
        ('{"id": "a", "audio": "a", "dimensions": {"arousal": "3"}}', "'arousal' in 'dimensions' must be a finite"),
        ('{"id": "a", "audio": "a", "dimensions": {"Arousal": 3}}', "a name of small letters, such as arousal"),
        ('{"id": "a", "audio": "a\\u0000"}', "no file name can have"),
        ('{"id": "\\udfff", "audio": "a"}', "'id' holds .* half of a surrogate pair"),
        ('{"id": "\\u0000", "audio": "a"}', "'id' holds a null character"),
        ('{"votes": ' + "[" * 100_000, "nested too deeply"),
        ('{"id": "a", "audio": "a", "votes": {"x": ' + "[" * 900 + "]" * 900 + "}}", "must be a string or a number"),
        (
            '{"id": "a", "audio": "a", "start": 1' + "0" * 400 + "}",
            "must be a finite number or null, not an integer of",
        ),
        ('{"id": "a", "audio": "a", "start": 1' + "0" * 5000 + "}", "not valid JSON"),
        ('{"id": "a", "audio": "a", "end": 1e999}', "'end' must be a finite number or null, not inf"),
        ('{"id": "a", "audio": "a", "words": [{"word": "x", "start": 0, "end": Infinity}]}', "a finite number"),
        ('{"id": "a", "audio": "a", "words": [{"word": "\\udce9"}]}', "half of a surrogate pair"),
        ('{"id": "a", "audio": "a", "votes": {"x": ["\\udce9"]}}', "half of a surrogate pair"),
        ('{"id": "a", "audio": "a", "speaker": "\\udce9"}', "'speaker' holds .* half of a surrogate pair"),
        ('{"id": "a", "audio": "a\\ud83d"}', "no file name can have"),
        ('{"id": "a", "audio": "' + "a" * 256 + '"}', "too long for a file name"),
        ('{"id": "a", "audio": "' + "a/" * 2048 + '"}', "too long for a file name"),
        ('{"id": "ok", "audio": "a"}', r"id 'ok' comes from .*m\.jsonl:1 already"),
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
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")  # the byte-order mark of UTF-16, and half of a character
    with pytest.raises(CorpusError, match="not utf-16-le text"):
        read_manifest(tmp_path / "bytes.jsonl")


LATIN_1 = os.fsdecode(b"caf\xe9.wav")
"""The name of a file on Linux that is no UTF-8."""


@pytest.mark.parametrize("name", [LATIN_1, "é.wav", "a\x1b[31m.wav", "a\u202e.wav", "w/\N{GRINNING FACE}.wav"])
def test_every_file_name_is_kept_and_the_manifest_is_utf_8(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Utterance("a", tmp_path / name)])
    assert read_manifest(path)[0].audio == tmp_path / name
    text = path.read_bytes().decode()  # raises where it is no UTF-8
    assert text.rstrip("\n").isprintable()
    assert json.loads(text)["audio"] == name


LINES = '{"id": "a", "audio": "a.wav", "text": "é"}\n{"id": "b", "audio": "b.wav"}\n'


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (LINES, "utf-8"),
        (LINES, "utf-8-sig"),
        (LINES, "utf-16"),  # PowerShell's >
        (LINES.replace("\n", "\r\n"), "utf-8"),
        ("[" + LINES.strip().replace("\n", ",\n") + "]", "utf-8"),
        ("\n [" + LINES.strip().replace("\n", ",") + "]\n", "utf-16"),
    ],
)
def test_a_manifest_is_json_lines_or_an_array_in_utf_8_or_utf_16(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "m"
    path.write_bytes(text.encode(encoding))
    assert read_manifest(path) == [Utterance("a", tmp_path / "a.wav", text="é"), Utterance("b", tmp_path / "b.wav")]


def test_a_bad_member_of_an_array_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('[{"id": "a", "audio": "a"}, {"id": "b"}]')
    with pytest.raises(CorpusError, match=r"m\.json: item 2: 'audio' is required"):
        read_manifest(path)
    path.write_text('[{"id": "a", "audio": "a"}, 3]')
    with pytest.raises(CorpusError, match=r"m\.json: item 2: a JSON object is required, not 3"):
        read_manifest(path)
    path.write_text('[{"id": "a", "audio": "a"}')
    with pytest.raises(CorpusError, match=r"m\.json: not valid JSON"):
        read_manifest(path)
    path.write_bytes('{"id": "a", "audio": "é"}'.encode("latin-1"))
    with pytest.raises(CorpusError, match="not UTF-8 text; save it as UTF-8"):
        read_manifest(path)


def test_a_backslash_separates_folders_where_that_file_exists(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "a.wav").touch()
    (tmp_path / "b\\b.wav").touch()
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps({"id": n, "audio": n}) + "\n" for n in (r"w\a.wav", r"b\b.wav", r"c\c.wav")))
    found = [u.audio.relative_to(tmp_path).as_posix() for u in read_manifest(path)]
    assert found == ["w/a.wav", r"b\b.wav", r"c\c.wav"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_manifest_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = (
        b'{"id": "a", "audio": "x/a.wav", "start": 1.5, "end": 2, "label": "sad", "votes": {"e": ["x", 1]}, '
        b'"words": [{"word": "oh", "start": 0.1, "end": 0.3, "confidence": 0.5, "source": "gold"}]}\n'
    )
    text = data.draw(damaged(text))
    path = tmp_path_factory.mktemp("fuzz") / "m.jsonl"
    path.write_bytes(data.draw(st.sampled_from([text, b"[" + text + b"]"])))
    try:
        found = read_manifest(path)
    except CorpusError as error:
        assert str(error).startswith(str(path))
    else:
        write_manifest(path, found)
        assert read_manifest(path) == found


def test_style_is_read_from_the_scenario() -> None:
    styles = {s: Utterance("a", Path("a"), scenario=s).style for s in ("impro01", "script03", "a01", None)}
    assert styles == {"impro01": "improvised", "script03": "scripted", "a01": None, None: None}


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA)
def test_every_label_map_leads_into_its_set(corpus: Corpus) -> None:
    for label_set, raw_labels in corpus.label_maps.items():
        assert set(raw_labels.values()) == set(corpus.label_map(label_set).classes) == set(LABEL_SETS[label_set])
    with pytest.raises(ConfigurationError, match="label set 'five' is not known; choose from four"):
        corpus.label_map("five")


def test_a_corpus_maps_only_to_the_label_sets_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LABEL_SETS, "two", ("calm", "aroused"))
    with pytest.raises(ConfigurationError, match="EmoDB has no map to label set 'two', only to four"):
        CORPORA["emodb"].label_map("two")
    assert CORPORA["ljspeech"].label_map("two").get("anything") is None


def test_utterances_with_a_class_are_selected() -> None:
    assert selected([Utterance("a", Path("a"), label="sad"), Utterance("b", Path("b"))])[0].id == "a"


def test_time_arithmetic_by_hand() -> None:
    assert samples(0.1) == 1600 and seconds(800) == 0.05
    assert [frame_count(n, 1600, partial=True) for n in (0, 1, 1600, 1601)] == [0, 1, 1, 2]
    assert [frame_count(n, 1600, partial=False) for n in (0, 1, 1600, 3199)] == [0, 0, 1, 1]


def test_languages_of_utterances() -> None:
    spoken = [Utterance(name, Path("a.wav"), language=code) for name, code in (("a", "pl"), ("b", None), ("c", "de"))]
    assert languages(spoken) == ("de", "en", "pl")  # English where none is stated
    assert languages(spoken[::2]) == ("de", "pl")
    assert languages([]) == ("en",)
