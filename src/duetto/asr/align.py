"""Forced alignment: when each word of a transcript is spoken.

    samples (n,) + transcript ─ Aligner.align ─▶ Alignment(words with times, score, matches, …)
    utterances ─ align_manifest (batch.py) ─▶ utterances with words, report

pocketsphinx searches for the words in their order, with optional silences between them, in two passes.
Its settings differ from those of recognition (measured in docs/words.md): no language model, no lattice
search, beams wide enough that the right path survives, and a little noise around the utterance, since
the grammar begins and ends in silence. The second pass is over the states of the chosen pronunciations
and gives the boundaries and an acoustic score for each word.

The score tells whether the transcript is what was said: it is the mean over words of the acoustic score
per frame, in units of pocketsphinx (0 is the best possible). Right transcripts of read speech score −33 and
better, those of shouted and screamed speech down to −60. Most wrong ones find no path at all; the others score
−40 and worse, but for one in 200 sentences and one in twelve of three words. The threshold is set low, since
turning away right transcripts would turn away the strongest emotions first. A single wrong word among many is
not noticed.

Example:
    >>> alignment = Aligner().align(duetto.audio.load("a.wav").samples, "I don't know.")
    >>> alignment.matches, alignment.words[0]
    (True, Word(word='i', start=0.21, end=0.3, source='aligned', confidence=None))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..audio.activity import no_speech
from ..audio.signal import as_float
from ..audio.timing import seconds
from ..data.text import normalise
from ..data.utterance import Word
from . import sphinx

MATCH_SCORE = -40.0
"""Lowest score of a transcript that is taken to match its audio."""

LONGEST_SECONDS = 120.0
"""A longer recording is not aligned whole: time and memory grow with its square (1.2 GB for 200 s)."""

NOISE = 1e-3
"""Standard deviation of the noise added before alignment, see `sphinx.NOISE`."""

_SETTINGS = {"lm": None, "bestpath": False, "beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}


@dataclass(frozen=True, slots=True)
class Alignment:
    """What came of aligning one transcript.

    words: in the order of the transcript, `source="aligned"`, start and end in seconds; () where it failed.
    unaligned: words of the transcript without times. guessed: its words whose pronunciation was guessed.
    score: see the module; −inf where no path was found. matches: the transcript is what was said.
    warnings: what a listener should know, one sentence each.
    """

    words: tuple[Word, ...]
    unaligned: tuple[str, ...]
    guessed: tuple[str, ...]
    score: float
    matches: bool
    warnings: tuple[str, ...] = ()


@final
class Aligner:
    """Aligns transcripts; loads in 0.3 s, holds 140 MB, not to be shared between threads.

    Alignments do not influence one another, and the same samples and transcript give the same times.
    """

    def __init__(self) -> None:
        self._decoder: Any = None
        self._guessed: set[str] = set()

    def align(self, samples: np.ndarray, transcript: str | Sequence[str]) -> Alignment:
        """Find the words of the transcript in samples (n,), floating-point at 16 kHz.

        transcript: text, brought to tokens by `vocabulary.normalise`, or such tokens.
        A transcript or a recording that cannot be aligned gives an `Alignment` without words and a warning
        that says why. `AudioError` says what is wrong with samples that are no recording.
        """
        signal = as_float(samples, max_amplitude=math.inf)
        text = transcript if isinstance(transcript, str) else " ".join(transcript)
        tokens = tuple(token for token in normalise(text) if any(map(str.isalpha, token)))
        if not tokens:
            return _failure(tokens, f"the transcript {text[:40]!r} holds no word")
        if reason := no_speech(signal):
            return _failure(tokens, reason)
        duration = seconds(len(signal))
        if duration > LONGEST_SECONDS:
            return _failure(
                tokens, f"{duration:.0f} s are too long to align whole: cut at most {LONGEST_SECONDS:.0f} s"
            )
        return self._place(sphinx.pcm(signal, noise_level=NOISE), duration, tokens)

    def _place(self, raw: bytes, duration: float, tokens: tuple[str, ...]) -> Alignment:
        if self._decoder is None:
            self._decoder = sphinx.create(**_SETTINGS)
            self._guessed = set()
        try:
            self._guessed.update(sphinx.add_words(self._decoder, tokens))
            found = sphinx.align(self._decoder, raw, tokens)
        except RuntimeError:
            found = []
        guessed = tuple(sorted(self._guessed.intersection(tokens)))
        if tuple(entry.name for entry in found) != tokens:
            self._decoder = None  # a decoder that failed once keeps its half-finished utterance
            return _failure(tokens, "no way through the audio fits the transcript: it is not what was said", guessed)
        words = tuple(
            Word(entry.name, *sphinx.place(entry.first, entry.stop, duration), source="aligned") for entry in found
        )
        score = sum(entry.score / (entry.stop - entry.first) for entry in found) / len(found)
        warning = f"the transcript does not match the audio (score {score:.0f}, at least {MATCH_SCORE:.0f} is needed)"
        matches = score >= MATCH_SCORE
        return Alignment(words, (), guessed, round(score, 2), matches, () if matches else (warning,))


def _failure(tokens: tuple[str, ...], reason: str, guessed: tuple[str, ...] = ()) -> Alignment:
    return Alignment((), tokens, guessed, -math.inf, False, (reason,))
