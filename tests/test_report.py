"""The report: it says every figure, is whole, loads nothing, escapes everything, and warns where it must."""

import base64
import csv
import hashlib
import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duetto import audio, evaluation, report, runs
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError
from duetto.report import run_summary
from duetto.report.curves import diagrams, trainings
from duetto.report.sounds import sound_urls
from duetto.report.utterances import utterance_list

CLASSES = ("angry", "happy", "neutral", "sad")
VOID = {"meta", "br", "img", "link", "hr", "input"}
RESAMPLES = 60


def make(system: str, accuracy: float, seeds: int = 2, speakers: int = 12, **others: Any) -> evaluation.SystemResult:
    """A result over 240 utterances of `speakers` speakers, right with the given probability."""
    n = 240
    rng = np.random.default_rng(len(system) + int(1000 * accuracy))
    target = np.arange(n) % 4
    logits = rng.normal(scale=0.5, size=(seeds, n, 4))
    right = rng.random((seeds, n)) < accuracy
    logits[np.arange(seeds)[:, None], np.arange(n), np.where(right, target, (target + 1) % 4)] += 4
    fields: dict[str, Any] = {
        "speaker": np.array([f"spk{i // 4 % speakers}" for i in range(n)]),
        "gender": np.array(["female", "male"])[np.arange(n) // 4 % speakers % 2],
        "style": np.array(["improvised", "scripted"])[np.arange(n) // 120],
        **others,
    }
    ids = np.array([f"u{i}" for i in range(n)])
    return evaluation.SystemResult(system, CLASSES, ids, target, logits, tuple(range(seeds)), **fields)


class Page(HTMLParser):
    """The page's tags and text; a tag that closes another than the last open one is a failure."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == [], "tags are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def written(path: Path, systems: list[evaluation.SystemResult], *, resamples: int = RESAMPLES, **others: Any) -> Page:
    """The report of some systems, read back."""
    options: dict[str, Any] = {
        "title": "A test", "protocol": {"protocol": "loso"}, "corpus": {"name": "made up"}, **others,
    }  # fmt: skip
    report.write(path, report.score(systems, resamples), **options)
    return Page(path)


@pytest.fixture(scope="module")
def systems() -> list[evaluation.SystemResult]:
    return [
        make("lstm", 0.5, title="Acoustic LSTM", paper_ua=55.1),
        make("scenario", 0.45, seeds=1, kind="control", title="Scenario alone"),
        make("oracle", 0.9, kind="leak", title="Epoch chosen on test"),
        make("fusion", 0.7, title="Fusion", paper_ua=68.49, notes=("Two encoders.",)),
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, systems: list[evaluation.SystemResult]) -> Page:
    return written(
        tmp_path_factory.mktemp("report") / "deep" / "report.html", systems, ceilings={"voice alone": 62.5},
        protocol={"disjoint in": ["speaker", "session"], "environment": {"python": "3.11", "cuda": None}},
        corpus={"name": "made up", "counts": {"angry": 60}, "synthetic": True}, audit=[], notes=["A note."],
    )  # fmt: skip


def test_every_figure_is_there(page: Page, systems: list[evaluation.SystemResult]) -> None:
    for system in systems:
        scored = evaluation.summary(system, RESAMPLES)
        assert system.title in page.text
        for score in (scored.ua, scored.wa, scored.macro_f1):
            spread = f"± {score.std:.1f}" if score.std is not None else ""
            figure = f"{score.mean:.1f} {spread}".strip()
            assert f"{figure} {score.ci95[0]:.1f}–{score.ci95[1]:.1f}" in page.text
        before, after = evaluation.calibration(system, RESAMPLES).ece
        assert f"ECE {before:.3f} → {after:.3f}" in page.text
        for group in evaluation.breakdown(system, "speaker", 1):
            assert f"{group.ua.mean:.1f} {group.wa.mean:.1f}" in page.text
    assert "55.10" in page.text and "68.49" in page.text
    for text in (
        "disjoint in speaker, session",
        "python 3.11",
        "cuda –",
        "Two encoders.",
        "voice alone: 62.5",
        "A note.",
    ):
        assert text in page.text


def test_confusion_matrices_are_normalised_by_row(page: Page, systems: list[evaluation.SystemResult]) -> None:
    matrix = systems[0].confusion
    row = " ".join(f"{100 * n / matrix[0].sum():.0f} {n:.0f}" for n in matrix[0])
    assert f"angry {row}" in page.text


def test_the_headline_names_the_best_system_not_the_leak(page: Page, systems: list[evaluation.SystemResult]) -> None:
    ua = evaluation.summary(systems[3], RESAMPLES).ua
    control = evaluation.summary(systems[1], RESAMPLES).ua
    assert (
        f"Fusion reaches {ua.mean:.1f}% UA on made up (95% interval {ua.ci95[0]:.1f}–{ua.ci95[1]:.1f}); "
        f"the best control, Scenario alone, {control.mean:.1f}%" in page.text
    )
    assert "240 test utterances; 12 speakers; classes angry, happy, neutral, sad; 2 seeds." in page.text


def test_warnings_stand_on_top(page: Page, tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    top = page.text[: page.text.index("Overview")]
    assert "Synthetic corpus." in top and "Test data reached Epoch chosen on test" in top
    clean = written(tmp_path / "clean.html", systems[:2]).text
    assert "Synthetic corpus." not in clean and "Test data reached" not in clean
    assert "No audit was made" in clean and "The audit found nothing." in page.text


@dataclass(frozen=True)
class Finding:
    severity: str
    kind: str
    detail: str
    ids: tuple[str, ...] = ()


def test_findings_of_any_kind(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    findings = [
        Finding("error", "speaker", "one speaker in both", ("a", "b")),
        {"level": "note", "message": "all is new"},
        {"severity": "note", "detail": "zeros are read", "evidence": {"systems": ["a", "b"], "padding": "post"}},
        "a plain <word>",
    ]
    text = written(tmp_path / "r.html", systems[:1], audit=findings).text
    assert "The audit failed. 1 finding makes" in text
    assert "error one speaker in both (kind: speaker; ids: a, b)" in text
    assert "note a, b: zeros are read (evidence: padding: post)" in text
    assert "note all is new" in text and "a plain <word>" in text
    harmless = written(tmp_path / "s.html", systems[:1], audit=findings[1:]).text
    assert "The audit failed." not in harmless


def test_nothing_is_loaded_and_only_its_own_script_runs(
    page: Page, tmp_path: Path, systems: list[evaluation.SystemResult]
) -> None:
    names = {tag for tag, _ in page.tags}
    assert not names & {"link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}], "one script, in the page"
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "action", "xlink:href", "poster", "data"), (tag, name)
            assert name != "href" or (value or "").startswith("#"), (tag, value)
    written(tmp_path / "r.html", systems)
    source = (tmp_path / "r.html").read_text()
    assert not re.search(r"https?:|url\(|@import|//[a-z]", source)
    assert len(source) < 200_000
    (policy,) = [a["content"] or "" for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    script = source[source.index("<script>") + 8 : source.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"script-src 'sha256-{digest}';" in policy


def test_links_lead_somewhere(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.tags}
    links = [value[1:] for tag, attributes in page.tags if tag == "a" and (value := attributes["href"])]
    assert len(links) >= 7 and set(links) <= ids


def test_plots_have_names(page: Page, systems: list[evaluation.SystemResult]) -> None:
    images = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("role") == "img"]
    assert len(images) == 3 * len(systems), "a strip, a reliability diagram and a risk–coverage curve each"
    titles = re.findall(r"Fusion: UA [\d.]+, 95% interval [\d.–]+; published 68.5", page.text)
    assert len(titles) == 1


def test_everything_is_escaped(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    evil = '<script>alert("x")</script>'
    bad = replace(
        systems[0], system=evil + "1", title=f"{evil}&amp;", notes=(evil,), speaker=np.full(240, evil),
        classes=(evil, "b", "c", "d"), session=np.array([evil, "'\"><img src=x>"] * 120),
    )  # fmt: skip
    other = replace(bad, system="b", title="b", kind="leak")
    control = replace(bad, system="c", title=evil + "c", kind="control").subset(np.arange(240) < 200)
    page = written(
        tmp_path / "r.html", [bad, other, control], title=evil, corpus={"name": evil, evil: evil, "counts": {evil: 1}},
        protocol={evil: [evil], "nested": {evil: evil}}, ceilings={evil: 50.0}, audit=[evil, {evil: evil}],
        notes=[evil],
    )  # fmt: skip
    assert [tag for tag, _ in page.tags if tag in ("script", "img")] == ["script"], "the page's own"
    assert page.text.count(evil) > 20, "and it is shown as it is"
    assert f"{evil}&amp;" in page.text


def test_too_few_speakers_for_a_conclusion(tmp_path: Path) -> None:
    text = written(tmp_path / "r.html", [make("a", 0.9, speakers=2), make("b", 0.4, speakers=2)]).text
    assert "but 2 speakers are too few for any test: it may not be concluded that the order would hold" in text
    assert "Only 2 speakers: intervals over so few are too narrow" in text


def test_conclusions(tmp_path: Path) -> None:
    systems = [make("best", 0.8), make("near", 0.79), make("far", 0.4, kind="control")]
    page = written(tmp_path / "r.html", systems, resamples=1000)
    assert "it may not be concluded that either is better, nor that they are equal" in page.text
    assert re.search(r"above far, more than the choice of speakers explains: it is better on this corpus", page.text)
    assert "%: a difference beyond chance." in page.text
    assert "scored highest on these very test data" in page.text


def test_systems_tested_on_different_utterances(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    part = replace(systems[3], system="part").subset(np.arange(240) < 100)
    text = written(tmp_path / "r.html", [systems[0], part]).text
    assert "were not tested on the same utterances: nothing may be concluded" in text


def test_one_system_without_anything_else(tmp_path: Path) -> None:
    empty = np.empty(0, dtype=str)
    alone = make("alone", 0.6, seeds=1, speaker=empty, gender=empty, style=empty)
    text = written(tmp_path / "r.html", [alone]).text
    assert "no control was run beside it" in text and "no two systems to compare" in text
    assert "names no speakers, genders, sessions or styles" in text
    assert "No speaker is known: the intervals resample utterances" in text
    only_leak = written(tmp_path / "l.html", [replace(alone, kind="leak")]).text
    assert "No system is reported that is neither a control nor a leak." in only_leak


def test_a_class_without_utterances(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    text = written(tmp_path / "r.html", [systems[0].subset(systems[0].target != 3)]).text
    assert "sad – 0 – 0 – 0 – 0" in text
    part = systems[0].subset((systems[0].target != 3) | (systems[0].speaker != "spk3"))
    page = written(tmp_path / "s.html", [part])
    assert ("abbr", {"title": "without sad"}) in page.tags


def test_same_results_same_file(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    for name in ("a.html", "b.html"):
        written(tmp_path / name, systems)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_what_cannot_be_reported(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    with pytest.raises(ConfigurationError, match="no result to report"):
        written(tmp_path / "r.html", [])
    with pytest.raises(ConfigurationError, match="'lstm' is reported twice"):
        written(tmp_path / "r.html", [systems[0], systems[0]])
    with pytest.raises(ConfigurationError, match="different classes"):
        written(tmp_path / "r.html", [systems[0], replace(systems[1], classes=("a", "b", "c", "d"))])
    assert list(tmp_path.iterdir()) == []


def test_tables(systems: list[evaluation.SystemResult]) -> None:
    found = json.loads(json.dumps(report.tables(report.score(systems, RESAMPLES)), allow_nan=False))
    assert found["unit"] == "percent"
    assert [row["system"] for row in found["systems"]] == ["lstm", "fusion"]
    assert [row["system"] for row in found["controls"] + found["leaks"]] == ["scenario", "oracle"]
    row, scored = found["systems"][1], evaluation.summary(systems[3], RESAMPLES)
    assert row["paper_ua"] == 68.49
    assert row["ua"]["mean"] == scored.ua.mean and row["ua"]["ci95"] == list(scored.ua.ci95)
    assert row["wa"]["seeds"] == list(scored.wa.seeds) and row["wa"]["std"] == scored.wa.std
    assert found["controls"][0]["ua"]["std"] is None and found["controls"][0]["paper_ua"] is None


def test_markdown(systems: list[evaluation.SystemResult]) -> None:
    named = [replace(systems[0], title="a|b\n<i>"), *systems[1:]]
    scored = report.score(named, RESAMPLES)
    text = report.markdown(scored, protocol={"seeds": [0, 1]}, corpus={"synthetic": True})
    lines = text.splitlines()
    assert lines[0].startswith("**The corpus is synthetic")
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(systems)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}, "a title cannot break the table"
    ua = evaluation.summary(systems[3], RESAMPLES).ua
    assert f"| Fusion | {ua.mean:.1f} ± {ua.std:.1f} [{ua.ci95[0]:.1f}–{ua.ci95[1]:.1f}] |" in text
    assert rows[-1].startswith("| Epoch chosen on test (leak) |")
    assert "a\\|b &lt;i>" in text and "- seeds: 0, 1" in text and "- Fusion: Two encoders." in text


def test_results_may_be_scored_before_and_are_then_scored_once(
    systems: list[evaluation.SystemResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report.markdown(systems[:1]) == report.markdown(report.score(systems[:1]))
    calls: list[str] = []
    original = evaluation.summary

    def spy(result: evaluation.SystemResult, *options: Any) -> evaluation.Summary:
        calls.append(result.system)
        return original(result, *options)

    monkeypatch.setattr(evaluation, "summary", spy)
    scored = report.score(systems, RESAMPLES)
    report.write(tmp_path / "r.html", scored, title="", protocol={}, corpus={})
    report.markdown(scored)
    report.tables(scored)
    report.significance(scored)
    assert sorted(calls) == sorted(system.system for system in systems)


def luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    """WCAG 2 contrast ratio."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_the_contrast_that_wcag_asks_for() -> None:
    style = files("duetto.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    palettes = re.findall(r":root \{([^}]*)\}", style)
    assert len(palettes) == 2, "light and dark"
    for palette in palettes:
        colours = {
            name: np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255
            for name, code in re.findall(r"--([\w-]+): #([0-9a-f]{6})", palette)
        }
        paper = colours["paper"]
        for name in ("ink", "soft", "accent", "control", "warn", "ceiling"):
            assert contrast(colours[name], paper) >= 4.5, name
        assert contrast(colours["warn"], colours["warn-paper"]) >= 4.5
        heat = 0.45 * colours["accent"] + 0.55 * paper  # the darkest cell of a table
        small = 0.85 * colours["ink"] + 0.15 * heat
        assert contrast(small, heat) >= 4.5


def test_sections_of_ones_own_and_comparisons_by_group(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    tables = (report.Table("A < B", ("System", "UA %"), (("one | two", "68.5 ± 0.8 [60.0–70.0]"), ("three", "–"))),)
    section = report.Section("Our own", "A lead & more.", tables, ("a remark",))
    names = [system.system for system in systems if system.kind != "leak"]
    groups = {"First two": names[:2], "First and third": [names[0], names[2]]}
    page = written(tmp_path / "r.html", systems, sections=[section], comparisons=groups)
    for text in ("Our own", "A < B", "A lead & more.", "one | two", "60.0–70.0", "a remark"):
        assert text in page.text
    assert page.text.index("Overview") < page.text.index("Our own") < page.text.index("Confusions")
    captions = [text for text in page.words if text in (*groups, "Paired tests")]
    assert captions == list(groups)
    text = section.markdown()
    assert "### A < B" in text and "| one \\| two | 68.5 ± 0.8 [60.0–70.0] |" in text and "- a remark" in text
    with pytest.raises(ConfigurationError, match="no result of system 'nobody' to compare"):
        written(tmp_path / "r.html", systems, comparisons={"x": [names[0], "nobody"]})


def test_a_group_is_corrected_for_its_own_comparisons() -> None:
    """The best of three with two others: Holm multiplies the smaller p by 2, as two comparisons are made."""
    trio = [make("a", 0.9), make("b", 0.6), make("c", 0.55)]
    alone, both = (report.significance(report.score(trio[:n], RESAMPLES)) for n in (2, 3))
    assert alone is not None and both is not None and both["best"] == "a"
    assert [(pair["a"], pair["b"]) for pair in both["comparisons"]] == [("a", "b"), ("a", "c")]
    assert alone["comparisons"][0]["ua"]["p_holm"] == alone["comparisons"][0]["ua"]["p"]
    smallest = min(pair["ua"]["p"] for pair in both["comparisons"])
    assert min(pair["ua"]["p_holm"] for pair in both["comparisons"]) == pytest.approx(2 * smallest)
    assert report.significance(report.score(trio[:1], RESAMPLES)) is None


def test_controls_are_compared_with_every_system_and_common_findings_are_printed_once() -> None:
    few = [make(name, share, speakers=2) for name, share in (("a", 0.9), ("b", 0.6))]
    control = make("guess", 0.3, speakers=2, kind="control")
    found = report.significance(report.score([*few, control], RESAMPLES))
    assert found is not None
    pairs = {(pair["a"], pair["b"]): pair["ua"]["p_holm"] for pair in found["comparisons"]}
    assert set(pairs) == {("a", "b"), ("a", "guess"), ("b", "guess")} and pairs["b", "guess"] is None
    sentences = found["conclusions"]
    assert sentences[0].startswith("2 speakers are too few for any test") and len(sentences) == 4
    assert sum("too few" in s for s in sentences) == 1 and "scored highest on these very" in sentences[-1]


def test_a_control_with_the_best_score_is_compared_with_every_other_once() -> None:
    trio = [make("low", 0.3), make("best", 0.9, kind="control"), make("other", 0.4, kind="control")]
    found = report.significance(report.score(trio, RESAMPLES))
    assert found is not None and found["best"] == "low"  # a control leads only where there is no system
    found = report.significance(report.score(trio[1:], RESAMPLES))
    assert found is not None and [(pair["a"], pair["b"]) for pair in found["comparisons"]] == [("best", "other")]


def test_few_groups_are_columns_beside_many_systems(tmp_path: Path) -> None:
    """Each figure stands in its system's row: UA of one gender, worked out from that part alone."""
    many = [make(f"system {i}", 0.4 + 0.1 * i, speakers=2) for i in range(4)]
    text = written(tmp_path / "r.html", many).text
    assert "UA by gender, style, speaker, with their utterances" in text
    header = "System female gender, 120 male gender, 120 improvised style, 120 scripted style, 120"
    assert header in text
    row = text[text.index(header) :]
    for system in many:
        female = system.subset(system.gender == "female")
        row = row[row.index(system.system) + len(system.system) :]
        assert row.split()[0] == f"{evaluation.summary(female, RESAMPLES).ua.mean:.1f}"


def answered(n: int, wrong: dict[int, float], **others: Any) -> evaluation.SystemResult:
    """`n` utterances of two classes answered with probability 0.9, but for some wrong ones with one of their own."""
    target = np.arange(n) % 2
    probability = np.full((1, n, 2), 0.1)
    probability[0, np.arange(n), target] = 0.9
    for i, p in wrong.items():
        probability[0, i, target[i]], probability[0, i, 1 - target[i]] = 1 - p, p
    ids = np.array([f"u{i:05}" for i in range(n)])
    speaker = np.array([f"s{i % 8}" for i in range(n)])
    fields: dict[str, Any] = {"speaker": speaker, **others}
    return evaluation.SystemResult("sys", ("calm", "upset"), ids, target, np.log(probability), (0,), **fields)


def test_wrong_answers_are_listed_first_the_most_confident_first(tmp_path: Path) -> None:
    result = answered(40, {3: 0.6, 5: 0.95, 8: 0.7, 9: 0.8})
    scored = report.score([result], RESAMPLES)
    found = utterance_list(scored, [], tmp_path / "r.html", limit=6)
    cells = [(c.target, c.answer, c.total, [e.id for e in c.entries]) for c in found.cells]
    wrong = [(1, 0, 3, ["u00005", "u00009", "u00003"]), (0, 1, 1, ["u00008"])]
    assert cells == [*wrong, (0, 0, 19, ["u00000"]), (1, 1, 17, ["u00001"])]
    assert (found.total, found.wrong, found.listed, found.printed) == (40, 4, 6, 4)
    assert found.notes == (
        "6 of 40 utterances are listed: every wrong answer, and the least confident 2 right ones; `duetto evaluate "
        "--csv FILE` writes all.",
    )
    few = utterance_list(scored, [], tmp_path / "r.html", limit=2, table=tmp_path / "a b.csv")
    assert [e.id for c in few.cells for e in c.entries] == ["u00005", "u00009"] and few.csv == "a%20b.csv"
    assert few.notes == ("2 of 40 utterances are listed: the 2 most confident wrong answers; the CSV file holds all.",)
    assert not few.has(0, 1) and few.has(1, 0)


def test_the_answer_of_several_seeds_is_that_of_their_mean_probabilities(tmp_path: Path) -> None:
    """Worked by hand: 0.9 and 0.2 for class 0 have the mean 0.55, though a vote would be a tie."""
    logits = np.log(np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.2, 0.8], [0.4, 0.6]]]))
    ids, target = np.array(["a", "b"]), np.array([0, 0])
    result = evaluation.SystemResult("sys", ("calm", "upset"), ids, target, logits, (0, 1))
    alone = utterance_list(report.score([result], 20), [], tmp_path / "r.html")
    found = {e.id: (e.answer, round(e.probability, 9), e.seeds) for c in alone.cells for e in c.entries}
    assert found == {"a": (0, 0.55, 1), "b": (1, 0.65, 0)}


