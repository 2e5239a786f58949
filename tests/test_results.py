"""Results: intervals worked by hand, coverage, tests against SciPy, files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto import evaluation, metrics
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, ModelError

EXACT = 1e-9
"""Percentages from two float64 computations of the same few sums."""


def result(predicted: Any, target: Any, system: str = "a", **others: Any) -> evaluation.SystemResult:
    """A result that answers `predicted`, (n,) or (seeds, n), among as many classes as occur (at least two)."""
    rows = np.atleast_2d(predicted)
    size = max(2, int(rows.max()) + 1, int(np.max(target)) + 1)
    others.setdefault("seeds", tuple(range(len(rows))))
    return evaluation.SystemResult(
        system, tuple("abcdef"[:size]), np.array([f"u{i}" for i in range(rows.shape[1])]), np.asarray(target),
        np.eye(size)[rows], **others,
    )  # fmt: skip


def by_speaker(accuracy: np.ndarray, each: int, rng: np.random.Generator) -> evaluation.SystemResult:
    """A result over len(accuracy) speakers with `each` utterances, right with each speaker's probability."""
    target = np.tile(np.arange(each) % 2, len(accuracy))
    right = rng.random(len(target)) < np.repeat(accuracy, each)
    return result(np.where(right, target, 1 - target), target, speaker=np.repeat(np.arange(len(accuracy)), each))


def test_one_speaker_right_and_one_wrong() -> None:
    scored = evaluation.summary(result([0, 1, 1, 0], [0, 1, 0, 1], speaker=np.array(["f", "f", "m", "m"])))
    assert scored.ua.mean == scored.wa.mean == scored.macro_f1.mean == 50.0
    # A quarter of the resamples holds only f (100%), a quarter only m (0%).
    assert scored.ua.ci95 == scored.wa.ci95 == (0.0, 100.0)
    assert (scored.unit, scored.clusters, scored.utterances) == ("speaker", 2, 4)
    assert "only 2 speakers" in scored.notes[0]


def test_equal_speakers_have_no_spread_between_them() -> None:
    target = np.tile([0, 1, 0, 1], 12)
    predicted = np.tile([0, 1, 1, 1], 12)
    scored = evaluation.summary(result(predicted, target, speaker=np.repeat(np.arange(12), 4)))
    assert scored.ua.ci95 == pytest.approx((75.0, 75.0), abs=EXACT)
    assert scored.ua.ci95_utterances[0] < 70 < 80 < scored.ua.ci95_utterances[1], "utterances do vary"
    assert scored.notes == ()


def test_summary_agrees_with_metrics_under_each_seed() -> None:
    rng = np.random.default_rng(1)
    target, predicted = rng.integers(0, 4, 90), rng.integers(0, 4, (3, 90))
    scored = evaluation.summary(result(predicted, target, seeds=(5, 6, 7), speaker=rng.integers(0, 5, 90)), 100)
    for name, measure in (
        ("ua", metrics.unweighted_accuracy),
        ("wa", metrics.weighted_accuracy),
        ("macro_f1", metrics.macro_f1),
    ):
        each = [100 * measure(target, answers) for answers in predicted]
        score = getattr(scored, name)
        assert score.seeds == pytest.approx(each, abs=EXACT)
        assert score.mean == pytest.approx(np.mean(each), abs=EXACT)
        assert score.std == pytest.approx(np.std(each, ddof=1), abs=EXACT)
        assert score.ci95[0] <= score.mean <= score.ci95[1]


