"""The path that words take into a system, with a recogniser and an aligner whose answers are dictated."""

from pathlib import Path

import numpy as np
import pytest

from duetto.asr import finder
from duetto.asr.align import Alignment
from duetto.asr.finder import WordFinder, load_language_model, save_language_model
from duetto.asr.language_model import LanguageModel
from duetto.data.utterance import Word
from duetto.errors import ConfigurationError, ModelError

NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
BURSTS = NOISE * np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], 3200).astype(np.float32)
HELLO = (Word("hello", 0.1, 0.5, "aligned"),)


class Dictated:
    """Stands for aligner and recogniser."""

    def __init__(self, words: tuple[Word, ...], matches: bool = True) -> None:
        self.words, self.matches = words, matches

    def align(self, samples: np.ndarray, transcript: str) -> Alignment:
        return Alignment(self.words, (), (), -10.0, self.matches, () if self.words else ("no path",))

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        return self.words


def listener(tmp_path: Path, words: tuple[Word, ...], *, needs_times: bool, matches: bool = True) -> WordFinder:
    found = WordFinder("corpus", tmp_path, needs_times=needs_times)
    found._aligner = Dictated(words, matches)  # type: ignore[assignment]
    found._started = Dictated(words)
    return found


@pytest.mark.parametrize("needs_times", [True, False])
def test_a_transcript_is_aligned(tmp_path: Path, needs_times: bool) -> None:
    heard = listener(tmp_path, HELLO, needs_times=needs_times)(NOISE, transcript="hello")
    assert (heard.words, heard.words_from, heard.warnings) == (HELLO, "aligned", ())


def test_words_that_are_given_win(tmp_path: Path) -> None:
    given = (Word("bye", 0.0, 0.2),)
    heard = listener(tmp_path, HELLO, needs_times=True)(NOISE, transcript="hello", words=given)
    assert (heard.words, heard.words_from) == (given, "given")


def test_words_without_times_are_aligned_where_times_are_needed(tmp_path: Path) -> None:
    heard = listener(tmp_path, HELLO, needs_times=True)(NOISE, words=(Word("hello"),))
    assert heard.words_from == "aligned" and "without times" in heard.warnings[0]
    assert listener(tmp_path, HELLO, needs_times=False)(NOISE, words=(Word("hello"),)).words_from == "given"


def test_words_without_times_keep_their_spelling_where_times_are_of_use_but_cannot_be_had(tmp_path: Path) -> None:
    some = WordFinder("corpus", tmp_path, needs_times=False, uses_times=True)
    for found, path, words in ((HELLO, "aligned", HELLO), ((), "transcript", (Word("hello", source="text"),))):
        some._aligner = Dictated(found)  # type: ignore[assignment]
        heard = some(NOISE, words=(Word("hello"),))
        assert (heard.words_from, heard.words) == (path, words)


@pytest.mark.parametrize("words", [(), HELLO])
def test_a_transcript_that_does_not_fit_keeps_its_spelling_or_gives_way_to_segments(
    tmp_path: Path, words: tuple[Word, ...]
) -> None:
    spelled = listener(tmp_path, words, needs_times=False, matches=False)(BURSTS, transcript="Hello!")
    assert spelled.words_from == "transcript" and [w.word for w in spelled.words] == ["hello"] and spelled.warnings
    sounded = listener(tmp_path, words, needs_times=True, matches=False)(BURSTS, transcript="Hello!")
    assert sounded.words_from == "segmented" and all(w.start is not None for w in sounded.words)
    assert any("segments are used instead" in warning for warning in sounded.warnings)


def test_nothing_recognised(tmp_path: Path) -> None:
    deaf = listener(tmp_path, (), needs_times=False)(BURSTS)
    assert (deaf.words, deaf.words_from) == ((), "none") and "as if nothing had been said" in deaf.warnings[0]
    assert listener(tmp_path, (), needs_times=True)(BURSTS).words_from == "segmented"


def test_silence_holds_no_segment(tmp_path: Path) -> None:
    heard = listener(tmp_path, (), needs_times=True)(np.zeros(16_000, np.float32))
    assert heard.words_from == "none" and "nothing like a word" in heard.warnings[-1]


def test_segments_alone_never_start_a_recogniser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder.RecogniserConfig, "start", lambda self: pytest.fail("a recogniser was started"))
    heard = WordFinder("segments", tmp_path, needs_times=True)(BURSTS)
    assert heard.words_from == "segmented" and heard.warnings == () and {w.word for w in heard.words} == {""}


def test_wrong_recognisers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="choose corpus, general, segments"):
        WordFinder("kaldi", tmp_path, needs_times=False)
    with pytest.raises(ConfigurationError, match="which segments do not have"):
        WordFinder("segments", tmp_path, needs_times=False)


def test_the_language_of_a_system_survives_its_file(tmp_path: Path) -> None:
    assert load_language_model(tmp_path) is None
    model = LanguageModel.from_corpus(["the sun is out", "the moon is out"])
    save_language_model(model, tmp_path)
    assert load_language_model(tmp_path) == model
    (tmp_path / "language.json").write_text("{}")
    with pytest.raises(ModelError, match=r"language\.json: 'kind' is missing; train or export again"):
        load_language_model(tmp_path)


def test_words_that_are_given_are_checked(tmp_path: Path) -> None:
    listens = listener(tmp_path, HELLO, needs_times=True)
    assert listens(NOISE, words=HELLO).warnings == ()
    late = listens(NOISE, words=(Word("a", 0.1, 0.2), Word("b", 50.0, 99.0)))
    assert late.warnings == ("1 words end after the recording does: b",)
    assert "as if nothing had been said" in listens(NOISE, words=()).warnings[0]