def test_a_large_run_keeps_its_page_small_and_its_csv_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    result = answered(10_000, {int(i): 0.5 + 0.05 * float(rng.random()) + 0.01 for i in rng.permutation(10_000)[:3000]})
    utterances = [Utterance(name, Path("a.wav"), text="words " * 8) for name in result.ids.tolist()]
    path = tmp_path / "r.html"
    report.write(
        path, report.score([result], 20), title="t", protocol={}, corpus={}, utterances=utterances,
        csv=tmp_path / "all.csv",
    )  # fmt: skip
    assert path.stat().st_size < 1_000_000
    page = Page(path)
    assert "2,000 of 10,000 utterances are listed: the 2,000 most confident wrong answers" in page.text
    assert ("a", {"href": "all.csv"}) in page.tags
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10_000 and sum(row["correct"] == "true" for row in rows) == 7000


def test_the_csv_holds_every_answer_of_every_system(tmp_path: Path, systems: list[evaluation.SystemResult]) -> None:
    text = 'she said "no",\nand left'
    known = [Utterance("u7", Path("/sounds/a.wav"), 1.5, 2.0, text=text, corpus="made up", language="en")]
    report.write_csv(tmp_path / "a.csv", report.score(systems, RESAMPLES), known)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 240 * len(systems)
    for system in systems:
        own = [row for row in rows if row["system"] == system.system]
        assert [row["id"] for row in own] == system.ids.tolist() and {row["kind"] for row in own} == {system.kind}
        mean = system.calibrated.mean(0)
        found = np.array([[float(row[f"probability_{name}"]) for name in CLASSES] for row in own])
        assert np.abs(found - mean).max() <= 1e-6
        assert [CLASSES.index(row["answer"]) for row in own] == mean.argmax(1).tolist()
        right = [int(row["seeds_correct"]) for row in own]
        assert right == (system.predicted == system.target).sum(0).tolist()
    seventh = next(row for row in rows if row["id"] == "u7")
    assert [seventh[key] for key in ("corpus", "language", "text", "audio", "start", "end")] == [
        "made up", "en", text, "/sounds/a.wav", "1.5", "2.0",
    ]  # fmt: skip


