"""Fusion of posteriors: values worked by hand, planted branches whose product is known, an independent optimiser."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize

from duetto import metrics
from duetto.errors import ConfigurationError, ModelError
from duetto.evaluation.product import PosteriorFusion, log_softmax, nested
from duetto.evaluation.product_fit import BEST, CANDIDATES, EQUAL, FittedFusion, fit_fusion
from duetto.evaluation.product_weights import minimise, minimise_by_class
from duetto.utils.reading import Record

NAMES = ("a", "b", "c")
CLASSES = 4


def planted(seed: int, strengths: tuple[float, ...], n: int = 400, unheard: int = 4000, voices: float = 0.0):
    """Logits of branches that observe independent Gaussians whose mean shows the class: log p = strength · x, exactly.

    Returns logits (branches, n + unheard, classes), target, speakers: 8 of the first n utterances, 40 of the others.
    voices: deviation of what each speaker adds to each branch, which makes the branches over-confident.
    """
    rng = np.random.default_rng(seed)
    target = rng.integers(CLASSES, size=n + unheard)
    speaker = np.concatenate([rng.integers(8, size=n), 8 + rng.integers(40, size=unheard)])
    logits = []
    for strength in strengths:
        x = rng.normal(size=(n + unheard, CLASSES)) + voices * rng.normal(size=(48, CLASSES))[speaker]
        x[np.arange(n + unheard), target] += strength
        logits.append(strength * x)
    return np.stack(logits), target, np.array([f"s{i}" for i in speaker])


def ua(logits: np.ndarray, target: np.ndarray) -> float:
    return metrics.unweighted_accuracy(target, metrics.predicted_classes(logits), CLASSES)


def fitted(logits: np.ndarray, target: np.ndarray, speakers: np.ndarray, n: int = 400, **more) -> FittedFusion:
    names = NAMES[: len(logits)]
    return fit_fusion(logits[:, :n], target[:n], speakers[:n].tolist(), names=names, **more)


def test_the_product_counts_the_prior_once() -> None:
    prior = (0.7, 0.2, 0.1)
    fusion = PosteriorFusion(("a", "b"), (1.0, 2.0), {frozenset("ab"): (1.0, 0.5)}, prior)
    one, two = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.5, 0.3])
    answer = np.exp(fusion.log_posteriors(np.log([[one], [two**2]])))  # the second is divided by its temperature
    expected = one * two**0.5 / np.array(prior) ** 0.5
    np.testing.assert_allclose(answer[0], expected / expected.sum(), rtol=1e-12)


def test_the_mean_and_what_is_left_out() -> None:
    posteriors = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    logits = np.log(posteriors)[:, None].repeat(3, 1)
    present = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0]], bool)
    mean = np.exp(PosteriorFusion.plain(NAMES, (1, 1, 1), 2, "mean").log_posteriors(logits, present))
    np.testing.assert_allclose(mean, [posteriors.mean(0), posteriors[[0, 2]].mean(0), [0.5, 0.5]], rtol=1e-12)
    product = np.exp(PosteriorFusion.plain(NAMES, (1, 1, 1), 2).log_posteriors(logits, present))
    whole, part = posteriors.prod(0), posteriors[[0, 2]].prod(0)
    np.testing.assert_allclose(product, [whole / whole.sum(), part / part.sum(), [0.5, 0.5]], rtol=1e-12)


def test_bayes_accuracy_of_complementary_branches() -> None:
    """Independent branches know together what one observer knows whose strength is the root of their summed squares."""
    logits, target, speakers = planted(0, (1.2, 1.0))
    found = fitted(logits, target, speakers)
    reached = ua(found.fusion.log_posteriors(logits[:, 400:]), target[400:])
    best = ua(logits[:, 400:].sum(0), target[400:])  # Bayes' rule with what was planted
    ((one,), answers, _) = planted(1, (float(np.hypot(1.2, 1.0)),), unheard=40_000)
    assert abs(best - ua(one, answers)) < 0.02  # 4,000 utterances: three standard errors
    assert abs(reached - best) < 0.01
    np.testing.assert_allclose(found.fusion.weights[frozenset("ab")], 1.0, atol=0.25)


def test_a_useless_branch_has_no_weight_and_an_overconfident_one_is_calibrated() -> None:
    logits, target, speakers = planted(2, (1.2, 1.0, 0.3))
    logits[1] *= 5.0
    logits[2] = np.random.default_rng(5).normal(scale=6, size=logits[2].shape)
    found = fitted(logits, target, speakers)
    assert 4.0 < found.fusion.temperatures[1] < 6.5
    log = found.fusion.log_posteriors(logits[:, 400:])
    bayes = log_softmax(logits[0] + logits[1] / 5.0)[400:]
    at = np.arange(len(log)), target[400:]
    assert -log[at].mean() < -bayes[at].mean() + 0.02
    weight = found.fusion.weights[frozenset(NAMES)][2]
    assert weight / found.fusion.temperatures[2] < 0.02  # of its logits, whose deviation is 6


def test_perfectly_correlated_branches_are_worth_one() -> None:
    logits, target, speakers = planted(3, (1.2,))
    twins = np.concatenate([logits, 1.7 * logits])
    found = fitted(twins, target, speakers)
    log, alone = found.fusion.log_posteriors(twins[:, 400:]), log_softmax(logits[0, 400:])
    at = np.arange(len(log)), target[400:]
    assert sum(found.fusion.weights[frozenset("ab")]) == pytest.approx(1, abs=0.2)
    assert abs(log[at].mean() - alone[at].mean()) < 0.01


WORLDS = {
    "alike": {"strengths": (1.0, 1.0, 1.0)},
    "one useless": {"strengths": (1.2, 0.0, 0.6)},
    "one alone": {"strengths": (1.5, 0.0, 0.0)},
    "strong and weak": {"strengths": (2.0, 0.4)},
    "voices": {"strengths": (1.5, 0.5, 0.8), "voices": 0.8},
    "few": {"strengths": (1.2, 0.4), "n": 120},
}


@cache
def gains(world: str) -> np.ndarray:
    """UA of the fusion minus that of its best branch, on speakers that nothing was fitted on, for twelve draws."""
    found, options = [], dict(WORLDS[world])
    n = int(options.get("n", 400))
    for seed in range(12):
        logits, target, speakers = planted(seed, **options)
        answers = fitted(logits, target, speakers, n).fusion.log_posteriors(logits[:, n:])
        found.append(ua(answers, target[n:]) - max(ua(each, target[n:]) for each in logits[:, n:]))
    return np.array(found)


@pytest.mark.parametrize("world", WORLDS)
def test_it_does_not_lose_to_its_best_branch(world: str) -> None:
    assert gains(world).mean() > -0.003 and gains(world).min() > -0.015


def test_it_gains_where_there_is_something_to_gain() -> None:
    assert gains("alike").mean() > 0.1 and gains("one useless").mean() > 0.02


def test_weights_are_those_of_another_optimiser() -> None:
    logits, target, _ = planted(4, (1.2, 0.3, 0.0), n=300, unheard=0)
    evidence, prior = log_softmax(logits), np.log([0.4, 0.3, 0.2, 0.1])
    anchor, strength = np.array([0.0, 1.0, 0.2]), 0.01

    def objective(w: np.ndarray) -> float:
        answers = log_softmax(prior + np.tensordot(w, evidence, 1))
        return -answers[np.arange(300), target].mean() + strength * ((w - anchor) ** 2).sum()

    other = minimize(objective, anchor, bounds=[(0, None)] * 3, method="L-BFGS-B", options={"ftol": 1e-14})
    found = minimise(evidence, target, prior, anchor, strength)
    assert objective(found) <= other.fun + 1e-10
    np.testing.assert_allclose(found, other.x, atol=1e-4)


def test_corrections_are_those_of_another_optimiser() -> None:
    logits, target, _ = planted(4, (1.2, 0.3), n=200, unheard=0)
    evidence, prior, weights, strength = log_softmax(logits), np.log([0.4, 0.3, 0.2, 0.1]), np.array([0.9, 0.3]), 0.02

    def objective(flat: np.ndarray) -> float:
        total = prior + np.tensordot(weights, evidence, 1)
        total = total + sum(e @ c for e, c in zip(evidence, flat.reshape(2, 4, 4), strict=True))
        return -log_softmax(total)[np.arange(200), target].mean() + strength * (flat**2).sum()

    other = minimize(objective, np.zeros(32), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500})
    found = minimise_by_class(evidence, target, prior, weights, strength)
    assert objective(found.ravel()) <= other.fun + 1e-9
    np.testing.assert_allclose(found.ravel(), other.x, atol=1e-3)
    assert np.abs(minimise_by_class(evidence, target, prior, weights, 1e6)).max() < 1e-5


def confusing(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two branches: the first mixes up classes 0–1 and 2–3, the second 0–2 and 1–3, and neither posterior says so."""
    rng = np.random.default_rng(seed)
    target, logits = rng.integers(CLASSES, size=n), 0.3 * rng.normal(size=(2, n, CLASSES))
    for branch, other in enumerate((target ^ 1, target ^ 2)):
        shown = np.where(rng.random(n) < 0.55, target, other)
        logits[branch, np.arange(n), shown] += 2.0
    return logits, target, np.array([f"s{i}" for i in rng.integers(10, size=n)])


