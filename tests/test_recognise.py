"""Recognition on synthetic speech with known words, language models worked by hand, and both engines' contracts."""

import logging
import math
import os
import sys
from collections import namedtuple
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto import audio
from duetto.asr import engines as module
from duetto.asr import sphinx
from duetto.asr.engines import ENGINES, RecogniserConfig, SphinxRecogniser
from duetto.asr.language_model import LanguageModel
from duetto.asr.metrics import WordErrors, boundary_errors, word_errors
from duetto.asr.segment import segment
from duetto.asr.whisper import REQUIRED, WhisperRecogniser
from duetto.audio.timing import SAMPLE_RATE
from duetto.data.text import normalise
from duetto.data.utterance import Word
from duetto.errors import AudioError, ConfigurationError, MissingExtraError, ModelError

SENTENCES = (
    "I can't believe you did that to me",
    "the train leaves the station at seven every evening",
    "could you bring me another cup of coffee please",
    "why are you always so late in the morning",
)


@pytest.fixture(scope="module")
def spoken() -> list[tuple[np.ndarray, tuple[Word, ...]]]:
    """Each sentence in synthetic speech, with the true times of its words."""
    pytest.importorskip("espeakng_loader")
    from duetto.synthetic.espeak import Speaker

    return [Speaker("f2").synthesise(text) for text in SENTENCES]


@pytest.fixture(scope="module")
def follower() -> SphinxRecogniser:
    """A recogniser with a language model of the sentences."""
    return SphinxRecogniser(LanguageModel.from_corpus(SENTENCES))


def errors(recogniser, spoken) -> WordErrors:
    total = WordErrors(0, 0, 0, 0)
    for samples, truth in spoken:
        total = total + word_errors([w.word for w in truth], [w.word for w in recogniser.recognise(samples)])
    return total


def test_a_language_model_of_the_corpus_hears_its_words_and_times(follower, spoken):
    assert errors(follower, spoken).rate <= 0.1  # 0.04 over 48 utterances (docs/words.md)
    for samples, truth in spoken:
        words = follower.recognise(samples)
        assert {word.source for word in words} == {"recognised"}
        assert all(0 <= word.confidence <= 1 for word in words)
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= len(samples) / SAMPLE_RATE
        # As in alignment: a median of one frame of 10 ms, and one more for so few words.
        assert np.median(boundary_errors(truth, words).starts) <= 0.03


def test_a_word_loop_hears_words_in_any_order(spoken):
    recogniser = SphinxRecogniser(LanguageModel.word_loop(SENTENCES))
    assert errors(recogniser, spoken).rate <= 0.5  # 0.35 over 16 utterances
    known = {token for text in SENTENCES for token in normalise(text)}
    assert {word.word for samples, _ in spoken for word in recogniser.recognise(samples)} <= known


def test_general_english(spoken):
    recogniser = SphinxRecogniser()
    total = errors(recogniser, spoken[:2])
    assert total.rate <= 0.6  # 0.27 over 16 utterances
    words = recogniser.recognise(spoken[0][0])
    assert all(set(word.word) <= set("abcdefghijklmnopqrstuvwxyz'.-_") for word in words)
    assert len({word.confidence for word in words}) > 1  # posteriors, not a constant


def test_utterances_do_not_influence_one_another(follower, spoken):
    first = follower.recognise(spoken[0][0])
    for samples in (spoken[1][0], spoken[2][0][:6000], np.zeros(100, np.float32)):
        follower.recognise(samples)
    assert follower.recognise(spoken[0][0]) == first
    assert SphinxRecogniser(follower.language).recognise(spoken[0][0]) == first
    assert follower.recognise(spoken[0][0] * np.float32(2**-7)) == first  # a power of two loses no bit


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.ones(1, np.float32), "too short"),
        (np.zeros(SAMPLE_RATE, np.float32), "silent"),
        (np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE) * 1e-3, "noise"),
        (np.diff(np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE)), "noise"),
        (np.cumsum(np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE)) * 1e-3, "noise"),
        (np.sin(2 * np.pi * 50 / SAMPLE_RATE * np.arange(2 * SAMPLE_RATE)), "hum"),
    ],
    ids=["one sample", "silence", "white", "violet", "brown", "hum"],
)
def test_no_speech_gives_no_word_and_a_warning(follower, samples, reason, caplog):
    with caplog.at_level(logging.WARNING):
        assert follower.recognise(samples) == ()
    assert "no word was recognised" in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "no samples"),
        (np.array([0.0, math.inf]), "sample 1 is inf"),
        (np.zeros((100, 2)), r"shape \(100, 2\)"),
        (np.zeros(100, np.int32), "int32"),
    ],
)
def test_samples_that_are_no_recording(follower, samples, message):
    with pytest.raises(AudioError, match=message):
        follower.recognise(samples)


