"""Which moments and words moved an answer: planted contributions, and the system itself without a part."""

import itertools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from duetto import audio
from duetto.asr.finder import FoundWords
from duetto.audio.activity import detect_speech
from duetto.cli import app
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance, Word
from duetto.evaluation.product import PosteriorFusion, log_softmax
from duetto.inference.certainty import Certainty
from duetto.inference.confidence import Confidence
from duetto.inference.explanation import (
    CROSS_FADE,
    LONGEST_MOMENT,
    MOST_MOMENTS,
    MOST_WORDS,
    Explanation,
    moments_of,
    phrases_of,
    speech_without,
    without,
)
from duetto.inference.network import NetworkInputs, PreparedRecording, joint_answer
from duetto.inference.occlusion import Occlusion, explained
from duetto.inference.prediction import Prediction
from sounds import no_voices, voice

RUN = CliRunner()
CLASSES = ("angry", "happy", "sad")
RATE, MARGIN = 16_000, 400
WORD_LOGITS = {"lovely": (-1.0, 2.0, 0.5), "awful": (1.5, -0.5, 0.0), "the": (0.0, 0.0, 0.0), "day": (0.2, 0.1, -0.4)}


# the planted system: logits are sums over samples and over words


def sound_logits(sound: np.ndarray) -> np.ndarray:
    """(3,): a sum over samples, so additive over stretches whose ends are silent."""
    x = np.asarray(sound, np.float64)
    return np.array([x.sum() / 1000, np.square(x).sum() / 300, -np.abs(x).sum() / 2000])


def word_logits(words: Any) -> np.ndarray:
    return np.sum([WORD_LOGITS[word.word] for word in words], axis=0) if len(words) else np.zeros(3)


@dataclass
class Planted:
    """What `Occlusion` uses of a `Network`; frames are the samples themselves, word values the words."""

    uses_audio: bool = True
    uses_words: bool = True
    side: str = "first"
    answered: int = 0

    def __post_init__(self) -> None:
        self.preprocessor = SimpleNamespace(classes=CLASSES)
        self.session = SimpleNamespace(temperature=2.0)
        self.acoustic_input = SimpleNamespace(side=self.side)

    def read(self, sound: np.ndarray, words: tuple[Word, ...]) -> NetworkInputs:
        values = np.array(words, object) if self.uses_words else None
        lacks = "" if self.uses_audio or words else "no known word"
        return NetworkInputs(sound if self.uses_audio else None, values, (), lacks)

    def with_sound(self, inputs: NetworkInputs, waveform: audio.Waveform, speech, extracted, speaker) -> NetworkInputs:
        if not self.uses_audio:
            return inputs
        assert sum(end - start for start, end in speech) == len(waveform.samples)  # it has no pauses
        return replace(inputs, frames=waveform.samples * (1 if speaker is None else speaker))

    def with_words(self, inputs: NetworkInputs, waveform, words, *, speech: bool) -> NetworkInputs:
        assert speech
        return replace(self.read(np.zeros(0), words), frames=inputs.frames) if self.uses_words else inputs

    def logits_of(self, inputs) -> np.ndarray:
        self.answered += len(inputs)
        return np.array([self.answer(each)[0] for each in inputs])

    def answer(self, inputs: NetworkInputs) -> tuple[np.ndarray, dict[str, float]]:
        sound = np.zeros(3) if inputs.frames is None else sound_logits(inputs.frames)
        return sound + (np.zeros(3) if inputs.word_values is None else word_logits(inputs.word_values)), {}


def bursts(order: tuple[int, ...] = (0, 1, 2, 3)) -> list[np.ndarray]:
    """Stretches of 0.5 s whose ends are silent."""
    amplitudes = (0.9, -0.4, 0.2, -0.7)
    window = np.pad(np.hanning(8000 - 2 * MARGIN), MARGIN)
    return [(amplitudes[i] * window).astype(np.float32) for i in order]


