"""How the words of a recording are found, with an aligner and a recogniser of fixed results."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duetto.asr import finder, whisper
from duetto.asr.align import Alignment
from duetto.asr.engines import RecogniserConfig
from duetto.asr.finder import (
    WordFinder,
    load_language_model,
    recogniser_config,
    save_language_model,
    trained_languages,
)
from duetto.asr.language_model import LanguageModel
from duetto.asr.recognition import Recognition
from duetto.data.utterance import Word
from duetto.errors import ConfigurationError, ModelError

NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
BURSTS = NOISE * np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], 3200).astype(np.float32)
HELLO = (Word("hello", 0.1, 0.5, "aligned"),)


class Fixed:
    """Stands for aligner and recogniser."""

    def __init__(self, words: tuple[Word, ...], matches: bool, facts: dict[str, Any]) -> None:
        self.words, self.matches, self.facts = words, matches, facts

    def align(self, samples: np.ndarray, transcript: str) -> Alignment:
        return Alignment(self.words, (), (), -10.0, self.matches, () if self.words else ("no path",))

    def transcribe(self, samples: np.ndarray) -> Recognition:
        return Recognition(self.words, "fixed", **self.facts)


@pytest.fixture
def word_finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., WordFinder]:
    """A function that makes a finder whose aligner and recogniser return the given words."""

    def make(
        words: tuple[Word, ...], *, matches: bool = True, facts: dict[str, Any] | None = None, **options: bool
    ) -> WordFinder:
        fixed = Fixed(words, matches, facts or {})
        monkeypatch.setattr(finder, "Aligner", lambda: fixed)
        monkeypatch.setattr(RecogniserConfig, "start", lambda self: fixed)
        return WordFinder("corpus", tmp_path, **options)

    return make


@pytest.mark.parametrize("needs_times", [True, False])
def test_a_transcript_is_aligned(word_finder, needs_times: bool) -> None:
    found = word_finder(HELLO, needs_times=needs_times)(NOISE, transcript="hello")
    assert (found.words, found.words_from, found.warnings) == (HELLO, "aligned", ())


def test_given_words_take_precedence(word_finder) -> None:
    given = (Word("bye", 0.0, 0.2),)
    found = word_finder(HELLO, needs_times=True)(NOISE, transcript="hello", words=given)
    assert (found.words, found.words_from) == (given, "given")


def test_words_without_times_are_aligned_if_times_are_needed(word_finder) -> None:
    found = word_finder(HELLO, needs_times=True)(NOISE, words=(Word("hello"),))
    assert found.words_from == "aligned" and "without times" in found.warnings[0]
    assert word_finder(HELLO, needs_times=False)(NOISE, words=(Word("hello"),)).words_from == "given"


@pytest.mark.parametrize(
    ("aligned", "words_from", "words"),
    [(HELLO, "aligned", HELLO), ((), "transcript", (Word("hello", source="text"),))],
)
def test_words_that_cannot_be_aligned_keep_their_spelling_if_times_are_optional(
    word_finder, aligned: tuple[Word, ...], words_from: str, words: tuple[Word, ...]
) -> None:
    found = word_finder(aligned, needs_times=False, uses_times=True)(NOISE, words=(Word("hello"),))
    assert (found.words_from, found.words) == (words_from, words)


@pytest.mark.parametrize("words", [(), HELLO])
def test_a_transcript_that_does_not_match_keeps_its_spelling_or_is_replaced_by_segments(
    word_finder, words: tuple[Word, ...]
) -> None:
    spelled = word_finder(words, needs_times=False, matches=False)(BURSTS, transcript="Hello!")
    assert spelled.words_from == "transcript" and [w.word for w in spelled.words] == ["hello"] and spelled.warnings
    segmented = word_finder(words, needs_times=True, matches=False)(BURSTS, transcript="Hello!")
    assert segmented.words_from == "segmented" and all(w.start is not None for w in segmented.words)
    assert any("segments are used instead" in warning for warning in segmented.warnings)


def test_nothing_recognised(word_finder) -> None:
    found = word_finder((), needs_times=False)(BURSTS)
    assert (found.words, found.words_from) == ((), "none") and "as if nothing had been said" in found.warnings[0]
    assert word_finder((), needs_times=True)(BURSTS).words_from == "segmented"


def test_silence_has_no_segment(word_finder) -> None:
    found = word_finder((), needs_times=True)(np.zeros(16_000, np.float32))
    assert found.words_from == "none" and "nothing like a word" in found.warnings[-1]


def test_segments_never_start_a_recogniser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecogniserConfig, "start", lambda self: pytest.fail("a recogniser was started"))
    found = WordFinder("segments", tmp_path, needs_times=True)(BURSTS)
    assert found.words_from == "segmented" and found.warnings == () and {w.word for w in found.words} == {""}


def test_invalid_recognisers_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="choose auto, corpus, general, segments"):
        WordFinder("kaldi", tmp_path, needs_times=False)
    with pytest.raises(ConfigurationError, match="which segments do not have"):
        WordFinder("segments", tmp_path, needs_times=False)


def test_a_language_model_is_unchanged_after_saving_and_loading(tmp_path: Path) -> None:
    assert load_language_model(tmp_path) is None
    model = LanguageModel.from_corpus(["the sun is out", "the moon is out"])
    save_language_model(model, tmp_path)
    assert load_language_model(tmp_path) == model
    (tmp_path / "language.json").write_text("{}")
    with pytest.raises(ModelError, match=r"language\.json: 'kind' is missing; train or export again"):
        load_language_model(tmp_path)


def test_given_words_are_checked(word_finder) -> None:
    find = word_finder(HELLO, needs_times=True)
    assert find(NOISE, words=HELLO).warnings == ()
    late = find(NOISE, words=(Word("a", 0.1, 0.2), Word("b", 50.0, 99.0)))
    assert late.warnings == ("1 words end after the recording does: b",)
    assert "as if nothing had been said" in find(NOISE, words=()).warnings[0]


def test_recognised_words_state_their_recogniser_and_language(word_finder) -> None:
    facts = {"language": "en", "language_probability": 0.9, "notes": ("a note",)}
    found = word_finder(HELLO, facts=facts, needs_times=False)(BURSTS)
    assert (found.words, found.words_from, found.warnings, found.rejected) == (HELLO, "recognised", ("a note",), ())
    assert (found.recogniser, found.language, found.language_probability) == ("fixed", "en", 0.9)
    given = word_finder(HELLO, facts=facts, needs_times=False)(BURSTS, words=HELLO)
    assert (given.recogniser, given.language, given.language_probability) == (None, None, None)


@pytest.mark.parametrize("needs_times", [True, False])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"language": "pl", "language_probability": 0.98}, r"seems to be pl \(probability 0\.98\).*trained on en"),
        ({"language": "de"}, "fixed recognises de only"),
        ({"language": "en", "doubt": "they are guessed"}, "they are guessed"),
        ({"doubt": "they are guessed"}, "they are guessed"),
    ],
)
def test_words_of_another_language_or_in_doubt_are_listed_but_not_read(
    word_finder, facts: dict[str, Any], reason: str, needs_times: bool
) -> None:
    found = word_finder(HELLO, facts=facts, needs_times=needs_times)(BURSTS)
    assert (found.words, found.words_from, found.rejected) == ((), "none", HELLO)
    assert found.language == facts.get("language") and len(found.warnings) == 1
    assert re.search(reason, found.warnings[0]) and found.warnings[0].endswith(
        "(hello); the system answers as if nothing had been said"
    )


def test_a_system_reads_the_languages_it_was_trained_on(word_finder, tmp_path: Path) -> None:
    save_language_model(LanguageModel.from_corpus(["das will sie am mittwoch abgeben"]), tmp_path, ("de", "pl"))
    assert trained_languages(tmp_path) == ("de", "pl")
    polish = {"language": "pl", "language_probability": 0.98}
    assert word_finder(HELLO, facts=polish, needs_times=False)(BURSTS).words == HELLO
    english = word_finder(HELLO, facts={"language": "en"}, needs_times=False)(BURSTS)
    assert english.words == () and "trained on de, pl" in english.warnings[0]
    assert recogniser_config("whisper:base", tmp_path).languages == ("de", "pl")


def test_languages_of_a_system(tmp_path: Path) -> None:
    assert trained_languages(tmp_path) == ("en",)
    path = tmp_path / "language.json"
    path.write_text('{"kind": "general", "words": [], "arpa": ""}')  # of an earlier version
    assert trained_languages(tmp_path) == ("en",)
    for languages in ("[]", '["German"]', '"de"'):
        path.write_text(f'{{"kind": "general", "words": [], "arpa": "", "languages": {languages}}}')
        with pytest.raises(ModelError, match=r"language\.json: 'languages' .*train or export again"):
            trained_languages(tmp_path)


def test_the_default_is_whisper_where_a_model_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_language_model(model := LanguageModel.from_corpus(["the sun is out"]), tmp_path)
    base = RecogniserConfig("whisper", download="base")
    monkeypatch.setattr(finder, "whisper_at_hand", lambda: base)
    assert recogniser_config("auto", tmp_path) == base
    assert recogniser_config("corpus", tmp_path) == RecogniserConfig(language=model)
    monkeypatch.setattr(finder, "whisper_at_hand", lambda: None)
    assert recogniser_config("auto", tmp_path) == RecogniserConfig(language=model)
    assert recogniser_config("general", tmp_path) == RecogniserConfig()


def test_a_model_is_downloaded_when_the_system_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, before any worker process starts; and not for a name that is only checked."""
    wanted: list[str] = []
    monkeypatch.setattr(whisper, "download", lambda name: wanted.append(name) or tmp_path)
    recogniser_config("whisper:tiny.en", tmp_path)
    assert wanted == []
    WordFinder("whisper:tiny.en", tmp_path, needs_times=False)
    assert wanted == ["tiny.en"]
