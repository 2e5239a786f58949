"""How fast the features are, beside the packages that compute the like. Prints Markdown; --write writes it.

    python benchmarks/features.py                                   # planted noise
    python benchmarks/features.py --data $DUETTO_DATA --write       # EmoDB and RAVDESS too, into RESULTS.md

Every side has the recordings in memory, in the form it takes. All run in turns, in this process, on one thread
(set OMP_NUM_THREADS=1), and are timed by processor time. The floor is one batched real FFT of the same frames in
the same precision. A peer that is not installed is skipped, with the line that installs it.

openSMILE is free for research, not for commercial use; it serves this comparison only and is never imported by
duetto. Its functionals are other features, in frames of 20–60 ms every 10 ms.
"""

from __future__ import annotations

import cProfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness import alternate, installed, parser, publish, table

from duetto import audio
from duetto.audio.timing import SAMPLE_RATE, frame_length
from duetto.corpora import CORPORA
from duetto.data.utterance import Utterance
from duetto.features import mfcc, short_term
from duetto.features.store import extract_corpus

FRAME = frame_length()
FLOOR, PACKAGE = "one batched real FFT", "pyAudioAnalysis"
PACKAGES = ("numpy", "soundfile", "pyAudioAnalysis", "librosa", "opensmile")
PARTS = {
    "the FFT": ("rfft",),
    "magnitudes, their squares and moments": ("block_sums",),
    "mel filters and chroma": ("product",),
    "energies of tenths": ("_energies",),
    "rolloff": ("rolloff_bins",),
    "zero crossings": ("crossings",),
    "flux and spread": ("flux", "variance"),
    "the package's silences": ("_as_released",),
    "samples to float64, less their mean": ("_centre", "_level"),
    "smallest and largest sample": ("checked",),
    "sums to features": ("_finish",),
    "the loop over blocks": ("_features",),
}
OWN = ("block_sums", "_features")
"""Functions of the extraction; of those in `OWN` only the time that they spend themselves."""
Side = Callable[[], object]


class Recordings(NamedTuple):
    """Recordings at 16 kHz, each at least one frame long."""

    name: str
    paths: list[Path]
    samples: list[np.ndarray]

    @property
    def seconds(self) -> float:
        return sum(map(len, self.samples)) / SAMPLE_RATE

    def whole(self) -> list[np.ndarray]:
        """The samples as int16, which is what pyAudioAnalysis takes."""
        return [np.round(s * 32767).astype(np.int16) for s in self.samples]


