"""Selective prediction, against counts by hand and a simulation."""

import numpy as np
import pytest

from duetto import evaluation, metrics, report
from duetto.errors import ConfigurationError
from duetto.report import coverage


def _table(confidence, right):
    """Probabilities of two classes and targets that give these confidences and hits."""
    p = np.asarray(confidence, float)
    return np.stack([p, 1 - p], 1), np.where(right, 0, 1)


def test_the_curve_counts_the_wrong_among_the_most_confident() -> None:
    curve = metrics.risk_coverage(*_table([0.6, 0.9, 0.8, 0.7], [False, True, False, True]))
    assert curve.coverage == pytest.approx([0.25, 0.5, 0.75, 1])
    assert curve.risk == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert curve.accuracy(1.0) == pytest.approx(1 / 2)
    assert curve.accuracy(0.4) == pytest.approx(1 / 2), "0.4 of 4 answers are 1.6, and so 2"
    assert curve.accuracy(0.25) == 1


def test_equal_confidences_count_as_in_random_order() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.choice([0.55, 0.7, 0.7 + 1e-9, 0.9], 40)
    right = rng.random(40) < confidence
    found = metrics.risk_coverage(*_table(confidence, right))
    drawn = []
    for _ in range(4000):
        order = np.lexsort((rng.random(40), -np.round(confidence, 6)))
        drawn.append(np.cumsum(~right[order]) / np.arange(1, 41))
    assert found.risk == pytest.approx(np.mean(drawn, 0), abs=0.02)
    shuffled = rng.permutation(40)
    again = metrics.risk_coverage(*_table(confidence[shuffled], right[shuffled]))
    assert again.risk == pytest.approx(found.risk, abs=1e-12), "the order of utterances does not matter"


def test_a_confidence_without_information_has_the_error_rate_as_area() -> None:
    curve = metrics.risk_coverage(*_table([0.8] * 10, [True] * 7 + [False] * 3))
    assert curve.risk == pytest.approx([0.3] * 10)
    with pytest.raises(ConfigurationError, match="above 0"):
        curve.accuracy(0)


def test_operating_points_keep_what_reaches_the_threshold() -> None:
    points = metrics.operating_points([0.9, 0.8, 0.7, 0.6], [True, True, False, True], [0.5, 0.65, 0.75, 0.8, 0.95])
    assert points.coverage == pytest.approx([1, 0.75, 0.5, 0.5, 0])
    assert points.error_rate[:4] == pytest.approx([2 / 5, 2 / 4, 1 / 3, 1 / 3])
    assert np.isnan(points.error_rate[4])
    assert points.at(0.45) == 0
    assert points.at(0.34) == 2
    assert points.at(0.1) is None
    assert points.best == pytest.approx(1 / 3)


def test_weights_are_numbers_of_answers() -> None:
    once = metrics.operating_points([0.9, 0.9, 0.9, 0.6], [True, False, False, True], [0.5, 0.8])
    weighted = metrics.operating_points([0.9, 0.9, 0.6], [True, False, True], [0.5, 0.8], [1, 2, 1])
    assert weighted.error_rate == pytest.approx(once.error_rate)
    assert weighted.coverage == pytest.approx(once.coverage)
    with pytest.raises(ConfigurationError, match="above 0"):
        metrics.operating_points([], [], [0.5])


def test_the_error_rate_holds_for_other_answers() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.25, 1, 3000)
    right = rng.random(3000) < confidence
    fitted = metrics.operating_points(confidence[:1500], right[:1500], np.arange(25, 100) / 100)
    chosen = fitted.at(0.2)
    assert chosen is not None
    kept = confidence[1500:] >= fitted.threshold[chosen]
    assert 1 - right[1500:][kept].mean() == pytest.approx(0.2, abs=0.03)
    assert fitted.threshold[chosen] == pytest.approx(0.6, abs=0.06), "E[1 − c | c ≥ 0.6] = 0.2"


def _result(n: int = 240, seeds: int = 2) -> evaluation.SystemResult:
    """Answers that are right as often as their confidence says, of 12 speakers."""
    rng = np.random.default_rng(5)
    target, confidence = np.arange(n) % 4, rng.uniform(0.4, 0.99, (seeds, n))
    right = rng.random((seeds, n)) < confidence
    probabilities = np.repeat((1 - confidence)[..., None] / 3, 4, axis=2)
    answered = np.where(right, target, (target + 1) % 4)
    np.put_along_axis(probabilities, answered[..., None], confidence[..., None], axis=2)
    return evaluation.SystemResult(
        "planted",
        ("angry", "happy", "neutral", "sad"),
        np.array([f"u{i}" for i in range(n)]),
        target,
        np.log(probabilities),
        tuple(range(seeds)),
        speaker=np.array([f"s{i // 4 % 12}" for i in range(n)]),
    )


def test_accuracy_at_each_coverage_is_that_of_the_most_confident() -> None:
    result = _result()
    found = evaluation.selective(result)
    for share, figure in zip(evaluation.COVERAGES, found.accuracy, strict=True):
        expected = []
        for table in result.probabilities:
            kept = np.argsort(-table.max(1))[: int(np.ceil(share * len(table)))]
            expected.append(100 * np.mean(table.argmax(1)[kept] == result.target[kept]))
        assert figure.mean == pytest.approx(np.mean(expected))
        assert figure.ci95[0] < figure.mean < figure.ci95[1]
    assert found.accuracy[0].mean == pytest.approx(evaluation.summary(result).wa.mean)
    assert found.area.mean == pytest.approx(found.curve.risk.mean())


def test_intervals_are_those_of_resampled_speakers() -> None:
    """Speakers drawn one by one, and their utterances put together, give the same interval."""
    result = _result(seeds=1)
    found, rng = evaluation.selective(result), np.random.default_rng(9)
    of = [np.flatnonzero(result.speaker == name) for name in np.unique(result.speaker)]
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([of[i] for i in rng.integers(len(of), size=len(of))])
        curve = metrics.risk_coverage(result.probabilities[0][rows], result.target[rows])
        drawn.append((100 * curve.accuracy(0.4), curve.area))
    bounds = np.quantile(drawn, [0.025, 0.975], axis=0)
    assert found.accuracy[3].ci95 == pytest.approx(bounds[:, 0], abs=1.5)
    assert found.area.ci95 == pytest.approx(bounds[:, 1], abs=0.01)


def test_record_and_card_state_coverage_and_calibration() -> None:
    scored = report.score([_result()], 60)
    (row,) = report.tables(scored)["systems"]
    assert row["coverage"]["accuracy"]["100"]["mean"] == pytest.approx(row["wa"]["mean"])
    assert row["calibration"]["after"]["ece"] == scored.systems[0].calibration.ece[1]
    text = coverage.section(scored.systems).markdown()
    assert "| System | 100 % of answers | 80 % of answers |" in text
    assert f"| {row['coverage']['accuracy']['40']['mean']:.1f} [" in text