def test_classes_that_a_branch_mixes_up_are_told_apart_by_the_other() -> None:
    """What is shown by both determines the class, so 1 can be reached; one weight a branch cannot express it."""
    logits, target, speakers = confusing(0, 600)
    found, (unheard, truth, _) = fitted(logits, target, speakers, n=600), confusing(1, 4000)
    assert found.chosen.startswith("by class")
    weighted = replace(found.fusion, corrections={})
    reached, before = (ua(f.log_posteriors(unheard), truth) for f in (found.fusion, weighted))
    assert reached > 0.95 and reached > before + 0.03
    value = json.loads(json.dumps(found.fusion.to_json()))
    assert PosteriorFusion.from_json(Record(value, "x", ModelError, "")) == found.fusion
    entry = value["corrections"][0]
    for damage in (
        {"values": [[[1.0]]]}, {"values": entry["values"][:1]}, {"branches": ["a"]}, {"values": 1.0},
        {"values": np.full((2, 4, 4), np.inf).tolist()},
    ):  # fmt: skip
        with pytest.raises(ModelError):
            damaged = {**value, "corrections": [{**entry, **damage}]}
            PosteriorFusion.from_json(Record(damaged, "x", ModelError, ""))


def test_corrections_are_applied_by_hand() -> None:
    prior, c = np.array([0.7, 0.3]), np.array([[[0.1, -0.2], [0.0, 0.3]], [[0.0, 0.0], [0.5, 0.0]]])
    every = frozenset("ab")
    fusion = PosteriorFusion(("a", "b"), (1.0, 1.0), {every: (1.0, 0.5), frozenset("a"): (1.0, 0.0)}, (0.7, 0.3),
                             corrections={every: nested(c)})  # fmt: skip
    one, two = np.array([0.6, 0.4]), np.array([0.2, 0.8])
    e1, e2 = np.log(one / prior), np.log(two / prior)
    total = np.log(prior) + e1 + 0.5 * e2 + e1 @ c[0] + e2 @ c[1]
    answers = np.exp(fusion.log_posteriors(np.log([[one, one], [two, two]]), [[True, True], [True, False]]))
    np.testing.assert_allclose(answers, [np.exp(total) / np.exp(total).sum(), one], rtol=1e-12)
    with pytest.raises(ConfigurationError, match="of a product only"):
        replace(fusion, rule="mean")