def test_the_bootstrap_agrees_with_one_written_out() -> None:
    rng = np.random.default_rng(2)
    speaker, target = rng.integers(0, 6, 60), rng.integers(0, 3, 60)
    predicted = np.where(rng.random((2, 60)) < 0.6, target, rng.integers(0, 3, (2, 60)))
    drawn = []
    for _ in range(4000):
        chosen = np.concatenate([np.flatnonzero(speaker == s) for s in rng.integers(0, 6, 6)])
        drawn.append(np.mean([metrics.unweighted_accuracy(target[chosen], row[chosen]) for row in predicted]))
    expected = 100 * np.quantile(drawn, [0.025, 0.975])
    got = evaluation.summary(result(predicted, target, speaker=speaker), resamples=4000).ua.ci95
    # A 2.5% quantile of 4000 draws of spread ~4 points has a standard error of about 0.17 points; two are compared.
    assert got == pytest.approx(expected, abs=1.0)


def test_without_speakers_utterances_are_resampled() -> None:
    target = np.tile([0, 1], 50)
    right = np.arange(100) % 5 != 0  # 80 of 100
    one = result(np.where(right, target, 1 - target), target)
    scored = evaluation.summary(one)
    assert (scored.unit, scored.clusters) == ("utterance", 100)
    assert scored.notes == (
        "no speaker is known: the intervals resample utterances, and do not generalise to other speakers",
    )
    assert scored.wa.ci95 == scored.wa.ci95_utterances
    # Normal approximation: 80 ± 1.96 · √(.8 · .2 / 100) = 80 ± 7.8; WA steps by 1.
    assert scored.wa.ci95 == pytest.approx((72.2, 87.8), abs=1.5)
    single = evaluation.summary(replace(one, speaker=np.full(100, "f")))
    assert single.unit == "utterance" and single.notes[0].startswith("one speaker is known")
    some = evaluation.summary(replace(one, speaker=np.array(["f"] * 49 + ["m"] * 49 + ["", ""])))
    assert (some.unit, some.clusters) == ("speaker", 4)
    assert "2 utterances have no known speaker" in some.notes[0]


def test_a_resample_that_lacks_a_class_is_scored_on_the_rest() -> None:
    # Only speaker f has class b, and it is wrong: without f, UA is that of class a alone, 100%.
    one = result([0, 0, 0, 0], [0, 1, 0, 0], speaker=np.array(["f", "f", "m", "m"]))
    scored = evaluation.summary(one)
    assert scored.ua.mean == 50.0
    assert scored.ua.ci95 == (50.0, 100.0)


def test_coverage_of_speaker_intervals() -> None:
    """Speakers differ: intervals over speakers cover the true WA about as often as they say, others do not.

    Percentile intervals over 20 clusters cover slightly less than 95% (about 92%); over 150 simulations the
    standard error is 2.2 points, so fewer than 85% is a defect. Each utterance counted as independent (design
    effect 1 + 29·ρ ≈ 3.4 with ρ ≈ .083) covers 2·Φ(1.96/√3.4) − 1 ≈ 71%, 4 standard errors below 86%.
    """
    rng = np.random.default_rng(3)
    truth, covered, naive, simulations = 60.0, 0, 0, 150
    for _ in range(simulations):
        # Beta(6.6, 4.4): mean .6, and an intra-speaker correlation of 1 / (6.6 + 4.4 + 1) = .083.
        wa = evaluation.summary(by_speaker(rng.beta(6.6, 4.4, 20), 30, rng), resamples=400).wa
        covered += wa.ci95[0] <= truth <= wa.ci95[1]
        naive += wa.ci95_utterances[0] <= truth <= wa.ci95_utterances[1]
    assert covered / simulations >= 0.85
    assert naive / simulations <= 0.85


def test_same_seed_same_interval() -> None:
    one = by_speaker(np.full(12, 0.7), 9, np.random.default_rng(0))
    assert evaluation.summary(one, seed=1) == evaluation.summary(one, seed=1)
    assert evaluation.summary(one, seed=1).ua.ci95 != evaluation.summary(one, seed=2).ua.ci95
    with pytest.raises(ConfigurationError, match="0 resamples were requested"):
        evaluation.summary(one, resamples=0)


