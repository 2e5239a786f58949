"""Kind generic: a folder is read as a TOML layout says, and whatever is wrong with either is named."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus_trees import wav, write
from documented import blocks
from duetto.cli import app
from duetto.corpora import CORPORA, find, generic, load, validate
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, CorpusError

LAYOUT = next(
    block.text for block in blocks(Path(__file__).parents[1] / "docs/corpora.md") if block.title == "calls.toml"
)
"""The layout of the documentation."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "calls.toml", LAYOUT)
    for number, name in enumerate(("1/w01.wav", "1/x02.wav", "2/t01f.wav", "old/hello.wav")):
        wav(tmp_path / "calls" / name, 0.3 + number / 10)
    write(tmp_path / "calls/1/w01.txt", "nicht schon wieder\n")
    return tmp_path / "calls"


def test_every_field(folder: Path) -> None:
    found = load("generic", folder, layout=folder.parent / "calls.toml")
    same = {"language": "de", "corpus": "calls"}
    first, second = {"speaker": "agent-1", "gender": "female", **same}, {"speaker": "agent-2", "gender": "male", **same}
    text = "nicht schon wieder"
    assert found == [
        Utterance("1/w01", folder / "1/w01.wav", label="angry", raw_label="w", scenario="01", text=text, **first),
        Utterance("1/x02", folder / "1/x02.wav", raw_label="x", scenario="02", **first),
        Utterance("2/t01f", folder / "2/t01f.wav", label="sad", raw_label="t", scenario="01", **second),
    ]


def test_a_path_may_hold_ratings(tmp_path: Path) -> None:
    wav(tmp_path / "a_3.5_2.wav")
    wav(tmp_path / "b__x.wav", 0.6)
    layout = tmp_path / "layout.toml"
    write(
        layout, r"path = '(?P<speaker>\w)_(?P<arousal>[\d.]*)_(?P<mood>\w+)\.wav'" + '\n[fields]\nvalence = "{mood}"\n'
    )
    problems = []
    found = generic.corpus(layout).scan(tmp_path, "four", problems.append)
    assert [(u.speaker, u.dimensions) for u in found] == [("a", {"arousal": 3.5, "valence": 2.0})]
    assert "b__x.wav: 'x' is no rating of valence" in problems[0].detail


def test_the_commands(folder: Path) -> None:
    out, layout = folder.parent / "calls.jsonl", str(folder.parent / "calls.toml")
    written = CliRunner().invoke(
        app, ["corpus", "manifest", "generic", str(folder), "--layout", layout, "-o", str(out)]
    )
    assert written.exit_code == 0, written.output
    assert [u.id for u in read_manifest(out)] == ["1/w01", "2/t01f"]
    checked = CliRunner().invoke(app, ["corpus", "check", "generic", str(folder), "--layout", layout, "--json"])
    report = json.loads(checked.stdout)
    assert (checked.exit_code, report["by_speaker"]) == (0, {"agent-1": 2, "agent-2": 1})
    assert [p["kind"] for p in report["problems"]] == ["missing-transcript", "missing-transcript"]
    refused = CliRunner().invoke(app, ["corpus", "check", "emodb", str(folder), "--layout", layout])
    assert refused.exit_code == 2
    assert "a layout is for kind generic" in " ".join(refused.output.replace("│", " ").split())


def test_a_folder_may_hold_its_layout(folder: Path) -> None:
    (folder.parent / "calls.toml").rename(folder / "layout.toml")
    assert load("generic", folder) == CORPORA["generic"](folder) != []
    assert find("generic", folder).title == "calls"
    assert validate.check("generic", folder).by_label == {"angry": 1, "happy": 0, "neutral": 0, "sad": 1}
    (folder / "layout.toml").unlink()
    with pytest.raises(CorpusError, match=r"holds no layout\.toml; write one, or give one with --layout FILE\.toml"):
        load("generic", folder)


def test_what_a_layout_does_not_name_is_an_error(folder: Path) -> None:
    layout = folder.parent / "calls.toml"
    wav(folder / "2/hello.wav")
    wav(folder / "3/w01.wav")
    problems = validate.check("generic", folder, layout=layout).errors
    assert [(p.kind, p.id) for p in problems] == [("bad-name", "2/hello.wav"), ("bad-name", "3/w01.wav")]
    assert (
        "2/hello.wav does not match 'path' of the layout; correct that, or name it under 'ignore'" in problems[0].detail
    )
    assert "gender '3' is none of [values.gender]: 1, 2" in problems[1].detail


def test_an_id_is_a_path_so_that_equal_names_in_two_folders_are_two(folder: Path) -> None:
    wav(folder / "2/w01.wav", 1.0)
    assert {"1/w01", "2/w01"} < {u.id for u in load("generic", folder, layout=folder.parent / "calls.toml")}


def test_a_language_may_come_from_the_path(tmp_path: Path) -> None:
    wav(tmp_path / "en/a.wav")
    layout = write(tmp_path / "l.toml", r"path = '(?P<language>\w\w)/(?P<speaker>\w)\.wav'" "\n")
    [utterance] = load("generic", tmp_path, layout=layout)
    assert (utterance.language, utterance.speaker, utterance.corpus) == ("en", "a", "l")
    wav(tmp_path / "EN/b.wav")
    with pytest.raises(CorpusError, match="has the language 'EN'"):
        load("generic", tmp_path, layout=layout)


WRONG = [
    ("path = '('", r"'path' is no regular expression \(.*\); write it between single quotes"),
    ("", "'path'"),
    ("path = 'a'\npattern = 'b'", "unknown key 'pattern'; the keys of a layout are title, path, ignore"),
    ("path = 'a'\nlanguage = 'German'", "language is 'German'; give an ISO 639-1 code"),
    ("path = 'a'\nfields = 1", r"'fields' must be a table, \[fields\], not 1"),
    ("path = 'a'\n[fields]\nmood = 'b'", r"\[fields\] mood = 'b': texts for label, speaker, .* are valid"),
    ("path = '(?P<x>a)'\n[fields]\nlabel = '{y}'", r"\[fields\] label: 'path' has no group 'y'; it has x"),
    ("path = 'a'\n[values.gender]\nf = 'female'", r"\[values.gender\]: 'gender' is no field of this layout: none"),
    ("path = 'a'\n[labels.nine]\na = 'b'", r"\[labels.nine\]: 'nine' is no label set; choose from four"),
    ("path = 'a'\n[labels.four]\na = 'joy'", r"\[labels.four\]: 'joy' is no class; they are angry, happy"),
    ("path = 'a'\n[labels]\nfour = 1", r"\[labels.four\] must hold texts"),
    ("path = ", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_layout_is_named(tmp_path: Path, text: str, message: str) -> None:
    layout = write(tmp_path / "l.toml", text)
    with pytest.raises(ConfigurationError, match=rf"{re.escape(str(layout))}.*{message}"):
        generic.read_layout(layout)