def occlusion(
    networks: list[Planted],
    parts: list[np.ndarray],
    words: tuple[Word, ...],
    fusion: PosteriorFusion | None = None,
    speaker: list[float] | None = None,
) -> tuple[Occlusion, Prediction]:
    """A planted system and its recording, each part of which is a segment of speech; and its answer."""
    sound = np.concatenate(parts)
    if speaker is not None:
        sound = sound * np.float32(speaker[0])
    edges = np.cumsum([0, *map(len, parts)]).tolist()
    inputs = tuple(network.read(sound, words) for network in networks)
    recording = PreparedRecording(
        inputs, tuple(itertools.pairwise(edges)), False, FoundWords(words, "given"), len(sound) / RATE, ()
    )
    waveform = audio.Waveform(np.concatenate(parts), RATE)
    system = cast("Any", networks)
    certainty = Certainty(None, ("",) if fusion is None else fusion.names, None)
    posteriors = joint_answer(fusion, system, inputs).log_posteriors
    probabilities = dict(zip(CLASSES, np.exp(log_softmax(posteriors)).tolist(), strict=True))
    label = max(probabilities, key=probabilities.__getitem__)
    prediction = Prediction(label, probabilities, words, "given", waveform.duration, waveform.duration, "planted", ())
    return Occlusion(fusion, system, certainty, waveform, recording, cast("Any", speaker)), prediction


def explain(*arguments: Any, **more: Any) -> Explanation:
    own, prediction = occlusion(*arguments, **more)
    return explained(prediction, own)


def array(parts: Any) -> np.ndarray:
    return np.array([[part.effects[label] for label in CLASSES] for part in parts])


WORDS = tuple(Word(word, i * 0.5, i * 0.5 + 0.4) for i, word in enumerate(WORD_LOGITS))


def test_an_additive_system_gives_its_contributions() -> None:
    parts = bursts()
    contributions = np.array([sound_logits(part) for part in parts]) / 2  # the temperature
    of_words = np.array([word_logits([word]) for word in WORDS]) / 2
    explanation = explain([Planted()], parts, WORDS)
    whole = contributions.sum(0) + of_words.sum(0)
    for planted, found in ((contributions, array(explanation.moments)), (of_words, array(explanation.words))):
        np.testing.assert_allclose(found, log_softmax(whole[None]) - log_softmax(whole - planted), atol=1e-9)
        # Against another class, an effect is the contribution itself, whatever the other parts are.
        np.testing.assert_allclose(found - found[:, :1], planted - planted[:, :1], atol=1e-9)
    assert [(m.start, m.end) for m in explanation.moments] == [(0, 0.5), (0.5, 1), (1, 1.5), (1.5, 2)]
    assert [(w.word, w.start, w.end) for w in explanation.words] == [(w.word, w.start, w.end) for w in WORDS]


def test_effects_do_not_depend_on_the_order_of_the_other_parts() -> None:
    order, words = (2, 0, 3, 1), (3, 1, 0, 2)
    one = explain([Planted()], bursts(), WORDS)
    other = explain([Planted()], bursts(order), tuple(WORDS[i] for i in words))
    np.testing.assert_allclose(array(other.moments), array(one.moments)[list(order)], atol=1e-9)
    np.testing.assert_allclose(array(other.words), array(one.words)[list(words)], atol=1e-9)


def test_a_modality_that_is_not_read_has_no_effect_and_costs_nothing() -> None:
    network = Planted(uses_audio=False)
    explanation = explain([network], bursts(), WORDS)
    assert not array(explanation.moments).any() and array(explanation.words).any()
    assert explanation.evaluations == 1 + len(WORDS)
    explanation = explain([Planted(uses_words=False)], bursts(), ())
    assert array(explanation.moments).any() and explanation.words == () and explanation.evaluations == 1 + 4


