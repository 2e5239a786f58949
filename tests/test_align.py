"""Forced alignment on synthetic speech with known word times, and what it does with everything else."""

import errno
import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duetto import audio
from duetto.asr import align as align_module
from duetto.asr import annotate, sphinx
from duetto.asr.align import MATCH_SCORE, Aligner
from duetto.asr.annotate import align_manifest
from duetto.asr.annotation import AnnotationJob, WordAnnotation
from duetto.asr.cache import CACHE_NAME, JOURNAL_NAME, Cache
from duetto.asr.engines import RecogniserConfig
from duetto.asr.language_model import LanguageModel
from duetto.asr.metrics import boundary_errors
from duetto.audio.timing import SAMPLE_RATE
from duetto.data.utterance import Utterance, Word
from duetto.errors import AudioError, ConfigurationError

SENTENCES = (
    "I can't believe you did that to me",
    "the train leaves the station at seven every evening",
    "could you bring me another cup of coffee please",
    "nobody ever listens to a word that I say",
    "why are you always so late in the morning",
    "we won the game and everybody was happy",
)


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner()


@pytest.fixture(scope="module")
def spoken() -> list[tuple[np.ndarray, tuple[Word, ...]]]:
    """Each sentence in synthetic speech, with the true times of its words."""
    pytest.importorskip("espeakng_loader")
    from duetto.synthetic.espeak import Speaker

    return [Speaker("f2").synthesise(text) for text in SENTENCES]


