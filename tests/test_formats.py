"""Every format of a time line, read back by a parser of somebody else where one is installed, and by hand."""

import csv
import io
import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from duetto.data.utterance import Word
from duetto.errors import ConfigurationError
from duetto.live import Timeline, TimelineSegment
from duetto.live.formats import FORMATS, Recorded, format_of

LABELS = ("angry", "happy", "neutral", "sad")
ODD = 'say "a<b" & --> c'


def segment(start: float, end: float, label: str | None, channel: int | None = 0, **more: object) -> TimelineSegment:
    rest = dict.fromkeys(LABELS, 0.1) | {label: 0.7} if label else {}
    kind = more.pop("kind", "utterance")
    return TimelineSegment(kind, start, end, channel, label, rest, speech_seconds=1.0, **more)  # type: ignore[arg-type]


def recorded(*segments: TimelineSegment, name: str = "a b.wav", windows: tuple[TimelineSegment, ...] = ()) -> Recorded:
    return Recorded(name, Timeline(segments, windows, 20.0, 2, "m", LABELS))


WORDS = (
    Word("oh", 0.2, 0.5, "recognised", 0.9),
    Word("no", 0.4, 0.9, "recognised"),
    Word(ODD, 1.0, 1.2),
    Word("untimed"),
)
CALL = recorded(
    segment(0.096, 2.3456, "angry", 0, words=WORDS, unfamiliar=True, uncertain=False),
    segment(2.0, 3.5, "happy", 1),
    segment(4.0, 4.5, None, 0, warnings=("no speech",)),
    segment(5.0, 9.999, "sad", 0, uncertain=True),
)
HALVES = tuple(segment(at, at + 2.0, "neutral", 0, kind="window") for at in (0.0, 1.0, 2.0))


def written(name: str, *recordings: Recorded) -> str:
    (text,) = FORMATS[name].files(recordings, Path("out")).values()
    return text


def test_a_format_follows_from_the_suffix() -> None:
    for name, each in FORMATS.items():
        if each.suffix:
            assert format_of(Path("x" + each.suffix.upper()), None) == name
    assert format_of(Path("x.wav"), "rttm") == "rttm"
    with pytest.raises(ConfigurationError, match=r"x\.wav: the suffix is that of no format; give one of \.txt"):
        format_of(Path("x.wav"), None)


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.text])
def test_a_recording_without_an_utterance_has_a_file(name: str) -> None:
    assert written(name, recorded()).strip() or name in ("jsonl", "rttm", "srt")


def test_json_holds_all_and_json_lines_a_segment_each() -> None:
    record = json.loads(written("json", CALL))
    assert record == CALL.timeline.to_json("a b.wav")
    lines = [json.loads(line) for line in written("jsonl", CALL, recorded(name="b.wav", windows=HALVES)).splitlines()]
    assert [line.pop("file") for line in lines] == ["a b.wav"] * 4 + ["b.wav"] * 3
    assert lines[:4] == record["segments"] and lines[4]["kind"] == "window"


def test_csv_has_a_row_for_each_segment() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", CALL))))
    assert [row["label"] for row in rows] == ["angry", "happy", "", "sad"]
    first = rows[0]
    assert (first["file"], first["kind"], first["start"], first["end"]) == ("a b.wav", "utterance", "0.096", "2.346")
    assert (first["probability_angry"], first["probability_sad"], first["channel"]) == ("0.7", "0.1", "0")
    assert (first["words"], first["unfamiliar"], first["uncertain"]) == (f"oh no {ODD} untimed", "true", "false")
    assert (rows[1]["uncertain"], rows[2]["probability_angry"], rows[2]["warnings"]) == ("", "", "no speech")


