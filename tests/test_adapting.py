"""Adaptation of a head to a user's recordings: the formula, what it gains where there is a gain, and the command."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from typer.testing import CliRunner

import duetto
from duetto import metrics
from duetto.cli import app
from duetto.data.manifest import read_manifest, write_manifest
from duetto.errors import ConfigurationError
from duetto.experiments.adapt_model import adapt, linear_head
from duetto.experiments.adapting import Labelled, LinearHead, choose, cross_validated, fit_near
from duetto.inference import Session
from duetto.inference.confidence import Confidence
from duetto.inference.model_folder import find
from duetto.inference.scoring import score_utterances
from quick_training import corpus

RUN = CliRunner()


def problem(n: int = 40, d: int = 3, classes: int = 3, seed: int = 0) -> tuple[LinearHead, Labelled]:
    rng = np.random.default_rng(seed)
    base = LinearHead(rng.normal(size=(classes, d)), rng.normal(size=classes))
    x = rng.normal(size=(n, d)) * 2
    speakers = np.array([f"s{i % 4}" for i in range(n)])
    return base, Labelled(x, rng.integers(0, classes, n), speakers)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize(("n", "d"), [(40, 3), (12, 30)])
def test_the_head_minimises_the_formula(n: int, d: int, balanced: bool) -> None:
    """Against the same objective in all parameters, written out anew and minimised from another start."""
    base, data = problem(n, d)
    data = replace(data, balanced=balanced)
    strength, s = 2.0, float(np.mean([row @ row for row in data.x]))
    counts = [int((data.target == k).sum()) for k in range(3)]
    weight = [n / (3 * counts[k]) if balanced else 1.0 for k in range(3)]

    def objective(flat: np.ndarray) -> float:
        w, b = flat[: 3 * d].reshape(3, d), flat[3 * d :]
        total = 0.5 * strength * (s * np.sum(w**2) + np.sum(b**2))
        for row, y in zip(data.x, data.target, strict=True):
            logits = (base.weight + w) @ row + base.bias + b
            total += weight[y] * (np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[y])
        return float(total)

    found = fit_near(base, data, strength)
    flat = np.concatenate([(found.weight - base.weight).ravel(), found.bias - base.bias])
    best = minimize(objective, np.full(len(flat), 0.01), method="BFGS", options={"gtol": 1e-6}).x
    np.testing.assert_allclose(flat, best, atol=2e-4)
    assert objective(flat) <= objective(best) + 1e-6 < objective(np.zeros(len(flat)))


def test_an_infinite_strength_is_the_model_as_it_was_and_a_great_one_is_close() -> None:
    base, data = problem()
    assert fit_near(base, data, math.inf) is base
    np.testing.assert_allclose(fit_near(base, data, 1e9).weight, base.weight, atol=1e-5)


def test_the_order_of_the_utterances_changes_nothing() -> None:
    base, data = problem()
    order = np.random.default_rng(1).permutation(len(data.x))
    shuffled = Labelled(data.x[order], data.target[order], data.speakers[order])
    one, other = choose(base, data), choose(base, shuffled)
    assert one.strength == other.strength
    np.testing.assert_allclose(one.head.weight, other.head.weight, atol=1e-5)


def users(shift: float, n: int = 120, seed: int = 3) -> tuple[LinearHead, Labelled]:
    """Four classes at the corners of a square, which the head separates; the user's data lie `shift` to the side."""
    rng = np.random.default_rng(seed)
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], float) * 2
    target = np.arange(n) % 4
    x = corners[target] + rng.normal(size=(n, 2)) * 0.7 + [shift, 0.0]
    return LinearHead(corners, np.zeros(4)), Labelled(x, target, np.array([f"s{i // 4 % 6}" for i in range(n)]))


def ua(logits: np.ndarray, data: Labelled) -> float:
    return metrics.unweighted_accuracy(data.target, logits.argmax(1), 4)