def test_a_decoder_that_fails_is_replaced(spoken, monkeypatch, caplog):
    recogniser = SphinxRecogniser(LanguageModel.word_loop(["seven", "train"]))
    expected = recogniser.recognise(spoken[1][0])

    def fail(*_):
        raise RuntimeError("Failed to start utterance processing")

    with monkeypatch.context() as patch:
        patch.setattr(sphinx, "decode", fail)
        assert recogniser.recognise(spoken[1][0]) == ()
    assert "were not recognised: Failed to start" in caplog.text
    assert recogniser.recognise(spoken[1][0]) == expected


def test_long_recordings_are_cut_where_it_is_quiet(follower, spoken, monkeypatch):
    pause = np.zeros(SAMPLE_RATE // 2, np.float32)
    whole = np.concatenate([part for samples, _ in spoken for part in (samples, pause)])
    monkeypatch.setattr(module, "LONGEST_SECONDS", 4.0)
    monkeypatch.setattr(module, "_SEEK_SECONDS", 3.5)
    parts = list(module._parts(whole))
    assert parts[0][0] == 0 and parts[-1][1] == len(whole)
    assert all(a[1] == b[0] for a, b in pairwise(parts))
    assert all(stop - first <= 4 * SAMPLE_RATE for first, stop in parts)
    assert all(np.abs(whole[stop - 800 : stop + 800]).max() < 1e-3 for _, stop in parts[:-1])
    words = follower.recognise(whole)
    truth, offset = [], 0.0
    for samples, spoken_words in spoken:
        truth += [Word(w.word, w.start + offset, w.end + offset) for w in spoken_words]
        offset += (len(samples) + len(pause)) / SAMPLE_RATE
    assert word_errors([w.word for w in truth], [w.word for w in words]).rate <= 0.15
    assert np.median(boundary_errors(truth, words).starts) <= 0.03


def test_a_cut_in_silence_hangs_on_no_rounding(monkeypatch):
    """Within digital silence all sums are equal: the cut is in the first 0.2 s of it, whatever the mean was."""
    monkeypatch.setattr(module, "LONGEST_SECONDS", 4.0)
    monkeypatch.setattr(module, "_SEEK_SECONDS", 3.5)
    speech = np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32)
    quiet = slice(SAMPLE_RATE, 3 * SAMPLE_RATE)
    speech[quiet] = 0
    found = set()
    for i in range(10):
        speech[4 * SAMPLE_RATE + i] += 1  # beyond reach
        speech[0] = np.nextafter(speech[0], np.float32(9))
        speech[SAMPLE_RATE - 1 - i] *= np.float32(1 - 1e-6)
        found.add(next(module._parts(speech))[1])
    assert len(found) == 1 and found.pop() - SAMPLE_RATE in range(SAMPLE_RATE // 10, SAMPLE_RATE // 8)


# Language models


def parsed(model: LanguageModel) -> dict[tuple[str, ...], tuple[float, float]]:
    """An ARPA file read back, independently of the writer: n-gram → (probability, back-off weight)."""
    grams, n, announced = {}, 0, {}
    for line in model.arpa.splitlines():
        if line.startswith("ngram "):
            order, count = line[6:].split("=")
            announced[int(order)] = int(count)
        elif line.endswith("-grams:"):
            n = int(line[1])
        elif n and line and not line.startswith("\\"):
            log10, gram, *weight = line.split("\t")
            grams[tuple(gram.split())] = (10 ** float(log10), 10 ** float(weight[0]) if weight else 1.0)
    assert announced == {n: sum(len(gram) == n for gram in grams) for n in announced}
    return grams


def probability(grams, history, word) -> float:
    """The back-off rule of the ARPA format."""
    if (*history, word) in grams:
        return grams[(*history, word)][0]
    return grams.get(history, (0, 1.0))[1] * probability(grams, history[1:], word)


def test_smoothing_by_hand():
    # Corpus "a b", "a"; words a, b and the end: V = 3. Unigrams: a 2, b 1, end 2; N = 5, T = 3, back-off 3/8.
    grams = parsed(LanguageModel.from_corpus(["a b", "a"], order=2))
    unigram = {"a": 2 / 8 + 3 / 8 / 3, "b": 1 / 8 + 3 / 8 / 3, "</s>": 2 / 8 + 3 / 8 / 3}
    # After a: b once, the end once; c = 2, T = 2, so half of the weight goes to the unigrams.
    assert grams["a", "b"][0] == pytest.approx(1 / 4 + unigram["b"] / 2, rel=1e-5)  # six decimals of a logarithm
    assert grams["a", "</s>"][0] == pytest.approx(1 / 4 + unigram["</s>"] / 2, rel=1e-5)
    assert grams[("a",)] == pytest.approx((unigram["a"], 1 / 2), rel=1e-5)
    # After the start: a twice; c = 2, T = 1.
    assert grams["<s>", "a"][0] == pytest.approx(2 / 3 + unigram["a"] / 3, rel=1e-5)
    assert grams[("<s>",)][1] == pytest.approx(1 / 3, rel=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), min_size=1, max_size=6), st.integers(1, 4))
