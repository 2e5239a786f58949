"""The documentation site builds without a warning, and its pages load nothing from elsewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href|srcset)=[\"']?(?:https?:)?//[^>]*>"
    r"|url\([\"']?(?:https?:)?//[^)]*\)|@import[^;]*//",
    re.I,
)


def test_the_pattern_finds_requests_and_no_links() -> None:
    for request in (
        '<script src="https://unpkg.com/x.js"></script>',
        "<link rel=stylesheet href=//fonts.googleapis.com/css>",
        '<img alt="" src="http://img.shields.io/x.svg">',
        "a{background:url(https://x.org/y.png)}",
    ):
        assert OUTSIDE.search(request)
    for link in ('<a href="https://semver.org/">', '<img src="report.png">', '<script src="assets/x.js">'):
        assert not OUTSIDE.search(link)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert len(pages) > 30
    for page in pages:
        assert not (found := OUTSIDE.search(page.read_text(encoding="utf-8"))), f"{page.name}: {found[0]}"


def test_every_command_and_module_has_its_place(site: Path) -> None:
    from duetto.cli import COMMANDS

    commands = (site / "cli.html").read_text(encoding="utf-8")
    assert all(f"<code>duetto {name}</code>" in commands for name in COMMANDS)
    assert {path.stem for path in (site / "notebooks").glob("*.html")} == {
        path.stem for path in (ROOT / "notebooks").glob("*.ipynb")
    }


def test_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "docs").iterdir() if path.suffix in (".png", ".svg")) < 300_000