def test_rttm_has_the_ten_fields_of_its_standard() -> None:
    lines = [line.split() for line in written("rttm", CALL).splitlines()]
    assert all(len(line) == 10 for line in lines)
    speakers = [line for line in lines if line[0] == "SPEAKER"]
    assert speakers[0] == ["SPEAKER", "a_b", "1", "0.096", "2.250", "<NA>", "<NA>", "angry", "0.700", "<NA>"]
    assert [(line[2], line[7]) for line in speakers] == [("1", "angry"), ("2", "happy"), ("1", "sad")]
    lexemes = [line for line in lines if line[0] == "LEXEME"]
    assert lexemes[0] == ["LEXEME", "a_b", "1", "0.200", "0.300", "oh", "lex", "<NA>", "0.900", "<NA>"]
    assert lexemes[1][3:6] == ["0.500", "0.400", "no"]  # from where the word before it ends
    assert [float(line[3]) for line in lines] == sorted(float(line[3]) for line in lines)


def test_webvtt_by_hand() -> None:
    assert written("vtt", recorded(segment(3661.5, 3662.25, "happy"))) == (
        "WEBVTT\n\n01:01:01.500 --> 01:01:02.250\n[happy 70 %]\n"
    )
    cue = written("vtt", CALL).split("\n\n")[1]
    shown = 'say "a&lt;b" &amp; --&gt; c'
    assert cue == f"00:00:00.096 --> 00:00:02.346\n<v channel 0>[angry 70 %, unfamiliar] oh no {shown} untimed"


def test_webvtt_by_another_parser() -> None:
    webvtt = pytest.importorskip("webvtt")
    cues = list(webvtt.from_buffer(io.StringIO(written("vtt", CALL))))
    assert [(cue.start, cue.end, cue.voice) for cue in cues] == [
        ("00:00:00.096", "00:00:02.346", "channel 0"),
        ("00:00:02.000", "00:00:03.500", "channel 1"),
        ("00:00:05.000", "00:00:09.999", "channel 0"),
    ]
    assert cues[2].text == "[sad 70 %, uncertain]"


def test_subrip_by_hand() -> None:
    first, second, third = written("srt", CALL).split("\n\n")
    shown = ODD.replace("-->", "→")
    assert first == (f"1\n00:00:00,096 --> 00:00:02,346\nchannel 0: [angry 70 %, unfamiliar] oh no {shown} untimed")
    assert second == "2\n00:00:02,000 --> 00:00:03,500\nchannel 1: [happy 70 %]" and third.startswith("3\n")


def test_subrip_by_another_parser() -> None:
    srt = pytest.importorskip("srt")
    cues = list(srt.parse(written("srt", CALL), ignore_errors=False))
    assert [(cue.index, cue.start.total_seconds(), cue.end.total_seconds()) for cue in cues] == [
        (1, 0.096, 2.346), (2, 2.0, 3.5), (3, 5.0, 9.999),
    ]  # fmt: skip


def intervals_of(text: str) -> dict[str, list[tuple[float, float, str]]]:
    """Tier → start, end and text of each interval of a TextGrid, line by line."""
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    pending: list[str] = []
    for line in text.splitlines()[8:]:
        key, _, value = line.strip().partition(" = ")
        if key == "name":
            current = tiers.setdefault(value.strip('"'), [])
        elif "intervals [" in key:
            pending = []
        elif key in ("xmin", "xmax"):
            pending.append(value)
        elif key == "text":
            current.append((float(pending[0]), float(pending[1]), value[1:-1].replace('""', '"')))
    return tiers


def test_a_textgrid_covers_the_recording_without_a_gap() -> None:
    tiers = intervals_of(written("textgrid", recorded(*CALL.timeline.segments, windows=HALVES)))
    assert list(tiers) == [
        "channel 0 emotion", "channel 0 probability", "channel 0 doubt", "channel 0 words", "channel 0 windows",
        "channel 1 emotion", "channel 1 probability",
    ]  # fmt: skip
    for intervals in tiers.values():
        assert intervals[0][0] == 0 and intervals[-1][1] == 20
        assert all(a[1] == b[0] and a[0] < a[1] for a, b in pairwise(intervals))
    emotions = [each for each in tiers["channel 0 emotion"] if each[2]]
    assert emotions == [(0.096, 2.346, "angry"), (5.0, 9.999, "sad")]
    words = [each for each in tiers["channel 0 words"] if each[2]]
    assert words == [(0.2, 0.5, "oh"), (0.5, 0.9, "no"), (1.0, 1.2, ODD)]
    assert [each for each in tiers["channel 0 windows"] if each[2]] == [
        (0, 1, "neutral"), (1, 2, "neutral"), (2, 4, "neutral"),
    ]  # fmt: skip