def test_sounds_are_embedded_within_bounds_or_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio.write(tmp_path / "my tone.wav", 0.3 * np.sin(np.arange(16_000) / 8).astype(np.float32), 16_000)
    known = {
        "a": Utterance("a", tmp_path / "my tone.wav"),
        "b": Utterance("b", tmp_path / "my tone.wav", 0.25, 0.5),
        "c": Utterance("c", tmp_path / "missing.wav"),
    }
    page = tmp_path / "deep" / "r.html"
    urls, notes = sound_urls(["a", "b", "c", "unknown"], known, page, report.Sounds(3, linked=True))
    data = [base64.b64decode(url.removeprefix("data:audio/mpeg;base64,")) for url, _ in urls[:2]]
    lengths = []
    for name, content in zip("ab", data, strict=True):
        (tmp_path / f"{name}.mp3").write_bytes(content)
        lengths.append(audio.duration(tmp_path / f"{name}.mp3"))
    assert lengths == pytest.approx([1.0, 0.25], abs=0.15)
    assert urls[2:] == [("", "../missing.wav"), ("", "")] and "1 recording could not be read" in notes[0]
    urls, notes = sound_urls(["a", "b"], known, page, report.Sounds(0, linked=True))
    assert urls == [("", "../my%20tone.wav"), ("", "../my%20tone.wav#t=0.25,0.5")] and notes == ()
    monkeypatch.setattr("duetto.report.sounds.MOST_BYTES", 10)
    urls, notes = sound_urls(["a", "b"], known, page, report.Sounds(2))
    assert urls == [("", ""), ("", "")] and notes[0].startswith(
        "The sound of 0 utterances is embedded, up to the limit"
    )
    assert "not known where the recordings lie" in sound_urls(["a"], {}, page, report.Sounds(2))[1][0]