def test_a_shift_of_the_users_recordings_is_learned_for_new_speakers() -> None:
    base, data = users(shift=4.0)
    answered = cross_validated(base, data)
    assert answered is not None
    logits, parts = answered
    for part in range(parts.max() + 1):
        assert not set(data.speakers[parts == part]) & set(data.speakers[parts != part])
    assert ua(base(data.x), data) < 0.6 and ua(logits, data) > 0.9


def test_a_model_that_fits_already_stays_near() -> None:
    base, data = users(shift=0.0)
    answered = cross_validated(base, data)
    assert answered is not None and ua(answered[0], data) >= ua(base(data.x), data) - 0.02


def test_labels_without_any_relation_flatten_it() -> None:
    base, data = users(shift=0.0)
    random = replace(data, target=np.random.default_rng(0).permutation(data.target))
    chosen = choose(base, random)
    assert float(np.abs(metrics.softmax(chosen.head(random.x)) - 0.25).mean()) < 0.15


def test_one_speaker_gives_a_head_and_no_gain() -> None:
    base, data = users(shift=4.0)
    alone = replace(data, speakers=np.full(len(data.x), "me"))
    assert cross_validated(base, alone) is None
    assert not (chosen := choose(base, alone)).chosen and chosen.temperature == 1.0
    assert ua(chosen.head(data.x), data) > ua(base(data.x), data)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a discriminant on functionals, and its manifest beside it."""
    folder = tmp_path_factory.mktemp("linear")
    options = ["--manifest", str(corpus(folder)), "-o", str(folder / "run"), "--protocol", "session5"]
    done = RUN.invoke(app, ["train", "functionals", "--set", "classifier=discriminant", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    return folder / "run"


OTHER = {"angry": "sad", "sad": "angry", "happy": "neutral", "neutral": "happy"}


def test_the_command_adapts_and_measures(linear: Path, tmp_path: Path) -> None:
    """A user whose classes are exchanged: the model as it was is wrong, the adapted one right, for new speakers."""
    mine = [replace(u, label=OTHER[str(u.label)]) for u in read_manifest(linear.parent / "manifest.jsonl")]
    write_manifest(tmp_path / "mine.jsonl", [*mine, replace(mine[0], id="bored", label="bored")])
    out = tmp_path / "adapted"
    done = RUN.invoke(app, ["adapt", str(linear), str(tmp_path / "mine.jsonl"), "-o", str(out), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    record = json.loads(done.stdout)
    before, after = (system["ua"]["mean"] for system in record["systems"])
    assert before < 30 and after > 80 and record["gain"]["mean"] == pytest.approx(after - before)
    assert record["gain"]["ci95"][0] > 0 and any("1 utterances left out" in note for note in record["notes"])
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert "gain: UA +" in readme and "½λ" in readme and "6 speakers" in readme
    recogniser = duetto.load(out, require_speech=False)
    assert score_utterances(recogniser, mine[:3]).trained_on == 3
    right = [recogniser(u.audio).label == u.label for u in mine[:16]]
    assert np.mean(right) > 0.8
    again = RUN.invoke(app, ["adapt", str(linear), str(tmp_path / "mine.jsonl"), "-o", str(out)])
    assert again.exit_code == 1 and "not empty" in str(again.exception)


def test_the_head_is_read_from_the_graph_and_written_to_it(linear: Path, tmp_path: Path) -> None:
    session = Session(find(str(linear)))
    head, x = linear_head(session), np.random.default_rng(0).normal(size=(7, linear_head(session).weight.shape[1]))
    expected = session.logits_of([row[None].astype(np.float32) for row in x], None)
    np.testing.assert_allclose(head(x), expected, atol=1e-3)
    utterances = read_manifest(linear.parent / "manifest.jsonl")
    result = adapt(str(linear), utterances, tmp_path / "out")
    written = Session(tmp_path / "out").logits_of([row[None].astype(np.float32) for row in x], None)
    np.testing.assert_allclose(written, result.adapted.head(x), atol=1e-3)
    assert result.errors == ()


def test_confidence_is_fitted_again_to_speakers_left_out(linear: Path, tmp_path: Path) -> None:
    """T and the error rates by the answers that the gain is measured with; what is unlike the user's is unfamiliar."""
    utterances = read_manifest(linear.parent / "manifest.jsonl")
    result = adapt(str(linear), utterances, tmp_path / "out")
    found = Confidence.load(tmp_path / "out")
    assert found is not None and result.after is not None
    logits, target = result.after.logits[0], result.after.target
    assert found.temperature == pytest.approx(metrics.fit_temperature(logits, target), rel=1e-4)
    assert (found.slope, found.about["answers"]) == (0.0, {"speakers": 48})
    confident = metrics.softmax(logits / found.temperature).max(1)
    kept, right = confident >= 0.5, logits.argmax(1) == target
    near = found.points.error_rate[49] * (found.points.coverage[49] * 48 + 1)
    assert near == pytest.approx((kept & ~right).sum() + 1, abs=3)  # 5 % of the answers are far, and not in it
    recogniser = duetto.load(tmp_path / "out", require_speech=False, reject=0.5)
    assert [recogniser(u.audio).unfamiliar for u in utterances[:8]].count(False) >= 6
    noise = {"waveform": np.random.default_rng(0).normal(0, 0.3, 16_000).astype(np.float32), "sample_rate": 16_000}
    assert recogniser(noise).unfamiliar is True
    assert any("confidence fitted again, to 48 answers" in note for note in result.notes)