def test_one_utterance() -> None:
    scored = evaluation.summary(result([1], [1]))
    assert scored.ua == evaluation.Score(100.0, None, (100.0, 100.0), (100.0, 100.0), (100.0,))
    assert evaluation.calibration(result([1], [1])).nll[0] == pytest.approx(np.log(1 + np.exp(-1)))


def test_identical_systems_do_not_differ() -> None:
    one = by_speaker(np.full(12, 0.7), 10, np.random.default_rng(0))
    difference = evaluation.paired_bootstrap(one, replace(one, system="b"))
    assert (difference.mean, difference.ci95, difference.p) == (0.0, (0.0, 0.0), 1.0)
    assert evaluation.mcnemar(one, one) == evaluation.McNemar(0.0, 0.0, 1.0)


def test_a_difference_on_every_speaker() -> None:
    target = np.tile([0, 1], 60)
    good, bad = result(target, target), result(1 - target, target, "b")
    speaker = np.repeat(np.arange(12), 10)
    difference = evaluation.paired_bootstrap(replace(good, speaker=speaker), replace(bad, speaker=speaker))
    assert (difference.mean, difference.ci95, difference.clusters) == (100.0, (100.0, 100.0), 12)
    assert difference.p == pytest.approx(2 / 2001), "no resample on the other side of 0, and 2^-11 is smaller"
    two = speaker % 2
    assert evaluation.paired_bootstrap(replace(good, speaker=two), replace(bad, speaker=two)).p == 0.5


def test_pairs_are_swapped_and_reordered_freely() -> None:
    rng = np.random.default_rng(5)
    a, b = (by_speaker(rng.uniform(0.4, 0.9, 12), 10, rng) for _ in range(2))
    difference, back = evaluation.paired_bootstrap(a, b), evaluation.paired_bootstrap(b, a)
    assert back.mean == pytest.approx(-difference.mean)
    assert back.ci95 == pytest.approx((-difference.ci95[1], -difference.ci95[0]))
    assert back.p == difference.p
    assert evaluation.paired_bootstrap(a, b.subset(rng.permutation(120))) == difference


def test_pairing_removes_what_both_share() -> None:
    # Speakers vary widely, b is worse than a by one utterance in ten for each of them.
    rng = np.random.default_rng(6)
    target = np.tile([0, 1], 100)
    speaker = np.repeat(np.arange(20), 10)
    right = rng.random(200) < np.repeat(rng.uniform(0.3, 1.0, 20), 10)
    right[::10] = True
    worse = right & (np.arange(200) % 10 != 0)
    a, b = (
        result(np.where(r, target, 1 - target), target, n, speaker=speaker) for r, n in ((right, "a"), (worse, "b"))
    )
    difference = evaluation.paired_bootstrap(a, b, "wa")
    assert (difference.mean, *difference.ci95) == pytest.approx((10.0, 10.0, 10.0), abs=EXACT)
    own = evaluation.summary(a).wa.ci95
    assert own[1] - own[0] > 10


def test_the_paired_test_keeps_its_level() -> None:
    """Of 200 pairs of equally good systems about 5% (here up to 10%: 3 standard errors above) differ at .05."""
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(200):
        level = rng.uniform(0.4, 0.8, 20)
        a, b = by_speaker(level, 12, rng), by_speaker(level, 12, rng)
        found += evaluation.paired_bootstrap(a, b, "wa", resamples=300).p < 0.05
    assert 1 <= found <= 20


def test_what_cannot_be_compared() -> None:
    a = result([0, 1, 0], [0, 1, 1])
    with pytest.raises(ConfigurationError, match="3 and 2 utterances, 2 of them in common"):
        evaluation.paired_bootstrap(a, a.subset(np.array([True, True, False])))
    with pytest.raises(ConfigurationError, match="1 utterances have another label"):
        evaluation.mcnemar(a, replace(a, target=np.array([0, 1, 0])))
    with pytest.raises(ConfigurationError, match="classes"):
        evaluation.mcnemar(a, replace(a, classes=("x", "y")))
    with pytest.raises(ConfigurationError, match="choose from ua, wa, macro_f1"):
        evaluation.paired_bootstrap(a, a, "accuracy")


