"""Recognition on synthetic speech with known words, language models worked by hand, and both engines' contracts."""

import logging
import math
import os
import sys
from collections import namedtuple
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto import audio
from duetto.asr import engines as module
from duetto.asr import sphinx, whisper
from duetto.asr.engines import ENGINES, RecogniserConfig, SphinxRecogniser, parse, whisper_at_hand
from duetto.asr.language_model import LanguageModel
from duetto.asr.metrics import WordErrors, boundary_errors, word_errors
from duetto.asr.segment import segment
from duetto.asr.whisper import REQUIRED, WhisperRecogniser, download, expected_language
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


def test_a_language_model_of_the_corpus_finds_its_words_and_times(follower, spoken):
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


def test_a_word_loop_recognises_words_in_any_order(spoken):
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
    monkeypatch.setattr(module, "SEEK_SECONDS", 3.5)
    parts = list(module.parts_of(whole))
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
    monkeypatch.setattr(module, "SEEK_SECONDS", 3.5)
    speech = np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32)
    quiet = slice(SAMPLE_RATE, 3 * SAMPLE_RATE)
    speech[quiet] = 0
    found = set()
    for i in range(10):
        speech[4 * SAMPLE_RATE + i] += 1  # beyond reach
        speech[0] = np.nextafter(speech[0], np.float32(9))
        speech[SAMPLE_RATE - 1 - i] *= np.float32(1 - 1e-6)
        found.add(next(module.parts_of(speech))[1])
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
    for neither_or_both in (RecogniserConfig("whisper"), RecogniserConfig("whisper", None, "somewhere", "tiny")):
        with pytest.raises(ConfigurationError, match=r"needs one of: the folder.*or the name"):
            neither_or_both.start()
    for model in ({"model": "somewhere"}, {"download": "tiny"}):
        with pytest.raises(ConfigurationError, match="takes no model folder"):
            RecogniserConfig(**model).start()
    with pytest.raises(ConfigurationError, match="takes no model and no language"):
        RecogniserConfig("segments", LanguageModel()).start()
    with pytest.raises(ConfigurationError, match="own language model"):
        RecogniserConfig("whisper", LanguageModel(), "somewhere").start()


@pytest.mark.parametrize(
    ("asr", "config"),
    [
        ("pocketsphinx", RecogniserConfig()),
        ("segments", RecogniserConfig("segments")),
        ("whisper=some/folder", RecogniserConfig("whisper", model="some/folder")),
        ("whisper=a:b=c", RecogniserConfig("whisper", model="a:b=c")),
        ("whisper:tiny.en", RecogniserConfig("whisper", download="tiny.en")),
        ("whisper:a/b=c", RecogniserConfig("whisper", download="a/b=c")),
        ("whisper", RecogniserConfig("whisper")),
        ("whisper=", RecogniserConfig("whisper")),
        ("whisperer", None),
        ("kaldi", None),
    ],
)
def test_names_of_recognisers(asr, config):
    assert parse(asr) == config


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


# Whisper

WhisperWord = namedtuple("WhisperWord", "start end word probability")  # the fields of faster_whisper's own
ENTRIES = (
    WhisperWord(np.float64(0.1), np.float64(0.4), " Well-known,", 0.9),
    WhisperWord(0.3, 0.8, " 27!", 1.0000001),
    WhisperWord(0.8, 9.0, " cafés", 0.8),
    WhisperWord(0.9, 0.95, " —", 0.5),
)