def test_a_textgrid_by_praat(tmp_path: Path) -> None:
    parselmouth = pytest.importorskip("parselmouth")
    from parselmouth.praat import call

    (tmp_path / "grid.TextGrid").write_text(written("textgrid", CALL), encoding="utf-8")
    grid = parselmouth.Data.read(str(tmp_path / "grid.TextGrid"))
    assert call(grid, "Get number of tiers") == 6 and call(grid, "Get tier name", 1) == "channel 0 emotion"
    assert [call(grid, "Get label of interval", 1, number) for number in (1, 2, 3, 4, 5)] == [
        "",
        "angry",
        "",
        "sad",
        "",
    ]
    assert call(grid, "Get start time of interval", 1, 4) == 5.0
    assert call(grid, "Get label of interval", 4, 5) == ODD


def test_an_eaf_has_what_its_schema_demands() -> None:
    text = written("eaf", CALL)
    document = ElementTree.fromstring(text.encode())
    assert [child.tag for child in document][:2] == ["HEADER", "TIME_ORDER"] and document[-1].tag == "LINGUISTIC_TYPE"
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in document.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    found = {}
    for tier in document.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") == document[-1].get("LINGUISTIC_TYPE_ID")
        found[tier.get("TIER_ID")] = [
            (slots[a.get("TIME_SLOT_REF1")], slots[a.get("TIME_SLOT_REF2")], a.findtext("ANNOTATION_VALUE"))
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
    assert found["channel 0 emotion"] == [(96, 2346, "angry"), (5000, 9999, "sad")]
    assert found["channel 0 words"] == [(200, 500, "oh"), (500, 900, "no"), (1000, 1200, ODD)]
    names = [a.get("ANNOTATION_ID") for a in document.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(names)) == len(names)
    media = document.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None and media.get("RELATIVE_MEDIA_URL") == "./a b.wav"
    assert str(media.get("MEDIA_URL")).startswith("file:///")


def test_an_eaf_by_another_parser(tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi")
    (tmp_path / "a.eaf").write_text(written("eaf", CALL), encoding="utf-8")
    eaf = pympi.Elan.Eaf(str(tmp_path / "a.eaf"))
    assert sorted(eaf.get_annotation_data_for_tier("channel 0 emotion")) == [(96, 2346, "angry"), (5000, 9999, "sad")]


def test_audformat_by_hand() -> None:
    files = FORMATS["audformat"].files(
        [CALL, recorded(segment(90_061.5, 90_062.0, "sad", None), name="b.wav")], Path("f")
    )
    assert sorted(map(str, files)) == ["f/db.utterances.csv", "f/db.yaml"]
    rows = list(csv.DictReader(io.StringIO(files[Path("f/db.utterances.csv")])))
    assert [row["file"] for row in rows] == ["a b.wav"] * 4 + ["b.wav"]
    assert rows[0]["start"] == "0 days 00:00:00.096000" and rows[4]["start"] == "1 days 01:01:01.500000"
    assert (rows[0]["emotion"], rows[0]["probability_angry"], rows[0]["unfamiliar"]) == ("angry", "0.7", "True")
    assert (rows[4]["channel"], rows[2]["emotion"]) == ("", "")


def test_audformat_by_its_own_package(tmp_path: Path) -> None:
    audformat = pytest.importorskip("audformat")
    for path, text in FORMATS["audformat"].files([recorded(*CALL.timeline.segments, windows=HALVES)], tmp_path).items():
        path.write_text(text, encoding="utf-8")
    database = audformat.Database.load(str(tmp_path))
    assert list(database.tables) == ["utterances", "windows"]
    table = database["utterances"].get()
    assert [None if label != label else label for label in table["emotion"]] == ["angry", "happy", None, "sad"]
    assert table.index.get_level_values("end")[0].total_seconds() == 2.346
    assert list(table["channel"]) == [0, 1, 0, 0] and bool(table["unfamiliar"].iloc[0]) is True
    assert len(database["windows"].get()) == 3