@given(st.integers(0, 60), st.integers(0, 60))
@settings(deadline=None)  # the first example imports SciPy
def test_mcnemar_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    n = only_a + only_b + 3  # and three that both have right
    target = np.zeros(n, dtype=int)
    a, b = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
    b[:only_a] = 1
    a[only_a : only_a + only_b] = 1
    test = evaluation.mcnemar(result(a, target), result(b, target, "b"))
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert (test.only_a, test.only_b) == (only_a, only_b)
    assert test.p == pytest.approx(expected, rel=1e-9)


def test_mcnemar_over_seeds() -> None:
    target = np.zeros(20, dtype=int)
    perfect, half = np.zeros((1, 20), dtype=int), np.zeros((3, 20), dtype=int)
    half[:, :10] = 1  # wrong on ten: p = 2 / 2^10 under every seed
    test = evaluation.mcnemar(result(perfect, target), result(half, target, "b"))
    assert (test.only_a, test.only_b, test.p) == (10.0, 0.0, 2 * 2 / 2**10)


def test_holm_by_hand() -> None:
    assert evaluation.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert evaluation.holm([0.9, 0.8]) == [1.0, 1.0]
    assert evaluation.holm([]) == []


def test_breakdown() -> None:
    one = result(
        [0, 1, 1, 0, 0], [0, 1, 0, 0, 0], fold=np.array([0, 0, 1, 1, 1]),
        speaker=np.array(["f", "f", "m", "m", ""]), gender=np.array(["F", "F", "M", "M", ""]),
    )  # fmt: skip
    f, m, unknown = evaluation.breakdown(one, "speaker")
    assert (f.name, f.utterances, f.ua.mean, f.absent) == ("f", 2, 100.0, ())
    assert (m.name, m.utterances, m.ua.mean, m.absent) == ("m", 2, 50.0, ("b",))
    assert (unknown.name, unknown.utterances, unknown.wa.mean) == ("unknown", 1, 100.0)
    assert [g.name for g in evaluation.breakdown(one, "fold")] == ["fold 0", "fold 1"]
    assert [g.name for g in evaluation.breakdown(one, "style")] == ["unknown"]
    with pytest.raises(ConfigurationError, match="choose from speaker, gender, session, style, fold"):
        evaluation.breakdown(one, "age")


def test_calibration_before_and_after() -> None:
    rng = np.random.default_rng(8)
    true = rng.normal(scale=2.0, size=(2, 4000, 4))
    target = (metrics.softmax(true[0]).cumsum(1) < rng.random((4000, 1))).sum(1).clip(0, 3)
    one = evaluation.SystemResult(
        "a", tuple("abcd"), np.arange(4000), target, 4 * true[[0, 0]], (0, 1), speaker=np.arange(4000) % 20,
        temperature=np.full((2, 1), 4.0),
    )  # fmt: skip
    np.testing.assert_array_equal(one.calibrated.argmax(-1), one.predicted)
    got = evaluation.calibration(one, resamples=200)
    before, after = (metrics.expected_calibration_error(p[0], target) for p in (one.probabilities, one.calibrated))
    assert got.ece == pytest.approx((before, after))
    assert after < 0.03 < before
    assert got.nll[1] < got.nll[0] and got.brier[1] < got.brier[0]
    assert got.ece_ci95[0][0] < before < got.ece_ci95[0][1]
    assert got.curves[0].count.sum() == 8000