class FakeModel:
    """What is used of faster_whisper.WhisperModel (1.2), with its documented names."""

    languages: ClassVar[list[tuple[str, float]]] = []
    """Probabilities that a multilingual model would give, most probable first; none for an English one."""
    words: ClassVar[tuple[WhisperWord, ...]] = ENTRIES
    compression: ClassVar[float] = 1.2
    made: ClassVar[list["FakeModel"]] = []
    """The models of this test, in their order."""

    def __init__(
        self, model_size_or_path, device="auto", device_index=0, compute_type="default", cpu_threads=0,
        local_files_only=False, **_,
    ):  # fmt: skip
        if device == "toaster":
            raise ValueError("unsupported device toaster")
        self.options = (model_size_or_path, device, compute_type, cpu_threads, local_files_only)
        self.made.append(self)
        self.calls = []
        self.model = SimpleNamespace(is_multilingual=bool(self.languages))

    def detect_language(self, audio=None):
        assert audio.dtype == np.float32
        return *self.languages[0], self.languages

    def transcribe(self, audio, language=None, word_timestamps=False, temperature=(0.0, 0.2), **options):
        self.calls.append((audio, language, word_timestamps, temperature, options))
        segments = [
            SimpleNamespace(words=list(self.words), compression_ratio=self.compression),
            SimpleNamespace(words=None, compression_ratio=0.9),
        ]
        return iter(segments), SimpleNamespace(language=language)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> SimpleNamespace:
    """faster_whisper with a cache: `cached` and `online` are names of models, `downloads` what was asked for."""
    fake = SimpleNamespace(cached=set(), online={"tiny.en", "base"}, downloads=[], folder=tmp_path / "cache")

    def download_model(size_or_id, local_files_only=False):
        if size_or_id not in fake.cached and local_files_only:
            raise FileNotFoundError("not in the cache")
        if size_or_id not in fake.cached:
            fake.downloads.append(size_or_id)
            if size_or_id not in fake.online:
                raise RuntimeError("no route to host")
        return str(write_model(fake.folder / size_or_id))

    utils = SimpleNamespace(available_models=lambda: ["tiny.en", "base", "large"], download_model=download_model)
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=FakeModel, utils=utils))
    monkeypatch.setitem(sys.modules, "faster_whisper.utils", utils)
    monkeypatch.setattr(FakeModel, "languages", [])
    monkeypatch.setattr(FakeModel, "made", [])
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return fake


