"""`duetto encoder build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import echo

app = typer.Typer(help="Pretrained speech encoders as features.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, although it has one command so far."""


@app.command()
def build(
    model: Annotated[Path, typer.Argument(help="Folder of a Whisper model: CTranslate2 or safetensors, any size.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for encoder.onnx and encoder.json.")],
    layers: Annotated[int, typer.Option(min=1, help="Layers to keep, from the first.")] = 3,
    float32: Annotated[bool, typer.Option("--float32", help="Store weights as float32: four times the size.")] = False,
) -> None:
    """Make a speech encoder of the first layers of a Whisper model; the same model gives the same bytes.

    Nothing is downloaded: give a folder that faster-whisper or Hugging Face has. Early layers carry how something is
    said, the last ones what. An experiment names the result: features = "encoder-means:DIR".

    Examples:

        duetto encoder build faster-whisper-base -o base3

        duetto encoder build whisper-small -o small4 --layers 4

        duetto train whisper --set features=encoder-means:base3 --manifest m.jsonl --protocol speaker -o run
    """
    from ..training import speech_encoder  # late: needs the extra `train`

    built = speech_encoder.build(model, out, layers=layers, int8=not float32)
    size = (out / "encoder.onnx").stat().st_size / 1e6
    echo(f"{out}: {built.layers} layers, {built.dim} values every 20 ms, {size:.1f} MB, sha256 {built.sha256}")
