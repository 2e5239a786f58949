"""The only user of pocketsphinx: makes decoders, feeds them samples, reads what they found.

    samples (n,) ─ pcm ─▶ bytes ─ decode ─▶ decoder ─ pieces ─▶ (name, first frame, past the last, posterior)

The wheel of pocketsphinx carries all it needs: a US English acoustic model (16 kHz), a language model
and CMUdict. Nothing is downloaded. One frame is 10 ms.

Every utterance goes in whole (`full_utt`), so the cepstral mean is that of the utterance alone, and the noise
estimate starts anew with each: the order of utterances never changes an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..audio.timing import samples
from .pronunciation import guess

FRAMES_PER_SECOND = 100
"""Frames of the acoustic model; the resolution of every time that comes out of it."""

LEVEL = 0.5
"""Peak that every utterance is scaled to, of full scale: 16-bit rounding then costs a faint recording nothing."""

NOISE = 1e-4
"""Standard deviation of the noise added, of full scale: the model knows no digital silence. With ten times
as much, recognition gets some 7 of 100 more words wrong (docs/words.md); alignment takes that all the same, since
its scores were calibrated with it."""

PAD_SECONDS = 0.2
"""Noise put before and after the utterance: the grammar of an alignment begins and ends in silence."""

_FILLERS = frozenset({"<s>", "</s>", "<sil>", "(NULL)"})


class Piece(NamedTuple):
    """One entry of a decoder's segmentation; frames count from the start of what was decoded."""

    name: str
    first: int
    stop: int
    posterior: float


def create(**settings: Any) -> Any:
    """A decoder over the wheel's acoustic model and dictionary, silent on standard error."""
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL", **settings)


def pcm(signal: NDArray[np.floating], *, noise_level: float = NOISE) -> bytes:
    """A signal that `speech.no_speech` let pass as 16-bit PCM: without DC, scaled, noise over and around it.

    The noise is the same for the same length, so equal samples give equal bytes.
    """
    signal = signal - signal.mean(dtype=np.float64)
    pad = samples(PAD_SECONDS)
    noise = np.random.default_rng(0).standard_normal(len(signal) + 2 * pad) * noise_level
    noise[pad : pad + len(signal)] += signal * (LEVEL / np.abs(signal).max())
    return np.rint(noise * 32767).clip(-32768, 32767).astype("<i2").tobytes()


def decode(decoder: Any, raw: bytes) -> None:
    """Run one whole utterance through the decoder's present search. RuntimeError: throw the decoder away.

    The front end is made anew, since its estimate of the background noise outlives an utterance: without
    this, boundaries move by a frame and scores by a few hundredths with what was decoded before.
    """
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(raw, full_utt=True)
    decoder.end_utt()


def pieces(decoder: Any) -> list[Piece]:
    """What the decoder found in its last utterance, fillers included; empty where it found no path."""
    decoder.get_prob()  # computes the posteriors over the word lattice; without it every `prob` below is 1
    found = decoder.seg()
    if found is None:
        return []
    return [Piece(s.word, s.start_frame, s.end_frame + 1, min(max(s.prob, 0.0), 1.0)) for s in found]


def spoken(name: str) -> str | None:
    """The word in a dictionary entry's name: `really(2)` → `really`; None for silences and noises."""
    if name in _FILLERS or name[:1] in "[<+":
        return None
    return name.split("(", 1)[0] or None


def place(first: int, stop: int, duration: float) -> tuple[float, float]:
    """Frames of a padded utterance as (start, end) in seconds of the utterance itself, kept within it."""
    start = min(max(round(first / FRAMES_PER_SECOND - PAD_SECONDS, 4), 0.0), duration)
    end = min(max(round(stop / FRAMES_PER_SECOND - PAD_SECONDS, 4), start), duration)
    return start, end


def add_words(decoder: Any, words: Iterable[str]) -> Iterator[str]:
    """Teach the decoder each word that its dictionary lacks, by rule; yields those words, once each."""
    for word in dict.fromkeys(words):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, " ".join(guess(word)), False)
            yield word


class Placed(NamedTuple):
    """A word of an alignment: its frames, and its acoustic score summed over them (log, at most 0)."""

    name: str
    first: int
    stop: int
    score: int


def align(decoder: Any, raw: bytes, words: Iterable[str]) -> list[Placed]:
    """Two-pass alignment of words, all in the dictionary; [] where there is no path. RuntimeError: see `decode`.

    The entries of `get_alignment` die with the iteration that gave them, and reading their phones later
    ends the process: everything is copied inside the one loop, and phones are never touched.
    """
    decoder.set_align_text(" ".join(words))
    decode(decoder, raw)
    if decoder.hyp() is None:
        return []
    decoder.set_alignment()
    decode(decoder, raw)
    return [
        Placed(name, entry.start, entry.start + entry.duration, entry.score)
        for entry in decoder.get_alignment() or ()
        if (name := spoken(entry.name)) is not None and entry.duration > 0
    ]