def test_probabilities_after_every_history_sum_to_one(sentences, order):
    model = LanguageModel.from_corpus(sentences, order)
    grams = parsed(model)
    for history in {gram[:-1] for gram in grams}:
        total = sum(probability(grams, history, word) for word in (*model.words, "</s>"))
        assert total == pytest.approx(1, abs=1e-4)  # six decimals, at most five terms multiplied three deep


def test_a_word_loop_is_uniform():
    grams = parsed(LanguageModel.word_loop(["yes", "no", "no", "May be"]))
    assert grams.keys() == {("<s>",), ("</s>",), ("yes",), ("no",), ("may",), ("be",)}
    assert grams[("yes",)][0] == pytest.approx(1 / 5, rel=1e-5)  # four words and the end


@pytest.mark.parametrize("order", [1, 2, 5])
def test_orders_are_accepted(order, spoken):
    recogniser = SphinxRecogniser(LanguageModel.from_corpus(SENTENCES[:2], order))
    assert recogniser.recognise(spoken[0][0])


def test_language_models_that_are_none():
    for sentences in ([], ["..."], [[]]):
        with pytest.raises(ConfigurationError, match="no sentence holds a word"):
            LanguageModel.from_corpus(sentences)
    with pytest.raises(ConfigurationError, match="no word"):
        LanguageModel.word_loop([])
    for order in (0, 6):
        with pytest.raises(ConfigurationError, match=f"order {order} is not valid; give 1 to 5"):
            LanguageModel.from_corpus(["a"], order)


def test_words_outside_the_dictionary_are_recognised_and_reported():
    pytest.importorskip("espeakng_loader")
    from duetto.synthetic.espeak import Speaker

    recogniser = SphinxRecogniser(LanguageModel.from_corpus(["please bring the zorblat to my mother", "eat the apple"]))
    assert recogniser.guessed == ("zorblat",)
    samples, _ = Speaker("f2").synthesise("please bring the zorblat to my mother")
    assert "zorblat" in [word.word for word in recogniser.recognise(samples)]


def test_names_of_the_dictionary():
    assert [
        sphinx.base_word(name) for name in ("really(2)", "don't", "<sil>", "[NOISE]", "(NULL)", "</s>", "++UH++")
    ] == [
        "really",
        "don't",
        *[None] * 5,
    ]


# Engines


def test_every_engine_reports_what_it_needs():
    assert set(ENGINES) == {"pocketsphinx", "whisper", "segments"}
    with pytest.raises(ConfigurationError, match="no recogniser 'kaldi'; choose one of pocketsphinx, whisper"):
        RecogniserConfig("kaldi").start()
    with pytest.raises(ConfigurationError, match="needs the folder of a model"):
        RecogniserConfig("whisper").start()
    with pytest.raises(ConfigurationError, match="takes no model folder"):
        RecogniserConfig(model="somewhere").start()
    with pytest.raises(ConfigurationError, match="takes no model and no language"):
        RecogniserConfig("segments", LanguageModel()).start()
    with pytest.raises(ConfigurationError, match="own language model"):
        RecogniserConfig("whisper", LanguageModel(), "somewhere").start()


def test_segments_are_words_without_spelling(spoken):
    words = RecogniserConfig("segments").start().recognise(spoken[0][0])
    assert words == segment(spoken[0][0])
    assert {(word.word, word.source) for word in words} == {("", "segmented")}


def test_identities_differ(tmp_path):
    engines = [
        RecogniserConfig(),
        RecogniserConfig(language=LanguageModel.word_loop(["a"])),
        RecogniserConfig("whisper", model=tmp_path),
    ]
    before = [engine.identity for engine in engines]
    (tmp_path / "model.bin").write_bytes(b"other weights")
    assert len({*before, engines[2].identity}) == 4
    assert RecogniserConfig(language=LanguageModel()).identity == RecogniserConfig().identity