def write_model(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in REQUIRED:
        (folder / name).write_bytes(b"")
    return folder


@pytest.fixture
def whisper_folder(hub, tmp_path):
    return write_model(tmp_path / "model")


def noise_bursts() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal(SAMPLE_RATE) * np.repeat([0.001, 0.1], SAMPLE_RATE // 2)).astype(np.float64)


def test_whisper_words(whisper_folder):
    recogniser = RecogniserConfig("whisper", model=whisper_folder).start()
    found = recogniser.transcribe(noise_bursts())
    assert FakeModel.made[-1].options == (str(whisper_folder), "cpu", "int8", 1, True)
    samples, language, timestamps, temperature, _ = FakeModel.made[-1].calls[0]
    assert (samples.dtype, language, timestamps, temperature) == (np.float32, "en", True, 0.0)
    # Tokens as `normalise` writes them; one entry's time is shared by letters: "well" 4, "known" 5; 6 and 5.
    assert [word.word for word in found.words] == ["well", "known", "twenty", "seven", "cafes"]
    assert [word.start for word in found.words] == pytest.approx(
        [0.1, 0.1 + 0.3 * 4 / 9, 0.4, 0.4 + 0.4 * 6 / 11, 0.8], abs=1e-4
    )
    assert found.words[0].end == found.words[1].start
    assert found.words[-1].end == 1.0  # cut to the recording
    assert [word.confidence for word in found.words] == [0.9, 0.9, 1.0, 1.0, 0.8]
    assert {word.source for word in found.words} == {"recognised"}
    # The noise cannot be aligned; a model for English cannot identify languages.
    assert found.notes == ("the recognised words could not be aligned; their times are Whisper's own",)
    assert (found.recogniser, found.language, found.language_probability) == ("whisper model", "en", None)
    assert found.doubt is None and recogniser.recognise(noise_bursts()) == found.words


def test_english_words_get_the_times_of_forced_alignment(whisper_folder, spoken, monkeypatch):
    samples, truth = spoken[0]
    entries = tuple(WhisperWord(0.0, 0.1, f" {word.word}", 0.9) for word in truth)
    monkeypatch.setattr(FakeModel, "words", entries)
    found = WhisperRecogniser(whisper_folder).transcribe(samples)
    assert [(w.word, w.source, w.confidence) for w in found.words] == [(w.word, "recognised", 0.9) for w in truth]
    assert found.notes == ()
    assert np.median(boundary_errors(truth, found.words).starts) <= 0.03
    monkeypatch.setattr(FakeModel, "languages", [("de", 1.0)])  # not aligned: the aligner knows English only
    german = WhisperRecogniser(whisper_folder, languages=("de",)).transcribe(samples)
    assert {(w.start, w.end) for w in german.words} == {(0.0, 0.1), (0.1, 0.1)} and german.notes == ()


@pytest.mark.parametrize(
    ("probabilities", "expected", "language"),
    [
        ({"en": 0.9, "de": 0.1}, ("en",), "en"),
        ({"cy": 0.7, "en": 0.3}, ("en",), "en"),  # likely enough, since it is expected
        ({"pl": 0.9, "en": 0.1}, ("en",), "pl"),
        ({"pl": 0.8, "en": 0.1, "de": 0.1}, ("de", "en"), "de"),  # 0.2 together; of equals the first by name
        ({"pl": 0.81, "en": 0.09, "de": 0.1}, ("de", "en"), "pl"),
        ({"pl": 0.9, "en": 0.1}, ("xx",), "pl"),
        ({"pl": 0.5, "en": 0.5}, (), "en"),
    ],
)
def test_the_language_that_is_decoded(probabilities, expected, language):
    assert expected_language(probabilities, expected) == language


def test_a_multilingual_model_identifies_the_language(whisper_folder, monkeypatch):
    monkeypatch.setattr(FakeModel, "languages", [("pl", 0.875), ("en", 0.125)])
    english = WhisperRecogniser(whisper_folder, name="base")
    found = english.transcribe(noise_bursts())
    assert (found.recogniser, found.language, found.language_probability) == ("whisper base", "pl", 0.875)
    assert FakeModel.made[-1].calls[0][1] == "pl"
    assert WhisperRecogniser(whisper_folder, languages=("pl",)).transcribe(noise_bursts()).language == "pl"
    monkeypatch.setattr(FakeModel, "words", ())
    nothing = english.transcribe(noise_bursts())
    assert (nothing.words, nothing.language, nothing.doubt) == ((), "pl", None)


@pytest.mark.parametrize(("confidence", "doubted"), [(0.70, False), (0.69, True)])
def test_whisper_words_of_low_confidence_are_doubted(whisper_folder, monkeypatch, confidence, doubted):
    words = tuple(WhisperWord(0.1, 0.2, " ok", confidence + step) for step in (-0.0625, 0.0625))
    monkeypatch.setattr(FakeModel, "words", words)
    doubt = WhisperRecogniser(whisper_folder).transcribe(noise_bursts()).doubt
    assert (doubt is not None) == doubted
    assert not doubted or "mean confidence of 0.69, and at least 0.70 is needed" in doubt


@pytest.mark.parametrize(("ratio", "doubted"), [(2.4, False), (2.5, True)])
def test_a_text_that_repeats_itself_is_doubted(whisper_folder, monkeypatch, ratio, doubted):
    monkeypatch.setattr(FakeModel, "compression", ratio)
    doubt = WhisperRecogniser(whisper_folder).transcribe(noise_bursts()).doubt
    assert (doubt is not None) == doubted
    assert not doubted or "repeats itself (compression ratio 2.5)" in doubt


def test_whisper_does_not_run_if_there_is_no_speech(whisper_folder, caplog):
    recogniser = WhisperRecogniser(whisper_folder)
    assert recogniser.recognise(np.zeros(SAMPLE_RATE, np.float32)) == ()
    assert FakeModel.made[-1].calls == []
    assert "silent" in caplog.text
    with pytest.raises(AudioError):
        recogniser.recognise(np.zeros((2, 2)))


@pytest.mark.parametrize("name", ["small", "openai/whisper-tiny", "."])
def test_a_folder_is_never_downloaded(name, tmp_path, hub, monkeypatch):
    monkeypatch.chdir(write_model(tmp_path / "model"))
    (tmp_path / "model" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json not found there.*whisper:NAME downloads one"):
        WhisperRecogniser(name)
    assert hub.downloads == []


def test_a_model_is_downloaded_by_name_and_announced_before(hub, caplog):
    assert download("tiny.en") == hub.folder / "tiny.en"
    assert hub.downloads == ["tiny.en"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "'tiny.en' is not on this computer: it is downloaded" in caplog.text
    hub.cached.add("tiny.en")
    caplog.clear()
    assert download("tiny.en") == hub.folder / "tiny.en"
    assert hub.downloads == ["tiny.en"] and caplog.text == ""
    assert RecogniserConfig("whisper", download="tiny.en").start().transcribe(noise_bursts()).recogniser == (
        "whisper tiny.en"
    )


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_nothing_is_downloaded_offline(hub, variable, monkeypatch, caplog):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ModelError, match=r"'base' is not on this computer, and HF_HUB_OFFLINE.*whisper=FOLDER"):
        download("base")
    hub.cached.add("base")
    assert download("base") == hub.folder / "base"
    assert hub.downloads == [] and caplog.text == ""


def test_models_that_cannot_be_downloaded(hub):
    with pytest.raises(ConfigurationError, match=r"no Whisper model 'huge'; choose from tiny\.en, base, large"):
        download("huge")
    with pytest.raises(ModelError, match=r"'large' could not be downloaded \(no route to host\).*whisper=FOLDER"):
        download("large")


def test_an_interrupted_download_is_resumed(hub, monkeypatch):
    hub.cached.add("base")
    complete = sys.modules["faster_whisper"].utils.download_model

    def interrupted(name, local_files_only=False):
        folder = complete(name, local_files_only)
        if local_files_only:
            (Path(folder) / "model.bin").unlink()
        else:
            hub.downloads.append(name)
        return folder

    monkeypatch.setattr(sys.modules["faster_whisper"].utils, "download_model", interrupted)
    assert (download("base") / "model.bin").is_file() and hub.downloads == ["base"]


def test_the_model_at_hand(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(whisper, "installed", lambda: True)
    snapshots = {}
    cached = SimpleNamespace(try_to_load_from_cache=lambda repository, file: snapshots.get((repository, file)))
    monkeypatch.setitem(sys.modules, "huggingface_hub", cached)
    monkeypatch.delenv("DUETTO_WHISPER", raising=False)
    assert whisper_at_hand() is None
    for name in ("tiny.en", "base"):  # the better one is added later
        snapshots["Systran/faster-whisper-" + name, "model.bin"] = str(write_model(tmp_path / name) / "model.bin")
        assert whisper_at_hand() == RecogniserConfig("whisper", download=name)
    (tmp_path / "base" / "tokenizer.json").unlink()
    assert whisper_at_hand() == RecogniserConfig("whisper", download="tiny.en")
    monkeypatch.setattr(whisper, "installed", lambda: False)
    assert whisper_at_hand() is None
    monkeypatch.setenv("DUETTO_WHISPER", str(tmp_path))
    assert whisper_at_hand() == RecogniserConfig("whisper", model=str(tmp_path))
    monkeypatch.setenv("DUETTO_WHISPER", "base")
    assert whisper_at_hand() == RecogniserConfig("whisper", download="base")
    monkeypatch.setenv("DUETTO_WHISPER", "off")
    monkeypatch.setattr(whisper, "installed", lambda: True)
    assert whisper_at_hand() is None


def test_whisper_model_that_does_not_load(whisper_folder):
    with pytest.raises(ModelError, match=r"cannot load this model.*toaster"):
        WhisperRecogniser(whisper_folder, device="toaster")


def test_whisper_without_its_package(whisper_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    for start in (lambda: WhisperRecogniser(whisper_folder), lambda: download("base")):
        with pytest.raises(MissingExtraError, match=r"pip install 'duetto\[whisper\]'"):
            start()


@pytest.mark.corpora
def test_human_speech(data):
    rows = [row.split("|") for row in (data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    recogniser, total = SphinxRecogniser(), WordErrors(0, 0, 0, 0)
    for name, _, text in rows[:40:10]:
        samples = audio.load(next((data / "ljspeech" / "wavs").glob(f"{name}.*"))).samples
        total = total + word_errors(normalise(text), [word.word for word in recogniser.recognise(samples)])
    assert total.rate < 0.75  # 0.51 over 24 utterances (docs/words.md)
