"""Words of a whole recording with times: a given transcript, aligned, so that each utterance can be given its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .. import audio
from ..asr.align import LONGEST_SECONDS, Aligner
from ..audio.activity import detect_speech
from ..audio.timing import seconds
from ..data.utterance import Word
from ..errors import AudioError


def aligned_words(source: audio.Source, transcript: str) -> tuple[Word, ...]:
    """Find the times of the words of a transcript.

    Args:
        source: The recording, of one speaker, of at most `asr.align.LONGEST_SECONDS`.
        transcript: What is said in all of it.

    Returns:
        The words in order, for `analyse`.

    Raises:
        AudioError: The recording cannot be read or is too long, or the transcript is not what is said.
    """
    sound = audio.load(source, max_seconds=LONGEST_SECONDS + 1)
    alignment = Aligner().align(sound.samples, transcript)
    if not alignment.matches or not alignment.words:
        reason = "; ".join(alignment.warnings) or "it does not match the recording"
        raise AudioError(f"the transcript cannot be aligned ({reason}); leave it out, or give words with times")
    speech = [(seconds(start), seconds(end)) for start, end in detect_speech(sound.samples)]
    return tuple(_spoken(word, speech) for word in alignment.words)


def _spoken(word: Word, speech: Sequence[tuple[float, float]]) -> Word:
    """A word without the pause that the aligner gave to it, so that it belongs to one utterance."""
    if word.start is None or word.end is None:
        return word
    parts = [(max(word.start, start), min(word.end, end)) for start, end in speech]
    start, end = max(parts, key=lambda part: part[1] - part[0], default=(0.0, 0.0))
    return replace(word, start=start, end=end) if start < end else word
