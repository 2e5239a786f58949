"""Emotion over time: a stream or a long recording, utterance by utterance. No PyTorch.

samples ─ segments.Segmenter ─▶ utterances, cut as they arrive, with their samples
samples ─ stream.StreamingRecogniser ─▶ events: speech started, partial and final answers, speech stopped
samples of several channels ─ channel_streams.ChannelStreams ─▶ the events of all
recording ─ timeline.analyse ─▶ Timeline: the emotion of each utterance of each channel
Timeline ─ formats.FORMATS ─▶ files of other programs;    ─ page.page_html ─▶ a page to look at and listen to
"""

from .channel_streams import ChannelStreams
from .events import (
    Partial,
    SpeechStarted,
    SpeechStopped,
    StreamEvent,
    TimelineSegment,
    UtteranceAnswered,
    WindowAnswered,
)
from .segments import Segmenter, SegmenterConfig, SpeechBegin, SpeechEnd, SpeechSegment
from .stream import StreamConfig, StreamingRecogniser
from .timeline import Timeline, analyse, stream_events

__all__ = [
    "ChannelStreams",
    "Partial",
    "Segmenter",
    "SegmenterConfig",
    "SpeechBegin",
    "SpeechEnd",
    "SpeechSegment",
    "SpeechStarted",
    "SpeechStopped",
    "StreamConfig",
    "StreamEvent",
    "StreamingRecogniser",
    "Timeline",
    "TimelineSegment",
    "UtteranceAnswered",
    "WindowAnswered",
    "analyse",
    "stream_events",
]