def test_a_strong_penalty_gives_the_anchor_and_weights_stay_above_0() -> None:
    logits, target, _ = planted(5, (1.2, 1.0), n=300, unheard=0)
    prior = np.log(np.full(4, 0.25))
    np.testing.assert_allclose(
        minimise(log_softmax(logits), target, prior, np.array([1.0, 0.0]), 1e6), [1, 0], atol=1e-5
    )
    worse = np.stack([logits[0], np.roll(logits[1], 1, axis=1)])  # the second points to another class than the target's
    assert minimise(log_softmax(worse), target, prior, np.ones(2), 1e-3)[1] == 0.0


def test_what_remains_without_a_branch_is_fitted_by_itself() -> None:
    logits, target, speakers = planted(6, (1.2, 1.2, 0.6), voices=0.5)
    rng = np.random.default_rng(0)
    present = np.ones(logits.shape[:2], bool)
    present[1, rng.random(len(target)) < 0.3] = False
    logits[1, ~present[1]] = 50 * rng.normal(size=(int((~present[1]).sum()), CLASSES))  # must not be used
    found = fitted(logits, target, speakers, present=present[:, :400], optional=("b",))
    assert set(found.fusion.weights) == {frozenset(NAMES), frozenset("ac")}
    pair = fitted(logits[[0, 2]], target, speakers)
    expected = np.insert(pair.fusion.weights[frozenset("ab")], 1, 0.0)
    np.testing.assert_allclose(found.fusion.weights[frozenset("ac")], expected, atol=1e-6)
    answers = found.fusion.log_posteriors(logits[:, 400:], present[:, 400:])
    gone = ~present[1, 400:]
    assert ua(answers[gone], target[400:][gone]) > ua(logits[0, 400:][gone], target[400:][gone]) - 0.01
    at = np.arange(int(gone.sum())), target[400:][gone]
    confidence = np.exp(answers[gone]).max(1).mean()
    accuracy = (answers[gone].argmax(1) == at[1]).mean()
    assert abs(confidence - accuracy) < 0.06  # calibrated there too


