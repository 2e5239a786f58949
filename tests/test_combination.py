"""Late fusion of results, against values worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from duetto import evaluation
from duetto.errors import ConfigurationError
from duetto.evaluation import SystemResult, combine


def member(system: str, posteriors: list, **others: object) -> SystemResult:
    """A result of two utterances and two classes with these posteriors, (seeds, 2, 2)."""
    probabilities = np.array(posteriors)
    fields = {"seeds": tuple(range(len(probabilities))), "temperature": np.full((len(probabilities), 1), 2.0), **others}
    # Logits over a temperature of 2 give the posteriors back; a constant that is added says nothing.
    logits = 2.0 * np.log(probabilities) + 5.0
    return SystemResult(system, ("x", "y"), np.array(["a", "b"]), np.array([0, 1]), logits, **fields)  # type: ignore[arg-type]


def test_mean_of_calibrated_posteriors() -> None:
    one = member("one", [[[0.9, 0.1], [0.6, 0.4]]], speaker=np.array(["f", "m"]))
    two = member("two", [[[0.3, 0.7], [0.2, 0.8]]])
    both = combine([one, two], "both", "One and two", 64.33)
    np.testing.assert_allclose(both.calibrated, [[[0.6, 0.4], [0.4, 0.6]]], rtol=1e-12)
    assert both.predicted.tolist() == [[0, 1]] and both.seeds == (0,)
    assert (both.system, both.title, both.paper_ua, both.kind) == ("both", "One and two", 64.33, "system")
    assert both.notes == ("mean of the calibrated posteriors of one, two",)
    assert both.speaker.tolist() == ["f", "m"]


def test_temperature_of_the_fold_is_applied_first() -> None:
    temperature = np.array([[2.0, 1.0]])  # the second utterance is twice as sure: 0.8²/(0.8² + 0.2²) = 16/17
    one = member("one", [[[0.5, 0.5], [0.2, 0.8]]], fold=np.array([0, 1]), temperature=temperature)
    two = member("two", [[[0.5, 0.5], [0.5, 0.5]]])
    both = combine([one, two], "both")
    np.testing.assert_allclose(both.calibrated[0, 1, 1], (16 / 17 + 0.5) / 2, rtol=1e-12)
    assert both.fold.tolist() == [0, 1]


def test_one_seed_is_compared_with_every_seed_of_the_others() -> None:
    many = member("many", [[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.1, 0.9]]], seeds=(3, 8))
    one = member("one", [[[0.1, 0.9], [0.2, 0.8]]])
    for order in ([many, one], [one, many]):
        both = combine(order, "both")
        assert both.seeds == (3, 8)
        np.testing.assert_allclose(both.calibrated[:, 0, 0], [0.5, 0.3], rtol=1e-12)


def test_order_of_utterances_does_not_matter() -> None:
    one = member("one", [[[0.9, 0.1], [0.6, 0.4]]])
    two = member("two", [[[0.3, 0.7], [0.2, 0.8]]]).subset(np.array([1, 0]))
    np.testing.assert_allclose(combine([one, two], "both").calibrated, [[[0.6, 0.4], [0.4, 0.6]]], rtol=1e-12)


def test_certainty_stays_finite() -> None:
    sure = SystemResult("sure", ("x", "y"), np.array(["a"]), np.array([0]), np.array([[[4000.0, 0.0]]]), (0,))
    both = combine([sure, sure], "both")
    assert both.calibrated.tolist() == [[[1.0, 0.0]]] and np.isfinite(both.logits).all()


def test_kind_and_notes_come_from_the_members() -> None:
    system, control = member("s", [[[0.9, 0.1], [0.6, 0.4]]], notes=("n",)), member("c", [[[0.5, 0.5]] * 2])
    control = replace(control, kind="control")
    assert combine([control, system], "x").kind == "system"
    assert combine([control, control], "x").kind == "control"
    assert combine([system, replace(system, kind="leak")], "x").kind == "leak"
    assert combine([system, system], "x").notes == ("mean of the calibrated posteriors of s, s", "n")


def test_a_combination_is_a_result_like_any(tmp_path) -> None:
    both = combine([member("one", [[[0.9, 0.1], [0.6, 0.4]]]), member("two", [[[0.3, 0.7], [0.2, 0.8]]])], "both")
    both.save(tmp_path / "both.npz")
    assert evaluation.summary(SystemResult.load(tmp_path / "both.npz")).ua.mean == 100.0


def test_what_cannot_be_combined() -> None:
    one = member("one", [[[0.9, 0.1], [0.6, 0.4]]])
    with pytest.raises(ConfigurationError, match="combines 1 results; give two or more"):
        combine([one], "both")
    with pytest.raises(ConfigurationError, match="cannot be combined: they hold 2 and 1 utterances, 1 of them"):
        combine([one, one.subset(np.array([0]))], "both")
    with pytest.raises(ConfigurationError, match="1 utterances have another label"):
        combine([one, replace(one, target=np.array([0, 0]))], "both")
    with pytest.raises(ConfigurationError, match="cannot be combined: classes"):
        combine([one, replace(one, classes=("y", "x"))], "both")
    a, b = (member(f"s{s}", [[[0.9, 0.1], [0.6, 0.4]]] * 2, seeds=(s, 9)) for s in (1, 2))
    with pytest.raises(ConfigurationError, match=r"they have seeds \(1, 9\) and \(2, 9\)\. Train both"):
        combine([a, b], "both")
