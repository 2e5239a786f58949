"""Manifests in three forms: the same utterances come out of each, and every bad line is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_trees import write
from damaged import damaged
from duetto.corpora.parsing import Problem
from duetto.corpora.tables import CORPUS
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance, Word
from duetto.errors import CorpusError

JSONL = """{"id": "b", "audio": "x/b.wav", "label": "sad", "speaker": "f1"}

{"id": "a", "audio": "a.wav", "start": 1.5, "end": 2, "words": [{"word": "oh", "start": 0.1, "end": 0.3}]}
"""


def test_jsonl_is_what_read_manifest_reads_sorted(tmp_path):
    path = write(tmp_path / "m.jsonl", JSONL)
    assert CORPUS(path) == sorted(read_manifest(path), key=lambda utterance: utterance.id)
    assert [utterance.id for utterance in CORPUS(path)] == ["a", "b"]


def test_csv_equals_jsonl(tmp_path):
    words = json.dumps([{"word": "oh", "start": 0.1, "end": 0.3}]).replace('"', '""')
    text = f'id,audio,label,speaker,start,end,words\nb,x/b.wav,sad,f1,,,\na,a.wav,,,1.5,2,"{words}"\n'
    table, lines = write(tmp_path / "m.csv", text), write(tmp_path / "m.jsonl", JSONL)
    assert CORPUS(table) == CORPUS(lines)


def test_csv_details(tmp_path):
    text = '\ufeffid, audio ,text,votes\r\n"a","a.wav","well, ""oh""\r\nyes","{""e1"": [""sad""]}"\r\n\r\n'
    [utterance] = CORPUS(write(tmp_path / "m.txt", text))
    assert utterance.text == 'well, "oh"\nyes'
    assert utterance.votes == {"e1": ("sad",)}
    assert utterance.audio == tmp_path / "a.wav"


def test_ratings_of_dimensions(tmp_path):
    columns = 'id,audio,arousal,valence,dominance\na,a.wav,"3,5",2,\nb,b.wav,NaN,,NA\n'
    nested = 'id,audio,dimensions\na,a.wav,"{""arousal"": 3.5, ""valence"": 2}"\nb,b.wav,\n'
    lines = (
        '{"id": "a", "audio": "a.wav", "dimensions": {"arousal": 3.5, "valence": 2, "dominance": null}}\n'
        '{"id": "b", "audio": "b.wav", "dimensions": {}}\n'
    )
    for number, text in enumerate((columns, nested, lines)):
        found = {u.id: u.dimensions for u in CORPUS(write(tmp_path / f"{number}", text))}
        assert found == {"a": {"arousal": 3.5, "valence": 2.0}, "b": None}


def test_audformat(tmp_path):
    text = """file,start,end,emotion,speaker,arousal