def test_true_word_times(aligner, spoken):
    starts, ends = [], []
    for (samples, truth), text in zip(spoken, SENTENCES, strict=True):
        alignment = aligner.align(samples, text)
        assert [word.word for word in alignment.words] == [word.word for word in truth]
        assert {word.source for word in alignment.words} == {"aligned"}
        assert (alignment.matches, alignment.unaligned, alignment.guessed, alignment.warnings) == (True, (), (), ())
        times = [time for word in alignment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= len(samples) / SAMPLE_RATE
        errors = boundary_errors(truth, alignment.words)
        starts += errors.starts.tolist()
        ends += errors.ends.tolist()
    # Over 48 utterances the medians are 6 and 8 ms, the 90th percentiles 24 and 28 ms, the maximum 149 ms
    # (docs/words.md). Frames are 10 ms; the bounds leave one more frame, or twice the tail, for these few.
    assert np.median(starts) <= 0.02
    assert np.median(ends) <= 0.02
    assert np.percentile(starts, 90) <= 0.05
    assert max(starts + ends) <= 0.3


def test_time_is_counted_from_the_first_sample(aligner, spoken):
    samples, _ = spoken[0]
    shift = 0.5
    quiet = np.random.default_rng(0).standard_normal(round(shift * SAMPLE_RATE)).astype(np.float32) * 1e-3
    early = aligner.align(samples, SENTENCES[0]).words
    late = aligner.align(np.concatenate([quiet, samples]), SENTENCES[0]).words
    # Another noise and another cepstral mean move a boundary by a frame or two, not by half a second.
    assert np.median([b.start - a.start for a, b in zip(early, late, strict=True)]) == pytest.approx(shift, abs=0.02)


def test_wrong_transcripts_do_not_match(aligner, spoken):
    for i, (samples, _) in enumerate(spoken):
        right, wrong = (aligner.align(samples, SENTENCES[j % len(SENTENCES)]) for j in (i, i + 1))
        assert right.score >= MATCH_SCORE > wrong.score
        assert not wrong.matches
        assert len(wrong.warnings) == 1
        # Either way every word is accounted for.
        assert len(wrong.words) + len(wrong.unaligned) == len(SENTENCES[(i + 1) % len(SENTENCES)].split())


def test_alignments_do_not_influence_one_another(aligner, spoken):
    first = aligner.align(spoken[0][0], SENTENCES[0])
    for samples, text in ((spoken[0][0], SENTENCES[1]), (spoken[1][0], SENTENCES[1]), (spoken[2][0][:4000], "no")):
        aligner.align(samples, text)
    assert aligner.align(spoken[0][0], SENTENCES[0]) == first
    assert Aligner().align(spoken[0][0], SENTENCES[0]) == first


def test_level_does_not_matter(aligner, spoken):
    # A power of two loses no bit of a float32.
    assert aligner.align(spoken[0][0] * np.float32(2**-7), SENTENCES[0]) == aligner.align(spoken[0][0], SENTENCES[0])


def test_tokens_and_text_are_the_same(aligner, spoken):
    assert aligner.align(spoken[0][0], SENTENCES[0].lower().split()) == aligner.align(
        spoken[0][0], "I can’t believe, you did THAT... to me! [SIGH]"
    )


def test_words_outside_the_dictionary(aligner):
    pytest.importorskip("espeakng_loader")
    from duetto.synthetic.espeak import Speaker

    samples, truth = Speaker("f2").synthesise("please bring the zorblat to my mother")
    for _ in range(2):  # the second time the decoder has the word already; it was guessed nevertheless
        alignment = aligner.align(samples, "please bring the zorblat to my mother")
        assert alignment.guessed == ("zorblat",)
        assert alignment.matches
    assert boundary_errors(truth, alignment.words).starts[3] <= 0.06  # one word, so the 99th percentile
    assert aligner.align(samples, "please bring the letter to my mother").guessed == ()


@pytest.mark.parametrize("transcript", ["", "   ", "...", "[LAUGHTER]", "''", []])
def test_transcripts_without_a_word(aligner, transcript):
    alignment = aligner.align(np.zeros(SAMPLE_RATE, np.float32), transcript)
    assert (alignment.words, alignment.unaligned, alignment.matches) == ((), (), False)
    assert "holds no word" in alignment.warnings[0]


def test_a_token_that_is_too_long_to_be_a_word_is_not_pronounced(aligner):
    alignment = aligner.align(np.zeros(SAMPLE_RATE, np.float32), f"yes {'zork' * 100_000} no")
    assert (alignment.words, len(alignment.unaligned), alignment.matches) == ((), 3, False)
    assert alignment.warnings == ("the transcript has a word of 400,000 letters; a word has at most 100",)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(SAMPLE_RATE, np.float32), "silent"),
        (np.full(SAMPLE_RATE, 0.3, np.float32), "silent"),
        (np.ones(1, np.float32), "too short"),
        (np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE).astype(np.float32) * 0.1, "noise"),
        (np.random.default_rng(0).standard_normal(SAMPLE_RATE // 4).astype(np.float32), "not what was said"),
    ],
    ids=["silence", "DC", "one sample", "noise", "short noise"],
)
def test_audio_without_speech(aligner, samples, reason):
    alignment = aligner.align(samples, "nobody ever listens to a word that I say")
    assert alignment.words == ()
    assert len(alignment.unaligned) == 9
    assert (alignment.score, alignment.matches) == (-math.inf, False)
    assert reason in alignment.warnings[0]


@pytest.mark.parametrize("samples", [np.array([0.0, np.nan]), np.zeros(0), np.zeros((2, 9)), np.zeros(9, np.int32)])
def test_samples_that_are_no_recording(aligner, samples):
    with pytest.raises(AudioError):
        aligner.align(samples, "hello")


def test_long_recordings_are_refused(aligner, spoken, monkeypatch):
    monkeypatch.setattr(align_module, "LONGEST_SECONDS", 1.0)
    alignment = aligner.align(spoken[0][0], SENTENCES[0])
    assert alignment.words == ()
    assert "too long to align whole: cut at most 1 s" in alignment.warnings[0]


def test_a_decoder_that_fails_is_replaced(spoken, monkeypatch):
    aligner = Aligner()
    expected = aligner.align(spoken[0][0], SENTENCES[0])

    def fail(*_):
        raise RuntimeError("Failed to end utterance processing")

    with monkeypatch.context() as patch:
        patch.setattr(sphinx, "align", fail)
        failed = aligner.align(spoken[0][0], SENTENCES[0])
    assert (failed.words, failed.matches) == ((), False)
    assert aligner.align(spoken[0][0], SENTENCES[0]) == expected