def test_calibration_bootstrap_agrees_with_one_written_out() -> None:
    rng = np.random.default_rng(9)
    logits, speaker = rng.normal(size=(1, 80, 3)), rng.integers(0, 4, 80)
    target = rng.integers(0, 3, 80)
    one = evaluation.SystemResult("a", tuple("abc"), np.arange(80), target, logits, (0,), speaker=speaker)
    drawn = []
    for _ in range(3000):
        chosen = np.concatenate([np.flatnonzero(speaker == s) for s in rng.integers(0, 4, 4)])
        drawn.append(metrics.expected_calibration_error(metrics.softmax(logits[0, chosen]), target[chosen]))
    drawn = np.array(drawn) - np.mean(drawn) + metrics.expected_calibration_error(one.probabilities[0], target)
    # Quantiles of 3000 draws of spread ~.03, as above: two standard errors of .0015 each.
    got = evaluation.calibration(one, resamples=3000).ece_ci95[0]
    assert got == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.008)


def test_temperature_of_each_seed_and_fold() -> None:
    logits = np.ones((2, 3, 2)) * [0.0, 6.0]
    one = result(np.ones((2, 3), dtype=int), [1, 1, 1])
    one = replace(one, logits=logits, fold=np.array([0, 1, 1]), temperature=np.array([[1.0, 2.0], [3.0, 6.0]]))
    expected = metrics.softmax(np.array([[[0, 6], [0, 3], [0, 3]], [[0, 2], [0, 1], [0, 1]]], dtype=float))
    np.testing.assert_allclose(one.calibrated, expected)
    np.testing.assert_allclose(one.subset(np.array([True, False, False])).calibrated, expected[:, :1])


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    one = result(
        [[0, 1, 1], [1, 1, 1]], [0, 1, 0], "größe", seeds=(3, 9), speaker=np.array(["f", "", "m"]), title="A ⊕ B",
        paper_ua=68.49, kind="control", notes=("first", "second"), fold=np.array([0, 2, 1]),
        temperature=np.arange(1.0, 7.0).reshape(2, 3),
    )  # fmt: skip
    path = tmp_path / "deep" / "a.npz"
    one.save(path)
    again = evaluation.SystemResult.load(path)
    for name in ("system", "classes", "seeds", "title", "paper_ua", "kind", "notes"):
        assert getattr(again, name) == getattr(one, name), name
    for name in ("ids", "target", "logits", "speaker", "gender", "session", "style", "fold", "temperature"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"], "nothing half-written is left"
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first


def test_files_that_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.npz: no such result file"):
        evaluation.SystemResult.load(tmp_path / "none.npz")
    path = tmp_path / "a.npz"
    result([0, 1], [0, 1]).save(path)
    whole = path.read_bytes()
    broken = [b"", b"not a zip", whole[: len(whole) // 2], whole[:60] + b"\0" * 40 + whole[100:]]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"a\.npz: damaged, or no archive .*; delete it, and run"):
            evaluation.SystemResult.load(path)
    np.savez(path, header=np.array({"pickled": 1}, dtype=object))
    with pytest.raises(ModelError, match="holds Python objects"):
        evaluation.SystemResult.load(path)
    np.savez(path, x=np.arange(3))
    with pytest.raises(ModelError, match="not a result file"):
        evaluation.SystemResult.load(path)


def rewritten(path: Path, described: object = None, **arrays: np.ndarray) -> Path:
    """A result file with some arrays, or fields of its header, changed."""
    result([0, 1], [0, 1]).save(path)
    with np.load(path) as file:
        members = dict(file)
    fields = json.loads(str(members["header"]))
    changed = {**fields, **described} if isinstance(described, dict) else fields
    members["header"] = np.array(described if isinstance(described, str) else json.dumps(changed))
    np.savez_compressed(path, **(members | arrays))
    return path


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "a JSON object is required"),
        ({"format": "x"}, "not a result file of format"),
        ({"seeds": ["0"]}, "'seeds' must be a list of integers"),
        ({"seeds": [10**400]}, "'seeds' must be a list of integers"),
        ({"classes": "ab"}, "'classes' must be a list of strings"),
        ({"classes": [["a"], "b"]}, "'classes' must be a list of strings"),
        ({"paper_ua": 10**400}, "'paper_ua' must be a finite number"),
        ({"system": None}, "'system' must be a string"),
        ({"kind": {}}, "'kind' must be a string"),
        ({"kind": "best"}, "kind 'best' is not known"),
    ],
)
def test_a_header_that_no_run_writes_is_named(tmp_path: Path, header: object, message: str) -> None:
    with pytest.raises(ModelError, match=rf"a\.npz: .*{message}.*; delete it, and run the same `duetto train` again"):
        evaluation.SystemResult.load(rewritten(tmp_path / "a.npz", header))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("header", np.array([["{}"]]), "not valid JSON"),
        ("logits", np.array(["a"]), "its logits are of type <U1"),
        ("target", np.array([0.5, 1.0]), "target must hold integers"),
        ("ids", np.array([0, 1]), "its ids are of type int64"),
        ("temperature", np.array([0j]), "its temperature are of type complex128"),
        ("fold", np.array([[0], [1]]), "fold has shape"),
        ("logits", np.zeros(1_000_000), "logits have shape"),
    ],
)
def test_arrays_that_no_run_writes_are_named(tmp_path: Path, name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(ModelError, match=rf"a\.npz: .*{message}"):
        evaluation.SystemResult.load(rewritten(tmp_path / "a.npz", **{name: array}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array([], dtype=str)}, "it has no utterance"),
        ({"ids": np.array(["u", "u"])}, "occurs twice"),
        ({"seeds": (1, 2)}, r"\(1, 2, 2\); \(seeds, utterances, classes\) = \(2, 2, 2\) is required"),
        ({"seeds": ()}, "one distinct number a run"),
        ({"classes": ("a", "a")}, "distinct names"),
        ({"logits": np.array([[[0.0, np.nan], [0.0, 1.0]]])}, "NaN or infinity"),
        ({"target": np.array([0, 2])}, "integers from 0 to 1"),
        ({"target": np.array([0.0, 1.0])}, "integers from 0 to 1"),
        ({"speaker": np.array(["f"])}, r"speaker has shape \(1,\), not \(2,\)"),
        ({"fold": np.array([0, -1])}, "fold must hold integers from 0"),
        ({"temperature": np.array([[0.0]])}, r"positive numbers of shape \(seeds, folds\) = \(1, 1\)"),
        ({"temperature": np.array([[np.inf]])}, "positive numbers"),
        ({"temperature": np.array([1.0])}, "positive numbers"),
        ({"kind": "best"}, "choose from system, control, leak"),
    ],
)
def test_results_that_do_not_hold_together(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"result of system 'a': .*{message}"):
        replace(result([0, 1], [0, 1]), **change)


def test_results_cannot_be_changed() -> None:
    one = result([0, 1], [0, 1])
    with pytest.raises(ValueError, match="read-only"):
        one.logits[0] = 0


def test_from_utterances() -> None:
    rows = [
        Utterance("x", Path("x.wav"), label="sad", speaker="f", scenario="impro01", gender="F", session="1"),
        Utterance("y", Path("y.wav"), label="angry"),
    ]
    one = evaluation.from_utterances("lstm", rows, ("angry", "sad"), np.zeros((1, 2, 2)), (0,), paper_ua=55.1)
    assert one.target.tolist() == [1, 0]
    assert (one.speaker.tolist(), one.style.tolist()) == (["f", ""], ["improvised", ""])
    assert (one.title, one.paper_ua) == ("lstm", 55.1)
    with pytest.raises(ConfigurationError, match=r"'z' has label None, not one of angry, sad"):
        evaluation.from_utterances("lstm", [Utterance("z", Path("z.wav"))], ("angry", "sad"), np.zeros((1, 1, 2)), (0,))
