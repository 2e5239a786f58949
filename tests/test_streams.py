"""Where a command writes: standard streams that are closed, full or broken; output that is no regular file."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from duetto.cli import streams
from duetto.utils import progress

SHELL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def shell(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A shell line in which "$D" is the command, and $1 … the arguments."""
    code = "from duetto.cli import main; main()"
    script = f"D() {{ {sys.executable} -c '{code}' \"$@\"; }}; {line}"
    command = ["bash", "-o", "pipefail", "-c", script, "bash", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def same(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The manifest that every way of writing has to give (outside of the corpus, so that its paths are absolute)."""
    out = tmp_path_factory.mktemp("streams") / "manifest.jsonl"
    assert shell('D corpus manifest synthetic "$1" -o "$2"', tree, out).returncode == 0
    return out.read_text()


@SHELL
@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "2> >(exec 0<&-)"])
def test_a_closed_or_full_standard_error_does_not_change_the_output(tree: Path, same: str, redirected: str) -> None:
    done = shell(f'D corpus manifest synthetic "$1" -o /dev/stdout {redirected}', tree)
    assert (done.returncode, done.stdout, done.stderr) == (0, same, "")


def test_an_error_without_standard_error_has_its_status(tmp_path: Path) -> None:
    assert shell('D corpus check synthetic "$1" 2>&- >&-', tmp_path / "missing").returncode == 1


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_log_with_closed_streams_does_not_reach_the_output_file(
    tree: Path, same: str, tmp_path: Path, closed: str
) -> None:
    done = shell(f'D -v corpus manifest synthetic "$1" -o "$2" {closed}', tree, tmp_path / "out")
    assert done.returncode == 0
    assert (tmp_path / "out").read_text() == same


def test_a_reader_that_stops_early_ends_the_command_without_a_word(tree: Path) -> None:
    done = shell(
        'D corpus manifest synthetic "$1" -o /dev/stdout 2>/dev/null | head -1; D audit --help | head -1', tree
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@SHELL
def test_standard_output_on_a_full_disk_is_one_line_of_error(tree: Path) -> None:
    done = shell('D corpus check synthetic "$1" --json >/dev/full', tree)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_progress_is_not_drawn_where_there_is_no_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, open(os.devnull, "w")):  # noqa: PTH123, SIM115
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.bar("work") as callback:
            assert callback is None


def test_missing_streams_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under pythonw, where all are None."""
    for name in ("stdin", "stdout", "stderr", "__stderr__"):
        monkeypatch.setattr(sys, name, None)
    streams.prepare()
    for stream in (sys.stdout, sys.stderr):
        assert stream is not None
        assert stream.writable()
    assert sys.stdin is not None


def test_the_null_device_is_not_replaced(tree: Path) -> None:
    assert shell('D corpus manifest synthetic "$1" -o /dev/null', tree).returncode == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_output_follows_a_link_and_keeps_a_pipe(tree: Path, same: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    command = 'D corpus manifest synthetic "$1" -o'
    done = shell(f'{command} "$2/link"; cat "$2/pipe" & {command} "$2/pipe"; wait', tree, tmp_path)
    assert done.stdout == same
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == same
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_alignment_writes_to_standard_output(manifest: Path) -> None:
    few = manifest.with_name("two.jsonl")
    few.write_text("".join(manifest.read_text().splitlines(keepends=True)[:2]))
    cache = manifest.with_name("words-of-two")
    done = shell('D align "$1" -o /dev/stdout --by segment --cache "$2"', few, cache)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
