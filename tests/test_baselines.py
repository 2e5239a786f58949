"""Classical baselines: they reach planted ceilings, see no test data, repeat themselves, and survive odd input."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import duetto
import planted
from duetto import runs as run_folder
from duetto.baselines import BASELINES, BaselineInputs, base, elm, evector, functionals, hmm
from duetto.baselines.elm import DnnElm, Elm
from duetto.baselines.evector import EVector
from duetto.baselines.hmm import Hmm
from duetto.baselines.svm import Svm
from duetto.cli import app
from duetto.config import experiment
from duetto.config.fusion import FUSIONS
from duetto.data.labels import LABEL_SETS
from duetto.data.manifest import read_manifest
from duetto.data.text import tokens
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, MissingExtraError, ModelError
from duetto.experiments import baseline_runner, rescore
from duetto.experiments.systems import named
from duetto.experiments.workspace import Workspace
from duetto.metrics import fit_temperature, softmax, unweighted_accuracy
from duetto.splits import Fold, folds
from duetto.utils.arrays import read_arrays

CLASSES = LABEL_SETS["four"]
HEARING = [name for name, baseline in BASELINES.items() if "frames" in baseline.needs]
QUICK = {
    "svm": Svm(costs=(1.0, 10.0)),
    "hmm": Hmm(states=(1, 2), iterations=3),
    "dnn-elm": DnnElm(layers=(32, 32), epochs=4),
    "evector": EVector(costs=(0.1, 1.0)),
    "evector-acoustic": EVector(costs=(0.1, 1.0), acoustics=True),
}


def quick(name: str):
    """A baseline with fewer candidates."""
    return replace(BASELINES[name], method=QUICK[name])


def read(utterances: Sequence[Utterance], frames: Mapping[str, np.ndarray]) -> BaselineInputs:
    return BaselineInputs(frames, {u.id: tokens(u) for u in utterances})


def everyone(fold: Fold) -> tuple[Utterance, ...]:
    return (*fold.train, *fold.development, *fold.test)


def target(fold: Fold) -> np.ndarray:
    return base.targets(fold.test, CLASSES)


def lexical(n: int = 320) -> tuple[Fold, BaselineInputs]:
    """`planted`: frames tell arousal, words tell valence."""
    inputs = planted.fold(n)
    fold = inputs.fold
    assert inputs.frames is not None
    return fold, read(everyone(fold), inputs.frames)


def acoustic(n: int = 400, honest: float = 0.8, seed: int = 3) -> tuple[Fold, BaselineInputs, np.ndarray]:
    """Frames that tell a class surely, which is the label with probability `honest`: nobody can do better than to
    answer with the class that is encoded. Returns it too, for the test data."""
    rng = np.random.default_rng(seed)
    utterances, _ = planted.corpus(n, seed)
    encoded, frames = {}, {}
    for utterance in utterances:
        number = CLASSES.index(str(utterance.label))
        encoded[utterance.id] = number if rng.random() < honest else int(rng.integers(4))
        x = rng.normal(size=(rng.integers(3, 25), 34)).astype(np.float32)
        x[:, 5:12] += 2 * (encoded[utterance.id] % 2)
        x[:, 20:27] += 2 * (encoded[utterance.id] // 2)
        frames[utterance.id] = x
    fold = folds("session5", utterances)[0]
    return fold, read(utterances, frames), np.array([encoded[u.id] for u in fold.test])


# --- what they reach -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["svm", "hmm", "dnn-elm"])
def test_reaches_the_planted_ceiling_and_no_more(name: str) -> None:
    """A fifth of the labels is drawn anew, in training as well. The answer that the frames tell is optimal; that a
    fitted classifier betters it by more than 2 of 80 test utterances would need labels of the test data."""
    fold, inputs, encoded = acoustic()
    answers = BASELINES[name].fit_predict(fold, inputs, CLASSES, seed=0)
    accuracy = float((answers.test_logits.argmax(1) == target(fold)).mean())
    ceiling = float((encoded == target(fold)).mean())
    assert 0.75 < ceiling < 0.95
    assert 0.9 * ceiling <= accuracy <= ceiling + 2 / len(fold.test)


def test_evector_reaches_the_lexical_ceiling_and_both_modalities_the_common_one() -> None:
    """Words tell valence surely and nothing else: every answer has the right valence, and which of its two classes
    is a coin for each of 64 test utterances (standard deviation 0.0625). With functionals nothing is left to chance."""
    fold, inputs = lexical()
    words = BASELINES["evector"].fit_predict(fold, inputs, CLASSES).test_logits.argmax(1)
    pleasant = np.isin(words, [CLASSES.index("happy"), CLASSES.index("neutral")])
    assert (pleasant == np.isin(target(fold), [1, 2])).all()
    assert 0.3 < float((words == target(fold)).mean()) < 0.69
    both = BASELINES["evector-acoustic"].fit_predict(fold, inputs, CLASSES).test_logits.argmax(1)
    assert float((both == target(fold)).mean()) > 0.95


def test_an_hmm_uses_the_order_of_frames_and_functionals_do_not() -> None:
    """Two classes of the same frames: in one they alternate, in the other they come in runs. Mean and deviation
    are alike, so the SVM guesses (32 test utterances, standard deviation 0.09), and only transitions tell."""
    rng = np.random.default_rng(0)
    utterances = [replace(u, label="angry" if i % 2 else "sad") for i, u in enumerate(planted.corpus(160)[0])]
    frames = {}
    for utterance in utterances:
        level = np.arange(24) % 2 if utterance.label == "angry" else np.arange(24) // 12
        x = 0.3 * rng.normal(size=(24, 34))
        x[:, 7] += 4 * (level if rng.random() < 0.5 else 1 - level)
        frames[utterance.id] = x.astype(np.float32)
    fold = folds("session5", utterances)[0]
    right = {
        name: float(
            (
                BASELINES[name].fit_predict(fold, BaselineInputs(frames), CLASSES).test_logits.argmax(1) == target(fold)
            ).mean()
        )
        for name in ("hmm", "svm")
    }
    assert right["hmm"] > 0.95 and right["svm"] < 0.8


def test_evector_weights_by_hand() -> None:
    """Class 0 says a a b, class 1 says a c c c: rates a 2/3 and 1/4, c 0 and 3/4; b is too rare."""
    table = evector.weights([["a", "a"], ["b"], ["a", "c", "c", "c"]], np.array([0, 0, 1]), 2, min_count=2)
    assert set(table) == {"a", "c"}
    np.testing.assert_allclose(table["a"], [8 / 11, 3 / 11], rtol=1e-12)  # (2/3, 1/4) / (11/12)
    np.testing.assert_array_equal(table["c"], [0, 1])
    rows = evector.vectors([["a", "c", "b"], [], ["zebra"]], table, 2)
    np.testing.assert_allclose(rows, [[8 / 11, 14 / 11], [0, 0], [0, 0]], rtol=1e-12)


def test_evector_corrects_for_the_size_of_a_class() -> None:
    """Ten times as many utterances of one class, saying the same, change no weight."""
    texts = [["a", "b"], ["a", "c"]]
    once = evector.weights(texts, np.array([0, 1]), 2, min_count=1)
    often = evector.weights([texts[0]] * 10 + [texts[1]], np.array([0] * 10 + [1]), 2, min_count=1)
    for word, row in once.items():
        np.testing.assert_allclose(often[word], row, rtol=1e-12)


# --- nothing is learned from test data -----------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_test_data_change_nothing_that_is_fitted(name: str) -> None:
    """Half of the test utterances become other ones, all test labels too; the other half is answered as before."""
    fold, inputs = lexical(160)
    assert inputs.frames is not None and inputs.tokens is not None
    altered = [u.id for u in fold.test[::2]]
    others = BaselineInputs(
        {**inputs.frames, **{i: inputs.frames[i] * 50 + 7 for i in altered}},
        {**inputs.tokens, **{i: ["zebra", "awful", "awful"] for i in altered}},
    )
    relabelled = replace(fold, test=tuple(replace(u, label="sad") for u in fold.test))
    first = quick(name).fit_predict(fold, inputs, CLASSES, seed=1)
    second = quick(name).fit_predict(relabelled, others, CLASSES, seed=1)
    assert first.chosen == second.chosen
    np.testing.assert_array_equal(first.development_logits, second.development_logits)
    # float64, in sums whose order may depend on the size of the matrix only
    np.testing.assert_allclose(first.test_logits[1::2], second.test_logits[1::2], rtol=1e-9, atol=1e-9)
    assert not np.allclose(first.test_logits[::2], second.test_logits[::2])


@pytest.mark.parametrize(
    ("name", "grid", "values"),
    [
        ("svm", "costs", (1e-3, 0.1, 1.0, 100.0)),
        ("hmm", "states", (1, 2, 3)),
        ("dnn-elm", "costs", (1e-3, 1.0, 1e3, 1e6)),
        ("evector-acoustic", "costs", (1e-4, 0.1, 10.0)),
    ],
)
def test_the_candidate_that_is_best_on_development_data_is_taken(
    name: str, grid: str, values: tuple[float, ...]
) -> None:
    """On labels that are half guesswork candidates differ; each alone, then all: the first of the best answers."""
    fold, inputs, _ = acoustic(200, honest=0.5)
    truth = base.targets(fold.development, CLASSES)
    alone = [replace(QUICK[name], **{grid: (v,)}).fit_predict(fold, inputs, CLASSES, 0) for v in values]
    ua = [unweighted_accuracy(truth, a.development_logits.argmax(1), 4) for a in alone]
    assert len(set(ua)) > 1
    together = replace(QUICK[name], **{grid: values}).fit_predict(fold, inputs, CLASSES, 0)
    first = alone[int(np.argmax(ua))]
    assert together.chosen == first.chosen
    np.testing.assert_array_equal(together.test_logits, first.test_logits)


# --- the same seed, the same answer --------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_the_seed_decides_everything_that_is_random(name: str) -> None:
    fold, inputs = lexical(120)
    first, again, other = (quick(name).fit_predict(fold, inputs, CLASSES, seed).test_logits for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (name == "dnn-elm") <= (not np.array_equal(first, other))
    assert (name in ("svm", "evector", "evector-acoustic")) <= np.array_equal(first, other)


def test_the_seed_is_no_global_state() -> None:
    fold, inputs = lexical(120)
    first = quick("dnn-elm").fit_predict(fold, inputs, CLASSES, 0).test_logits
    np.random.seed(5)
    state = np.random.get_state()[1]
    second = quick("dnn-elm").fit_predict(fold, inputs, CLASSES, 0).test_logits
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(state, np.random.get_state()[1])


# --- the extreme learning machine ----------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(1, 50), st.floats(0.01, 100), st.integers(0, 1000))
def test_elm_is_the_ridge_solution(n: int, hidden: int, cost: float, seed: int) -> None:
    """Against least squares on the augmented system [√importance · H; I/√cost] w = [√importance · T; 0], solved by
    SVD. float64; normal equations square the condition number, (H² + 1/cost)·cost ≤ 40 · 100, far from 1e8."""
    rng = np.random.default_rng(seed)
    x, t, importance = rng.normal(size=(n, 5)), rng.normal(size=(n, 3)), rng.uniform(0.1, 2, n)
    machine = Elm.fit(x, t, hidden=hidden, cost=cost, rng=rng, importance=importance)
    h, root = machine.hidden(x), np.sqrt(importance)[:, None]
    assert h.shape == (n, min(n, hidden)) and (h > 0).all() and (h <= 1).all()
    system = np.vstack([root * h, np.eye(h.shape[1]) / np.sqrt(cost)])
    expected = np.linalg.lstsq(system, np.vstack([root * t, np.zeros((h.shape[1], 3))]), rcond=None)[0]
    np.testing.assert_allclose(machine.weights, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(machine(x), h @ machine.weights)


def test_elm_activations_by_hand() -> None:
    """Two centres at squared distance 4, which is the width: exp(0) and exp(−1)."""
    x = np.array([[0.0, 0.0], [2.0, 0.0]])
    machine = Elm.fit(x, np.eye(2), hidden=2, cost=1.0, rng=np.random.default_rng(0))
    assert machine.width == 4.0
    np.testing.assert_allclose(np.sort(machine.hidden(x[:1])[0]), [np.exp(-1), 1.0], rtol=1e-12)


def test_elm_interpolates_when_it_is_not_regularised() -> None:
    """As many centres as examples: with almost no ridge the training targets are met."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(12, 6)), rng.normal(size=(12, 2))
    machine = Elm.fit(x, t, hidden=12, cost=1e10, rng=rng)
    np.testing.assert_allclose(machine(x), t, atol=1e-4)


