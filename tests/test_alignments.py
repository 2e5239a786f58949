"""Readers of word times: values worked by hand, every error with file and line."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_trees import WDSEG, write
from damaged import damaged
from duetto.corpora.alignments import read_condensed, read_ctm, read_textgrid, read_wdseg
from duetto.data.utterance import Word
from duetto.errors import CorpusError


def textgrid(tiers, xmax=2.0, form="long"):
    """A TextGrid as Praat writes it. tiers: (name, [(start, end, text)]), or (name, [(time, text)]) for points."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    long = form == "long"

    def put(key, value):
        lines.append(f"{key} = {value} " if long else str(value))

    put("xmin", 0), put("xmax", xmax)
    lines.append("tiers? <exists> " if long else "<exists>")
    put("size", len(tiers))
    lines.extend(["item []: "] if long else [])
    for number, (name, rows) in enumerate(tiers, 1):
        points = bool(rows) and len(rows[0]) == 2
        lines.extend([f"    item [{number}]:"] if long else [])
        put("class", '"TextTier"' if points else '"IntervalTier"'), put("name", f'"{name}"')
        put("xmin", 0), put("xmax", xmax), put("points: size" if points else "intervals: size", len(rows))
        for at, row in enumerate(rows, 1):
            lines.extend([f"        intervals [{at}]:"] if long else [])
            for key, value in zip(("number",) if points else ("xmin", "xmax"), row[:-1], strict=True):
                put(key, value)
            put("mark" if points else "text", '"' + row[-1].replace('"', '""') + '"')
    return "\n".join(lines) + "\n"


WORDS = [(0, 0.25, ""), (0.25, 0.5, "Excuse"), (0.5, 0.75, "sp"), (0.75, 1.0, "me"), (1.0, 2.0, "sil")]
PHONES = [(0, 0.25, "SIL"), (0.25, 1.0, "IH1"), (1.0, 2.0, "")]
EXPECTED = (Word("excuse", 0.25, 0.5), Word("me", 0.75, 1.0))


def refuses(reader, path, message):
    with pytest.raises(CorpusError) as error:
        reader(path)
    assert str(error.value).startswith(f"{path}:"), "the message opens with the file"
    assert message in str(error.value)


def test_wdseg(tmp_path):
    assert read_wdseg(write(tmp_path / "a.wdseg", WDSEG)) == (Word("excuse", 0.1, 0.25), Word("me", 0.3, 0.4))


def test_wdseg_last_frame_is_included(tmp_path):
    # One word over frames 0-99 is exactly one second at 100 frames a second.
    path = write(tmp_path / "a.wdseg", "SFrm EFrm SegAScr Word\r\n0 99 -5 OH\r\nTotal score: -5\r\n")
    assert read_wdseg(path) == (Word("oh", 0.0, 1.0),)


def test_wdseg_without_words(tmp_path):
    path = write(tmp_path / "a.wdseg", "SFrm EFrm SegAScr Word\n0 9 -1 <s>\n10 20 -1 ++LAUGHTER++\nTotal score: -2\n")
    assert read_wdseg(path) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: a .wdseg file begins with"),
        ("a b c d\n", ":1: a .wdseg file begins with"),
        (WDSEG.replace("10\t  24", "x\t  24"), ":3: 'x\\t  24\\t  -53027 EXCUSE(2)' is no segment"),
        (WDSEG.replace(" ME", ""), ":5: "),
        (WDSEG.replace("10\t  24", "-1\t  24"), ":3: 'EXCUSE' has times -0.01–0.25 s; 0 ≤ start ≤ end is required"),
        (WDSEG.replace("10\t  24", "24\t  10"), ":3: 'EXCUSE' has times 0.24–0.11 s"),
        (WDSEG.replace("30\t  39", "20\t  39"), ":5: 'me' starts at 0.2 s, before 'excuse' ends at 0.25 s"),
        (WDSEG.replace("10\t  24", "10\t  " + "9" * 5000), ":3: 'EXCUSE' has times 0.1–inf s"),
        (WDSEG.replace("10\t  24", "10\t  " + "9" * 400), ":3: 'EXCUSE' has times 0.1–inf s"),
        (WDSEG.rpartition("Total")[0], ":7: the line 'Total score: …' is missing"),
    ],
)
def test_wdseg_errors(tmp_path, text, message):
    refuses(read_wdseg, write(tmp_path / "a.wdseg", text), message)


