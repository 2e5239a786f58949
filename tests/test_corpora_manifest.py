"""Manifests in three forms: the same utterances come out of each, and every bad line is named."""

import json
from pathlib import Path

import pytest

from corpus_trees import write
from duetto.corpora.files import Problem
from duetto.corpora.manifest import parse, scan
from duetto.errors import CorpusError
from duetto.utterance import Utterance, Word, read_manifest

JSONL = """{"id": "b", "audio": "x/b.wav", "label": "sad", "speaker": "f1"}

{"id": "a", "audio": "a.wav", "start": 1.5, "end": 2, "words": [{"word": "oh", "start": 0.1, "end": 0.3}]}
"""


def test_jsonl_is_what_read_manifest_reads_sorted(tmp_path):
    path = write(tmp_path / "m.jsonl", JSONL)
    assert parse(path) == sorted(read_manifest(path), key=lambda utterance: utterance.id)
    assert [utterance.id for utterance in parse(path)] == ["a", "b"]


def test_csv_equals_jsonl(tmp_path):
    words = json.dumps([{"word": "oh", "start": 0.1, "end": 0.3}]).replace('"', '""')
    text = f'id,audio,label,speaker,start,end,words\nb,x/b.wav,sad,f1,,,\na,a.wav,,,1.5,2,"{words}"\n'
    table, lines = write(tmp_path / "m.csv", text), write(tmp_path / "m.jsonl", JSONL)
    assert parse(table) == parse(lines)


def test_csv_details(tmp_path):
    text = '\ufeffid, audio ,text,votes\r\n"a","a.wav","well, ""oh""\r\nyes","{""e1"": [""sad""]}"\r\n\r\n'
    [utterance] = parse(write(tmp_path / "m.txt", text))
    assert utterance.text == 'well, "oh"\nyes'
    assert utterance.votes == {"e1": ("sad",)}
    assert utterance.audio == tmp_path / "a.wav"


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
    assert {u.id: u for u in parse(path)} == {
        u.id: u
        for u in (
            Utterance("wav/03a01Fa", tmp_path / "wav/03a01Fa.wav", None, None, "happy", "happiness", "3"),
            Utterance("wav/03a01Nc", tmp_path / "wav/03a01Nc.wav", None, None, None, "boredom", "3"),
            Utterance("wav/long#60.5-3602", long, 60.5, 3602.0, "angry", "anger"),
            Utterance("wav/long#0-1.25", long, None, 1.25, "sad", "sad", "4"),
            Utterance("wav/long#86403.123456-", long, 86403.123456, None, None, None, "4"),
        )
    }


def test_audformat_prefers_label_and_knows_absolute_paths(tmp_path):
    text = f"file,label,emotion\n{tmp_path / 'a.wav'},sadness,anger\n"
    [utterance] = parse(write(tmp_path / "t.csv", text))
    assert (utterance.raw_label, utterance.label, utterance.audio) == ("sadness", "sad", tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}\n', r":1: 'audio' is required"),
        ('{"id": "a", "audio": "a.wav"}\n{"id": "a"\n', r":2: not JSON"),
        ('{"id": "a", "audio": "a.wav", "mood": "x"}\n', r":1: unknown key 'mood'; known keys are id, audio"),
        ('{"id": "a", "audio": "a.wav", "label": "furious"}\n', r"label 'furious' of 'a' is not in label set 'four'"),
        ("id,audio,label\na,a.wav,joy\n", r":2: label 'joy' of 'a' .*name one of these, or put it under raw_label"),
        ("id,audio\na,a.wav\na,b.wav\n", r":3: id 'a' comes from .*m:2 already"),
        ("id,audio\na,a.wav,more\n", r":2: 3 cells under 2 columns; quote cells"),
        ("id,audio\n,a.wav\n", r":2: 'id' is required"),
        ("id,audio,start\na,a.wav,soon\n", r":2: 'soon' is no time; write seconds"),
        ("id,audio,start,end\na,a.wav,2,1\n", r":2: .*ends at 1.0 s, which is not after its start"),
        ("id,audio,start\na,a.wav,-1\n", r":2: '-1' is no time"),
        ("id,audio,words\na,a.wav,oh no\n", r":2: Expecting value"),
        ("id,audio,mood\na,a.wav,x\n", r":2: unknown key 'mood'"),
        ("id,audio,id\na,a.wav,b\n", r":1: a column comes twice"),
        ('id,audio\na,"a.wav\n', r":2: unexpected end of data"),
        ("file,start,end\na.wav,-1 days +23:59:59,\n", r":2: '-1 days \+23:59:59' is no time"),
        ("file,emotion\n,sad\n", r":2: 'file' is empty"),
        ("file,emotion\na.wav,sad\na.wav,sad\n", r":3: id 'a' comes from"),
        ("name,mood\na,sad\n", r":1: neither a JSON object nor a known CSV header; columns must include id and audio"),
        ("id,audio\n", r"no utterance in it"),
        ("\n \n", r"is empty; a manifest holds one utterance a line"),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
    path = write(tmp_path / "m", text)
    with pytest.raises(CorpusError, match=f"^{path}.*{message}"):
        parse(path)


def test_words_out_of_range_in_a_table(tmp_path):
    path = write(tmp_path / "m.csv", 'id,audio,words\na,a.wav,"[{""word"": ""oh"", ""start"": 2, ""end"": 1}]"\n')
    with pytest.raises(CorpusError, match=r"m\.csv:2: word 'oh' has times 2\.0–1\.0 s"):
        parse(path)


def test_not_text_and_not_a_file(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xff\xfe\x00id")
    with pytest.raises(CorpusError, match=r"m\.csv: not UTF-8 text"):
        parse(path)
    with pytest.raises(CorpusError, match="is a folder; give the manifest itself"):
        parse(tmp_path)
    with pytest.raises(CorpusError, match="no such manifest"):
        parse(tmp_path / "none.jsonl")


def test_scan_reports_every_bad_line_and_keeps_the_good_ones(tmp_path):
    good = '{"id": "%s", "audio": "a.wav"}\n'
    text = good % "a" + "nonsense\n" + '[["id", "a"], ["audio", "b"]]\n' + '{"id": 5}\n' + good % "b" + good % "b"
    path = write(tmp_path / "m.jsonl", text)
    problems: list[Problem] = []
    assert [u.id for u in scan(path, "four", problems.append)] == ["a", "b"]
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
    assert [u.id for u in scan(path, "four", problems.append)] == ["b", "d"]
    assert [p.id for p in problems] == ["line 2", "line 4"]


def test_words_of_a_manifest_are_words(tmp_path):
    [first, _] = parse(write(tmp_path / "m.jsonl", JSONL))
    assert first.words == (Word("oh", 0.1, 0.3),)
    assert isinstance(first.audio, Path)