def test_a_model_is_identified_by_its_content(tmp_path):
    folders = [tmp_path / name for name in ("a", "copy")]
    for i, folder in enumerate(folders):
        folder.mkdir()
        for name in REQUIRED:
            (folder / name).write_bytes(name.encode())
            os.utime(folder / name, (i, i))
    first, copy = (RecogniserConfig("whisper", model=folder) for folder in folders)
    before = first.identity
    assert before == copy.identity
    for name in REQUIRED:  # replaced by another file of the same size
        (folders[0] / name).write_bytes(name.upper().encode())
        os.utime(folders[0] / name, (5, 5))
        assert first.identity not in (before, copy.identity)
        before = first.identity


WhisperWord = namedtuple("WhisperWord", "start end word probability")  # the fields of faster_whisper's own


class FakeModel:
    """What is used of faster_whisper.WhisperModel (1.1), with its documented names."""

    calls: list

    def __init__(
        self, model_size_or_path, device="auto", device_index=0, compute_type="default", local_files_only=False, **_
    ):
        if device == "toaster":
            raise ValueError("unsupported device toaster")
        self.made = (model_size_or_path, device, compute_type, local_files_only)
        self.calls = []

    def transcribe(self, audio, language=None, word_timestamps=False, temperature=(0.0, 0.2), **options):
        self.calls.append((audio, language, word_timestamps, temperature, options))
        words = [
            WhisperWord(np.float64(0.1), np.float64(0.4), " Well-known,", 0.9),
            WhisperWord(0.3, 0.8, " 27!", 1.0000001),
            WhisperWord(0.8, 9.0, " cafés", 0.5),
            WhisperWord(0.9, 0.95, " —", 0.5),
        ]
        return iter([SimpleNamespace(words=words), SimpleNamespace(words=None)]), SimpleNamespace(language="en")


@pytest.fixture
def whisper_folder(tmp_path, monkeypatch):
    for name in REQUIRED:
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=FakeModel))
    return tmp_path


def noise_bursts() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal(SAMPLE_RATE) * np.repeat([0.001, 0.1], SAMPLE_RATE // 2)).astype(np.float64)


def test_whisper_words(whisper_folder):
    recogniser = RecogniserConfig("whisper", model=whisper_folder).start()
    words = recogniser.recognise(noise_bursts())
    assert recogniser._model.made == (str(whisper_folder), "cpu", "int8", True)
    samples, language, timestamps, temperature, _ = recogniser._model.calls[0]
    assert (samples.dtype, language, timestamps, temperature) == (np.float32, "en", True, 0.0)
    # Tokens as `normalise` writes them; one entry's time is shared by letters: "well" 4, "known" 5; 6 and 5.
    assert [word.word for word in words] == ["well", "known", "twenty", "seven", "cafes"]
    assert [word.start for word in words] == pytest.approx(
        [0.1, 0.1 + 0.3 * 4 / 9, 0.4, 0.4 + 0.4 * 6 / 11, 0.8], abs=1e-4
    )
    assert words[0].end == words[1].start
    assert words[-1].end == 1.0  # cut to the recording
    assert [word.confidence for word in words] == [0.9, 0.9, 1.0, 1.0, 0.5]
    assert {word.source for word in words} == {"recognised"}


def test_whisper_does_not_run_if_there_is_no_speech(whisper_folder, caplog):
    recogniser = WhisperRecogniser(whisper_folder)
    assert recogniser.recognise(np.zeros(SAMPLE_RATE, np.float32)) == ()
    assert recogniser._model.calls == []
    assert "silent" in caplog.text
    with pytest.raises(AudioError):
        recogniser.recognise(np.zeros((2, 2)))


@pytest.mark.parametrize("name", ["small", "openai/whisper-tiny", "."])
def test_whisper_never_downloads(name, tmp_path, whisper_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json not found there.*never downloads"):
        WhisperRecogniser(name)


def test_whisper_model_that_does_not_load(whisper_folder):
    with pytest.raises(ModelError, match=r"cannot load this model.*toaster"):
        WhisperRecogniser(whisper_folder, device="toaster")


def test_whisper_without_its_package(whisper_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'duetto\[whisper\]'"):
        WhisperRecogniser(whisper_folder)


@pytest.mark.corpora
def test_human_speech(data):
    rows = [row.split("|") for row in (data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    recogniser, total = SphinxRecogniser(), WordErrors(0, 0, 0, 0)
    for name, _, text in rows[:40:10]:
        samples = audio.load(next((data / "ljspeech" / "wavs").glob(f"{name}.*"))).samples
        total = total + word_errors(normalise(text), [word.word for word in recogniser.recognise(samples)])
    assert total.rate < 0.75  # 0.51 over 24 utterances (docs/words.md)