def test_elm_of_equal_examples_is_finite_and_of_none_is_refused() -> None:
    machine = Elm.fit(np.ones((4, 3)), np.ones((4, 2)), hidden=2, cost=1.0, rng=np.random.default_rng(0))
    assert np.isfinite(machine(np.zeros((1, 3)))).all() and machine.width == 1.0
    for x, hidden, cost in ((np.empty((0, 3)), 2, 1.0), (np.ones((4, 3)), 0, 1.0), (np.ones((4, 3)), 2, 0.0)):
        with pytest.raises(ConfigurationError, match="at least one example, one hidden unit and a positive cost"):
            Elm.fit(x, np.ones((len(x), 2)), hidden=hidden, cost=cost, rng=np.random.default_rng(0))


def test_segments_loudest_and_statistics_by_hand() -> None:
    frames = np.zeros((4, 34), np.float32)
    frames[:, 0] = [1, 2, 3, 4]
    frames[:, 1] = [0.1, 0.4, 0.2, 0.4]
    cut = elm.segments(frames, 1)
    assert cut.shape == (4, 102)
    assert cut[0, [0, 34, 68]].tolist() == [1, 1, 2] and cut[3, [0, 34, 68]].tolist() == [3, 4, 4]
    steady = np.full((9, 34), 0.3, np.float32)
    steady[::2] = np.nextafter(np.float32(0.3), np.float32(1))  # of equals the first
    assert elm.loudest(steady, 0.5).tolist() == [0, 1, 2, 3]
    assert elm.loudest(frames, 0.5).tolist() == [1, 3] and elm.loudest(frames[:1], 0.1).tolist() == [0]
    np.testing.assert_allclose(
        elm.statistics(np.array([[0.1, 0.9], [0.5, 0.5]]), 0.2), [0.5, 0.9, 0.1, 0.5, 0.3, 0.7, 0.5, 1.0], rtol=1e-12
    )