@pytest.mark.parametrize("form", ["long", "short"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_textgrid(tmp_path, form, encoding, newline):
    text = textgrid([("phones", PHONES), ("words", WORDS)], form=form).replace("\n", newline)
    path = write(tmp_path / "a.TextGrid", "\ufeff" + text if encoding == "utf-16-be" else text, encoding)
    assert read_textgrid(path) == EXPECTED


def test_textgrid_quotes_points_comments_and_newlines(tmp_path):
    rows = [(0, 1, 'say ""5"" !'.replace('""', '"')), (1, 2, "Grü\nß")]
    text = textgrid([("tones", [(0.5, "H*")]), ("words", rows)]).replace("item []", "! 7 tiers, 0.3\nitem []")
    words = read_textgrid(write(tmp_path / "a.TextGrid", text))
    assert [word.word for word in words] == ['say "5" !', "grü\nß"]


def test_textgrid_dialects(tmp_path):
    """Windows-1252 (old Praat), the oldest short form, decimal commas, marks of MFA and WebMAUS, <unk> kept."""
    rows = [
        (0, 0.5, "don\u2019t"),
        (0.5, 0.75, "<p:>"),
        (0.75, 1, "spn"),
        (1, 1.25, "<unk>"),
        (1.25, 1.5, "[bracketed]"),
    ]
    expected = (Word("don\u2019t", 0.0, 0.5), Word("<unk>", 1.0, 1.25))
    long, short = (textgrid([("words", rows)], form=form) for form in ("long", "short"))
    assert read_textgrid(write(tmp_path / "a.TextGrid", long, "windows-1252")) == expected
    assert read_textgrid(write(tmp_path / "b.TextGrid", short.replace("ooTextFile", "ooTextFile short"))) == expected
    commas = re.sub(r"(\d)\.(\d)", r"\1,\2", long)
    assert commas != long and read_textgrid(write(tmp_path / "c.TextGrid", commas)) == expected


@pytest.mark.parametrize("name", ["words", "word", "Words", "S-01 - words"])
def test_textgrid_tier_names(tmp_path, name):
    path = write(tmp_path / "a.TextGrid", textgrid([("phones", PHONES), (name, WORDS)]))
    assert read_textgrid(path) == EXPECTED


def test_textgrid_other_tier_by_name_and_the_only_tier(tmp_path):
    two = write(tmp_path / "a.TextGrid", textgrid([("phones", PHONES), ("ORT", WORDS)]))
    assert read_textgrid(two, "ort") == EXPECTED
    assert read_textgrid(write(tmp_path / "b.TextGrid", textgrid([("transcript", WORDS)]))) == EXPECTED
    with pytest.raises(CorpusError, match=r"0 interval tiers named 'words', .*; its tiers are 'phones', 'ORT'"):
        read_textgrid(two)
    both = write(tmp_path / "c.TextGrid", textgrid([("a - words", WORDS), ("b - words", WORDS)]))
    with pytest.raises(CorpusError, match="2 interval tiers named 'words'"):
        read_textgrid(both)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ooTextFile", "ooBinary", ":1: not a TextGrid"),
        ("<exists>", "<absent>", ": holds no tiers"),
        ("xmax = 0.5", "xmax = 0.2", ":20: 'Excuse' has times 0.25–0.2 s"),
        ("xmin = 0.75", "xmin = 0.4", ":28: 'me' starts at 0.4 s, before 'excuse' ends at 0.5 s"),
        ("xmin = 0.25", "xmin = -0.25", ":20: 'Excuse' has times -0.25–0.5 s"),
        ("xmin = 0.25", "xmin = oops", ":22: a number is expected here, not the text 'Excuse'"),
        ("intervals: size = 5", "intervals: size = 6", ":34: the TextGrid ends here, too early"),
        ("intervals: size = 5", "intervals: size = 1e999", ":14: inf intervals of tier 'words'; a whole number"),
        ("xmax = 0.5", "xmax = " + "9" * 5000, ":20: 'Excuse' has times 0.25–inf s"),
        ("intervals: size = 5", "intervals: size = 1.5", ":14: 1.5 intervals of tier 'words'; a whole number"),
        ("IntervalTier", "Sound", ":10: 'Sound' is no kind of tier"),
    ],
)
def test_textgrid_errors(tmp_path, old, new, message):
    text = textgrid([("words", WORDS)])
    assert old in text
    refuses(read_textgrid, write(tmp_path / "a.TextGrid", text.replace(old, new, 1)), message)


