"""What is printed: nothing from outside controls the terminal, and what a program reads is UTF-8."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from corpus_trees import wav
from duetto import audio
from duetto.cli import app, output
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance

CLI = Path(output.__file__).parent
HOSTILE = "a\x1b]0;title\x07\x9b31m\r\u202eb\udce9"
ESCAPED = r"a\x1b]0;title\x07\x9b31m\r\u202eb\udce9"
RUN = CliRunner()


def test_only_one_module_prints() -> None:
    for path in sorted(CLI.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"typer\.s?echo|rich\.console|(?<![\w.])print\(|sys\.std\w+\.write", text)
        assert path.name == "output.py" or not found, path


def test_control_characters_are_printed_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo(f"1\t{HOSTILE}\n2", bold=True)
    output.echo(HOSTILE, err=True)
    assert capsys.readouterr() == (f"1\t{ESCAPED}\n2\n", f"{ESCAPED}\n")


def test_a_console_keeps_its_own_styles_only() -> None:
    file = io.StringIO()
    console = output.Console(file=file, width=200, force_terminal=True, color_system="standard")
    table = Table(HOSTILE)
    table.add_row(HOSTILE, style="red")
    console.print(table)
    console.print(HOSTILE, markup=False, highlight=False)
    console.print(Text(HOSTILE.replace("\x07", "").replace("\r", "")))  # which rich takes out of a Text
    shown = file.getvalue()
    assert shown.count(ESCAPED) == 3 and shown.count(ESCAPED.replace(r"\x07", "").replace(r"\r", "")) == 1
    assert "\x1b[" in shown and set(re.findall(r"\x1b(?!\[[0-9;]*m)", shown)) == set()  # styles alone


def test_log_messages_are_plain() -> None:
    file = io.StringIO()
    handler = logging.StreamHandler(file)
    handler.setFormatter(output._Formatter("%(message)s"))
    handler.emit(logging.LogRecord("x", logging.WARNING, "f", 1, "%s", (HOSTILE,), None))
    assert file.getvalue() == f"{ESCAPED}\n"


def duetto(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from duetto.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False)


CODE_PAGE = {"PYTHONIOENCODING": "cp1252"}
PLAIN_ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NAMES = ["é☃.wav", os.fsdecode(b"caf\xe9.wav"), "a\x1b[31m.wav"]
"""Not in the code page; no UTF-8; an escape sequence."""


@pytest.mark.parametrize("environment", [CODE_PAGE, PLAIN_ASCII], ids=["cp1252", "C"])
def test_json_is_utf_8_whatever_the_terminal_is(tmp_path: Path, environment: dict[str, str]) -> None:
    """Names come out as they are in UTF-8, and as escapes of their bytes where they are no UTF-8."""
    files = [
        wav(tmp_path / "a.wav", 1.0, frequency=200 + 50 * at).rename(tmp_path / name) for at, name in enumerate(NAMES)
    ]
    done = duetto("predict", *files, "--json", **environment)
    answers = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert done.returncode == 0
    assert [answer["file"] for answer in answers] == [str(file) for file in files]
    manifest = tmp_path / "m.jsonl"
    write_manifest(manifest, [Utterance(f"☃{at}", file, speaker="☃") for at, file in enumerate(files)])
    done = duetto("corpus", "check", "manifest", manifest, "--json", **environment)
    assert json.loads(done.stdout.decode("utf-8"))["by_speaker"] == {"☃": 3}
    done = duetto("corpus", "check", "manifest", manifest, **environment)
    assert done.returncode == 0 and b"healthy" in done.stdout and b"Traceback" not in done.stderr
    done = duetto("predict", files[0], **environment)
    assert done.returncode == 0 and (environment != CODE_PAGE or "é?.wav".encode("cp1252") in done.stdout)
    copy = tmp_path / "n.jsonl"
    done = duetto("corpus", "manifest", "manifest", manifest, "--all", "-o", copy, **environment)
    assert done.returncode == 0 and [u.audio for u in read_manifest(copy)] == sorted(files, key=files.index)


def test_commands_read_folders_and_recordings_whose_names_are_no_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "ascii"
    for at, name in enumerate(f"{speaker}a01{emotion}a" for speaker in ("03", "08", "09") for emotion in "WFNT"):
        samples = np.random.default_rng(at).standard_normal(16_000) * 0.1
        (folder / "wav").mkdir(parents=True, exist_ok=True)
        audio.write(folder / "wav" / f"{name}.wav", samples.astype(np.float32), 16_000)
    folder = folder.rename(tmp_path / os.fsdecode(b"caf\xe9"))
    manifest = folder / "m.jsonl"
    recording = folder / "wav" / "03a01Wa.wav"
    for status, *arguments in (
        (1, "corpus", "check", "emodb", folder),  # the counts are not those of the release
        (0, "corpus", "manifest", "emodb", folder, "-o", manifest),
        (0, "corpus", "check", "manifest", manifest, "--deep"),
        (0, "audit", manifest, "--protocol", "speaker"),
        (0, "features", manifest, "-o", folder / "features"),
        (0, "features", recording, "-o", folder / "one"),
        (0, "align", manifest, "-o", folder / "segments.jsonl", "--by", "segment"),
        (0, "predict", recording),
        (1, "predict", folder / "none.wav"),
    ):
        done = RUN.invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == status, (arguments, done.output, done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert "error: bad-" not in done.stdout
    assert [u.audio for u in read_manifest(folder / "segments.jsonl")] == sorted((folder / "wav").iterdir())


def test_terms_and_words_of_a_model_do_not_control_the_terminal(tmp_path: Path) -> None:
    """A corpus and its labels are printed by the same functions as a model's terms."""
    manifest = tmp_path / "m.jsonl"
    wav(tmp_path / "a.wav")
    record = {
        "audio": "a.wav",
        "speaker": "s\x9b",
        "raw_label": "[red]\x1b[2J",
        "session": "[/]\x1b[1m",
        "label": "sad",
    }
    other = {**record, "id": "b\x07", "end": 9}
    manifest.write_text(json.dumps({**record, "id": "i\x1b[31m"}) + "\n" + json.dumps(other))
    for arguments in (["--json"], []):
        done = duetto("corpus", "check", "manifest", manifest, *arguments)
        assert done.returncode == 1
        assert (done.stdout + done.stderr).decode().replace("\n", "").isprintable()
    assert b"b\\x07" in done.stdout and b"[/]\\x1b[1m" in done.stdout