# --- what a fitted baseline keeps -----------------------------------------------------------------


@pytest.mark.parametrize("present", [4, 3, 2])
@pytest.mark.parametrize("name", BASELINES)
def test_a_scorer_agrees_with_the_library_that_fitted_it(name: str, present: int) -> None:
    """Logits of test data are scikit-learn's and hmmlearn's; the scorer computes them from its arrays by NumPy.
    float32 in the DNN and in the statistics, float64 elsewhere."""
    fold, inputs = lexical(160)
    fold = replace(fold, train=tuple(u for u in fold.train if u.label in CLASSES[:present]))
    output = quick(name).fit_predict(fold, inputs, CLASSES)
    arrays = output.scorer.to_arrays()
    scorer = BASELINES[name].method.scorer.from_arrays(arrays)
    assert inputs.frames is not None and inputs.tokens is not None
    answers = [scorer(inputs.frames[u.id], output.vocabulary.encode(inputs.tokens[u.id])) for u in fold.test]
    np.testing.assert_allclose(answers, output.test_logits, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="no array"):
        BASELINES[name].method.scorer.from_arrays({})
    broken = {key: np.full_like(np.asarray(value, float), np.nan) for key, value in arrays.items()}
    with pytest.raises(ValueError, match="does not hold finite numbers"):
        BASELINES[name].method.scorer.from_arrays(broken)