def test_neither_order_nor_names_of_speakers_matter() -> None:
    logits, target, speakers = planted(7, (1.0, 0.5, 0.2), voices=0.5)
    one = fitted(logits, target, speakers)
    order = np.random.default_rng(0).permutation(400)
    other = fit_fusion(logits[:, order], target[order], speakers[order].tolist(), names=NAMES)
    assert one.chosen == other.chosen
    np.testing.assert_allclose(one.fusion.weights[frozenset(NAMES)], other.fusion.weights[frozenset(NAMES)], atol=2e-6)
    np.testing.assert_allclose(one.fusion.temperatures, other.fusion.temperatures, rtol=1e-5)


def test_one_speaker_and_perfect_answers() -> None:
    logits, target, _ = planted(8, (1.0, 0.5), n=40, unheard=0)
    found = fit_fusion(logits, target, ["s"] * 40, names=("a", "b"))
    assert (found.chosen, found.scored, found.groups) == (EQUAL, (), 1)
    right = 20.0 * np.eye(CLASSES)[target]
    sure = fit_fusion(np.stack([right, right]), target, ["s", "t"] * 20, names=("a", "b"))
    assert (
        sure.chosen in {name for name, *_ in CANDIDATES}
        and np.isfinite(sure.fusion.log_posteriors([right, right])).all()
    )


def test_what_remains_without_branches_that_are_missing_together_is_fitted_too() -> None:
    logits, target, speakers = planted(6, (1.2, 1.2, 0.6))
    found = fitted(logits, target, speakers, optional=("a",), together=("b", "c")).fusion
    assert set(found.weights) == {frozenset("abc"), frozenset("bc"), frozenset("a")}
    assert found.weights[frozenset("a")] == (1.0, 0.0, 0.0)
    both = fitted(logits, target, speakers, optional=("a", "b"), together=("c",)).fusion
    assert set(both.weights) == {frozenset(x) for x in ("abc", "bc", "ac", "c", "ab", "a", "b")}
    np.testing.assert_allclose(
        both.weights[frozenset("ab")][:2], fitted(logits[:2], target, speakers).fusion.weights[frozenset("ab")]
    )


def test_choice_prefers_the_simplest_of_equals() -> None:
    logits, target, speakers = planted(9, (1.2,))
    found = fitted(np.concatenate([logits, logits]), target, speakers)  # no candidate knows more than the first branch
    assert found.chosen == BEST and found.fusion.weights[frozenset("ab")] == (1.0, 0.0)
    assert [each.candidate for each in found.scored] == [name for name, *_ in CANDIDATES]


def test_json_gives_the_same_fusion_and_damage_is_refused() -> None:
    logits, target, speakers = planted(6, (1.2, 1.2, 0.6))
    found = fitted(logits, target, speakers, optional=("a", "b")).fusion
    value = json.loads(json.dumps(found.to_json()))
    assert PosteriorFusion.from_json(Record(value, "x", ModelError, "")) == found
    for damage in (
        {"prior": [1, -1, 0.5, 0.5]}, {"rule": "vote"}, {"branches": []}, {"prior": "x"},
        {"branches": [{**value["branches"][0], "weight": -1.0}, *value["branches"][1:]]},
        {"branches": [value["branches"][0]] * 3}, {"weights_without": [{"branches": ["z"], "weights": [1, 0, 0]}]},
        {"weights_without": [{"branches": ["c"], "weights": [1, 0, 0]}]},
    ):  # fmt: skip
        with pytest.raises(ModelError):
            PosteriorFusion.from_json(Record({**value, **damage}, "x", ModelError, ""))


def test_arrays_that_do_not_fit() -> None:
    fusion = PosteriorFusion.plain(("a", "b"), (1, 1), 3)
    with pytest.raises(ConfigurationError, match="branches, n, classes"):
        fusion.log_posteriors(np.zeros((2, 5, 4)))
    with pytest.raises(ConfigurationError, match="n above 0"):
        fit_fusion(np.zeros((2, 0, 3)), np.zeros(0, int), [], names=("a", "b"))
    with pytest.raises(ConfigurationError, match="rule 'vote'"):
        PosteriorFusion.plain(("a", "b"), (1, 1), 3, "vote")