def test_a_headline_on_few_speakers_states_no_finding(tmp_path: Path) -> None:
    """Six speakers are the fewest on which a sign test can reach 0.05: 2^(1 − 5) = 0.0625, 2^(1 − 6) = 0.03125."""
    for speakers, decides in ((2, False), (5, False), (6, True)):
        both = [make("best", 0.9, speakers=speakers), make("guess", 0.3, speakers=speakers, kind="control")]
        text = written(tmp_path / "r.html", both, resamples=400).text
        top = text[: text.index("Overview")]
        assert ("a difference beyond chance" in top) == decides and ("best reaches" in top) == decides
        assert (f"{speakers} speakers are too few for any test, so this describes these" in top) != decides
    alone = written(tmp_path / "s.html", [make("best", 0.9, speakers=1)]).text
    assert "no control was run beside it. 1 speaker is too few for any test" in alone


def test_published_figures_stand_only_where_there_is_one(
    tmp_path: Path, systems: list[evaluation.SystemResult]
) -> None:
    without = [replace(system, paper_ua=None) for system in systems]
    assert "published" not in written(tmp_path / "r.html", without).text
    assert "published" not in report.markdown(report.score(without, RESAMPLES))
    assert "UA % published" in written(tmp_path / "s.html", systems).text


def test_training_curves_are_read_from_a_run_and_drawn(tmp_path: Path) -> None:
    folds = [
        {"name": f"fold {i}", "disjoint_in": ["speaker"], "train": [], "development": [], "test": []} for i in (0, 1)
    ]
    run = tmp_path / "run"
    description = {
        "format": "duetto-run-1", "experiment": {"name": "mine", "encoders": ["lstm"]}, "protocol": "speaker",
        "seeds": [4], "synthetic": False, "vectors": "", "folds": folds, "environment": {},
    }  # fmt: skip
    run.mkdir()
    (run / "run.json").write_text(json.dumps(description))
    for fold, scores in enumerate(([0.25, 0.75, 0.5], [0.5])):
        epochs = [{"score": s, "loss": 1.0, "development_loss": 2.0} for s in scores]
        history = {"epochs": epochs, "chosen": scores.index(max(scores))}
        (run / f"fold{fold}-seed4").mkdir()
        runs.save_outcome(run / f"fold{fold}-seed4" / "outcome.npz", np.zeros((1, 4)), 1.0, history=history)
    (found,) = trainings(run, "Mine")
    assert [(c.name, len(c.epochs), c.chosen) for c in found.courses] == [
        ("fold 0, seed 4", 3, 1),
        ("fold 1, seed 4", 1, 0),
    ]
    score, loss = diagrams(found)
    (first, second), d = score.lines, score
    # The axis runs from 20 to 80 %: tens around 25 and 75.
    assert [text for text, _ in score.ticks] == ["20", "50", "80"]
    assert [y for _, y in first.points] == pytest.approx([d.top + d.down * (80 - v) / 60 for v in (25, 75, 50)])
    assert [x for x, _ in first.points] == pytest.approx([d.left, d.left + d.across / 2, d.left + d.across])
    assert first.chosen == first.points[1] and second.chosen == second.points[0]
    assert [line.kind for line in loss.lines] == ["training", "training", "development", "development"]
    page = written(tmp_path / "r.html", [make("a", 0.6)], trainings=[found])
    assert "Training curves" in page.text and "2 trainings (folds × seeds)" in page.text
    assert "Mine: Loss by epoch" in page.text


