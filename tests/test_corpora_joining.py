"""Several corpora in one manifest: joined, no two people have one name; concatenated, check and audit report it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus_trees import wav
from duetto.audit import audit_folds
from duetto.cli import app
from duetto.corpora import CORPORA, joining, validate
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.speakers import doubtful_speakers
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, CorpusError
from duetto.splits import Fold

RUN = CliRunner()


@pytest.fixture
def manifests(tmp_path: Path) -> list[Path]:
    """EmoDB and RAVDESS, each with a woman or man 09 and a speaker of its own, each in a folder with its manifest."""
    names = {
        "emodb": ["03a01Fa", "03a01Wa", "09a01Fa", "09a01Wa"],
        "ravdess": ["03-01-03-01-01-01-09", "03-01-05-01-01-01-09", "03-01-03-01-01-01-01"],
    }
    for kind, stems in names.items():
        for number, stem in enumerate(stems):
            wav(tmp_path / kind / "audio" / f"{stem}.wav", 0.3 + number / 10 + len(kind) / 100)
        write_manifest(tmp_path / kind / f"{kind}.jsonl", CORPORA[kind](tmp_path / kind))
    return [tmp_path / kind / f"{kind}.jsonl" for kind in names]


def test_joined_manifests_keep_people_apart(manifests: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "joined" / "both.jsonl"
    done = RUN.invoke(app, ["corpus", "join", *map(str, manifests), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "7 utterances (emodb 4 of 2 speakers, ravdess 3 of 2 speakers)" in " ".join(done.output.split())
    joined = read_manifest(out)
    assert {u.speaker for u in joined} == {"emodb:03", "emodb:09", "ravdess:09", "ravdess:01"}
    assert joined[0].id == "emodb:03a01Fa" and joined[0].scenario == "emodb:a01" and joined[0].corpus == "emodb"
    assert [u.audio for u in joined] == [u.audio for path in manifests for u in read_manifest(path)]
    assert all(u.audio.is_file() for u in joined)
    assert doubtful_speakers(joined) == {}
    report = validate.check("manifest", out)
    assert "doubtful-speaker" not in {p.kind for p in report.problems} and len(report.by_speaker) == 4


def test_a_manifest_beside_its_recordings_can_be_moved_with_them(manifests: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "both.jsonl"
    assert RUN.invoke(app, ["corpus", "join", *map(str, manifests), "-o", str(out)]).exit_code == 0
    assert {json.loads(line)["audio"].split("/")[0] for line in out.read_text().splitlines()} == {"emodb", "ravdess"}
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("both.jsonl", "emodb", "ravdess"):
        shutil.move(str(tmp_path / name), moved)
    assert all(u.audio.is_file() for u in read_manifest(moved / "both.jsonl"))


def test_concatenated_manifests_are_found_by_check_and_audit(manifests: list[Path], tmp_path: Path) -> None:
    both = tmp_path / "cat.jsonl"
    write_manifest(both, [u for path in manifests for u in read_manifest(path)])
    problems = [p for p in validate.check("manifest", both).errors if p.kind == "doubtful-speaker"]
    assert [p.id for p in problems] == ["09"]
    assert "speaker 09 is of emodb and of ravdess, so one name may be two people" in problems[0].detail
    found = tuple(read_manifest(both))
    folds = [Fold("fold", found[:3], (), found[3:])]
    [finding] = [f for f in audit_folds(folds, "speaker", sound=False).findings if f.kind == "doubtful-speaker"]
    assert (finding.severity, finding.evidence["examples"], finding.evidence["utterances"]) == ("warning", ["09"], 4)
    assert "1 speakers may be two people each (09 is of emodb and of ravdess)" in finding.detail


def test_a_name_with_two_genders_is_doubtful_in_manifests_that_name_no_corpus(manifests: list[Path]) -> None:
    old = [replace(u, corpus=None) for path in manifests for u in read_manifest(path)]
    assert doubtful_speakers(old) == {"09": "female and male"}
    with pytest.raises(CorpusError, match=r"1 speakers are two people \(x:09: female and male\); a manifest holds"):
        joining.join([old], ["x"])


def test_joining_again_changes_no_name(manifests: list[Path], tmp_path: Path) -> None:
    parts = [read_manifest(path) for path in manifests]
    joined = joining.join(parts, ["x", "y"])
    assert joining.join([joined], ["z"]) == joined
    third = [Utterance("a", tmp_path / "a.wav", speaker="09")]
    assert [u.speaker for u in joining.join([joined, third], ["z", "own"])][-2:] == ["ravdess:09", "own:09"]


def test_parts_of_one_corpus_have_one_set_of_people(manifests: list[Path]) -> None:
    emodb = read_manifest(manifests[0])
    joined = joining.join([emodb[:1], emodb[1:]], ["train", "test"])
    assert {u.speaker for u in joined} == {"emodb:03", "emodb:09"}
    with pytest.raises(
        CorpusError, match=r"1 ids come from two manifests \(emodb:03a01Fa\); join every utterance once"
    ):
        joining.join([emodb, emodb[:1]], ["a", "b"])


def test_names_that_would_merge_people(manifests: list[Path], tmp_path: Path) -> None:
    emodb = read_manifest(manifests[0])
    unnamed = [Utterance("a", tmp_path / "a.wav", speaker="09")]
    for parts, names in (
        ([unnamed, [replace(unnamed[0], id="b")]], ["m", "m"]),
        ([emodb, unnamed], ["x", "emodb"]),
        ([[*unnamed, *emodb]], ["emodb"]),
    ):
        with pytest.raises(ConfigurationError, match=r"would be of the corpus .* and their speakers be merged"):
            joining.join(parts, names)
    for name in ("", "a:b"):
        with pytest.raises(ConfigurationError, match="cannot be the name of a corpus"):
            joining.join([unnamed], [name])


def test_improvised_speech_is_still_known_as_such(tmp_path: Path) -> None:
    old = [Utterance(n, tmp_path / n, scenario=s) for n, s in (("a", "impro01"), ("b", "script01"), ("c", "x"))]
    assert [u.style for u in joining.join([old], ["iemocap"])] == ["improvised", "scripted", None]


def test_wrong_usage(manifests: list[Path], tmp_path: Path) -> None:
    arguments = ["corpus", "join", *map(str, manifests), "-o", str(tmp_path / "out.jsonl")]
    assert RUN.invoke(app, [*arguments, "--names", "a"]).exit_code == 2
    for path in manifests:
        write_manifest(path, [replace(u, corpus=None) for u in read_manifest(path)])
    done = RUN.invoke(app, [*arguments, "--names", "a,a"])
    assert done.exit_code == 2 and not (tmp_path / "out.jsonl").exists()
    assert RUN.invoke(app, [*arguments, "--names", "a,b"]).exit_code == 0
    assert {u.speaker for u in read_manifest(tmp_path / "out.jsonl")} == {"a:03", "a:09", "b:09", "b:01"}


def lengths(root: Path, seconds: list[float]) -> Path:
    """An EmoDB folder of recordings of given lengths."""
    for number, length in enumerate(seconds):
        sentence = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03")[number // 7 % 8]
        wav(
            root / f"{('03', '08')[number // 56]}{sentence}{'WLEAFTN'[number % 7]}a.wav", length, frequency=200 + number
        )
    return root


SPOKEN = [0.2 + 0.011 * n for n in range(30)]
"""Lengths of whole recordings: the longest is one of its kind."""


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        (SPOKEN, 0),
        ([min(0.4, length) for length in SPOKEN], 11),
        ([0.4] * 20, 20),
        ([0.4] * 19, 0),  # too few to say
        ([*SPOKEN, SPOKEN[-1], SPOKEN[-1]], 0),  # three of 32
    ],
)
def test_a_copy_that_was_cut_off(tmp_path: Path, seconds: list[float], count: int) -> None:
    found = [p for p in validate.check("emodb", lengths(tmp_path, seconds), known=False).errors if p.kind == "cut-off"]
    assert len(found) == bool(count)
    if found:
        assert f"{count} of {len(seconds)} recordings are exactly 0.400 s long and none is longer" in found[0].detail


def test_cuts_on_purpose_are_a_note(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", CORPORA["emodb"](lengths(tmp_path / "wav", [0.4] * 25)))
    report = validate.check("manifest", tmp_path / "m.jsonl")
    assert report.healthy and "cut-off" in [p.kind for p in report.notes]


@pytest.mark.corpora
def test_the_real_truncated_copy(data: Path) -> None:
    if not (data / "emodb-truncated").is_dir():
        pytest.skip("no truncated copy here")
    [problem] = [
        p for p in validate.check("emodb", data / "emodb-truncated", known=False).errors if p.kind == "cut-off"
    ]
    assert "196 of 196 recordings are exactly 2.000 s long" in problem.detail