def duetto_sides(recordings: Recordings) -> dict[str, Side]:
    """Both modes of the 34 features, the MFCC of Speech2Vec, and what nothing can do without."""
    framed = [s[: len(s) // FRAME * FRAME].reshape(-1, FRAME).astype(float) for s in recordings.samples]

    def mode(name: str, samples: list[np.ndarray]) -> Side:
        return lambda: [short_term.extract(s, SAMPLE_RATE, mode=name) for s in samples]

    def floor() -> None:
        for frames in framed:  # spectra that were kept would be written to fresh pages, which costs as much again
            np.fft.rfft(frames)

    return {
        FLOOR: floor,
        "reading the audio": lambda: [audio.load(path) for path in recordings.paths],
        "duetto, `pyaudioanalysis`": mode("pyaudioanalysis", recordings.whole()),
        "duetto, `corrected`": mode("corrected", recordings.samples),
        "duetto, 13 MFCC every 10 ms": lambda: [mfcc.extract(s, SAMPLE_RATE) for s in recordings.samples],
    }


def pyaudioanalysis(recordings: Recordings) -> dict[str, Side]:
    """The released package that the features come from."""
    from pyAudioAnalysis import ShortTermFeatures

    whole = recordings.whole()
    extract = ShortTermFeatures.feature_extraction
    return {PACKAGE: lambda: [extract(s, SAMPLE_RATE, FRAME, FRAME, deltas=False) for s in whole]}


def librosa_features(recordings: Recordings) -> dict[str, Side]:
    """Its own zcr, RMS, centroid, bandwidth, rolloff, 13 MFCC and 12 chroma of the same frames, from one STFT."""
    import librosa

    feature, steps = librosa.feature, {"frame_length": FRAME, "hop_length": FRAME, "center": False}

    def extract(samples: np.ndarray) -> np.ndarray:
        stft = librosa.stft(samples, n_fft=FRAME, hop_length=FRAME, window="boxcar", center=False)
        magnitude = np.abs(stft)
        power = magnitude**2
        mel = librosa.power_to_db(feature.melspectrogram(S=power, sr=SAMPLE_RATE, n_mels=40))
        rows = (
            feature.zero_crossing_rate(samples, **steps),
            feature.rms(y=samples, **steps),
            feature.spectral_centroid(S=magnitude, sr=SAMPLE_RATE),
            feature.spectral_bandwidth(S=magnitude, sr=SAMPLE_RATE),
            feature.spectral_rolloff(S=magnitude, sr=SAMPLE_RATE, roll_percent=0.9),
            feature.mfcc(S=mel, n_mfcc=13),
            feature.chroma_stft(S=power, sr=SAMPLE_RATE, tuning=0.0),
        )
        return np.concatenate(rows)

    return {"librosa, the comparable 30": lambda: [extract(s) for s in recordings.samples]}


def opensmile_functionals(recordings: Recordings) -> dict[str, Side]:
    """eGeMAPS and ComParE functionals of each recording."""
    import opensmile

    def side(features: opensmile.FeatureSet) -> Side:
        smile = opensmile.Smile(features, opensmile.FeatureLevel.Functionals)
        return lambda: [smile.process_signal(s, SAMPLE_RATE) for s in recordings.samples]

    sets = opensmile.FeatureSet
    return {"openSMILE, eGeMAPS": side(sets.eGeMAPSv02), "openSMILE, ComParE": side(sets.ComParE_2016)}


PEERS = {"pyAudioAnalysis": pyaudioanalysis, "librosa": librosa_features, "opensmile": opensmile_functionals}


def sides(recordings: Recordings) -> dict[str, Side]:
    """Every side that is installed."""
    found = duetto_sides(recordings)
    for package, peer in PEERS.items():
        if installed(package):
            found |= peer(recordings)
    return found


def speed(recordings: Recordings, repetitions: int) -> str:
    """The table of one set of recordings."""
    taken = alternate(sides(recordings), repetitions, clock=time.process_time, turn=0.3)
    minutes, package = recordings.seconds / 60, taken.get(PACKAGE)
    rows = [(name, 1000 * t / minutes, t / taken[FLOOR], package / t if package else "") for name, t in taken.items()]
    header = ("", "ms a minute of audio", "times the FFT", "times faster than pyAudioAnalysis")
    count = len(recordings.samples)
    title = f"**{recordings.name}**: {count} recording{'s' * (count > 1)}, {recordings.seconds:.0f} s"
    return f"{title}; processor time, medians of {repetitions}.\n\n{table(header, rows)}"


def profile(samples: np.ndarray) -> str:
    """Where the time of the 34 features goes: shares of each function with all that it calls."""
    shares: dict[str, dict[str, float]] = {}
    for mode in short_term.MODES:
        profiler = cProfile.Profile(time.process_time)
        short_term.extract(samples, SAMPLE_RATE, mode=mode)
        profiler.runcall(lambda mode=mode: [short_term.extract(samples, SAMPLE_RATE, mode=mode) for _ in range(50)])
        taken: dict[str, tuple[float, float]] = {}  # within the function itself, and with what it calls
        for entry in profiler.getstats():
            if not isinstance(entry.code, str):
                taken[entry.code.co_name] = (entry.inlinetime, entry.totaltime)
        whole = taken["_features"][1]
        shares[mode] = {
            text: 100 * sum(taken.get(name, (0, 0))[0 if name in OWN else 1] for name in names) / whole
            for text, names in PARTS.items()
        }
    rows = [(text, *(round(shares[mode][text]) for mode in short_term.MODES)) for text in PARTS]
    return f"**Where the time of one minute goes**, %\n\n{table(('', *short_term.MODES), rows)}"


def scaling(utterances: Sequence[Utterance], repetitions: int, counts: Sequence[int]) -> str:
    """Extraction of a corpus from its files into an empty store, by number of processes."""

    def side(workers: int) -> Side:
        def run() -> None:
            with tempfile.TemporaryDirectory() as folder:
                extract_corpus(utterances, folder, short_term.ShortTermConfig(), workers=workers)

        return run

    taken = alternate({str(n): side(n) for n in counts}, repetitions)
    base = next(iter(taken.values()))
    rows = [(n, t, base / t) for n, t in taken.items()]
    title = f"**Extraction of a corpus** from its files into an empty store: {len(utterances)} files"
    return f"{title}; wall time, medians of {repetitions}.\n\n{table(('processes', 'seconds', 'speed-up'), rows)}"


def planted(folder: Path) -> tuple[list[Recordings], list[Utterance]]:
    """One minute of noise as one recording, and 20 times 3 s; 400 files of 3 s to extract."""
    rng, found = np.random.default_rng(0), []
    for name, n, seconds in (("noise, 60 s", 1, 60), ("noise, 3 s", 20, 3)):
        paths = [folder / f"{name} {i}.wav" for i in range(n)]
        for path in paths:
            audio.write(path, rng.standard_normal(seconds * SAMPLE_RATE) * 0.1, SAMPLE_RATE)
        found.append(Recordings(name, paths, [audio.load(path).samples for path in paths]))
    return found, [Utterance(f"{i}", found[1].paths[i % 20]) for i in range(400)]


def corpora(data: Path, count: int) -> tuple[list[Recordings], list[Utterance]]:
    """`count` recordings drawn from each corpus, and all utterances of both."""
    found, every = [], []
    for name, title in (("emodb", "EmoDB"), ("ravdess", "RAVDESS")):
        utterances = CORPORA[name](data / name)
        every += utterances
        chosen = np.random.default_rng(0).permutation(len(utterances))[:count]
        paths = [utterances[i].audio for i in sorted(chosen)]
        found.append(Recordings(title, paths, [audio.load(path).samples for path in paths]))
    return found, every


def main() -> None:
    """Parse the command line, measure, publish."""
    line = parser(__doc__, data="folder that holds emodb and ravdess")
    line.add_argument("--recordings", type=int, default=60, help="recordings drawn from each corpus")
    line.add_argument("--repetitions", type=int, default=5)
    line.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="processes of the extraction")
    options = line.parse_args()
    parts = [f"Skipped: {name} is not installed; pip install {name}" for name in PEERS if not installed(name)]
    with tempfile.TemporaryDirectory() as folder:
        sets, utterances = planted(Path(folder))
        if options.data:
            more, utterances = corpora(options.data, options.recordings)
            sets += more
        else:
            parts.append("Skipped: EmoDB and RAVDESS; give --data $DUETTO_DATA")
        parts += [speed(recordings, options.repetitions) for recordings in sets]
        parts.append(profile(sets[0].samples[0]))
        parts.append(scaling(utterances, min(options.repetitions, 3), options.processes))
    publish("Features", parts, packages=PACKAGES, into=options.write)


if __name__ == "__main__":
    main()
