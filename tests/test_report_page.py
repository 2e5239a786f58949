"""The report in headless Chromium: the list of utterances, its links, its sounds, and the same page on paper."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

from duetto import audio, report
from duetto.data.utterance import Utterance
from duetto.report.curves import Course, Training
from test_report import RESAMPLES, make

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the path")

SYSTEM = make("fusion", 0.7, seeds=1, title="Fusion")
ANSWERS = SYSTEM.predicted[0]
SOUNDS = 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    audio.write(folder / "tone.wav", 0.3 * np.sin(np.arange(16_000) / 8).astype(np.float32), 16_000)
    utterances = [Utterance(f"u{i}", folder / "tone.wav", text=f"text {i:03} <b>") for i in range(240)]
    courses = tuple(Course(f"fold {i}", ({"score": 0.4, "loss": 1.0}, {"score": 0.6, "loss": 0.5}), 1) for i in (0, 1))
    many = [SYSTEM, *(make(f"a system with a long name, number {i}", 0.5, seeds=1) for i in range(12))]
    report.write(
        folder / "report.html", report.score(many, RESAMPLES), title="A test", protocol={"p": "q"},
        corpus={"name": "made up"}, utterances=utterances, sounds=report.Sounds(SOUNDS, linked=True),
        csv=folder / "answers.csv", trainings=[Training("Fusion", courses)],
    )  # fmt: skip
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Any:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Shown:
    """A page, with everything that it must not do."""

    def __init__(self, browser: Any, path: Path, fragment: str = "", **options: Any) -> None:
        self.context = browser.new_context(reduced_motion="reduce", **options)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        own = (path.as_uri(), "data:audio/mpeg")
        self.page.on("request", lambda r: self.wrong.append(r.url) if not r.url.startswith(own) else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None)
        self.page.goto(path.as_uri() + fragment)

    @property
    def ids(self) -> list[str]:
        rows = "rows => rows.filter(row => !row.hidden).map(row => row.cells[0].textContent)"
        return self.page.eval_on_selector_all("table.utterances tbody tr:not(.cell)", rows)

    def close(self) -> None:
        self.context.close()
        assert self.wrong == []


def cell(target: int, answer: int) -> set[str]:
    return {f"u{i}" for i in np.flatnonzero((SYSTEM.target == target) & (answer == ANSWERS))}


def test_a_cell_of_the_confusion_matrix_shows_its_utterances(browser: Any, path: Path) -> None:
    shown = Shown(browser, path)
    assert len(shown.ids) == 240
    link = shown.page.locator('.confusion a[href="#cell-0-1"]')
    assert link.text_content() == str(len(cell(0, 1))) and len(cell(0, 1)) > 3
    link.click()
    shown.page.wait_for_function("document.querySelector('#tools output').textContent.split(' ')[0] !== '240'")
    assert set(shown.ids) == cell(0, 1) and len(shown.ids) == len(cell(0, 1))
    shown.page.get_by_role("button", name="Show all, by cell").click()
    assert len(shown.ids) == 240
    shown.close()
    opened = Shown(browser, path, "#cell-1-2")
    assert set(opened.ids) == cell(1, 2)
    opened.close()


def test_the_list_is_sorted_and_filtered(browser: Any, path: Path) -> None:
    shown = Shown(browser, path)
    shown.page.get_by_label("only wrong").check()
    wrong = {f"u{i}" for i in np.flatnonzero(SYSTEM.target != ANSWERS)}
    assert set(shown.ids) == wrong
    shown.page.locator("#tools").get_by_label("Speaker").select_option("spk3")
    assert set(shown.ids) == {name for name in wrong if SYSTEM.speaker[int(name[1:])] == "spk3"}
    shown.page.get_by_role("button", name="Show all, by cell").click()
    shown.page.get_by_label("search").fill("text 017")
    assert shown.ids == ["u17"]
    shown.page.get_by_role("button", name="Show all, by cell").click()
    header = shown.page.locator("table.utterances thead")
    header.get_by_role("button", name="Utterance").click()
    assert shown.ids == [f"u{i}" for i in range(240)], "numbers are sorted as numbers"
    header.get_by_role("button", name="%").click()
    column = "rows => rows.map(row => parseFloat(row.cells[3].textContent))"
    values = shown.page.eval_on_selector_all("table.utterances tbody tr:not(.cell)", column)
    assert values == sorted(values, reverse=True) and len(values) == 240
    assert header.locator("[aria-sort=descending]").count() == 1
    shown.close()


def test_an_embedded_sound_plays_and_others_link(browser: Any, path: Path) -> None:
    shown = Shown(browser, path)
    assert shown.page.locator("audio").count() == SOUNDS
    length = shown.page.evaluate(
        "() => new Promise((done, failed) => { const a = document.querySelector('audio'); a.onerror = failed;"
        " a.onloadedmetadata = () => done(a.duration); a.load(); a.preload = 'auto'; })"
    )
    assert length == pytest.approx(1.0, abs=0.15)
    links = shown.page.locator("table.utterances a")
    assert links.count() == 240 - SOUNDS and links.first.get_attribute("href") == "tone.wav"
    shown.close()


def test_without_scripts_everything_is_there_and_links_lead_to_the_cells(browser: Any, path: Path) -> None:
    shown = Shown(browser, path, java_script_enabled=False)
    rows = shown.page.locator("table.utterances tbody tr:not(.cell)")
    assert rows.count() == 240 and shown.page.locator("#tools").is_hidden()
    shown.page.locator('.confusion a[href="#cell-0-1"]').click()
    assert shown.page.locator("#cell-0-1 .cell").is_visible()
    shown.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(browser: Any, path: Path, scheme: str) -> None:
    shown = Shown(browser, path, color_scheme=scheme)
    found = axe.Axe().run(shown.page, options={"resultTypes": ["violations"]}).response["violations"]
    assert found == [], json.dumps(found, indent=1)[:3000]
    shown.close()


def test_a_phone_shows_all_of_it_and_says_what_scrolls(browser: Any, path: Path) -> None:
    shown = Shown(browser, path, viewport={"width": 375, "height": 800})
    assert shown.page.evaluate("document.documentElement.scrollWidth") == 375
    boxes = "all => all.map(box => [box.scrollWidth > box.clientWidth + 1, getComputedStyle(box, '::before').content])"
    found = shown.page.eval_on_selector_all(".scroll", boxes)
    assert any(wider for wider, _ in found) and all(wider == ("scrolls" in text) for wider, text in found)
    shown.close()


def test_paper_cuts_no_table_and_keeps_no_empty_page(browser: Any, path: Path) -> None:
    """A4 less its margins is 182 mm, 688 CSS pixels, wide: nothing may reach further."""
    shown = Shown(browser, path, viewport={"width": 688, "height": 1000})
    shown.page.emulate_media(media="print")
    right = "all => Math.max(...all.map(each => each.getBoundingClientRect().right))"
    assert shown.page.eval_on_selector_all("table, svg, p, li", right) <= 690
    printed = "rows => rows.filter(row => getComputedStyle(row).display !== 'none').length"
    assert shown.page.eval_on_selector_all("table.utterances tbody tr:not(.cell)", printed) == 40
    pdf = shown.page.pdf(format="A4")
    assert 5 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 30
    shown.close()


def test_a_page_of_one_system_without_answers_to_list_has_no_error(browser: Any, tmp_path: Path) -> None:
    only = replace(SYSTEM, logits=4 * np.eye(4)[SYSTEM.target][None])
    target = tmp_path / "r.html"
    report.write(target, report.score([only], RESAMPLES), title="t", protocol={}, corpus={}, listed=0)
    shown = Shown(browser, target)
    assert shown.page.locator("table.utterances").count() == 0
    shown.close()