# Manifests


@pytest.fixture
def corpus(tmp_path, spoken):
    """One utterance of every kind."""
    for i, (samples, _) in enumerate(spoken):
        audio.write(tmp_path / f"{i}.wav", samples, SAMPLE_RATE)
    audio.write(tmp_path / "silent.wav", np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing more")
    timed = (Word("kept", 0.0, 0.5),)
    return [
        Utterance("right", tmp_path / "0.wav", text=SENTENCES[0]),
        Utterance("broken", tmp_path / "broken.wav", text="hello"),
        Utterance("wrong", tmp_path / "1.wav", text=SENTENCES[2]),
        Utterance("untimed", tmp_path / "2.wav", words=tuple(Word(w) for w in SENTENCES[2].split())),
        Utterance("timed", tmp_path / "3.wav", text=SENTENCES[3], words=timed),
        Utterance("absent", tmp_path / "absent.wav", text="hello"),
        Utterance("laughter", tmp_path / "4.wav", text="[LAUGHTER]"),
        Utterance("unknown", tmp_path / "5.wav"),
        Utterance("silent", tmp_path / "silent.wav"),
    ]


@pytest.fixture(scope="module")
def asr() -> RecogniserConfig:
    return RecogniserConfig(language=LanguageModel.from_corpus(SENTENCES))


def test_manifest(corpus, asr, spoken):
    steps = []
    result, report = align_manifest(corpus, asr=asr, progress=lambda *step: steps.append(step))
    assert [u.id for u in result] == [u.id for u in corpus]
    assert (report.total, report.kept, report.aligned, report.recognised) == (9, 1, 2, 1)
    assert (report.skipped, report.failed, report.cached) == (0, 5, 0)
    kinds = {problem.id: problem.kind for problem in report.problems}
    assert kinds == {
        "broken": "audio",
        "wrong": "mismatch",
        "absent": "audio",
        "laughter": "no-word",
        "silent": "unheard",
    }
    assert str(corpus[1].audio) in report.problems[0].detail
    words = {u.id: u.words for u in result}
    assert [w.word for w in words["right"]] == SENTENCES[0].lower().split()
    assert {w.source for w in words["untimed"]} == {"aligned"}
    assert {w.source for w in words["unknown"]} == {"recognised"}
    assert words["timed"] == corpus[4].words
    assert words["wrong"] is None  # times of words that were not said are worse than none
    assert report.words == sum(len(words[i]) for i in ("right", "untimed", "timed", "unknown"))
    assert (steps[0], steps[-1], len(steps)) == ((1, 9), (9, 9), 9)
    assert "2 aligned, 1 by sound alone, 1 had times, 0 skipped, 5 failed (2 audio, 1 mismatch" in report.summary()


def test_missing_transcripts_can_be_skipped(corpus):
    chosen = [u for u in corpus if u.id in ("unknown", "timed")]
    result, report = align_manifest(chosen, missing="skip")
    assert result == chosen
    assert (report.kept, report.skipped, report.failed) == (1, 1, 0)
    assert [(p.kind, p.id) for p in report.problems] == [("no-transcript", "unknown")]


def test_the_cut_of_an_utterance_is_aligned(tmp_path, spoken):
    pause = np.zeros(SAMPLE_RATE, np.float32)
    audio.write(tmp_path / "both.wav", np.concatenate([spoken[0][0], pause, spoken[1][0]]), SAMPLE_RATE)
    start = len(spoken[0][0]) / SAMPLE_RATE + 1
    utterance = Utterance("second", tmp_path / "both.wav", start=start, text=SENTENCES[1])
    (result,), _ = align_manifest([utterance])
    errors = boundary_errors(spoken[1][1], result.words)  # times count from the start of the utterance
    assert np.median(errors.starts) <= 0.02


def test_workers_give_the_same(corpus, asr):
    chosen = [u for u in corpus if u.id in ("right", "broken", "untimed", "unknown")]
    alone, two = (align_manifest(chosen, asr=asr, workers=n) for n in (1, 2))
    assert two == alone


def test_runs_resume(corpus, asr, tmp_path, monkeypatch):
    cache = tmp_path / "cache"

    class InterruptedRunError(Exception):
        pass

    def interrupt(done, _):
        if done == 3:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        align_manifest(corpus, asr=asr, cache_folder=cache, progress=interrupt)
    with (cache / JOURNAL_NAME).open("ab") as file:
        file.write(b'{"key": "cut sho')
    whole = align_manifest(corpus, asr=asr, cache_folder=cache)
    assert whole[1].cached == 1  # "right"; of the other two that were done, "timed" needs none, "broken" is not kept
    again = align_manifest(corpus, asr=asr, cache_folder=cache)
    assert again[0] == whole[0]
    assert again[1].cached == 6
    assert replace(again[1], cached=1) == whole[1]
    # Everything is known but the two without readable audio, and nothing else is worked on.
    worked = []
    monkeypatch.setattr(
        annotate, "annotate", lambda job: (worked.append(job.audio), WordAnnotation(problem="audio"))[1]
    )
    align_manifest(corpus, asr=asr, cache_folder=cache)
    assert len(worked) == 2


def test_the_cache_key_covers_everything_an_annotation_depends_on(corpus, tmp_path, spoken):
    (right,) = (u for u in corpus if u.id == "right")

    def cached(utterance, **options):
        return align_manifest([utterance], cache_folder=tmp_path / "cache", **options)[1].cached

    assert [cached(right), cached(right)] == [0, 1]
    assert cached(replace(right, id="renamed", speaker="x")) == 1
    assert cached(replace(right, text="something else")) == 0
    assert cached(replace(right, end=1.0)) == 0
    untranscribed = replace(right, text=None)
    general, loop = (RecogniserConfig(language=LanguageModel.word_loop(words)) for words in (["me"], ["me", "you"]))
    assert [cached(untranscribed, asr=e) for e in (general, loop, loop)] == [0, 0, 1]
    audio.write(right.audio, spoken[1][0], SAMPLE_RATE)
    assert cached(right) == 0


def test_a_damaged_cache_is_redone(corpus, tmp_path):
    cache = tmp_path / "cache"
    (right,) = (u for u in corpus if u.id == "right")
    expected, _ = align_manifest([right], cache_folder=cache)
    record = json.loads((cache / CACHE_NAME).read_text())
    for damage in ({"words": [{"word": "x", "start": 2.0, "end": 1.0}]}, {"words": 3}, {"guessed": None}):
        (cache / CACHE_NAME).write_text(json.dumps(record | damage) + "\n[]\n\x00\n")
        again, report = align_manifest([right], cache_folder=cache)
        assert (again, report.cached) == (expected, 0)


@pytest.fixture
def many(tmp_path, monkeypatch) -> list[Utterance]:
    """Utterances of noise whose words are found at once, as many as their number."""

    def found(job: AnnotationJob) -> WordAnnotation:
        number = int(Path(job.audio).stem)
        return WordAnnotation(tuple(Word("é", i / 10, i / 10 + 0.1) for i in range(number)))

    monkeypatch.setattr(annotate, "annotate", found)
    for i in range(8):
        (tmp_path / f"{i}.wav").write_bytes(bytes([i]))  # only its digest is read
    return [Utterance(str(i), tmp_path / f"{i}.wav", text="words") for i in range(8)]


@pytest.fixture
def undisturbed(many, tmp_path) -> bytes:
    align_manifest(many, cache_folder=tmp_path / "undisturbed")
    return (tmp_path / "undisturbed" / CACHE_NAME).read_bytes()


@pytest.mark.parametrize("ends", [(3,), (1, 5), (8,), (2, 2, 2)])
def test_interrupted_calls_leave_the_bytes_of_an_undisturbed_one(many, undisturbed, tmp_path, ends):
    left = list(ends)

    def stop(done: int, _: int) -> None:
        if done == left[0]:
            raise KeyboardInterrupt

    while left:
        with pytest.raises(KeyboardInterrupt):
            align_manifest(many, cache_folder=tmp_path / "cache", progress=stop)
        left.pop(0)
    _, report = align_manifest(many, cache_folder=tmp_path / "cache")
    assert report.cached == max(ends)
    assert (tmp_path / "cache" / CACHE_NAME).read_bytes() == undisturbed
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {CACHE_NAME, "lock"}


def test_the_order_of_calls_and_manifests_does_not_matter(many, undisturbed, tmp_path):
    for part in (many[5:], many[3::-1], many):
        align_manifest(part, cache_folder=tmp_path / "cache")
    assert (tmp_path / "cache" / CACHE_NAME).read_bytes() == undisturbed


def test_a_full_disk_leaves_the_bytes_of_an_undisturbed_call(many, undisturbed, tmp_path, monkeypatch):
    """Half a line is written before the error."""
    put = Cache.put

    def full(self: Cache, key: str, answer: dict) -> None:
        put(self, key, answer)
        if self._journal.stat().st_size > 700:
            os.truncate(self._journal, 700)
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Cache, "put", full)
        with pytest.raises(OSError, match="No space"):
            align_manifest(many, cache_folder=tmp_path / "cache")
    _, report = align_manifest(many, cache_folder=tmp_path / "cache")
    assert 0 < report.cached < 8
    assert (tmp_path / "cache" / CACHE_NAME).read_bytes() == undisturbed