def test_log_likelihood_of_an_hmm_by_hand() -> None:
    """Two states with means 0 and 10 and variance 1; x = 0, 10: all paths but 0 → 1 have likelihoods below e⁻⁴⁰."""
    start, transitions = np.array([0.5, 0.5]), np.array([[0.75, 0.25], [0.5, 0.5]])
    found = hmm.log_likelihood(
        np.array([[0.0], [10.0]]), start, transitions, np.array([[0.0], [10.0]]), np.ones((2, 1))
    )
    assert found == pytest.approx(np.log(0.5) + np.log(0.25) - np.log(2 * np.pi), rel=1e-12)


# --- odd input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_utterances_of_one_frame_and_without_words_are_answered(name: str) -> None:
    """All of them, training data too: nothing to transition to, no deviation, one segment, no words."""
    fold, inputs = lexical(120)
    assert inputs.frames is not None
    short = BaselineInputs({i: x[:1] for i, x in inputs.frames.items()}, dict.fromkeys(inputs.frames, ()))
    answers = quick(name).fit_predict(fold, short, CLASSES)
    assert answers.test_logits.shape == (len(fold.test), 4) and np.isfinite(answers.test_logits).all()
    assert np.isfinite(answers.development_logits).all()
    if name == "evector":
        assert (answers.test_logits == answers.test_logits[0]).all()  # nothing is known of any of them
        assert answers.notes == ("24 of 24 test utterances contain no word known from training",)