def test_widening_is_kept_and_one_speaker_states_nothing(linear: Path, tmp_path: Path) -> None:
    utterances = read_manifest(linear.parent / "manifest.jsonl")
    own = Confidence.load(find("emodb"))
    adapt("emodb", utterances, tmp_path / "both")
    found = Confidence.load(tmp_path / "both")
    assert own is not None and found is not None and (found.slope, found.knee) == (own.slope, own.knee)
    result = adapt("emodb", [u for u in utterances if u.speaker == "s0"], tmp_path / "one")
    assert Confidence.load(tmp_path / "one") is None and duetto.load(tmp_path / "one").labels
    assert "no statement of unfamiliar recordings" in (tmp_path / "one/README.md").read_text(encoding="utf-8")
    assert any("no statement of unfamiliar recordings" in note for note in result.notes)


def test_models_without_a_linear_head_and_users_without_names_are_refused(linear: Path, tmp_path: Path) -> None:
    utterances = read_manifest(linear.parent / "manifest.jsonl")
    with pytest.raises(ConfigurationError, match="has no speaker"):
        adapt(str(linear), [replace(u, speaker=None) for u in utterances], tmp_path / "a")
    with pytest.raises(ConfigurationError, match="one class"):
        adapt(str(linear), [u for u in utterances if u.label == "sad"], tmp_path / "a")
    with pytest.raises(ConfigurationError, match="no utterance to adapt to"):
        adapt(str(linear), [replace(u, label="bored") for u in utterances], tmp_path / "a")
    options = [
        "--manifest",
        str(linear.parent / "manifest.jsonl"),
        "-o",
        str(tmp_path / "svm"),
        "--protocol",
        "session5",
    ]
    assert RUN.invoke(app, ["train", "functionals", *options]).exit_code == 0
    with pytest.raises(ConfigurationError, match=r"only a model with a linear classifier.*duetto corpus join"):
        adapt(str(tmp_path / "svm"), utterances, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_model_that_comes_with_duetto_is_adapted_and_keeps_its_terms(linear: Path, tmp_path: Path) -> None:
    utterances = [u for u in read_manifest(linear.parent / "manifest.jsonl") if u.speaker in ("s0", "s1")]
    gone = replace(utterances[0], id="gone", audio=tmp_path / "gone.wav")
    result = adapt("emodb", [*utterances, gone], tmp_path / "out", workers=2)
    assert len(result.errors) == 1 and result.gain is not None
    assert "Adapted from emodb. trained on EmoDB" in duetto.load(tmp_path / "out").terms