def test_textgrid_that_is_empty_missing_or_not_text(tmp_path):
    refuses(read_textgrid, write(tmp_path / "a.TextGrid", ""), ":1: the TextGrid ends here, too early")
    with pytest.raises(CorpusError, match="no such file"):
        read_textgrid(tmp_path / "none.TextGrid")
    with pytest.raises(CorpusError, match="not utf-16-le text"):
        (tmp_path / "b.TextGrid").write_bytes(b"\xff\xfe\0")
        read_textgrid(tmp_path / "b.TextGrid")


TIMES = st.lists(st.integers(1, 300), min_size=1, max_size=8)
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), max_size=6)


@settings(max_examples=50, deadline=None)  # a shared machine may pause for longer than a deadline
@given(TIMES, st.data(), st.sampled_from(["long", "short"]), st.sampled_from(["utf-8", "utf-16"]))
def test_textgrid_property_what_is_written_is_read(tmp_path_factory, steps, data, form, encoding):
    ends = [sum(steps[: at + 1]) / 100 for at in range(len(steps))]
    rows = [(start, end, data.draw(LABELS)) for start, end in zip([0.0, *ends], ends, strict=False)]
    path = write(tmp_path_factory.mktemp("grid") / "a.TextGrid", textgrid([("words", rows)], form=form), encoding)
    words = [(word.word, word.start, word.end) for word in read_textgrid(path)]
    fillers = ("", "sil", "sp", "spn")
    expected = [(text.lower(), start, end) for start, end, text in rows if text.lower() not in fillers]
    assert words == [row for row in expected if not (row[0].startswith("++") and row[0].endswith("++"))]


def test_ctm(tmp_path):
    text = """;; comment

a 1 0.10 0.20 YES 0.75
a 1 0.30 0.10 <eps>
b A 1.00 0.50 Second
b A 0.25 0.50 first -12.38
c 1 0 1 SIL
"""
    found = read_ctm(write(tmp_path / "all.ctm", text))
    assert found == {
        "a": (Word("yes", 0.1, 0.3, confidence=0.75),),
        "b": (Word("first", 0.25, 0.75), Word("second", 1.0, 1.5)),
        "c": (),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 0.1 0.2\n", ":1: 'a 1 0.1 0.2' is no CTM line"),
        ("a 1 0.1 x oh\n", ":1: 'a 1 0.1 x oh' is no CTM line"),
        ("a 1 nan 0.1 oh\n", ":1: 'a 1 nan 0.1 oh' is no CTM line"),
        ("\na 1 -0.1 0.2 oh\n", ":2: 'oh' has times -0.1–0.1 s"),
        ("a 1 0.3 -0.2 oh\n", ":1: 'oh' has times 0.3–0.1 s"),
        ("a 1 0.1 0.2 oh 1 lex sp 9\n", ":1: 'a 1 0.1 0.2 oh 1 lex sp 9' is no CTM line"),
        ("a 1 0 1 i'll<space>take NA lex NA\n", "is a segment of several words; give the CTM of the words"),
        ("a 1 " + "9" * 5000 + " 1 oh\n", ":1: 'oh' has times inf–inf s"),
        ("a 1 0 1e999 oh\n", ":1: 'oh' has times 0–inf s"),
        ("a A 0 1 oh\na B 0 1 no\n", ":2: 'a' has channels A and B; give each its own id"),
        ("a A 0 1 oh\na A 0.9 1 no\n", ":2: 'no' starts at 0.9 s, before 'oh' ends at 1 s"),
    ],
)
def test_ctm_errors(tmp_path, text, message):
    refuses(read_ctm, write(tmp_path / "a.ctm", text), message)


