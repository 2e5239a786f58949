"""A wrong value of an option is wrong usage, with exit status 2; whatever else fails has exit status 1."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from duetto.cli import app

RUN = CliRunner()


def plain(output: str) -> str:
    """Printed text without the frame that Typer draws and the lines it breaks."""
    return " ".join(output.replace("│", " ").split())


WRONG_VALUES = [
    ("train zork --manifest M -o R", "'zork' is no system, no baseline and no file"),
    ("train acoustic --manifest M -o R --protocol zork", "'zork' is not known; choose from"),
    ("train acoustic --manifest M -o R --accelerator zork", "'zork' is not known; choose from cpu"),
    ("train acoustic --manifest M -o R --seeds 0", "--seeds"),
    ("train acoustic --manifest M -o R --set zork=1", "'zork'"),
    ("train acoustic --manifest M -o R --set padding=zork", "padding"),
    ("train acoustic-distilled --manifest M -o R --set teacher=zork", "'zork'"),
    ("train acoustic --manifest M -o R --vectors M", "reads no vectors from a file"),
    ("train svm --manifest M -o R --workers 2", "is a baseline"),
    ("audit M --protocol zork", "'zork' is not known; choose from"),
    ("corpus check zork .", "'zork' is not known; choose from"),
    ("corpus manifest zork . -o R", "'zork' is not known; choose from"),
    ("corpus manifest emodb . -o R --labels zork", "'zork' is not known; choose from four"),
    ("corpus synthesise R --size 3", "--size"),
    ("corpus synthesise R --leak 2", "--leak"),
    ("features M -o R --mode zork", "'zork' is not known; choose from"),
    ("features M -o R --workers -1", "--workers"),
    ("align M -o R --by zork", "'zork' is not known; choose from transcript"),
    ("align M -o R --asr zork", "'zork' is not known; choose from"),
    ("predict M --asr zork", "'zork' is not known; choose from auto, corpus"),
    ("timeline M --format zork", "'zork' is not known; choose from text, json"),
    ("timeline M --channels zork", "give split, mix, or the number of a channel"),
    ("timeline M --window 0.1", "window is 0.1; give 0.5 to 60 seconds"),
    ("timeline M --hop 1", "there is no window"),
    ("speech2vec train M -o R --dim 7", "dim = 7"),
    ("speech2vec train M -o R --objective zork", "'zork'"),
    ("speech2vec train M -o R --optimiser zork", "'zork'"),
    ("speech2vec train M -o R --accelerator zork", "'zork' is not known; choose from cpu"),
    ("reproduce --corpus zork:. -o R", "KIND is one of"),
    ("reproduce --corpus synthetic:. -o R --protocol zork", "'zork' is not known"),
    ("reproduce --corpus synthetic:. -o R --systems zork", "'zork'"),
    ("reproduce --corpus synthetic:. -o R --padding zork", "padding"),
    ("reproduce --corpus synthetic:. -o R --epoch zork", "'zork' is not known; choose from development"),
    ("reproduce --corpus synthetic:. -o R --accelerator zork", "'zork' is not known; choose from cpu"),
]


@pytest.mark.parametrize(("command", "message"), WRONG_VALUES, ids=lambda text: text[:60])
def test_a_wrong_value_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("M").write_text('{"id": "a", "audio": "a.wav", "label": "sad", "speaker": "s", "session": "1"}\n')
    done = RUN.invoke(app, command.split())
    assert done.exit_code == 2, done.exception
    assert message in plain(done.output)
    assert [path.name for path in tmp_path.iterdir()] == ["M"]


FAILURES = [
    "train acoustic --manifest gone.jsonl -o R",
    "train acoustic --manifest M -o R --protocol session5",
    "audit gone --protocol session5",
    "corpus check emodb gone",
    "corpus manifest emodb gone -o R",
    "features gone.jsonl -o R",
    "align gone.jsonl -o R",
    "predict gone.wav",
    "predict M --model gone",
    "evaluate gone",
    "export gone -o R",
    "speech2vec train gone.jsonl -o R",
    "speech2vec vectors gone M -o R",
    "reproduce --corpus synthetic:gone -o R",
]


@pytest.mark.parametrize("command", FAILURES)
def test_a_failure_is_not_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("M").write_text('{"id": "a", "audio": "a.wav", "label": "sad", "speaker": "s", "session": "1"}\n')
    assert RUN.invoke(app, command.split()).exit_code == 1
