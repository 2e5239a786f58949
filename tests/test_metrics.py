"""Metrics against scikit-learn, values worked by hand, and planted answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto import metrics
from duetto.errors import ConfigurationError

LABELS = st.integers(1, 5).flatmap(
    lambda k: st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60)
)
EXACT = 1e-12
"""Two float64 computations of the same few sums."""


def planted(n: int, temperature: float, seed: int = 0, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits z and targets drawn from softmax(z / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(n, classes))
    probabilities = metrics.softmax(logits / temperature)
    return logits, (probabilities.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, classes - 1)


@settings(deadline=None)  # the first example imports scikit-learn
@given(LABELS)
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_agrees_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    target, predicted = map(list, zip(*pairs, strict=True))
    n_classes = max(target + predicted) + 1
    recall = sklearn.recall_score(target, predicted, labels=sorted(set(target)), average="macro", zero_division=0)
    assert metrics.unweighted_accuracy(target, predicted) == pytest.approx(recall, abs=EXACT)
    assert metrics.weighted_accuracy(target, predicted) == pytest.approx(
        sklearn.accuracy_score(target, predicted), abs=EXACT
    )
    assert metrics.macro_f1(target, predicted) == pytest.approx(
        sklearn.f1_score(target, predicted, average="macro", zero_division=0), abs=EXACT
    )
    np.testing.assert_array_equal(
        metrics.confusion(target, predicted, n_classes),
        sklearn.confusion_matrix(target, predicted, labels=range(n_classes)),
    )


@given(LABELS, st.randoms())
def test_order_of_utterances_and_names_of_classes_do_not_matter(pairs: list[tuple[int, int]], random) -> None:
    target, predicted = map(list, zip(*pairs, strict=True))
    random.shuffle(pairs)
    names = ["c", "a", "e", "b", "d"]
    again = [names[t] for t, _ in pairs], [names[p] for _, p in pairs]
    for score in (metrics.unweighted_accuracy, metrics.weighted_accuracy, metrics.macro_f1):
        assert score(*again) == pytest.approx(score(target, predicted), abs=EXACT)


def test_ua_and_wa_are_not_each_other() -> None:
    # 90 neutral all right, 10 sad of which 1 is right.
    target = ["neutral"] * 90 + ["sad"] * 10
    predicted = ["neutral"] * 99 + ["sad"]
    assert metrics.unweighted_accuracy(target, predicted) == pytest.approx(0.55, abs=EXACT)
    assert metrics.weighted_accuracy(target, predicted) == pytest.approx(0.91, abs=EXACT)
    assert metrics.confusion(target, predicted).tolist() == [[90, 0], [9, 1]]


def test_absent_and_unknown_classes() -> None:
    # Class 2 never occurs; class 3 is answered but is never the target.
    target, predicted = [0, 0, 1, 1], [0, 3, 1, 1]
    assert metrics.unweighted_accuracy(target, predicted, 4) == 0.75
    assert metrics.macro_f1(target, predicted, 4) == pytest.approx((2 / 3 + 1 + 0) / 3, abs=EXACT)
    np.testing.assert_array_equal(metrics.recalls(target, predicted, 4), [0.5, 1.0, np.nan, np.nan])
    assert metrics.unweighted_accuracy([0, 1, 2, 3], [1, 1, 1, 1]) == 0.25, "a constant answer is at chance"


def test_a_stack_of_matrices_scores_as_its_items() -> None:
    stack = np.random.default_rng(0).integers(0, 9, size=(5, 2, 3, 3))
    stack[0, 0] = 0
    whole = metrics.scores(stack)
    assert np.isnan(whole.ua[0, 0]) and np.isnan(whole.wa[0, 0]) and np.isnan(whole.macro_f1[0, 0])
    for index in np.ndindex(5, 2):
        for got, alone in zip(whole, metrics.scores(stack[index]), strict=True):
            np.testing.assert_array_equal(got[index], alone)


@pytest.mark.parametrize(
    ("target", "predicted", "n_classes", "message"),
    [
        ([], [], None, "no utterance to score"),
        ([0, 1], [0], None, r"shape \(2,\) and predicted \(1,\)"),
        ([[0]], [[0]], None, "one list of equal length"),
        ([0, 4], [0, 1], 4, "the labels are 0 to 4, outside the 4 classes 0 to 3"),
        ([0, -1], [0, 1], None, "-1 to 1, outside"),
        ([0.0, 1.0], [0, 1], None, "holds float64 and predicted int64; both must be integers"),
        ([0.0, float("nan")], [0, 1], None, "must be integers"),
        (["a"], [0], None, "or both strings"),
        ([None], ["a"], None, "holds object"),
        (["a", "b"], ["c", "a"], 2, "the labels are a, b, c, outside the 2 classes"),
        ([0], [0], 0, "n_classes is 0"),
    ],
)
def test_bad_labels(target, predicted, n_classes, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        metrics.unweighted_accuracy(target, predicted, n_classes)


def test_bad_confusion_shape() -> None:
    with pytest.raises(ConfigurationError, match=r"\(2, 3\).*\(…, classes, classes\) is required"):
        metrics.scores(np.ones((2, 3)))


def test_likelihood_and_brier_agree_with_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    logits, target = planted(200, 1.0)
    probabilities = metrics.softmax(logits)
    nll = sklearn.log_loss(target, probabilities, labels=range(4))
    assert metrics.negative_log_likelihood(probabilities, target) == pytest.approx(nll, abs=1e-9)
    by_class = sum(sklearn.brier_score_loss(target == k, probabilities[:, k]) for k in range(4))
    assert metrics.brier(probabilities, target) == pytest.approx(by_class, abs=1e-9)


def test_likelihood_and_brier_by_hand() -> None:
    assert metrics.negative_log_likelihood([[0.5, 0.5]], [0]) == pytest.approx(np.log(2), abs=EXACT)
    assert metrics.brier([[0.0, 1.0], [1.0, 0.0]], [0, 0]) == 1.0, "one answer as wrong as can be (2), one right (0)"
    assert metrics.negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(708.4, abs=0.1), "finite, documented"


def test_softmax() -> None:
    np.testing.assert_allclose(metrics.softmax([[0.0, np.log(3)]]), [[0.25, 0.75]], rtol=1e-15)
    np.testing.assert_array_equal(metrics.softmax([1000.0, -1000.0]), [1.0, 0.0])
    assert metrics.softmax(np.zeros((2, 3, 4), dtype=np.float32)).dtype == np.float64
    with pytest.raises(ConfigurationError, match="1 rows of logits hold NaN or infinity"):
        metrics.softmax([[0.0, 1.0], [0.0, np.nan]])
    with pytest.raises(ConfigurationError, match="at least one class"):
        metrics.softmax(np.zeros((3, 0)))


def test_reliability_by_hand() -> None:
    # Bins of a half: confidences 0.5 (closed on the right, so lower), 0.6 right, 0.8 wrong, 1.0 right.
    probabilities = [[0.5, 0.5], [0.6, 0.4], [0.2, 0.8], [1.0, 0.0]]
    curve = metrics.reliability(probabilities, [1, 0, 0, 0], 2)
    np.testing.assert_array_equal(curve.count, [1, 3])
    np.testing.assert_allclose(curve.confidence, [0.5, 0.8])
    np.testing.assert_allclose(curve.accuracy, [0.0, 2 / 3])
    ece = 0.25 * 0.5 + 0.75 * (0.8 - 2 / 3)
    assert metrics.expected_calibration_error(probabilities, [1, 0, 0, 0], 2) == pytest.approx(ece, abs=EXACT)
    empty = metrics.reliability([[1.0, 0.0]], [0], 3)
    assert np.isnan(empty.accuracy[:2]).all() and empty.accuracy[2] == 1.0


def test_calibration_error_against_a_loop_over_utterances() -> None:
    logits, target = planted(300, 2.0)
    probabilities = metrics.softmax(logits)
    gaps = {}
    for row, truth in zip(probabilities, target, strict=True):
        confidence = row.max()
        bin_ = next(m for m in range(15) if m / 15 < confidence <= (m + 1) / 15)
        gaps[bin_] = gaps.get(bin_, 0.0) + (row.argmax() == truth) - confidence
    expected = sum(map(abs, gaps.values())) / 300
    assert metrics.expected_calibration_error(probabilities, target) == pytest.approx(expected, abs=EXACT)


def test_perfectly_calibrated_and_overconfident() -> None:
    logits, target = planted(20_000, 1.0)
    # Sampling error alone: 15 bins of about 1300, each off by about √(.2/1300) = .012 at most.
    assert metrics.expected_calibration_error(metrics.softmax(logits), target) < 0.015
    assert metrics.expected_calibration_error(metrics.softmax(5 * logits), target) > 0.1


@pytest.mark.parametrize(
    ("probabilities", "target", "bins", "message"),
    [
        ([], [], 15, r"shape \(0,\)"),
        (np.empty((0, 4)), [], 15, "no utterance to score"),
        ([[0.5, 0.5]], [0, 1], 15, r"\(1, 2\) and target \(2,\)"),
        ([[0.5, 0.5]], [2], 15, "integers from 0 to 1"),
        ([[0.5, 0.5]], [0.0], 15, "integers from 0 to 1"),
        ([[2.0, -1.0]], [0], 15, "sum to 1 in each row; see softmax"),
        ([[1.0, 2.0]], [0], 15, "see softmax"),
        ([[float("nan"), 1.0]], [0], 15, "must be finite"),
        ([[0.5, 0.5]], [0], 0, "bins is 0; at least 1"),
    ],
)
def test_bad_probabilities(probabilities, target, bins: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        metrics.expected_calibration_error(probabilities, target, bins)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 10.0])
def test_a_planted_temperature_is_recovered(temperature: float) -> None:
    logits, target = planted(20_000, temperature)
    # The relative standard error of 1/T is 1/√(n · mean variance of z/T under p), at worst (T = 10, where
    # z/T has variance .07) about 2.7%; 8% is three of them.
    assert metrics.fit_temperature(logits, target) == pytest.approx(temperature, rel=0.08)


def test_the_temperature_is_the_minimum_of_the_likelihood() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    logits, target = planted(150, 3.0, seed=4)

    def loss(log_t: float) -> float:
        return metrics.negative_log_likelihood(metrics.softmax(logits / np.exp(log_t)), target)

    best = optimize.minimize_scalar(loss, bounds=(-4, 6), method="bounded", options={"xatol": 1e-9})
    # scipy compares values of the loss, so it finds the place only to about √eps.
    assert np.log(metrics.fit_temperature(logits, target)) == pytest.approx(best.x, abs=1e-6)


def test_temperature_where_the_data_do_not_determine_it() -> None:
    assert metrics.fit_temperature(np.empty((0, 4)), []) == 1.0
    assert metrics.fit_temperature(np.zeros((5, 4)), [0, 1, 2, 3, 0]) == 1.0
    assert metrics.fit_temperature([[2.0, 1.0], [0.0, 3.0]], [0, 1]) == 1.0, "all right: no finite optimum"
    assert metrics.fit_temperature([[2.0, 2.0], [0.0, 3.0]], [0, 1]) == 1.0, "all right, one of them by a tie"
    assert metrics.fit_temperature([[2.0], [1.0]], [0, 0]) == 1.0, "a single class"
    hottest = metrics.TEMPERATURES[1]
    assert metrics.fit_temperature([[2.0, 1.0], [0.0, 3.0]], [1, 0]) == pytest.approx(hottest), (
        "all wrong: know nothing"
    )


def test_temperature_rejects_what_it_cannot_use() -> None:
    with pytest.raises(ConfigurationError, match="NaN or infinity"):
        metrics.fit_temperature([[np.inf, 0.0]], [0])
    with pytest.raises(ConfigurationError, match="integers from 0 to 1"):
        metrics.fit_temperature([[1.0, 0.0]], [2])
    with pytest.raises(ConfigurationError, match=r"\(2, 2\) and target \(1,\)"):
        metrics.fit_temperature([[1.0, 0.0], [1.0, 0.0]], [0])


def test_the_answer_is_the_first_of_equals_whatever_rounding_made_of_them() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        equal = np.array([[0.3, 2.0, 2.0, -1.0], [-50.0, -50.0, -51.0, -50.0], [0.25] * 4, [0.0] * 4], dtype)
        for _ in range(20):
            moved = np.nextafter(equal, equal + rng.integers(-1, 2, equal.shape).astype(dtype))
            assert metrics.predicted_classes(moved).tolist() == [1, 0, 0, 0]
    assert metrics.predicted_classes([[1.0, 1.00001], [1.0, 1.0000001]]).tolist() == [1, 0]
    assert metrics.predicted_classes(rng.normal(size=(2, 3, 4))).shape == (2, 3)


def test_the_best_is_the_first_of_equals() -> None:
    assert metrics.best_index([0.5, 0.75, 0.75 + 1e-12, 0.7]) == 1
    assert metrics.best_index([0.5, 0.75, 0.751, 0.7]) == 2
    assert metrics.best_index([-800.0, -800.0 + 1e-5, -799.0]) == 2 and metrics.best_index([-800.0, -799.99999]) == 0
    assert metrics.best_index([0.1]) == 0


@pytest.mark.parametrize("towards", [0.0, 1.0])
def test_a_confidence_on_an_edge_has_one_bin(towards: float) -> None:
    """0.6 is 9/15, the upper edge of the ninth bin, which is closed on the right."""
    shares = np.nextafter([[0.6, 0.2, 0.2]], towards)
    assert metrics.confidence_bins(shares, [0])[2].tolist() == [8]
    assert metrics.confidence_bins([[0.6 + 1e-5, 0.2, 0.2 - 1e-5]], [0])[2].tolist() == [9]


def test_the_temperature_of_logits_that_are_equal_but_for_rounding_is_1() -> None:
    equal = np.full((8, 4), 1 / 3)
    equal[:, 1] = np.nextafter(1 / 3, 1)
    assert metrics.fit_temperature(equal, [0] * 8) == 1.0