def test_ctm_dialects(tmp_path):
    """The example of NIST's description of CTM with alternatives; types and speaker of NIST's RT; Kaldi; NeMo."""
    nist = """;; AAP 1 0.0 0.5 no
7654 A * * <ALT_BEGIN>
7654 A 12.00 0.34 UM
7654 A * * <ALT>
7654 A 12.00 0.34 UH
7654 A * * <ALT_END>
7654 A 12.34 0.21 YES 0.5 lex sp1
7654 A 12.60 0.10 {laugh} 0.5 non-lex sp1
7654 A 12.80 0.10 uhuh NA fp
"""
    kaldi = "k1 1 0.10 0.30 oh 1.00 \nk1\t1\t0.40\t0.2\tgood\n"
    nemo = "n1 1 0.00 0.32 i'll NA lex NA\nn1 1 0.32 0.08 take NA lex NA\nn1 1 0.40 0.08 <b> NA lex NA\n"
    assert read_ctm(write(tmp_path / "all.ctm", nist + kaldi + nemo)) == {
        "7654": (Word("um", 12.0, 12.34), Word("yes", 12.34, 12.55, confidence=0.5), Word("uhuh", 12.8, 12.9)),
        "k1": (Word("oh", 0.1, 0.4, confidence=1.0), Word("good", 0.4, 0.6)),
        "n1": (Word("i'll", 0.0, 0.32), Word("take", 0.32, 0.4)),
    }


def test_ctm_one_frame_of_overlap_is_rounding(tmp_path):
    # Kaldi rounds start and duration to 10 ms each, so neighbours may overlap by one frame.
    words = read_ctm(write(tmp_path / "a.ctm", "a 1 0.10 0.12 oh\na 1 0.21 0.2 no\n"))["a"]
    assert [(word.start, word.end) for word in words] == [(0.1, 0.22), (0.21, 0.41)]


def test_condensed(tmp_path):
    # The example of the LibriSpeech Alignments' README.
    text = '84-121123-0000 ",GO,,DO,YOU,HEAR," "0.490,0.890,1.270,1.380,1.490,1.890,2.09"\n'
    assert read_condensed(write(tmp_path / "84-121123.alignment.txt", text)) == {
        "84-121123-0000": (
            Word("go", 0.49, 0.89),
            Word("do", 1.27, 1.38),
            Word("you", 1.38, 1.49),
            Word("hear", 1.49, 1.89),
        )
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a ",GO," 0.1,0.2,0.3\n', ":1: "),
        ('a ",GO," "0.1,0.2"\n', ":1: 3 words and 2 end times"),
        ('a ",GO," "0.1,x,0.3"\n', ":1: 3 words and 3 end times; each word needs one, in seconds"),
        ('a ",GO," "0.3,0.2,0.4"\n', ":1: 'GO' has times 0.3–0.2 s"),
        ('a ",GO," "-0.1,0.2,0.4"\n', ":1: '' has times 0–-0.1 s"),
        ('a "," "0.1,0.2"\na "," "0.1,0.2"\n', ":2: 'a' comes twice"),
    ],
)
def test_condensed_errors(tmp_path, text, message):
    refuses(read_condensed, write(tmp_path / "a.alignment.txt", text), message)


VALID = {
    read_wdseg: WDSEG.encode(),
    read_ctm: b";; c\na 1 0.1 0.2 oh NA lex NA\na 1 * * <ALT_BEGIN>\na 1 0.4 0.2 no 0.5\nb 1 0 1 yes\n",
    read_condensed: b'84-121123-0000 ",GO,,DO," "0.490,0.890,1.270,1.380,2.09"\n',
    read_textgrid: textgrid([("words", WORDS)]).encode(),
}


@pytest.mark.parametrize("reader", VALID, ids=lambda reader: reader.__name__)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, reader, data):
    path = tmp_path_factory.mktemp("fuzz") / "a"
    path.write_bytes(data.draw(damaged(VALID[reader])))
    try:
        found = reader(path)
    except CorpusError as error:
        assert str(error).startswith(str(path))
    else:
        words = found if isinstance(found, tuple) else [word for words in found.values() for word in words]
        assert all(isinstance(word, Word) for word in words)