def test_in_a_fusion_each_branch_answers_for_its_own_modality() -> None:
    """The effect is that on the product of posteriors, and the other branch is not computed again."""
    fusion = PosteriorFusion.plain(("voice", "words"), (1.0, 0.5), 3)
    voice_branch, word_branch = Planted(uses_words=False), Planted(uses_audio=False)
    explanation = explain([voice_branch, word_branch], bursts(), WORDS, fusion=fusion)
    contributions = np.array([sound_logits(part) for part in bursts()])
    of_words = np.array([word_logits([word]) for word in WORDS]) / 0.5
    whole = contributions.sum(0) + of_words.sum(0)
    for planted, found in ((contributions, array(explanation.moments)), (of_words, array(explanation.words))):
        np.testing.assert_allclose(found, log_softmax(whole[None]) - log_softmax(whole - planted), atol=1e-9)
    assert (voice_branch.answered, word_branch.answered) == (2 + 4, 2 + 4)


def test_the_only_word_of_a_branch_leaves_it_out() -> None:
    """Without its word, the branch takes no part, and the fusion is weighted for that case."""
    plain = PosteriorFusion.plain(("voice", "words"), (1.0, 1.0), 3)
    fusion = replace(plain, weights={**plain.weights, frozenset(("voice",)): (3.0, 0.0)})
    networks = [Planted(uses_words=False), Planted(uses_audio=False)]
    (word,) = explain(networks, bursts(), WORDS[:1], fusion=fusion).words
    sound = np.sum([sound_logits(part) for part in bursts()], axis=0)
    expected = log_softmax(sound + word_logits(WORDS[:1])) - log_softmax(3 * sound)
    np.testing.assert_allclose(array([word])[0], expected, atol=1e-9)


def test_the_statistics_of_the_speaker_are_used() -> None:
    explanation = explain([Planted(uses_words=False)], bursts(), (), speaker=[0.5])
    contributions = np.array([sound_logits(0.5 * part) for part in bursts()]) / 2
    found = array(explanation.moments)
    np.testing.assert_allclose(found - found[:, :1], contributions - contributions[:, :1], atol=1e-6)


def test_many_parts_are_answered_in_several_batches_and_reported() -> None:
    words, calls = tuple(Word("the" if i % 3 else "awful") for i in range(40)), []
    own, prediction = occlusion([Planted()], bursts() * 5, words)
    explanation = explained(prediction, own, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 60) for done in range(1, 61)] and explanation.evaluations == 61
    angry = [word.effects["angry"] for word in explanation.words]
    np.testing.assert_allclose(angry[::3], angry[0], atol=1e-9)
    np.testing.assert_allclose([angry[i] for i in range(40) if i % 3], 0, atol=1e-9)
    assert angry[0] > 0.1 and (explanation.words[0].start, explanation.words[0].end) == (None, None)


def test_moments_of_the_end_of_a_long_recording_have_times_in_the_whole() -> None:
    own, prediction = occlusion([Planted(side="last")], bursts(), ())
    own = replace(own, waveform=replace(own.waveform, source_duration=62.0))
    assert [m.start for m in explained(prediction, own).moments] == [60, 60.5, 61, 61.5]


def test_shifted_moves_times_only() -> None:
    explanation = explain([Planted()], bursts(), (*WORDS, Word("the")))
    moved = explanation.shifted(10.0)
    assert [m.start for m in moved.moments] == [10, 10.5, 11, 11.5]
    assert [w.end for w in moved.words] == [10.4, 10.9, 11.4, 11.9, None]
    assert moved.prediction == explanation.prediction
    np.testing.assert_array_equal(array(moved.moments), array(explanation.moments))