@pytest.mark.parametrize("name", HEARING)
def test_constant_frames_are_answered(name: str) -> None:
    fold, inputs = lexical(120)
    assert inputs.frames is not None
    constant = replace(inputs, frames={i: np.full_like(x, 7.5) for i, x in inputs.frames.items()})
    assert np.isfinite(quick(name).fit_predict(fold, constant, CLASSES).test_logits).all()


def test_one_frame_among_long_utterances_is_answered_like_any_other() -> None:
    fold, inputs, encoded = acoustic(200, honest=1.0)
    assert inputs.frames is not None
    one = {fold.test[i].id: inputs.frames[fold.test[i].id][:1] for i in range(0, len(fold.test), 4)}
    answers = quick("hmm").fit_predict(fold, BaselineInputs({**inputs.frames, **one}), CLASSES).test_logits
    long = np.array([u.id not in one for u in fold.test])
    assert (answers[long].argmax(1) == encoded[long]).mean() > 0.9 and np.isfinite(answers).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_class_without_training_data_is_never_answered(name: str) -> None:
    fold, inputs = lexical(160)
    fewer = replace(fold, train=tuple(u for u in fold.train if u.label in ("angry", "neutral")))
    answers = quick(name).fit_predict(fewer, inputs, CLASSES).test_logits
    assert answers.shape == (32, 4) and set(answers.argmax(1)) <= {CLASSES.index("angry"), CLASSES.index("neutral")}
    assert (answers[:, [1, 3]] <= answers[:, [0, 2]].min(1, keepdims=True) - base.FLOOR).all()


@pytest.mark.parametrize("name", BASELINES)
def test_no_test_utterance_is_no_answer(name: str) -> None:
    fold, inputs = lexical(120)
    assert quick(name).fit_predict(replace(fold, test=()), inputs, CLASSES).test_logits.shape == (0, 4)


