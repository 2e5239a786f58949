"""The page of the server in headless Chromium: a microphone, files, downloads, assistive technology."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

import duetto
from duetto import audio, live
from serving import Process, call, process, recogniser, speech, wav

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the path")

PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with process("--workers", "0", folder=tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture(scope="module")
def started() -> Any:
    with playwright.sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(started: Any) -> Any:
    found = launch(started)
    yield found
    found.close()


def launch(started: Any, sound: Path | None = None) -> Any:
    """Chromium; its microphone plays a wav file once."""
    arguments = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    if sound is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={sound}%noloop")
    return started.chromium.launch(executable_path=CHROMIUM, args=arguments)


class Page:
    """A page, with everything that it must not do."""

    def __init__(self, browser: Any, server: Process, **options: Any) -> None:
        self.context = browser.new_context(permissions=["microphone"], **options)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        own = (f"http://{server.address}/", "blob:", "data:")
        self.page.on("request", lambda r: self.wrong.append(r.url) if not r.url.startswith(own) else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None)
        self.page.goto(f"http://{server.address}/")
        self.page.wait_for_selector("#record:enabled")

    def give(self, name: str, content: bytes) -> None:
        self.page.set_input_files("#file", {"name": name, "mimeType": "audio/wav", "buffer": content})
        self.page.wait_for_selector("#downloads button:enabled", timeout=120_000)

    @property
    def rows(self) -> list[list[str]]:
        cells = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
        return self.page.eval_on_selector_all("#rows tr", cells)

    def close(self) -> None:
        self.context.close()
        assert self.wrong == []


def accessible(page: Any) -> None:
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert found == [], json.dumps(found, indent=1)[:3000]


def test_a_file_of_two_speakers_is_shown_in_two_lanes(browser: Any, server: Process, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wav(call()))
    expected = live.analyse(recogniser(), path)
    shown = Page(browser, server)
    shown.give("call.wav", path.read_bytes())
    assert [(r[1], r[2]) for r in shown.rows] == [(str(s.channel + 1), s.label) for s in expected.segments]  # pyright: ignore[reportOptionalOperand]
    assert shown.page.locator("#lanes canvas").count() == 2
    names = shown.page.eval_on_selector_all("#lanes canvas", "all => all.map(c => c.getAttribute('aria-label'))")
    assert [name.count(":") > 1 for name in names] == [True, True]
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="Download csv").click()
    assert download.value.suggested_filename == "call.csv"
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert [row["label"] for row in rows] == [s.label for s in expected.segments]
    shown.close()


def test_everything_that_can_be_shown_is_shown(browser: Any, server: Process) -> None:
    """Answers that the model at hand does not give: written out, and sent to the page in place of the server's."""
    segment = {"kind": "utterance", "channel": 0, "speech_seconds": 1, "session_utterances": None, "cut": False}
    happy = {"label": "happy", "probabilities": {"angry": 0.1, "happy": 0.7, "neutral": 0.1, "sad": 0.1}}
    word = {"word": "<b>hello</b>", "start": 0.5, "end": 0.9, "source": "recognised"}
    told = {"words": [word], "uncertain": True, "unfamiliar": True, "warnings": ["a warning"]}
    silent = {"label": None, "probabilities": {}, "words": [], "uncertain": None, "unfamiliar": None, "warnings": []}
    answer = {"file": "a.wav", "duration": 5, "channels": 1, "model": "m", "labels": list(happy["probabilities"])}
    answer |= {"windows": [], "warnings": ["of the recording"]}
    answer["segments"] = [
        {**segment, **happy, **told, "start": 0.4, "end": 2},
        {**segment, **silent, "start": 3, "end": 4},
    ]
    shown = Page(browser, server)
    shown.page.route("**/v1/timeline", lambda route: route.fulfill(json=answer))
    shown.give("a.wav", wav(speech()))
    first, second = shown.rows
    assert first[2:] == ["happy", "70 %", "<b>hello</b>", "uncertain; unfamiliar voice; a warning"]
    assert second[2:] == ["no speech", "", "", ""]
    assert shown.page.inner_text("#problem") == "of the recording"
    assert shown.page.inner_text("#label") == "no speech"
    accessible(shown.page)
    shown.close()