def test_log_probabilities_are_those_of_the_answer() -> None:
    class Stated:
        def distance(self, frames: dict[str, Any]) -> float:
            return float(frames["a"].mean())

        def factors(self, distance: float) -> float:
            return 1 + distance

        def unfamiliar(self, distance: float) -> bool:
            return False

    certainty = Certainty(cast("Confidence", Stated()), ("a", "b"), None)
    inputs = [NetworkInputs(np.full((2, 3), 2.0), None, (), ""), NetworkInputs(None, np.ones(2), (), "")]
    posteriors = np.array([0.3, -2.0, 1.5])
    found = certainty.log_probabilities(posteriors, inputs)
    np.testing.assert_allclose(np.exp(found), certainty(posteriors, inputs).probabilities, atol=1e-12)
    np.testing.assert_allclose(found, log_softmax(posteriors / 3), atol=1e-12)
    assert np.isfinite(certainty.log_probabilities(np.array([5000.0, 0, 0]), inputs)).all()


# parts


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 3), (2, 39), (3, 41), (4, 200)])
def test_moments_cover_all_speech_and_are_bounded(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.integers(1600, 60_000, 2 * count))
    speech = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    moments = moments_of(speech)
    assert 1 <= len(moments) <= MOST_MOMENTS
    assert all(a < b for a, b in moments) and all(a[1] <= b[0] for a, b in itertools.pairwise(moments))
    covered = np.zeros(edges[-1], bool)
    for start, end in moments:
        covered[start:end] = True
    assert all(covered[a:b].all() for a, b in speech)
    if sum(-(-(b - a) // 12_800) for a, b in speech) <= MOST_MOMENTS:
        assert covered.sum() == sum(b - a for a, b in speech)
        assert max(b - a for a, b in moments) <= LONGEST_MOMENT * RATE


def test_words_are_left_out_one_by_one_or_together() -> None:
    assert phrases_of([]) == []
    assert phrases_of([Word("a")] * 3) == [(0, 1), (1, 2), (2, 3)]
    assert phrases_of([Word("a")] * (MOST_WORDS + 3))[-2:] == [(100, 102), (102, 103)]
    words = tuple(Word("day", i / 10, i / 10 + 0.1) for i in range(101))
    found = explain([Planted()], bursts(), words).words
    assert len(found) == 51 and (found[0].word, found[0].start, found[0].end) == ("day day", 0.0, 0.2)
    assert found[-1].word == "day"


def test_a_stretch_is_cut_out_and_the_rest_joined() -> None:
    """Worked by hand: outside the joint nothing changes; in it, cos and sin of equally spaced angles."""
    half = round(CROSS_FADE * RATE / 2)
    left, right = np.full(1000, 1, np.float32), np.full(2000, 2, np.float32)
    found = without(np.concatenate((left, np.full(500, 9, np.float32), right)), 1000, 1500)
    assert found.dtype == np.float32 and len(found) == 3000
    np.testing.assert_array_equal(found[: 1000 - half], 1)
    np.testing.assert_array_equal(found[1000 + half :], 2)
    # The fade is as long before the joint as after it: 5 ms of the removed stretch enter it, and fade to nothing.
    first, last = found[1000 - half], found[1000 + half - 1]
    angle = np.pi / 8 / half
    assert first == pytest.approx(np.cos(angle) + 9 * np.sin(angle))
    assert last == pytest.approx(9 * np.sin(angle) + 2 * np.cos(angle))
    middle = found[1000]
    angle = np.pi / 4 + np.pi / 8 / half
    assert middle == pytest.approx(9 * np.cos(angle) + 2 * np.sin(angle))


def test_the_joint_is_no_click_and_keeps_the_power() -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 100 * time).astype(np.float32)
    found = without(tone, 4000, 8040)  # removes 25.25 periods
    steepest = float(np.abs(np.diff(tone)).max())
    assert np.abs(np.diff(np.concatenate((tone[:4000], tone[8040:])))).max() > 10 * steepest
    assert np.abs(np.diff(found)).max() < 2 * steepest
    noise = np.random.default_rng(0).standard_normal((2000, 600))
    joints = np.array([without(row, 200, 400)[120:280] for row in noise])
    np.testing.assert_allclose(joints.var(0), 1, atol=0.15)


def test_a_stretch_at_an_end_is_cut_off() -> None:
    sound = np.arange(1000, dtype=np.float32)
    np.testing.assert_array_equal(without(sound, 0, 300), sound[300:])
    np.testing.assert_array_equal(without(sound, 300, 1000), sound[:300])
    assert len(without(sound, 3, 990)) == 13


def test_speech_without_a_stretch() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        edges = np.sort(rng.choice(400, 9, replace=False)).tolist()
        speech, (start, end) = [(edges[0], edges[2]), (edges[3], edges[5]), (edges[7], edges[8])], (edges[1], edges[6])
        mask = np.zeros(400, bool)
        for a, b in speech:
            mask[a:b] = True
        expected = np.delete(mask, slice(start, end))
        found = np.zeros_like(expected)
        for a, b in speech_without(speech, start, end):
            found[a:b] = True
        np.testing.assert_array_equal(found, expected)


# real systems


@pytest.fixture(scope="module")
def utterance(manifest: Path) -> Utterance:
    return next(u for u in read_manifest(manifest) if u.session == "5" and len(u.words or ()) > 3)


@pytest.mark.parametrize("name", ["acoustic", "embedding-random", "fusion-speech2vec"])
def test_effects_are_those_of_the_system_without_the_part(runs: Path, utterance: Utterance, name: str) -> None:
    """The oracle is the system's own answer for the cut recording, and for the other words."""
    system, words = duetto.load(runs / name), utterance.words or ()
    system._networks[0].session.temperature = 0.01  # the fitted one is so high that all is alike
    given = {} if name == "acoustic" else {"words": words}
    explanation = system.explain(utterance.audio, **given)
    assert explanation.prediction == system(utterance.audio, **given)
    whole = np.log(list(explanation.prediction.probabilities.values()))
    sound = audio.load(utterance.audio).samples
    moments = moments_of(detect_speech(sound))
    assert len(explanation.moments) == len(moments) > 1
    for (start, end), moment in zip(moments, explanation.moments, strict=True):
        cut = {"waveform": without(sound, start, end), "sample_rate": RATE}
        answer = system(cut, **given)
        expected = whole - np.log(list(answer.probabilities.values()))
        np.testing.assert_allclose(
            list(moment.effects.values()), expected, atol=2e-3
        )  # float32 logits of another batch, divided by 0.01
        assert (moment.start, moment.end) == (start / RATE, end / RATE)
    assert len(explanation.words) == (0 if name == "acoustic" else len(words))
    for i, word in enumerate(explanation.words):
        answer = system(utterance.audio, words=(*words[:i], *words[i + 1 :]))
        expected = whole - np.log(list(answer.probabilities.values()))
        np.testing.assert_allclose(list(word.effects.values()), expected, atol=2e-3)
    effects = np.array([list(part.effects.values()) for part in (*explanation.words, *explanation.moments)])
    assert np.abs(effects).max() > 0.05  # else the comparison shows nothing


def test_words_that_are_read_as_sounds(runs: Path, utterance: Utterance) -> None:
    """A system that embeds spoken words reads them in the whole recording, whichever moment is left out."""
    system, words = duetto.load(runs / "fusion-spoken"), utterance.words or ()
    explanation = system.explain(utterance.audio, words=words)
    whole = np.log(list(explanation.prediction.probabilities.values()))
    answer = system(utterance.audio, words=words[1:])
    expected = whole - np.log(list(answer.probabilities.values()))
    np.testing.assert_allclose(list(explanation.words[0].effects.values()), expected, atol=2e-4)
    assert all(moment.effects for moment in explanation.moments)


def test_the_recogniser_explains_the_words_that_it_found(runs: Path, utterance: Utterance) -> None:
    explanation = duetto.load(runs / "fusion-speech2vec").explain(utterance.audio)
    assert [w.word for w in explanation.words] == [w.word for w in explanation.prediction.words] != []


def test_without_speech_there_is_nothing_to_explain(runs: Path) -> None:
    source = {"waveform": no_voices()["mains hum"], "sample_rate": RATE}
    explanation = duetto.load(runs / "acoustic").explain(source)
    assert explanation.prediction.label is None
    assert (explanation.moments, explanation.words, explanation.evaluations) == ((), (), 0)
    explanation = duetto.load(runs / "acoustic", require_speech=False).explain(source)
    assert [m.start for m in explanation.moments] == [0, 0.75, 1.5, 2.25] and explanation.evaluations == 5


def test_a_moment_that_is_all_speech_there_is_has_no_effect() -> None:
    sound = voice()[:16_000]
    speech = [(0, 9600)]
    own, prediction = occlusion([Planted()], [sound[:9600]], ())
    assert moments_of(speech) == speech
    (moment,) = explained(prediction, own).moments
    assert (moment.start, moment.end, moment.effects) == (0, 0.6, {})


# the command


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    audio.write(tmp_path / "a.wav", voice(3.0), RATE)
    return tmp_path / "a.wav"


def test_predict_explains_as_json(runs: Path, utterance: Utterance, tmp_path: Path) -> None:
    files, options = [str(utterance.audio)] * 2, ["--model", str(runs / "fusion-speech2vec"), "--asr", "corpus"]
    done = RUN.invoke(app, ["predict", *files, *options, "--explain", "--json"])
    assert done.exit_code == 0, done.output
    one, other = (json.loads(line) for line in done.stdout.splitlines())
    assert one == other
    plain = json.loads(RUN.invoke(app, ["predict", files[0], *options, "--json"]).stdout)
    explanation = one.pop("explanation")
    assert one == plain and list(explanation) == ["moments", "words", "evaluations"]
    assert [w["word"] for w in explanation["words"]] == [w["word"] for w in one["words"]]
    for part in (*explanation["moments"], *explanation["words"]):
        assert list(part["effects"]) == list(one["probabilities"]) and {"start", "end"} < set(part)
    out = tmp_path / "out.jsonl"
    assert RUN.invoke(app, ["predict", files[0], *options, "--explain", "-o", str(out)]).exit_code == 0
    assert json.loads(out.read_text())["explanation"] == explanation


def test_predict_explains_for_a_person(runs: Path, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    audio.write(tmp_path / "hum.wav", no_voices()["mains hum"], RATE)
    files = [str(tmp_path / name) for name in ("bad.wav", "hum.wav", "a.wav")]
    done = RUN.invoke(app, ["predict", *files, "--model", str(runs / "acoustic"), "--explain"])
    assert done.exit_code == 1 and "1 of 3 recordings have no prediction" in done.stderr
    explanation = duetto.load(runs / "acoustic").explain(recording)
    label = explanation.prediction.label or ""
    assert done.stdout.count(f"  effect of each moment on the log-probability of {label}:\n") == 1
    effects = [moment.effects[label] for moment in explanation.moments]
    longest = max(0.1, *map(abs, effects))
    for moment, effect in zip(explanation.moments, effects, strict=True):
        (line,) = [x for x in done.stdout.splitlines() if f"{moment.start:.2f}–{moment.end:.2f} s" in x]
        assert f"{effect:+.2f}" in line
        assert line.count("█░"[effect < 0]) == round(30 * abs(effect) / longest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2"], "leave --workers out"),
        (["-o", "a.csv"], "write a .jsonl file"),
    ],
)
def test_what_explain_does_not_go_with(recording: Path, options: list[str], message: str) -> None:
    done = RUN.invoke(app, ["predict", str(recording), "--explain", *options])
    assert done.exit_code == 2 and message in " ".join(done.stderr.replace("│", " ").split())