def test_two_calls_at_once_share_the_work(many, undisturbed, tmp_path, monkeypatch, caplog):
    work, worked = annotate.annotate, []

    def slow(job: AnnotationJob) -> WordAnnotation:
        worked.append(job.audio)
        for _ in range(1000):  # until the other call waits
            if caplog.records:
                break
            time.sleep(0.01)
        return work(job)

    monkeypatch.setattr(annotate, "annotate", slow)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(align_manifest, part, cache_folder=tmp_path / "cache") for part in (many, many[::-1])]
        first, second = (call.result()[0] for call in calls)
    assert first == second[::-1]
    assert len(worked) == len(many)
    assert (tmp_path / "cache" / CACHE_NAME).read_bytes() == undisturbed
    assert "another process finds words for it; waiting" in caplog.text


def test_a_complete_cache_is_only_read(many, tmp_path, monkeypatch):
    align_manifest(many, cache_folder=tmp_path / "cache")
    monkeypatch.setattr("duetto.utils.files.lock", None)
    assert align_manifest(many[:3], cache_folder=tmp_path / "cache")[1].cached == 3


def die_on_b(job: AnnotationJob) -> WordAnnotation:
    if job.audio == "b":
        os._exit(3)
    return WordAnnotation(guessed=(job.audio,))


def test_a_crashed_process_loses_one_utterance():
    jobs = [AnnotationJob(name, None, None, "x", RecogniserConfig()) for name in "abcde"]
    found = list(annotate.annotate_all(jobs, die_on_b, workers=2))
    assert found[1].problem == "crash"
    assert "b: the process that worked on it died" in found[1].detail
    assert [outcome.guessed for outcome in found] == [("a",), (), ("c",), ("d",), ("e",)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"missing": "drop"}, "missing='drop'"),
        ({"asr": RecogniserConfig("x")}, "recogniser 'x'"),
    ],
)
def test_bad_options(corpus, options, message):
    with pytest.raises(ConfigurationError, match=message):
        align_manifest(corpus, **options)


def test_nothing_to_do():
    result, report = align_manifest([])
    assert (result, report.total, report.problems) == ([], 0, ())


@pytest.mark.corpora
def test_human_speech(data, aligner):
    rows = [row.split("|") for row in (data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()[:6]]
    for (name, _, text), (_, _, other) in zip(rows, rows[1:] + rows[:1], strict=True):
        samples = audio.load(next((data / "ljspeech" / "wavs").glob(f"{name}.*"))).samples
        assert aligner.align(samples, text).matches
        assert not aligner.align(samples, other).matches