def test_the_microphone_shows_the_emotion_that_was_spoken(started: Any, manifest: Path, tmp_path: Path) -> None:
    """End to end, with a system that was trained on the synthetic corpus and a sample of it that it knows."""
    from duetto.config import experiment
    from duetto.data.manifest import read_manifest
    from duetto.experiments.runner import run_systems
    from duetto.experiments.workspace import Workspace

    run = tmp_path / "functionals"
    run_systems(
        [experiment.load("functionals")], read_manifest(manifest), "session5", [run], Workspace(tmp_path / "cache")
    )
    system = duetto.load(run)
    utterances = {u.label: u for u in read_manifest(manifest)}
    margins = {}
    for label, utterance in utterances.items():
        (found, *_) = live.analyse(system, utterance.audio).segments
        others = [p for name, p in found.probabilities.items() if name != label]
        margins[label] = found.probabilities.get(label or "", 0.0) - max(others, default=0.0)
    label = max(margins, key=lambda each: margins[each])
    assert label is not None and margins[label] > 0.2
    sound = tmp_path / "said.wav"
    samples = audio.load(utterances[label].audio).samples
    audio.write(sound, np.pad(samples, (8000, 160_000)), 16_000)
    browser = launch(started, sound)
    with process("--workers", "0", "--model", f"synthetic={run}", folder=tmp_path) as own:
        shown = Page(browser, own)
        shown.page.get_by_role("button", name="Speak into the microphone").click()
        shown.page.wait_for_selector("#rows tr", timeout=120_000)
        accessible(shown.page)
        shown.page.get_by_role("button", name="Stop").click()
        shown.page.wait_for_selector("#downloads button:enabled")
        assert shown.rows[0][2] == label
        assert shown.page.inner_text("#status").startswith("Stopped.")
        shown.close()
    browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [None, PHONE])
def test_the_page_is_accessible_in_both_schemes_and_at_the_width_of_a_phone(
    browser: Any, server: Process, scheme: str, size: dict[str, int] | None
) -> None:
    shown = Page(browser, server, color_scheme=scheme, **({} if size is None else {"viewport": size}))
    accessible(shown.page)
    shown.give("a.wav", wav(speech()))
    shown.page.click("summary")
    accessible(shown.page)
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "Article 5" in shown.page.inner_text("details") and "informed" in shown.page.inner_text("details")
    shown.close()


def test_the_page_is_used_by_the_keyboard_alone(browser: Any, server: Process) -> None:
    shown = Page(browser, server)
    page = shown.page
    order = []
    for _ in range(6):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert order[:4] == ["skip", "record", "file", "model"]
    page.focus("#record")
    page.keyboard.press("Enter")
    page.wait_for_selector('#record[aria-pressed="true"]')
    page.keyboard.press("Enter")
    page.wait_for_selector('#record[aria-pressed="false"]')
    shown.close()


def test_a_file_that_is_no_audio_is_reported(browser: Any, server: Process) -> None:
    shown = Page(browser, server)
    shown.page.set_input_files("#file", {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"hello " * 100})
    shown.page.wait_for_selector("#problem:visible")
    assert "not audio" in shown.page.inner_text("#problem")
    shown.wrong = [each for each in shown.wrong if "415" not in each]  # the browser logs the status
    shown.close()


def test_a_token_is_asked_for_and_used(browser: Any, tmp_path: Path) -> None:
    with process("--workers", "0", folder=tmp_path, environment={"DUETTO_TOKEN": "s3cret/+"}) as own:
        context = browser.new_context(permissions=["microphone"])
        page = context.new_page()
        page.goto(f"http://{own.address}/")
        page.wait_for_selector("#token:visible")
        page.fill("#token", "s3cret/+")
        page.keyboard.press("Tab")
        page.wait_for_selector("#record:enabled")
        page.click("#record")  # over the WebSocket
        page.wait_for_selector('#record[aria-pressed="true"]')
        page.wait_for_timeout(500)
        page.click("#record")
        page.wait_for_selector("#downloads button:enabled")
        assert page.inner_text("#status").startswith("Stopped.")
        context.close()