@pytest.mark.parametrize("name", BASELINES)
def test_data_that_cannot_be_fitted_give_a_clear_error(name: str) -> None:
    fold, inputs = lexical(120)
    baseline, some = quick(name), fold.train[3].id
    alone = replace(fold, train=tuple(u for u in fold.train if u.label == "sad"))
    with pytest.raises(ConfigurationError, match=r"has 1 class\(es\) in its training part"):
        baseline.fit_predict(alone, inputs, CLASSES)
    with pytest.raises(ConfigurationError, match="has no development data of the classes"):
        baseline.fit_predict(replace(fold, development=()), inputs, CLASSES)
    with pytest.raises(ConfigurationError, match=f"baseline {name!r} reads {baseline.needs[0]}; give BaselineInputs"):
        baseline.fit_predict(fold, BaselineInputs(), CLASSES)
    with pytest.raises(ConfigurationError, match=r"is labelled .*; the classes are angry, happy"):
        baseline.fit_predict(fold, inputs, CLASSES[:2])
    assert inputs.frames is not None and inputs.tokens is not None
    if "words" in baseline.needs:
        without = {i: t for i, t in inputs.tokens.items() if i != some}
        with pytest.raises(ConfigurationError, match=f"{some!r} has no entry among the words"):
            baseline.fit_predict(fold, replace(inputs, tokens=without), CLASSES)
        with pytest.raises(ConfigurationError, match="not the text 'good day'"):
            baseline.fit_predict(fold, replace(inputs, tokens={**inputs.tokens, some: "good day"}), CLASSES)
    if "frames" in baseline.needs:
        for bad, message in (
            (np.full((3, 34), np.nan, np.float32), "features that are not finite"),
            (np.empty((0, 34), np.float32), r"features of shape \(0, 34\)"),
            (np.zeros(34, np.float32), r"features of shape \(34,\)"),
        ):
            with pytest.raises(ConfigurationError, match=f"{some!r} has {message}"):
                baseline.fit_predict(fold, replace(inputs, frames={**inputs.frames, some: bad}), CLASSES)
        with pytest.raises(ConfigurationError, match="has no features; extract them first"):
            baseline.fit_predict(fold, replace(inputs, frames={}), CLASSES)


def test_columns_of_absent_and_binary_classes() -> None:
    logits = base.to_logits(np.array([2.0, -4.0]), [1, 3], 4)
    np.testing.assert_array_equal(logits, [[-31, -1, -31, 1], [-32, 2, -32, -2]])
    assert base.to_logits(np.empty((0, 2)), [0, 1], 3).shape == (0, 3)


def test_functionals_are_standardised_on_training_alone() -> None:
    fold, inputs = lexical(120)
    (train, development, test), _ = functionals.of(fold, inputs)
    assert train.shape == (len(fold.train), 68) and len(test) == len(fold.test)
    # float32 z-scores of some hundred values
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
    assert np.abs(development.mean(0)).max() > 0.01


