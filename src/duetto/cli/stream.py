"""`duetto stream`: the events of a microphone, a pipe or a recording, as they happen."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from .. import audio
from ..inference.pretrained import DEFAULT
from ..inference.recogniser import Recogniser
from ..live.channel_streams import ChannelStreams, LiveSound, pcm_stream, real_time, recorded_stream
from ..live.microphone import microphone
from ..live.segments import SegmenterConfig
from ..live.stream import StreamConfig
from .options import Asr, ChannelChoice, Model, Rate, RawChannels, RequireSpeech, usage_errors
from .output import echo, json_line
from .recordings import channels_of

MICROPHONE = "microphone"

SourceName = Annotated[str, typer.Argument(metavar="microphone|FILE|-", help="What is answered; - is standard input.")]
RealTime = Annotated[bool, typer.Option("--realtime", help="Read a file no faster than it was spoken.")]
Interval = Annotated[
    float | None, typer.Option(help="Also answer an utterance that has not ended every so many seconds, 0.1 to 60.")
]
Window = Annotated[float | None, typer.Option(help="Also answer windows of so many seconds, 0.5 to 60.")]
Hop = Annotated[float | None, typer.Option(help="Seconds from one window to the next; by default their length.")]
Pause = Annotated[float, typer.Option(help="A pause of so many seconds ends an utterance, 0.1 to 10.")]
Device = Annotated[str | None, typer.Option(help="Name or number of the microphone; python -m sounddevice lists them.")]


def stream(
    source: SourceName,
    model: Model = DEFAULT,
    realtime: RealTime = False,
    interval: Interval = None,
    window: Window = None,
    hop: Hop = None,
    pause: Pause = 0.5,
    channels: ChannelChoice = "split",
    asr: Asr = "auto",
    require_speech: RequireSpeech = True,
    device: Device = None,
    rate: Rate = None,
    raw_channels: RawChannels = 1,
) -> None:
    """Recognise emotion in sound as it arrives, and print events as JSON lines.

    speech_started, partial (--interval), utterance, speech_stopped, window (--window): each is one JSON object a line.
    Ctrl-C ends the microphone; what was spoken until then is still answered. Standard input is a wav file of 16 bits,
    or samples of 16 bits without a header, at the --rate of so many Hz.

    Examples:

        duetto stream microphone

        duetto stream call.wav --realtime --interval 1

        arecord -f S16_LE -r 16000 -t raw | duetto stream - --rate 16000
    """
    with usage_errors():
        config = StreamConfig(SegmenterConfig(min_pause=pause, snapshot=interval), window, hop)
    recogniser = Recogniser(model, asr=asr, require_speech=require_speech)
    if recogniser.terms:
        echo(f"model {recogniser.name}: {recogniser.terms}", err=True)
    with _opened(source, device, rate, raw_channels) as sound:
        if realtime:
            sound = real_time(sound)
        streams = ChannelStreams(
            recogniser, config, sample_rate=sound.sample_rate, count=sound.channels, channels=channels_of(channels)
        )
        try:
            for block in sound.blocks:
                for event in streams.push(block):
                    _print(event.to_json())
        except KeyboardInterrupt:
            echo("ended; what was spoken until now is answered", err=True)
        for event in streams.finish():
            _print(event.to_json())


def _opened(source: str, device: str | None, rate: int | None, channels: int) -> AbstractContextManager[LiveSound]:
    if source == MICROPHONE:
        chosen = int(device) if device is not None and device.isdecimal() else device
        return microphone(chosen, rate=rate or 16_000, channels=channels)
    if device is not None:
        raise typer.BadParameter("--device is that of the microphone: duetto stream microphone --device NAME")
    if source == "-":
        return nullcontext(pcm_stream(sys.stdin.buffer, rate, channels))
    return recorded_stream(Path(source) if rate is None else audio.RawPcm(Path(source), rate, channels))


def _print(record: dict[str, object]) -> None:
    json_line(record)
    sys.stdout.flush()
