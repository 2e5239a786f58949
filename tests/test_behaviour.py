"""Tests of a model's behaviour: planted answers, for which every figure and decision is worked by hand."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from duetto import audio
from duetto.behaviour import calibration, correctness, fairness, figures, pages, rejection, robustness, thresholds
from duetto.behaviour.answers import Answer, Answered, Answers
from duetto.behaviour.conditions import CONDITIONS, VOICES
from duetto.behaviour.figures import Sample
from duetto.behaviour.outcome import FAILED, PASSED, UNDECIDED, Limit, Outcome, counts
from duetto.behaviour.recordings import Recordings, choose
from duetto.behaviour.sounds import sounds
from duetto.behaviour.suite import FEW_VOICES, Plan, run
from duetto.behaviour.thresholds import LEAST_SPEAKERS, THRESHOLDS, Limits
from duetto.data.utterance import Utterance
from duetto.errors import AudioError, ConfigurationError, DuettoError, ModelError
from duetto.evaluation import COVERAGES
from duetto.inference.prediction import Prediction

RATE = 16_000
CLASSES = ("high", "low")


def answered(pairs: Iterable[tuple[str, str]], *, speakers: int = 10, p: float = 0.7, **fields: object) -> Answered:
    """Answers for (label, answer) pairs, with p for the answer; speakers in turn."""
    utterances, answers = [], []
    for i, (label, answer) in enumerate(pairs):
        utterances.append(Utterance(f"u{i:04}", Path("x.wav"), label=label, speaker=f"s{i % speakers}", **fields))  # type: ignore[arg-type]
        answers.append(Answer(tuple(p if c == answer else (1 - p) for c in CLASSES), 1.0))
    return Answered(tuple(utterances), tuple(answers), ())


def sample(given: Answered, limits: Limits | None = None) -> Sample:
    return Sample(given.result("model", CLASSES), limits or Limits())


def by_test(outcomes: Iterable[Outcome]) -> dict[tuple[str, str], Outcome]:
    return {(o.test, o.subject): o for o in outcomes}


def matrix(high: tuple[int, int], low: tuple[int, int]) -> list[tuple[str, str]]:
    """Pairs with this confusion matrix, rows the label; mixed, so that each speaker has some of all."""
    cells = zip(itertools.product(CLASSES, CLASSES), (*high, *low), strict=True)
    pairs = [cell for cell, n in cells for _ in range(n)]
    return [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]


# Deciding


@pytest.mark.parametrize(
    ("limit", "bounds", "status"),
    [
        (Limit(low=50), (50, 60), PASSED),
        (Limit(low=50), (49, 60), UNDECIDED),
        (Limit(low=50), (30, 49), FAILED),
        (Limit(high=20), (0, 20), PASSED),
        (Limit(high=20), (10, 21), UNDECIDED),
        (Limit(high=20), (21, 40), FAILED),
        (Limit(-10, 10), (-10, 10), PASSED),
        (Limit(-10, 10), (-12, 5), UNDECIDED),
        (Limit(-10, 10), (-40, -11), FAILED),
        (Limit(-10, 10), (11, 12), FAILED),
        (Limit(-10, 10), (-90, 90), UNDECIDED),
        (Limit(low=50), (-math.inf, math.inf), UNDECIDED),
    ],
)
def test_a_test_is_decided_by_its_whole_interval(limit: Limit, bounds: tuple[float, float], status: str) -> None:
    assert limit.decide(*bounds) == status


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (10, 10), (3, 17), (250, 1000)])
def test_wilson_is_scipys(hits: int, total: int) -> None:
    expected = binomtest(hits, total).proportion_ci(method="wilson")
    found = figures.wilson(hits, total, figures.quantile())
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert figures.combined([1.0], [hits], [total]) == pytest.approx(found, abs=1e-9)


def test_combined_intervals_are_newcombes_worked_example() -> None:
    """56 of 70 less 48 of 80: Newcombe, Statistics in Medicine 17 (1998), table II, method 10."""
    assert figures.combined([1, -1], [56, 48], [70, 80]) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_many_comparisons_widen_an_interval() -> None:
    assert figures.quantile() == pytest.approx(1.959964) and figures.quantile(10) == pytest.approx(2.807034)
    drawn = np.random.default_rng(0).normal(0.2, 0.1, 100_000)
    low, high = figures.resampled(0.2, drawn, 10)
    assert (low, high) == pytest.approx((0.2 - 0.2807, 0.2 + 0.2807), abs=2e-3)
    assert figures.resampled(0.2, np.full(3, np.nan)) == (-math.inf, math.inf)


def test_too_few_speakers_or_utterances_decide_nothing() -> None:
    all_right = [(c, c) for c in CLASSES * 50]
    for speakers, reason in ((4, "4 speakers; 5 are the least"), (1, "1 speaker; 5 are the least")):
        figure = sample(answered(all_right, speakers=speakers)).ua()
        assert figure.problem.startswith(reason)
        assert figure.against(Limit(low=50), "correctness", "ua").status == UNDECIDED
    assert sample(answered(all_right, speakers=LEAST_SPEAKERS)).ua().problem == ""
    assert sample(answered(all_right[:8])).ua().problem.startswith("8 utterances; 10 are the least")
    assert sample(answered(all_right, speakers=2), Limits(least_speakers=2)).ua().problem == ""


# Correctness


def test_correctness_is_that_of_the_confusion_matrix() -> None:
    """[[80, 20], [10, 90]]: recalls 80 and 90, UA 85, precisions 80/90 and 90/110, chance 50."""
    given = answered(matrix((80, 20), (10, 90)))
    found = by_test(correctness.outcomes(sample(given), given.utterances, Limits()))
    values = {key: round(o.value or 0, 3) for key, o in found.items() if not o.kind or o.kind == "class"}
    assert values == {
        ("ua", ""): 85,
        ("wa", ""): 85,
        ("above_chance", ""): 35,
        ("recall", "high"): 80,
        ("recall", "low"): 90,
        ("precision", "high"): 88.889,
        ("precision", "low"): 81.818,
    }
    assert counts(list(found.values()))[PASSED] >= len(values)
    for outcome in found.values():
        assert outcome.ci95 is not None and outcome.ci95[0] <= (outcome.value or 0) <= outcome.ci95[1]


def test_a_class_that_is_never_found_fails_and_one_that_is_missing_is_not_decided() -> None:
    given = answered([("low", "high")] * 60 + [("high", "high")] * 60)
    found = by_test(correctness.outcomes(sample(given), given.utterances, Limits()))
    assert found["recall", "low"].status == FAILED and found["recall", "low"].value == 0
    never = found["precision", "low"]
    assert (never.status, never.value, never.note) == (UNDECIDED, None, "no answer is this class")
    assert found["ua", ""].status == UNDECIDED, "50 % of two classes: neither above nor below 50"
    one = answered([("high", "high")] * 60)
    assert by_test(correctness.outcomes(sample(one), one.utterances, Limits()))["recall", "low"].note.startswith(
        "no utt"
    )


def test_ua_of_each_group() -> None:
    women = answered(matrix((50, 0), (0, 50)), gender="female").utterances
    men = answered(matrix((10, 40), (40, 10)), gender="male")
    both = Answered(
        tuple(women) + tuple(replace(u, id=f"m{u.id}", speaker=f"m{u.speaker}") for u in men.utterances),
        answered(matrix((50, 0), (0, 50))).answers + men.answers,
        (),
    )
    found = by_test(correctness.outcomes(sample(both), both.utterances, Limits()))
    assert (found["group_ua", "female"].value, found["group_ua", "male"].value) == pytest.approx((100, 20))
    assert (found["group_ua", "female"].status, found["group_ua", "male"].status) == (PASSED, FAILED)
    assert not any(o.kind in ("language", "corpus") for o in found.values()), "nothing is known of these"
    fair = by_test(fairness.outcomes(sample(both), both.utterances, Limits()))
    assert fair["ua_difference", "female"].value == pytest.approx(80)
    assert fair["ua_difference", "female"].status == FAILED and fair["ua_difference", "female"].title == "female − male"
    assert ("ua_difference", "male") not in fair, "two groups have one difference"
    # Answers of either class are 50 % for both: unequal UA, equal shares.
    assert fair["share_difference", "female"].value == pytest.approx(0, abs=1e-9)


# Fairness


def groups(women: Sequence[tuple[str, str]], men: Sequence[tuple[str, str]]) -> Answered:
    first, second = answered(women, gender="female"), answered(men, gender="male")
    renamed = tuple(replace(u, id=f"m{u.id}", speaker=f"m{u.speaker}") for u in second.utterances)
    return Answered(first.utterances + renamed, first.answers + second.answers, ())


def fair(given: Answered, limits: Limits | None = None) -> dict[tuple[str, str], Outcome]:
    limits = limits or Limits()
    outcomes = fairness.outcomes(sample(given, limits), given.utterances, limits)
    return by_test(o for o in outcomes if o.kind == "gender")


def test_equal_groups_pass_where_they_are_large_and_are_not_decided_where_they_are_small() -> None:
    large, small = (groups(*[matrix((8 * n, 2 * n), (2 * n, 8 * n))] * 2) for n in (60, 2))
    assert {o.status for o in fair(large).values()} == {PASSED}
    assert {o.status for o in fair(small).values()} == {UNDECIDED}
    assert fair(large)["ua_difference", "female"].value == 0


def test_what_a_group_happens_to_say_is_no_unfairness() -> None:
    """Women say 'high' in 300 of 400, men in 100 of 400, and both are recognised alike: shares of answers differ by 30
    points, but not among equal emotions."""
    given = groups(matrix((240, 60), (20, 80)), matrix((80, 20), (60, 240)))
    found = fair(given)
    assert found["share_difference", "female"].value == pytest.approx(0, abs=1e-9)
    assert {o.status for o in found.values()} == {PASSED}


def test_a_class_that_is_answered_more_often_for_one_group_fails() -> None:
    """P('high' | 'high'), P('high' | 'low') are 0.9 and 0.5 for women, 0.5 and 0.1 for men: UA is 70 % for both, and
    the share of 'high' 70 % and 30 %."""
    found = fair(groups(matrix((180, 20), (100, 100)), matrix((100, 100), (20, 180))))
    assert found["ua_difference", "female"].value == pytest.approx(0, abs=1e-9)
    assert found["ua_difference", "female"].status == PASSED
    share = found["share_difference", "female"]
    assert share.value == pytest.approx(40) and share.status == FAILED and share.note == "class high"


def test_groups_without_a_class_in_common_are_not_compared_and_others_on_what_both_have() -> None:
    assert not fair(groups([("high", "high")] * 40, [("low", "low")] * 40))
    found = fair(groups(matrix((100, 100), (0, 0)), matrix((100, 100), (0, 200))))
    assert found["ua_difference", "female"].value == pytest.approx(0, abs=1e-9), "recall of 'high' alone"


def test_one_speaker_of_many_is_compared_by_utterances() -> None:
    pairs = [(c, c) for c in CLASSES * 200]
    bad = [(label, CLASSES[label == "high"] if i % 9 == 0 else answer) for i, (label, answer) in enumerate(pairs)]
    given = answered(bad, speakers=9)
    found = by_test(fairness.outcomes(sample(given), given.utterances, Limits()))
    assert found["ua_difference", "s0"].kind == "speaker" and found["ua_difference", "s0"].status == FAILED
    assert found["ua_difference", "s0"].value == pytest.approx(-100)
    few = answered([(c, c) for c in CLASSES * 8], speakers=4)
    notes = [o.note for o in fairness.outcomes(sample(few), few.utterances, Limits())]
    assert notes and all("are the least that decide" in note for note in notes)


# Robustness


def test_the_change_of_ua_is_what_becomes_right_less_what_becomes_wrong() -> None:
    """Of 100 'high', 30 become wrong; of 100 'low', 10 become right: UA changes by (−30 + 10) / 2."""
    before = [("high", "high")] * 100 + [("low", "low")] * 50 + [("low", "high")] * 50
    after = [("high", "high")] * 70 + [("high", "low")] * 30 + [("low", "low")] * 60 + [("low", "high")] * 40
    given = (answered(before), answered(after))
    found = by_test(robustness.outcomes(*given, "white-20", CLASSES, Limits()))
    assert found["ua_change", "white-20"].value == pytest.approx(-10)
    assert found["changed", "white-20"].value == pytest.approx(20)
    assert found["ua_change", "white-20"].note == "UA 65.0 %" and found["ua_change", "white-20"].low == -5
    strict = Limits({"robustness": {"ua_change": {"white-20": -1}, "changed": {"*": 5}}})
    assert {o.status for o in robustness.outcomes(*given, "white-20", CLASSES, strict)} == {FAILED}
    loose = Limits({"robustness": {"ua_change": {"*": -30}, "changed": {"white-20": 40}}})
    assert {o.status for o in robustness.outcomes(*given, "white-20", CLASSES, loose)} == {PASSED}


def test_answers_that_never_change_pass_only_with_enough_of_them() -> None:
    for n, status in ((20, UNDECIDED), (1000, PASSED)):
        same = answered([(c, c) for c in CLASSES * n])
        assert {o.status for o in robustness.outcomes(same, same, "gain-20", CLASSES, Limits())} <= {status, PASSED}
        found = by_test(robustness.outcomes(same, same, "gain-20", CLASSES, Limits()))
        assert found["ua_change", "gain-20"].value == 0 and found["ua_change", "gain-20"].status == status


def test_speech_that_is_no_longer_found_and_recordings_without_an_answer() -> None:
    clean = answered([(c, c) for c in CLASSES * 20])
    silent = replace(clean, answers=tuple(replace(a, speech_seconds=float(i > 2)) for i, a in enumerate(clean.answers)))
    part = replace(silent, utterances=silent.utterances[:30], answers=silent.answers[:30])
    found = by_test(robustness.outcomes(clean, part, "room-0.3", CLASSES, Limits()))
    assert found["ua_change", "room-0.3"].utterances == 30
    assert "speech is no longer found in 3 of 30" in found["ua_change", "room-0.3"].note
    nothing = Answered((), (), ())
    assert {o.note for o in robustness.outcomes(clean, nothing, "room-0.3", CLASSES, Limits())} == {
        "no recording was answered"
    }


# Calibration


def test_answers_that_are_right_as_often_as_they_state_are_calibrated() -> None:
    given = answered([("high", "high" if i // 10 % 10 < 7 else "low") for i in range(400)], p=0.7)
    found = by_test(calibration.outcomes(sample(given), Limits()))
    assert abs(found["ece", ""].value or 0) < 3 and found["ece", ""].status == PASSED
    assert (found["confident_wrong", ""].status, found["confident_wrong", ""].value) == (UNDECIDED, None)
    assert "no answer has p ≥ 0.8" in found["confident_wrong", ""].note


def test_answers_that_are_too_sure_fail() -> None:
    """Stated 0.9, right in half: ECE is 40 % exactly, half of the confident answers are wrong, and Brier is
    (0.02 + 1.62) / 2 = 0.82 of 0.5 for equal probabilities: −64 %."""
    given = answered([("high", CLASSES[(i // 10) % 2]) for i in range(400)], p=0.9)
    found = by_test(calibration.outcomes(sample(given), Limits()))
    assert "ECE 40.0 %" in found["ece", ""].note and found["ece", ""].value == pytest.approx(40, abs=2)
    assert found["brier_skill", ""].value == pytest.approx(-64)
    assert found["confident_wrong", ""].value == pytest.approx(50)
    assert {o.status for o in found.values()} == {FAILED}


@pytest.mark.parametrize("n", [1, 4, 40])
def test_the_error_by_chance_is_the_mean_deviation_of_a_binomial(n: int) -> None:
    table = np.tile([0.8, 0.2], (n, 1))
    hits = np.arange(n + 1)
    expected = float((binom.pmf(hits, n, 0.8) * np.abs(hits / n - 0.8)).sum())
    assert calibration.expected_ece(table, np.zeros(n, np.int64)) == pytest.approx(expected, rel=0.1)


# Rejection


class Model:
    """Answers by the strongest frequency, below or above 1 kHz; counts what it is asked."""

    name, labels = "planted", CLASSES

    def __init__(self, *, rejects: bool = False, by_level: bool = False, stops_after: int | None = None) -> None:
        self.asked, self._rejects, self._by_level, self._stops_after = 0, rejects, by_level, stops_after

    def predict_many(self, sources: Iterable[audio.Source], *, workers: int = 1) -> Iterator[Prediction | DuettoError]:
        for source in sources:
            if self.asked == self._stops_after:
                raise KeyboardInterrupt
            self.asked += 1
            assert isinstance(source, dict)
            samples = np.asarray(source["waveform"], float)
            if not len(samples):
                yield AudioError("empty")
                continue
            if self._by_level:
                high = float(np.sqrt(np.mean(samples**2))) > 0.05
            else:
                high = bool(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples) > 1000)
            label = CLASSES[not high]
            found = {c: 0.9 if c == label else 0.1 for c in CLASSES}
            if self._rejects:
                yield Prediction(None, {}, (), "none", 1.0, 0.0, "planted", ())
            else:
                yield Prediction(label, found, (), "none", 1.0, 1.0, "planted", ())


def test_sounds_must_get_no_emotion() -> None:
    made = sounds()
    assert len(made) >= 10 and all(x.dtype == np.float32 and np.abs(x).max() <= 1 for x in made.values())
    answers = list(rejection.of_sounds(Model(), Limits()))
    assert [o.subject for o in answers] == list(made)
    assert {o.status for o in answers} == {FAILED} and answers[-1].note.endswith("p = 0.90")
    rejected = list(rejection.of_sounds(Model(rejects=True), Limits()))
    assert {o.status for o in rejected} == {PASSED} and {o.value for o in rejected} == {100.0}


def test_speech_is_to_be_found_and_confidence_to_be_worth_something() -> None:
    """60 % of the answers are sure and right, 40 % unsure and wrong: at a coverage of 60 %, all are right."""
    sure, unsure = answered([("high", "high")] * 300, p=0.9), answered([("high", "low")] * 200, p=0.6)
    renamed = tuple(replace(u, id=f"w{u.id}") for u in unsure.utterances)
    half = tuple(replace(a, speech_seconds=0.0) for a in unsure.answers)
    given = Answered(sure.utterances + renamed, sure.answers + half, ())
    found = by_test(rejection.of_speech(sample(given), given, Limits()))
    assert rejection.COVERAGE in COVERAGES
    assert found["confident_right", ""].value == pytest.approx(100) and found["confident_right", ""].status == PASSED
    assert found["speech_found", ""].value == pytest.approx(60) and found["speech_found", ""].status == FAILED


# Which utterances


def corpus(n: int = 60, speakers: int = 10) -> list[Utterance]:
    return [
        Utterance(f"u{i:03}", Path(f"{i}.wav"), label=CLASSES[i % 3 == 0], speaker=f"s{i % speakers}") for i in range(n)
    ]


def test_a_limited_draw_keeps_classes_and_spreads_over_speakers() -> None:
    everyone = [*corpus(), Utterance("other", Path("x.wav"), label="bored"), Utterance("none", Path("x.wav"))]
    chosen = choose(everyone, CLASSES, 15, seed=3)
    labels = [u.label for u in chosen.utterances]
    assert len(labels) == 15 and labels.count("low") == 5 and labels.count("high") == 10  # 20 and 40 of 60
    assert len({u.speaker for u in chosen.utterances if u.label == "high"}) == 10
    assert choose(everyone[::-1], CLASSES, 15, seed=3) == chosen
    assert choose(everyone, CLASSES, 15, seed=4) != chosen
    assert chosen.notes == (
        "15 of 60 utterances, drawn class by class",
        "left out, whose label is no class of the model: bored (1)",
        "1 utterances left out, which have no label",
    )
    assert len(choose(everyone, CLASSES, 100).utterances) == 60
    with pytest.raises(ConfigurationError, match="the manifest are bored, the classes of the model high, low"):
        choose(everyone[-2:], CLASSES)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """Ten speakers with four tones each, high or low as their label says, all at one level."""
    folder, utterances = tmp_path_factory.mktemp("tones"), []
    for i in range(40):
        speaker, label = i % 10, CLASSES[(i // 10) % 2]
        hertz = (2000 if label == "high" else 500) + 7 * i
        path = folder / f"{i}.wav"
        audio.write(path, 0.2 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE), RATE)
        gender = ("female", "male")[speaker % 2]
        utterances.append(Utterance(f"u{i:02}", path, label=label, speaker=f"s{speaker}", gender=gender))
    return utterances


MADE_BY = {"model": "abc"}


def test_every_condition_is_the_same_for_a_recording_whatever_else_there_is(tones: list[Utterance]) -> None:
    one, other = Recordings(tones), Recordings(tones[::-1])
    assert one.mixed_from() == other.mixed_from()
    for name in CONDITIONS:
        first, again, elsewhere = (r.load(tones[3], name) for r in (one, one, other))
        assert isinstance(first, dict) and isinstance(again, dict) and isinstance(elsewhere, dict)
        np.testing.assert_array_equal(first["waveform"], again["waveform"])
        np.testing.assert_array_equal(first["waveform"], elsewhere["waveform"])
        plain = one.load(tones[3], None)
        assert isinstance(plain, dict) and first["sample_rate"] == RATE
        same = first["waveform"].shape == plain["waveform"].shape
        assert not same or np.abs(first["waveform"] - plain["waveform"]).max() > 1e-4, name


@pytest.mark.parametrize(("name", "snr"), [("white-20", 20), ("white-0", 0), ("babble-10", 10), ("babble-0", 0)])
def test_noise_has_its_ratio_and_differs_between_recordings(tones: list[Utterance], name: str, snr: float) -> None:
    recordings, noises = Recordings(tones), []
    for u in tones[:2]:
        plain, noisy = recordings.load(u, None), recordings.load(u, name)
        assert isinstance(plain, dict) and isinstance(noisy, dict)
        noise = noisy["waveform"].astype(float) - plain["waveform"]
        ratio = 10 * np.log10(np.mean(plain["waveform"].astype(float) ** 2) / np.mean(noise**2))
        assert ratio == pytest.approx(snr, abs=0.01)
        noises.append(noise)
    assert np.abs(noises[0] - noises[1]).max() > 1e-3


def test_babble_is_of_other_speakers(tones: list[Utterance]) -> None:
    """Every recording is a tone of its own: the babble on one holds six tones, none of its own speaker."""
    recordings = Recordings(tones)
    plain, noisy = recordings.load(tones[5], None), recordings.load(tones[5], "babble-0")
    assert isinstance(plain, dict) and isinstance(noisy, dict)
    power = np.abs(np.fft.rfft(noisy["waveform"].astype(float) - plain["waveform"])) ** 2
    heard = {i for i in range(40) if power[round((2000 if (i // 10) % 2 == 0 else 500) + 7 * i)] > 0.05 * power.max()}
    assert len(heard) == VOICES and not any(i % 10 == 5 for i in heard)


# All together


def test_a_model_that_answers_by_level_fails_where_the_level_changes(tones: list[Utterance], tmp_path: Path) -> None:
    """It calls every recording 'high'; 20 dB softer, every one 'low'. By frequency, nothing changes."""
    conditions = ("gain-20", "speed+5", "silence")
    limits = Limits({"robustness": {"ua_change": {"*": -30}}})
    plan = Plan(("robustness",), conditions, limits)
    by_level = run(Model(by_level=True), None, tones, plan, made_by=MADE_BY)
    found = by_test(by_level.outcomes)
    assert {o.subject for o in by_level.failed} == {"gain-20"}
    assert found["changed", "gain-20"].value == 100 and found["changed", "speed+5"].value == 0
    by_frequency = run(Model(), None, tones, plan, made_by=MADE_BY)
    assert not by_frequency.failed and by_test(by_frequency.outcomes)["changed", "gain-20"].value == 0


def test_all_groups_run_in_their_order_and_count_their_predictions(tones: list[Utterance]) -> None:
    model, seen = Model(), list[tuple[int, int]]()
    plan = Plan(conditions=("white-20", "babble-10"))
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    tested = run(model, Model(rejects=True), tones, plan, made_by=MADE_BY, progress=progress)
    assert list(dict.fromkeys(o.group for o in tested.outcomes)) == list(THRESHOLDS)
    assert model.asked == 120 and seen == [(i, 120) for i in range(1, 121)]
    assert by_test(tested.outcomes)["ua", ""].value == 100 and not tested.failed
    assert tested.notes == ("the language of no utterance is known", "the corpus of no utterance is known")


def test_few_recordings_make_no_babble(tones: list[Utterance]) -> None:
    tested = run(Model(), None, tones[:VOICES], Plan(("robustness",), ("babble-0",)), made_by=MADE_BY)
    assert {(o.status, o.note) for o in tested.outcomes} == {(UNDECIDED, FEW_VOICES)}


def test_kept_answers_are_not_asked_for_again(tones: list[Utterance], tmp_path: Path) -> None:
    plan = Plan(("correctness", "robustness"), ("white-20",))
    first = Model(stops_after=50)
    with pytest.raises(KeyboardInterrupt):
        run(first, None, tones, plan, made_by=MADE_BY, folder=tmp_path)
    resumed = Model()
    whole = run(resumed, None, tones, plan, made_by=MADE_BY, folder=tmp_path)
    assert resumed.asked == 30, "40 answers of the recordings as they are, and 10 with noise, are kept"
    again = Model()
    assert run(again, None, tones, plan, made_by=MADE_BY, folder=tmp_path) == whole and again.asked == 0
    fewer = Model()
    run(fewer, None, tones[:20], plan, made_by=MADE_BY, folder=tmp_path)
    assert fewer.asked == 0
    other = Model()
    run(other, None, tones, plan, made_by={"model": "another"}, folder=tmp_path)
    assert other.asked == 80
    assert run(Model(), None, tones, plan, made_by=MADE_BY).outcomes == whole.outcomes
    (tmp_path / "answers/clean.json").write_text("{")
    with pytest.raises(ModelError, match=r"clean\.json.*delete it, and run the tests again"):
        run(Model(), None, tones, plan, made_by=MADE_BY, folder=tmp_path)


def test_a_recording_that_cannot_be_read_is_left_out_and_stated(tones: list[Utterance], tmp_path: Path) -> None:
    gone = replace(tones[0], id="gone", audio=tmp_path / "gone.wav")
    kept = tmp_path / "kept"
    tested = run(Model(), None, [*tones, gone], Plan(("correctness",)), made_by=MADE_BY, folder=kept)
    assert tested.utterances == 40 and "gone.wav" in str(tested.errors[0])
    assert "1 utterances left out, which could not be read or analysed" in tested.notes
    with pytest.raises(ConfigurationError, match=r"no recording could be read.*gone\.wav"):
        run(Model(), None, [gone], Plan(("correctness",)), made_by=MADE_BY)


def test_answers_and_conditions_depend_on_what_they_are_made_by(tones: list[Utterance]) -> None:
    answers = Answers(Model(), tones, MADE_BY)
    assert len(answers.of("telephone").answers) == 40
    with pytest.raises(ConfigurationError, match="conditions: 'rain' is not known; choose from white-20"):
        Plan(conditions=("rain",))
    with pytest.raises(ConfigurationError, match="tests: none is given; choose from correctness"):
        Plan(())


# Limits


def test_limits_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(
        '[correctness]\nua = 60\n[correctness.recall]\n"*" = 40\nlow = 20\n'
        "[robustness.ua_change]\nwhite-0 = -30\n[fairness]\nua_difference = 5\n[decision]\nleast_speakers = 3\n"
    )
    limits = thresholds.read(path)
    assert limits.limit("correctness", "ua") == Limit(low=60)
    assert limits.limit("correctness", "recall", "low") == Limit(low=20)
    assert limits.limit("correctness", "recall", "high") == Limit(low=40)
    assert limits.limit("correctness", "wa") == Limit(low=50)
    assert limits.limit("robustness", "ua_change", "white-0") == Limit(low=-30)
    assert limits.limit("robustness", "ua_change", "white-20") == Limit(low=-5)
    assert limits.limit("robustness", "changed", "white-20") == Limit(high=20)
    assert limits.limit("fairness", "ua_difference", "female") == Limit(-5, 5)
    assert (limits.least_speakers, limits.least_utterances) == (3, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[speed]\na = 1", "'speed' is not known; choose from correctness"),
        ("[correctness]\nuar = 1", "'uar' is not known; choose from ua, wa"),
        ("[robustness.changed]\nrain = 1", r"'rain' is not known; choose from white-20"),
        ('[correctness]\nua = "high"', r"ua of '\*' is 'high'; give a number"),
        ("[decision]\nleast_speakers = 0", "'least_speakers' must be an integer from 1"),
        ("[correctness", "not valid TOML"),
    ],
)
def test_a_wrong_file_of_limits_names_what_is_valid(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        thresholds.read(path)


def test_the_documentation_states_the_limits_of_the_code() -> None:
    lines = (Path(__file__).parents[1] / "docs/behaviour.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| ")]
    for tests in THRESHOLDS.values():
        for name, threshold in tests.items():
            (row,) = [row for row in rows if f"`{name}`" in row[1]]
            by_condition, certain = "by condition" in row[3] or not row[3], row[3] == "no emotion"
            assert by_condition or certain or f"{threshold.default:g} " in row[3], row
    conditions = [row for row in rows if len(row) == 4 and row[0].startswith("| `")]
    stated = {}
    for names, _, drop, changed in conditions:
        first, *others = re.findall(r"`([^`]+)`", names)
        full = [first, *(first.rpartition("-")[0] + name if name.startswith("-") else name for name in others)]
        drops, changes = (re.findall(r"\d+", cell) for cell in (drop, changed))
        for i, name in enumerate(full):
            stated[name] = (float(drops[min(i, len(drops) - 1)]), float(changes[min(i, len(changes) - 1)]))
    assert stated == {name: (condition.drop, condition.changed) for name, condition in CONDITIONS.items()}


# What is written


def test_outcomes_survive_their_file_and_a_damaged_one_is_an_error(tones: list[Utterance], tmp_path: Path) -> None:
    tested = run(Model(), Model(), tones, Plan(conditions=("white-0",)), made_by=MADE_BY)
    pages.write(tmp_path / "out", tested, {"manifest": "m"})
    assert pages.read(tmp_path / "out" / pages.JSON) == tested
    (tmp_path / "x.json").write_text('{"format": "other"}')
    with pytest.raises(ModelError, match="not a file of format duetto-tests-1"):
        pages.read(tmp_path / "x.json")
    text = (tmp_path / "out" / pages.JSON).read_text().replace('"test": "ua"', '"test": "uar"')
    (tmp_path / "y.json").write_text(text.replace('"test":"ua"', '"test":"uar"'))
    with pytest.raises(ModelError, match=r"correctness\.uar is not known"):
        pages.read(tmp_path / "y.json")


def test_the_page_shows_every_outcome_and_holds_no_script(tones: list[Utterance]) -> None:
    tested = run(Model(), Model(), tones, Plan(conditions=("white-0",)), made_by=MADE_BY)
    page = pages.page(tested, {"manifest": "<m>"})
    n = counts(tested.outcomes)
    assert n[FAILED] == len(sounds())
    assert page.count('<span class="status">failed</span>') == n[FAILED]
    assert page.count('<span class="status">passed</span>') == n[PASSED]
    assert page.count('<span class="status">not decided</span>') == n[UNDECIDED]
    assert "<script" not in page and "&lt;m&gt;" in page and "white noise, 0 dB" in page
    assert f"{n[PASSED]} passed, {n[FAILED]} failed" in page


def test_a_card_gets_its_section_once(tones: list[Utterance], tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("# A model\n\nText.\n\n## Files\n\n| a |\n")
    tested = run(Model(), Model(), tones, Plan(conditions=("white-0",)), made_by=MADE_BY)
    for _ in range(2):
        pages.write_card(path, tested)
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# A model\n\nText.\n\n## Files\n\n| a |\n\n## Behaviour\n")
        assert text.count("## Behaviour") == 1 and "change of UA, white noise, 0 dB" in text and "| UA | 100.0" in text
    with path.open("a", encoding="utf-8") as file:
        file.write("\n## After\n\nMore.\n")
    pages.write_card(path, tested)
    assert path.read_text(encoding="utf-8").endswith("\n## After\n\nMore.\n")
    pages.write_card(tmp_path / "new.md", tested)
    assert (tmp_path / "new.md").read_text(encoding="utf-8").startswith("## Behaviour\n")
    (tmp_path / "bytes.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is no UTF-8 text"):
        pages.write_card(tmp_path / "bytes.md", tested)
