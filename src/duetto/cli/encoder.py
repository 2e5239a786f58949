"""`duetto encoder build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigurationError
from .output import echo

app = typer.Typer(help="Pretrained speech encoders as features.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, although it has one command so far."""


@app.command()
def build(
    model: Annotated[
        Path,
        typer.Argument(
            help="Folder of a model of any size: Whisper (CTranslate2 or safetensors), wav2vec 2.0, HuBERT, WavLM, "
            "UniSpeech or data2vec (config.json, model.safetensors, preprocessor_config.json)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for encoder.onnx and encoder.json.")],
    layers: Annotated[
        int | None,
        typer.Option(min=1, help="Layers to keep, from the first. Default: 3 of Whisper, half of the others."),
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(help="Weights of the kept layers in the states, such as 0,1,1. Default: the last layer alone."),
    ] = None,
    float32: Annotated[bool, typer.Option("--float32", help="Store weights as float32: four times the size.")] = False,
) -> None:
    """Make a speech encoder of the first layers of a pretrained model; the same model gives the same bytes.

    Nothing is downloaded: give a folder that faster-whisper or Hugging Face has. All but Whisper need the extra `ssl`,
    to build the encoder, not to use it. Early layers of Whisper carry how something is said, the last ones what. An
    experiment names the result: features = "encoder-means:DIR".

    Examples:

        duetto encoder build faster-whisper-base -o base3

        duetto encoder build whisper-small -o small4 --layers 4

        duetto encoder build wavlm-base-plus -o wavlm --layers 6 --mix 0,0,0,1,1,1

        duetto train whisper --set features=encoder-means:base3 --manifest m.jsonl --protocol speaker -o run
    """
    from ..training import speech_encoder  # late: needs the extra `train`

    built = speech_encoder.build(model, out, layers=layers, mix=_weights(mix), int8=not float32)
    size = (out / "encoder.onnx").stat().st_size / 1e6
    echo(f"{out}: {built.layers} layers, {built.dim} values every 20 ms, {size:.1f} MB, sha256 {built.sha256}")


def _weights(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigurationError(f"--mix {text}: numbers with commas between them are valid, such as 0,1,1") from error