wav/03a01Fa.wav,0 days,,happiness,3,0.5
wav/03a01Nc.wav,0 days 00:00:00,NaT,boredom,3,0.1
wav/long.wav,0 days 00:01:00.500000,0 days 01:00:02,anger,,0.9
wav/long.wav,NaT,1.25,sad,4,0.9
wav/long.wav,1 days 00:00:03.123456,NaT,,4,0.9
"""
    path = write(tmp_path / "db.emotion.csv", text)
    long = tmp_path / "wav/long.wav"
    assert {u.id: u for u in CORPUS(path)} == {
        u.id: u
        for u in (
            Utterance(
                "wav/03a01Fa",
                tmp_path / "wav/03a01Fa.wav",
                None,
                None,
                "happy",
                "happiness",
                "3",
                dimensions={"arousal": 0.5},
            ),
            Utterance(
                "wav/03a01Nc",
                tmp_path / "wav/03a01Nc.wav",
                None,
                None,
                None,
                "boredom",
                "3",
                dimensions={"arousal": 0.1},
            ),
            Utterance("wav/long#60.5-3602", long, 60.5, 3602.0, "angry", "anger", dimensions={"arousal": 0.9}),
            Utterance("wav/long#0-1.25", long, None, 1.25, "sad", "sad", "4", dimensions={"arousal": 0.9}),
            Utterance("wav/long#86403.123456-", long, 86403.123456, None, None, None, "4", dimensions={"arousal": 0.9}),
        )
    }


def test_audformat_prefers_label_and_knows_absolute_paths(tmp_path):
    text = f"file,label,emotion\n{tmp_path / 'a.wav'},sadness,anger\n"
    [utterance] = CORPUS(write(tmp_path / "t.csv", text))
    assert (utterance.raw_label, utterance.label, utterance.audio) == ("sadness", "sad", tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}\n', r":1: 'audio' is required"),
        ('{"id": "a", "audio": "a.wav"}\n{"id": "a"\n', r":2: not valid JSON"),
        ('{"id": "a", "audio": "a.wav", "mood": "x"}\n', r":1: unknown key 'mood'; known keys are id, audio"),
        ('{"id": "a", "audio": "a.wav", "label": "furious"}\n', r"label 'furious' of 'a' is not in label set 'four'"),
        ("id,audio,label\na,a.wav,joy\n", r":2: label 'joy' of 'a' .*.*name one of these, or put it under raw_label"),
        ("id,audio\na,a.wav\na,b.wav\n", r":3: id 'a' comes from .*m:2 already"),
        ("id,audio\na,a.wav,more\n", r":2: 3 cells under 2 columns; quote cells"),
        ("id,audio\n,a.wav\n", r":2: 'id' is required"),
        ("id,audio,start\na,a.wav,soon\n", r":2: 'soon' is no time; write seconds"),
        ("id,audio,start,end\na,a.wav,2,1\n", r":2: .*ends at 1.0 s, which is not after its start"),
        ("id,audio,start\na,a.wav,-1\n", r":2: '-1' is no time"),
        ("id,audio,words\na,a.wav,oh no\n", r":2: words: not valid JSON"),
        ("id,audio,mood\na,a.wav,x\nb,b.wav,x\n", r":1: unknown column 'mood'; rename or remove it"),
        ("id,audio,id\na,a.wav,b\n", r":1: a column comes twice"),
        ('id,audio\na,"a.wav\n', r":2: unexpected end of data"),
        ("file,start,end\na.wav,-1 days +23:59:59,\n", r":2: '-1 days \+23:59:59' is no time"),
        ("file,emotion\n,sad\n", r":2: 'file' is empty"),
        ("file,emotion\na.wav,sad\na.wav,sad\n", r":3: id 'a' comes from"),
        ("name,mood\na,sad\n", r":1: neither JSON nor a known header of a table; columns must include id and audio"),
        ("id,audio,start\na,a.wav,1" + "0" * 400 + "\n", r":2: 'start' must be a finite number"),
        ("id,audio,start\na,a.wav,1" + "0" * 5000 + " days\n", r":2: '10000.* is no time"),
        ("id,audio,arousal\na,a.wav,high\n", r":2: 'high' is no rating of arousal: give a number"),
        ("id,audio\na,b\0c\n", r":2: 'audio' holds characters that no file name can have"),
        ("id,audio\na," + "b" * 300 + "\n", r":2: 'audio' is too long for a file name"),
        ("id,audio,votes\na,a.wav," + "[" * 5000 + "\n", r":2: votes: not valid JSON \(nested too deeply\)"),
        ("id|audio\na|a.wav\n", r":1: neither JSON nor .*, separated by commas, semicolons or tabs"),
        ("id,audio\n", r"no utterance in it"),
        ("\n \n", r"is empty; a manifest holds one utterance a line"),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
    path = write(tmp_path / "m", text)
    with pytest.raises(CorpusError, match=f"^{path}.*{message}"):
        CORPUS(path)


def test_words_out_of_range_in_a_table(tmp_path):
    path = write(tmp_path / "m.csv", 'id,audio,words\na,a.wav,"[{""word"": ""oh"", ""start"": 2, ""end"": 1}]"\n')
    with pytest.raises(CorpusError, match=r"m\.csv:2: word 'oh' has times 2\.0–1\.0 s"):
        CORPUS(path)


def test_not_text_and_not_a_file(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xff\xfe\x00id")
    with pytest.raises(CorpusError, match=r"m\.csv: not utf-16-le text"):
        CORPUS(path)
    with pytest.raises(CorpusError, match="is a folder; give the manifest itself"):
        CORPUS(tmp_path)
    with pytest.raises(CorpusError, match="no such file"):
        CORPUS(tmp_path / "none.jsonl")


def test_scan_reports_every_bad_line_and_keeps_the_good_ones(tmp_path):
    good = '{"id": "%s", "audio": "a.wav"}\n'
    text = good % "a" + "nonsense\n" + '[["id", "a"], ["audio", "b"]]\n' + '{"id": 5}\n' + good % "b" + good % "b"
    path = write(tmp_path / "m.jsonl", text)
    problems: list[Problem] = []
    assert [u.id for u in CORPUS.scan(path, "four", problems.append)] == ["a", "b"]
    assert [(p.kind, p.id) for p in problems] == [
        ("bad-line", "line 2"),
        ("bad-line", "line 3"),
        ("bad-line", "line 4"),
        ("duplicate-id", "b"),
    ]
    assert all(p.detail.startswith(f"{path}:{line}: ") for p, line in zip(problems, (2, 3, 4, 6), strict=True))


def test_scan_reports_every_bad_row(tmp_path):
    path = write(tmp_path / "m.csv", "id,audio,end\na,a.wav,x\nb,b.wav,1\nc,c.wav,1,2\nd,d.wav,2\n")
    problems: list[Problem] = []
    assert [u.id for u in CORPUS.scan(path, "four", problems.append)] == ["b", "d"]
    assert [p.id for p in problems] == ["line 2", "line 4"]


def test_words_of_a_manifest_are_words(tmp_path):
    [first, _] = CORPUS(write(tmp_path / "m.jsonl", JSONL))
    assert first.words == (Word("oh", 0.1, 0.3),)
    assert isinstance(first.audio, Path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_tables_of_spreadsheets(tmp_path, delimiter, encoding):
    """Excel writes semicolons and decimal commas in a German locale, UTF-16 with tabs, or Windows-1252."""
    end = "1.5" if delimiter == "," else "1,5"
    rows = [["id", "audio", "end", "text"], ["a", "w/a.wav", end, "I don\N{RIGHT SINGLE QUOTATION MARK}t, Zo\xeb"]]
    text = "".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) + "\r\n" for row in rows)
    problems: list[Problem] = []
    path = tmp_path / "m.csv"
    path.write_bytes(text.encode(encoding))
    [utterance] = CORPUS.scan(path, "four", problems.append)
    assert utterance == Utterance(
        "a", tmp_path / "w/a.wav", end=1.5, text="I don\N{RIGHT SINGLE QUOTATION MARK}t, Zo\xeb"
    )
    expected = [("encoding", "note")] if encoding == "windows-1252" else []
    assert [(problem.kind, problem.severity) for problem in problems] == expected


def test_the_index_that_pandas_writes_is_one_note(tmp_path):
    for name in ("", "Unnamed: 0"):
        problems: list[Problem] = []
        path = write(tmp_path / "m.csv", f"{name},id,audio\n0,a,a.wav\n1,b,b.wav\n")
        assert [u.id for u in CORPUS.scan(path, "four", problems.append)] == ["a", "b"]
        assert [(problem.kind, problem.severity) for problem in problems] == [("unnamed-column", "note")]
        assert len(CORPUS(write(tmp_path / "t.csv", f"{name},file,emotion\n0,a.wav,sad\n"))) == 1


MISSING_CELLS = [
    ("NaN", None, None),
    ("None", None, None),
    ("<NA>", None, None),
    ("nan", None, None),
    ("null", None, "null"),
    ("NA", None, "NA"),
    ("none", "none", "none"),
    ("", None, None),
]


@pytest.mark.parametrize(("cell", "speaker", "text"), MISSING_CELLS)
def test_missing_cells(tmp_path, cell, speaker, text):
    """As pandas reads them; of a transcript only what pandas and Python write for a missing value."""
    table = f"id,audio,speaker,session,label,raw_label,start,words,text\na,a.wav,{','.join([cell] * 7)}\n"
    found = f"file,speaker,session,label,emotion,start,text\na.wav,{','.join([cell] * 6)}\n"
    if cell == "none":  # no time, no label, no JSON: those stay errors
        table, found = (f"{key}\n{row},none,none\n" for key, row in (("id,audio,speaker,text", "a,a.wav"),
                                                                     ("file,speaker,text", "a.wav")))  # fmt: skip
    for content in (table, found):
        [utterance] = CORPUS(write(tmp_path / "m.csv", content))
        assert (utterance.speaker, utterance.text) == (speaker, text)
        assert utterance.label is utterance.raw_label is utterance.start is utterance.words is None


@pytest.mark.parametrize("name", ["Anger", "anger", "ANGER", "Angry"])
def test_labels_in_any_case_and_column(tmp_path, name):
    for text in (
        f"id,audio,label\na,a.wav,{name}\n",
        f"id,audio,raw_label\na,a.wav,{name}\n",
        f"file,emotion\na,{name}\n",
        json.dumps({"id": "a", "audio": "a.wav", "label": name}),
    ):
        [utterance] = CORPUS(write(tmp_path / "m", text))
        assert (utterance.label, utterance.raw_label) == ("angry", name)


def test_labels_without_a_class_are_one_note(tmp_path):
    rows = "".join(f"{n},{n}.wav,{label}\n" for n, label in enumerate(["Fear", "Fear", "joy", "sad"]))
    problems: list[Problem] = []
    found = CORPUS.scan(write(tmp_path / "m.csv", "id,audio,raw_label\n" + rows), "four", problems.append)
    assert [utterance.label for utterance in found] == [None, None, None, "sad"]
    [problem] = problems
    assert (problem.kind, problem.severity) == ("unused-label", "note")
    assert "3 utterances have a raw label without a class in 'four': Fear (2), joy (1)" in problem.detail


VALID = [
    JSONL.encode(),
    b'[{"id": "a", "audio": "a.wav"}, {"id": "b", "audio": "b.wav", "votes": {"x": ["sad"]}}]',
    b'id,audio,label,start,words,votes\na,a.wav,Anger,1.5,"[{""word"": ""oh""}]",\nb,b.wav,sad,,,"{""x"": [""y""]}"\n',
    b"id;audio;end;text\na;a.wav;1,5;don\x92t\n",
    b"file,start,end,emotion\na.wav,0 days 00:00:01.5,NaT,anger\nb.wav,1,2,sad\n",
]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_manifest_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "m"
    path.write_bytes(data.draw(damaged(data.draw(st.sampled_from(VALID)))))
    try:
        CORPUS(path)
    except CorpusError as error:
        assert str(error).startswith(str(path))
    problems: list[Problem] = []
    try:
        CORPUS.scan(path, "four", problems.append)
    except CorpusError as error:
        assert str(error).startswith(str(path))
    assert all(problem.detail.startswith(str(path)) for problem in problems)
