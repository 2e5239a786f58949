"""Forced alignment: when is each word of a transcript spoken?

    samples (n,) + transcript ─ Aligner.align ─▶ Alignment(words with times, score, matches, …)
    utterances ─ annotate.align_manifest ─▶ utterances with words, report

pocketsphinx searches for the words in order, with optional silences between them, in two passes. The settings differ
from those of recognition (measured in docs/words.md): no language model, no lattice search, beams wide enough that the
correct path survives, and a little noise around the utterance, since the grammar begins and ends in silence. The second
pass runs over the states of the chosen pronunciations and yields the boundaries and an acoustic score for each word.

The score decides whether the transcript matches the audio. It is the mean over words of the acoustic log score per
frame, in pocketsphinx units (0 is the best possible). Correct transcripts of read speech score −33 and better, those of
shouted and screamed speech down to −60. Most wrong transcripts have no path at all; the others score −40 and worse,
except for one in 200 sentences and one in twelve utterances of three words. The threshold is low on purpose: rejecting
correct transcripts would reject the strongest emotions first. A single wrong word among many goes unnoticed.

Example:
    alignment = Aligner().align(duetto.audio.load("a.wav").samples, "I don't know.")
    alignment.matches      # True
    alignment.words[0]     # Word(word='i', start=0.21, end=0.3, source='aligned', confidence=None)
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
from .letter_to_sound import LONGEST_WORD

MATCH_SCORE = -40.0
"""Lowest score at which a transcript is taken to match its audio."""

LONGEST_SECONDS = 120.0
"""Longest recording that is aligned: time and memory grow quadratically (1.2 GB for 200 s)."""

NOISE = 1e-3
"""Standard deviation of the noise added before alignment; see `sphinx.NOISE`."""

_SETTINGS = {"lm": None, "bestpath": False, "beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}


@dataclass(frozen=True, slots=True)
class Alignment:
    """The result of aligning one transcript.

    Attributes:
        words: In the order of the transcript, `source="aligned"`, start and end in seconds; () if alignment failed.
        unaligned: Words of the transcript without times.
        guessed: Words of the transcript whose pronunciation was predicted by the letter-to-sound model.
        score: Mean log score per frame, see the module docstring; −inf if no path was found.
        matches: Whether the transcript matches the audio.
        warnings: Reasons to distrust the result, one sentence each.
    """

    words: tuple[Word, ...]
    unaligned: tuple[str, ...]
    guessed: tuple[str, ...]
    score: float
    matches: bool
    warnings: tuple[str, ...] = ()


@final
class Aligner:
    """Aligns transcripts. Loads in 0.3 s and takes 140 MB; not thread-safe.

    Alignments are independent of each other: the same samples and transcript always give the same times.
    """

    def __init__(self) -> None:
        self._decoder: Any = None
        self._guessed: set[str] = set()

    def align(self, samples: np.ndarray, transcript: str | Sequence[str]) -> Alignment:
        """Find the times of the words of a transcript.

        Args:
            samples: (n,), floating-point at 16 kHz.
            transcript: Text, tokenised by `data.text.normalise`, or such tokens.

        Returns:
            The alignment; one without words, and with a warning that states the reason, if the transcript or the
            recording cannot be aligned.

        Raises:
            AudioError: `samples` are not a valid signal.
        """
        signal = as_float(samples, max_amplitude=math.inf)
        text = transcript if isinstance(transcript, str) else " ".join(transcript)
        tokens = tuple(token for token in normalise(text) if any(map(str.isalpha, token)))
        if not tokens:
            return _failure(tokens, f"the transcript {text[:40]!r} holds no word")
        if (longest := max(map(len, tokens))) > LONGEST_WORD:
            return _failure(
                tokens, f"the transcript has a word of {longest:,} letters; a word has at most {LONGEST_WORD}"
            )
        if reason := no_speech(signal):
            return _failure(tokens, reason)
        duration = seconds(len(signal))
        if duration > LONGEST_SECONDS:
            return _failure(
                tokens, f"{duration:.0f} s are too long to align whole: cut at most {LONGEST_SECONDS:.0f} s"
            )
        return self._align(sphinx.to_pcm(signal, noise_level=NOISE), duration, tokens)

    def _align(self, pcm: bytes, duration: float, tokens: tuple[str, ...]) -> Alignment:
        """Run the decoder on 16-bit PCM; `duration` is that of the recording in seconds."""
        if self._decoder is None:
            self._decoder = sphinx.create_decoder(**_SETTINGS)
            self._guessed = set()
        try:
            self._guessed.update(sphinx.add_words(self._decoder, tokens))
            aligned = sphinx.align(self._decoder, pcm, tokens)
        except RuntimeError:
            aligned = []
        guessed = tuple(sorted(self._guessed.intersection(tokens)))
        if tuple(entry.name for entry in aligned) != tokens:
            self._decoder = None  # a decoder that failed once keeps its half-finished utterance
            return _failure(tokens, "no path through the audio fits the transcript: it is not what was said", guessed)
        words = tuple(
            Word(entry.name, *sphinx.to_seconds(entry.first, entry.stop, duration), source="aligned")
            for entry in aligned
        )
        score = sum(entry.score / (entry.stop - entry.first) for entry in aligned) / len(aligned)
        warning = f"the transcript does not match the audio (score {score:.0f}, at least {MATCH_SCORE:.0f} is needed)"
        matches = score >= MATCH_SCORE
        return Alignment(words, (), guessed, round(score, 2), matches, () if matches else (warning,))


def _failure(tokens: tuple[str, ...], reason: str, guessed: tuple[str, ...] = ()) -> Alignment:
    return Alignment((), tokens, guessed, -math.inf, False, (reason,))