def test_the_corpus_is_named() -> None:
    def named(ids: list[str], *corpora: str | None, synthetic: bool = False) -> str:
        known = [Utterance(name, Path("a"), corpus=corpus) for name, corpus in zip(ids, corpora, strict=False)]
        return run_summary.corpus_name(ids, known, synthetic)

    ids = ["a", "b"]
    assert named(ids, "ravdess", "emodb") == "emodb + ravdess" and named(ids) == "" and named(ids, None, None) == ""
    assert named(ids, "x", "y", synthetic=True) == "the synthetic corpus"
    assert named(["Ses05F_impro01_F000"]) == "IEMOCAP" and named(["Ses05F_impro01_F000", "b"]) == ""
    assert named([*"abcdef"], *"uvwxyz") == "u + v + w + x and 2 more"
    assert run_summary.corpus_name(["a"], [Utterance("b", Path("b"), corpus="other")], False) == ""


def test_a_run_keeps_its_test_utterances(tmp_path: Path) -> None:
    assert runs.tested(tmp_path) == []
    mine = [Utterance("a", tmp_path / "a.wav", text="yes"), Utterance("b", tmp_path / "b.wav", corpus="theirs")]
    runs.save_tested(tmp_path, mine)
    runs.name_corpus(tmp_path, "ours")
    assert [(u.id, u.text, u.corpus) for u in runs.tested(tmp_path)] == [("a", "yes", "ours"), ("b", None, "theirs")]
