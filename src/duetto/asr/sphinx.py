"""The only user of pocketsphinx: create decoders, feed them samples, read their results.

    samples (n,) ─ to_pcm ─▶ bytes ─ decode ─▶ decoder ─ decoded_segments ─▶ (name, first frame, stop frame, posterior)

The pocketsphinx wheel contains everything needed: a US English acoustic model (16 kHz), a language model and CMUdict.
Nothing is downloaded. A frame is 10 ms.

Each utterance is processed as a whole (`full_utt`), so the cepstral mean is that of the utterance alone, and the noise
estimate is reset before each: results do not depend on the order of utterances.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..audio.timing import samples
from .letter_to_sound import guess

FRAMES_PER_SECOND = 100
"""Frame rate of the acoustic model, and so the resolution of all times it gives."""

LEVEL = 0.5
"""Peak that every utterance is scaled to, relative to full scale: faint recordings then survive 16-bit rounding."""

NOISE = 1e-4
"""Standard deviation of the noise added, relative to full scale: the acoustic model has never seen digital silence.
With ten times as much, about 7 more words in 100 are misrecognised (docs/words.md); alignment uses that much anyway,
since its scores were calibrated with it."""

PAD_SECONDS = 0.2
"""Noise added before and after the utterance, in seconds: an alignment grammar begins and ends in silence."""

_FILLERS = frozenset({"<s>", "</s>", "<sil>", "(NULL)"})


class DecodedSegment(NamedTuple):
    """One entry of a decoder's segmentation; frames count from the start of the padded utterance."""

    name: str
    """Dictionary entry, such as `really(2)` or `<sil>`."""
    first: int
    """First frame."""
    stop: int
    """Frame after the last one."""
    posterior: float
    """Posterior probability, 0–1."""


def create_decoder(**settings: Any) -> Any:
    """Create a decoder with the acoustic model and dictionary of the wheel.

    Args:
        **settings: Options of `pocketsphinx.Decoder`.

    Returns:
        The decoder; it logs nothing to standard error.
    """
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL", **settings)


def to_pcm(signal: NDArray[np.floating], *, noise_level: float = NOISE) -> bytes:
    """Convert a signal to padded 16-bit PCM: without DC, scaled to `LEVEL`, with noise added.

    The noise depends on the length alone, so equal samples give equal bytes.

    Args:
        signal: (n,) at 16 kHz, that contains speech (`audio.activity.no_speech`).
        noise_level: Standard deviation of the noise, relative to full scale.

    Returns:
        Little-endian samples, with `PAD_SECONDS` of noise before and after.
    """
    signal = signal - signal.mean(dtype=np.float64)
    pad = samples(PAD_SECONDS)
    noise = np.random.default_rng(0).standard_normal(len(signal) + 2 * pad) * noise_level
    noise[pad : pad + len(signal)] += signal * (LEVEL / np.abs(signal).max())
    return np.rint(noise * 32767).clip(-32768, 32767).astype("<i2").tobytes()


def decode(decoder: Any, pcm: bytes) -> None:
    """Run one whole utterance through the decoder's active search.

    The front end is re-initialised first, since its estimate of the background noise outlives an utterance: otherwise
    boundaries move by a frame and scores by a few hundredths, depending on what was decoded before.

    Args:
        decoder: From `create_decoder`.
        pcm: From `to_pcm`.

    Raises:
        RuntimeError: Decoding failed; the decoder cannot be used any more.
    """
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def decoded_segments(decoder: Any) -> list[DecodedSegment]:
    """Return the segmentation of the last utterance.

    Args:
        decoder: One that `decode` has run.

    Returns:
        All entries, fillers included; empty if the decoder found no path.
    """
    decoder.get_prob()  # computes the posteriors over the word lattice; without it every `prob` below is 1
    found = decoder.seg()
    if found is None:
        return []
    return [DecodedSegment(s.word, s.start_frame, s.end_frame + 1, min(max(s.prob, 0.0), 1.0)) for s in found]


def base_word(name: str) -> str | None:
    """Return the word of a dictionary entry.

    Args:
        name: Of the entry, such as `really(2)`.

    Returns:
        The word (`really`); None for silences and noises.
    """
    if name in _FILLERS or name[:1] in "[<+":
        return None
    return name.split("(", 1)[0] or None


def to_seconds(first: int, stop: int, duration: float) -> tuple[float, float]:
    """Convert frames of a padded utterance to seconds of the utterance itself.

    Args:
        first: First frame.
        stop: Frame after the last one.
        duration: Of the utterance, in seconds.

    Returns:
        Start and end, clipped to 0 and `duration`.
    """
    start = min(max(round(first / FRAMES_PER_SECOND - PAD_SECONDS, 4), 0.0), duration)
    end = min(max(round(stop / FRAMES_PER_SECOND - PAD_SECONDS, 4), start), duration)
    return start, end


def add_words(decoder: Any, words: Iterable[str]) -> Iterator[str]:
    """Add the words that a decoder's dictionary lacks, with guessed pronunciations.

    Args:
        decoder: From `create_decoder`.
        words: May repeat.

    Yields:
        Each word that was added.
    """
    for word in dict.fromkeys(words):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, " ".join(guess(word)), False)
            yield word


class AlignedWord(NamedTuple):
    """A word of an alignment."""

    name: str
    """The word, without the number of its pronunciation."""
    first: int
    """First frame of the padded utterance."""
    stop: int
    """Frame after the last one."""
    score: int
    """Acoustic log score, at most 0, summed over its frames."""


def align(decoder: Any, pcm: bytes, words: Iterable[str]) -> list[AlignedWord]:
    """Align words in two passes.

    pocketsphinx frees the entries of `get_alignment` at the end of the iteration, and reading their phones later
    crashes the process: everything is copied inside one loop, and phones are never read.

    Args:
        decoder: From `create_decoder`.
        pcm: From `to_pcm`.
        words: In order; the dictionary must contain all of them.

    Returns:
        The words with their frames; empty if there is no path.

    Raises:
        RuntimeError: See `decode`.
    """
    decoder.set_align_text(" ".join(words))
    decode(decoder, pcm)
    if decoder.hyp() is None:
        return []
    decoder.set_alignment()
    decode(decoder, pcm)
    return [
        AlignedWord(name, entry.start, entry.start + entry.duration, entry.score)
        for entry in decoder.get_alignment() or ()
        if (name := base_word(entry.name)) is not None and entry.duration > 0
    ]