# --- the registry, the run folder, the command ---------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_registry(name: str) -> None:
    baseline = BASELINES[name]
    assert baseline.name == name and name not in experiment.SYSTEMS
    assert baseline.title and baseline.source and set(baseline.needs) <= {"frames", "words"} and baseline.needs
    assert (baseline.paper_ua == 57.25) == name.startswith("evector")
    page = (Path(__file__).parents[1] / "docs/systems.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page and all(f"`{other}`" in page for other in (*experiment.SYSTEMS, *FUSIONS))


def test_no_torch_and_no_sklearn_until_a_baseline_answers() -> None:
    modules = "'torch', 'sklearn', 'hmmlearn'"
    code = f"import sys, duetto.experiments.baseline_runner; print([m for m in ({modules}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("svm", "sklearn.svm"),
        ("hmm", "hmmlearn.hmm"),
        ("dnn-elm", "sklearn.neural_network"),
        ("evector", "sklearn.svm"),
    ],
)
def test_a_missing_package_names_the_extra(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'duetto[train]'")):
        fold, inputs = lexical(120)
        quick(name).fit_predict(fold, inputs, CLASSES)


def test_a_run_folder_holds_result_temperatures_and_notes_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterances, frames = planted.corpus(160)
    parts = folds("speaker", utterances)
    inputs, baseline = read(utterances, frames), quick("dnn-elm")
    first = baseline_runner.run(baseline, inputs, "speaker", parts, tmp_path, seeds=(3, 4))
    assert first.logits.shape == (2, 160, 4) and first.temperature.shape == (2, 5) and first.kind == "system"
    assert list(first.ids) == [u.id for fold in parts for u in fold.test]
    answers = baseline.fit_predict(parts[1], inputs, CLASSES, 4)
    start = len(parts[0].test)
    np.testing.assert_array_equal(first.logits[1, start : start + len(parts[1].test)], answers.test_logits)
    expected = fit_temperature(answers.development_logits, base.targets(parts[1].development, CLASSES))
    assert first.temperature[1, 1] == expected
    assert first.notes[0].startswith("a reconstruction in part: features, segments")
    assert re.search(r"chosen on development data: .*ELM cost .* \(\d+ of 10\)", first.notes[-1])

    monkeypatch.setattr(DnnElm, "fit_predict", lambda *_: pytest.fail("fitted again"))
    again = baseline_runner.run(baseline, inputs, "speaker", parts, tmp_path, seeds=(3, 4))
    np.testing.assert_array_equal(again.logits, first.logits)
    np.testing.assert_array_equal(run_folder.result_of(tmp_path).logits, first.logits)
    assert run_folder.read(tmp_path)["baseline"]["method"]["epochs"] == 4
    assert {"scikit-learn", "hmmlearn"} <= set(run_folder.read(tmp_path)["environment"])
    for other, protocol, key in ((quick("svm"), "speaker", "baseline"), (baseline, "loso", "protocol")):
        with pytest.raises(ModelError, match=f"holds a run that differs in {key}"):
            baseline_runner.run(other, inputs, protocol, parts, tmp_path, seeds=(3, 4))


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    utterances, frames = planted.corpus(160)
    parts, inputs = folds("speaker", utterances), read(utterances, frames)
    whole = baseline_runner.run(quick("svm"), inputs, "speaker", parts, tmp_path)
    (tmp_path / "result.npz").unlink()
    (tmp_path / "fold2-seed0/outcome.npz").unlink()
    with pytest.raises(ModelError, match="unfinished, 4 of 5 trainings done"):
        run_folder.result_of(tmp_path)
    np.testing.assert_array_equal(
        baseline_runner.run(quick("svm"), inputs, "speaker", parts, tmp_path).logits, whole.logits
    )


def test_leaking_protocols_mark_the_result(tmp_path: Path) -> None:
    utterances, frames = planted.corpus(160)
    parts, inputs = folds("random", utterances), read(utterances, frames)
    assert baseline_runner.run(quick("evector"), inputs, "random", parts, tmp_path / "a").kind == "leak"
    assert baseline_runner.run(quick("evector"), inputs, "speaker", parts, tmp_path / "b", leak=True).kind == "leak"


def test_a_baselines_folder_is_not_rescored(tmp_path: Path, manifest: Path) -> None:
    utterances, frames = planted.corpus(160)
    baseline_runner.run(quick("evector"), read(utterances, frames), "session5", folds("session5", utterances), tmp_path)
    assert not run_folder.reads_words(tmp_path)
    with pytest.raises(ModelError, match=r"holds a run of baseline 'evector'.* can't be scored with other words"):
        rescore.rescore(tmp_path, read_manifest(manifest), Workspace(tmp_path), "found")


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of every baseline on the synthetic corpus, protocol session5."""
    utterances, folder = read_manifest(manifest), tmp_path_factory.mktemp("baselines")
    shop = Workspace(manifest.parent / "cache")
    for name in BASELINES:
        baseline_runner.run_baseline(quick(name), utterances, "session5", folder / name, shop)
    return {name: folder / name for name in BASELINES}


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_predicts_what_was_evaluated_and_exports(
    name: str, trained: dict[str, Path], manifest: Path, tmp_path: Path
) -> None:
    result = run_folder.result_of(trained[name])
    utterances = {u.id: u for u in read_manifest(manifest)}
    row = next(i for i, key in enumerate(result.ids) if utterances[key].start is None and utterances[key].words)
    tested = utterances[result.ids[row]]
    done = CliRunner().invoke(app, ["export", str(trained[name]), "-o", str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0 and "fold0-seed0" in done.output
    expected = softmax(result.logits[0, row] / result.temperature[0, 0])
    for folder in (trained[name], tmp_path / "out"):
        prediction = duetto.load(folder, require_speech=False)(tested.audio, transcript=tested.text)
        np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=2e-3)
    assert BASELINES[name].title in (tmp_path / "out/README.md").read_text()
    refused = CliRunner().invoke(app, ["export", str(trained[name]), "-o", str(tmp_path / "x"), "--int8"])
    assert isinstance(refused.exception, ConfigurationError) and "no graph to quantise" in str(refused.exception)


@pytest.mark.parametrize("name", BASELINES)
def test_a_damaged_baseline_is_one_error(name: str, trained: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(trained[name] / "fold0-seed0", tmp_path / "copy")
    path = tmp_path / "copy/baseline.npz"
    arrays = read_arrays(path, error=ModelError)
    for key in arrays:
        np.savez(path, **{**arrays, key: np.ones((5, 7, 3))})
        with pytest.raises(ModelError, match="no arrays of baseline"):
            duetto.load(tmp_path / "copy")
    path.write_bytes(b"PK")
    with pytest.raises(ModelError, match="damaged"):
        duetto.load(tmp_path / "copy")


def test_names_are_systems_then_baselines_then_files() -> None:
    assert named("acoustic") == experiment.load("acoustic")
    assert named("svm") is BASELINES["svm"]
    with pytest.raises(
        ConfigurationError, match=r"'svn' is no system, no baseline and no file; .*baselines are svm, hmm"
    ):
        named("svn")


def test_the_command_trains_a_baseline_that_is_compared_with_a_system(
    runs: Path, manifest: Path, tmp_path: Path
) -> None:
    common = ["--manifest", str(manifest), "--cache", str(manifest.parent / "cache")]
    runner = CliRunner()
    done = runner.invoke(app, ["train", "svm", *common, "-o", str(tmp_path / "svm")], catch_exceptions=False)
    assert done.exit_code == 0 and "SVM on mean and deviation" in done.output
    compared = runner.invoke(
        app,
        ["evaluate", str(tmp_path / "svm"), str(runs / "acoustic"), "-o", str(tmp_path / "page.html")],
        catch_exceptions=False,
    )
    assert compared.exit_code == 0 and "Acoustic features only" in compared.output
    assert "choice of settings" in (tmp_path / "page.html").read_text(encoding="utf-8")
    refused = runner.invoke(app, ["train", "svm", *common, "--workers", "2", "-o", str(tmp_path / "x")])
    assert refused.exit_code == 2 and "is a baseline" in refused.output


def test_help_lists_every_baseline() -> None:
    shown = CliRunner().invoke(app, ["train", "--help"]).output
    assert all(re.search(rf"\b{name}\b", shown) for name in BASELINES)


@pytest.mark.corpora
def test_svm_on_ravdess_is_where_it_was_measured(data: Path, tmp_path: Path) -> None:
    """864 utterances, 24 speakers, folds that share none: a plain SVM on mean and deviation has UA 0.573, measured
    apart from this code. Its C was not chosen, so the two may differ by some utterances: 0.03 is one standard
    deviation of UA over so many utterances, twice."""
    from duetto import corpora
    from duetto.data.labels import selected
    from duetto.evaluation import summary

    utterances = selected(corpora.load("ravdess", data / "ravdess"))
    shop = Workspace(tmp_path / "cache")
    result = baseline_runner.run_baseline(BASELINES["svm"], utterances, "speaker", tmp_path / "run", shop)
    assert abs(summary(result).ua.mean / 100 - 0.573) < 0.03
