"""Dimensions as a task: learned beside the classes, exported, predicted, and kept in results."""

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

import duetto
import planted
import quick_training
from duetto import evaluation, inference, metrics, report, runs, training
from duetto.audio import write as write_audio
from duetto.cli import app
from duetto.config import experiment
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance, ratings_of
from duetto.errors import ConfigurationError
from duetto.evaluation import SystemResult
from duetto.evaluation.result import NO_DIMENSIONS
from duetto.experiments.adapt_model import adapt
from duetto.experiments.fold_inputs import check_ratings
from duetto.features.registry import feature_spec
from duetto.live.curves import Scale
from duetto.live.events import TimelineSegment
from duetto.report.dimensions import MOST_POINTS, ScatterDiagram
from duetto.splits import with_rated
from duetto.training import FoldInputs, ridge
from duetto.training.emotion_task import concordance_loss
from sounds import voice

NAMES = ("arousal", "valence")
RUN = CliRunner()
WIDTH = feature_spec("functionals").dim


def rated(utterance: Utterance, number: int) -> Utterance:
    """Arousal 2 or 4 with the voice, valence 2 or 5 with the words; a fifth of each is missing."""
    ratings = {
        "arousal": 4.0 if utterance.label in planted.AROUSED else 2.0,
        "valence": 5.0 if utterance.label in planted.PLEASANT else 2.0,
    }
    return replace(utterance, dimensions={n: r for at, (n, r) in enumerate(ratings.items()) if (number + at) % 5})


def fold(n: int = 160) -> FoldInputs:
    """The planted fold, rated."""
    inputs = planted.fold(n)
    parts = {
        part: tuple(rated(u, int(u.id[1:])) for u in getattr(inputs.fold, part))
        for part in ("train", "development", "test")
    }
    return replace(inputs, fold=replace(inputs.fold, **parts))


def concordances(inputs: FoldInputs, predicted: np.ndarray) -> list[float]:
    target = ratings_of(inputs.fold.test, NAMES)
    return [metrics.concordance(x, y) for x, y in zip(target.T, predicted.T, strict=True)]


def test_the_loss_is_one_less_concordance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, (2, 9, 3))
    x[2, 0] = np.nan
    x[1:, 2] = np.nan  # one rating says nothing of a spread, so this dimension is left out
    expected = np.mean([1 - metrics.concordance(x[:, d], y[:, d]) for d in range(2)])
    predicted = torch.tensor(y, requires_grad=True)
    loss = concordance_loss(predicted, torch.tensor(x))
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    loss.backward()
    assert predicted.grad is not None and torch.isfinite(predicted.grad).all()
    assert predicted.grad[2, 0] == 0 and (predicted.grad[:, 2] == 0).all()
    assert concordance_loss(predicted, torch.full((9, 3), torch.nan, dtype=torch.float64)).item() == 0


@pytest.mark.parametrize(
    ("system", "changes", "known"),
    [
        ("acoustic", {}, (True, False)),
        ("fusion-random", {}, (True, True)),
        ("fusion-random", {"fusion": "cross-attention", "pooling": "attention"}, (True, True)),
        ("fusion-random", {"fusion": "confidence"}, (True, True)),
    ],
)
def test_a_network_learns_both_tasks(
    tmp_path: Path, system: str, changes: dict[str, str], known: tuple[bool, bool]
) -> None:
    e = experiment.load(system, dimensions=NAMES, epochs=12, hidden=8, dense=16, learning_rate=0.01, **changes)
    inputs = fold()
    found = training.train(e, inputs, tmp_path, seed=0)
    assert found.test_ratings is not None and found.test_ratings.shape == (len(inputs.fold.test), 2)
    for value, learned in zip(concordances(inputs, found.test_ratings), known, strict=True):
        assert value > 0.7 if learned else value < 0.5
    assert all("development_ccc" in epoch for epoch in found.history.epochs)
    session = inference.Session(tmp_path)  # the exported graph has both, and was verified
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames)
    outputs = session.outputs_of(prepared.frames, prepared.words)
    limited = np.hstack([outputs[:, :4], np.clip(outputs[:, 4:], 2, (4, 5))])  # the range of the training ratings
    np.testing.assert_allclose(limited, np.hstack([found.test_logits, found.test_ratings]), atol=1e-4)
    assert (limited != outputs).any()
    np.testing.assert_array_equal(session.logits_of(prepared.frames, prepared.words), outputs[:, :4])


def test_the_classes_of_an_untrained_model_do_not_depend_on_dimensions() -> None:
    inputs = fold()
    plain, both = (experiment.load("acoustic", dimensions=names) for names in ((), NAMES))
    models = [training.build(training.fit_preprocessor(e, inputs), inputs, seed=0) for e in (plain, both)]
    weights = models[1].state_dict()
    for name, tensor in models[0].state_dict().items():
        assert torch.equal(tensor, weights[name])


def vectors() -> FoldInputs:
    """A fold of one vector a recording, in which one direction holds arousal."""
    inputs, rng = fold(), np.random.default_rng(0)
    direction = 0.15 * rng.normal(size=WIDTH)
    every = (*inputs.fold.train, *inputs.fold.development, *inputs.fold.test)
    frames = {
        u.id: (rng.normal(size=(1, WIDTH)) + direction * (1 if u.label in planted.AROUSED else -1)).astype(np.float32)
        for u in every
    }
    return replace(inputs, frames=frames)


@pytest.mark.parametrize("classifier", ["discriminant", "logistic", "svm"])
def test_a_classifier_has_a_ridge_regression_beside_it(tmp_path: Path, classifier: str) -> None:
    e = experiment.load("functionals", dimensions=NAMES, classifier=classifier, augmentation="none")
    inputs = vectors()
    found = training.train(e, inputs, tmp_path, seed=0)
    assert found.test_ratings is not None
    arousal, valence = concordances(inputs, found.test_ratings)
    assert arousal > 0.8 and abs(valence) < 0.5
    session = inference.Session(tmp_path)
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames)
    outputs = session.outputs_of(prepared.frames, prepared.words)
    np.testing.assert_allclose(np.clip(outputs[:, 4:], 2, (4, 5)), found.test_ratings, atol=1e-4)
    # The spread is that of the training ratings, on development data.
    held_out = training.prepare(inputs.fold.development, session.preprocessor, inputs.frames)
    spread = session.outputs_of(held_out.frames, held_out.words)[:, 4:].std(0)
    np.testing.assert_allclose(spread, np.nanstd(ratings_of(inputs.fold.train, NAMES), axis=0), rtol=1e-3)


def test_the_ridge_is_that_of_scikit_learn() -> None:
    """(1 − λ)·S + λ·t·I is ridge with α = n·λ·t / (1 − λ), t the mean variance, its weights divided by 1 − λ."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 7)) * np.arange(1, 8)
    y = x @ rng.normal(size=7) + rng.normal(size=60)
    shrinkage, mean_variance = 0.3, x.var(0).mean()
    oracle = Ridge(alpha=60 * shrinkage * mean_variance / (1 - shrinkage), solver="svd", tol=1e-12).fit(x, y)
    np.testing.assert_allclose(ridge.fit_ridge(x, y, shrinkage), oracle.coef_ / (1 - shrinkage), rtol=1e-8)


def test_development_data_choose_the_shrinkage() -> None:
    rng = np.random.default_rng(0)
    x, z, w = rng.normal(size=(40, 60)), rng.normal(size=(300, 60)), rng.normal(size=60)
    noisy, clean = x @ w + 8 * rng.normal(size=40), z @ w
    weight, bias = ridge.choose(x, noisy, z, clean)
    scores = []
    for shrinkage in ridge.SHRINKAGES:
        one = ridge.fit_ridge(x, noisy, shrinkage)
        one = one * noisy.std() / (z @ one).std()
        scores.append(metrics.concordance(clean, noisy.mean() + (z - x.mean(0)) @ one))
    assert metrics.concordance(clean, z @ weight + bias) == pytest.approx(max(scores))
    assert scores[0] > scores[-1] + 0.05  # the choice matters here
    unrated, _ = ridge.choose(x, noisy, z, np.full(300, np.nan))
    first = ridge.fit_ridge(x, noisy, ridge.SHRINKAGES[0])
    np.testing.assert_allclose(unrated / np.linalg.norm(unrated), first / np.linalg.norm(first))


def test_ratings_that_are_not_there_are_named() -> None:
    e = experiment.load("acoustic", dimensions=("arousal", "dominance"))
    with pytest.raises(ConfigurationError, match=r"learns dominance, .* they have: arousal \(\d+\), valence \(\d+\)\."):
        check_ratings(e, [fold().fold])
    for names, message in (
        (("arousal", "arousal"), "names one twice"),
        (("Arousal",), "names are such as arousal, valence, dominance"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            experiment.load("acoustic", dimensions=names)


def test_results_keep_ratings(tmp_path: Path) -> None:
    inputs = fold()
    test = inputs.fold.test
    predicted = np.random.default_rng(0).normal(3, 1, (2, len(test), 2))
    outcome = tmp_path / "run/fold0-seed0/outcome.npz"
    logits = np.zeros((len(test), 4))
    for seed in (0, 1):
        path = tmp_path / f"run/fold0-seed{seed}/outcome.npz"
        path.parent.mkdir(parents=True)
        runs.save_outcome(path, logits, 1.0, ratings=predicted[seed])
    classes = ("angry", "happy", "neutral", "sad")
    result = runs.collect("a", "A", classes, [inputs.fold], (0, 1), tmp_path / "run", dimensions=NAMES)
    again = SystemResult.load(tmp_path / "run/result.npz")
    for each in (result, again):
        assert each.dimensions == NAMES
        np.testing.assert_array_equal(each.predicted_ratings, predicted)
        np.testing.assert_array_equal(each.ratings, ratings_of(test, NAMES))
    half = again.subset(np.arange(len(test)) % 2 == 0)
    np.testing.assert_array_equal(half.predicted_ratings, predicted[:, ::2])
    with pytest.raises(ConfigurationError, match=r"predicted_ratings \(2, \d+, 1\)"):
        replace(again, predicted_ratings=predicted[:, :, :1])
    runs.save_outcome(outcome, logits, 1.0)
    with pytest.raises(Exception, match="no ratings of shape"):
        runs.collect("a", "A", classes, [inputs.fold], (0, 1), tmp_path / "run", dimensions=NAMES)


def scored(n: int = 120, seeds: int = 2) -> SystemResult:
    """Arousal with concordance, valence by chance; 8 speakers, a third of arousal not rated."""
    rng = np.random.default_rng(0)
    ratings = rng.normal(3, 1, (n, 2))
    predicted = np.stack([ratings + rng.normal(0, 0.5, (n, 2)) for _ in range(seeds)])
    predicted[:, :, 1] = rng.normal(3, 1, (seeds, n))
    ratings[::3, 0] = np.nan
    return SystemResult(
        "a",
        ("x", "y"),
        np.array([f"u{i}" for i in range(n)]),
        np.arange(n) % 2,
        rng.normal(size=(seeds, n, 2)),
        tuple(range(seeds)),
        speaker=np.array([f"s{i % 8}" for i in range(n)]),
        dimensions=NAMES,
        ratings=ratings,
        predicted_ratings=predicted,
    )


def test_scores_of_dimensions_and_their_intervals() -> None:
    """Against the cluster bootstrap written as a loop over resampled speakers."""
    result = scored()
    found = evaluation.dimensions(result, resamples=400, seed=1)
    assert [(each.name, each.utterances) for each in found] == [("arousal", 80), ("valence", 120)]
    for d, each in enumerate(found):
        rows = [(result.ratings[:, d], p[:, d]) for p in result.predicted_ratings]
        assert each.ccc.mean == pytest.approx(np.mean([metrics.concordance(*row) for row in rows]))
        assert each.rmse.mean == pytest.approx(np.mean([metrics.root_mean_square_error(*row) for row in rows]))
    rng, speakers, drawn = np.random.default_rng(7), np.unique(result.speaker), []
    for _ in range(400):
        index = np.concatenate([np.flatnonzero(result.speaker == s) for s in rng.choice(speakers, len(speakers))])
        each = [metrics.concordance(result.ratings[index, 0], p[index, 0]) for p in result.predicted_ratings]
        drawn.append(np.mean(each))
    np.testing.assert_allclose(found[0].ccc.ci95, np.quantile(drawn, [0.025, 0.975]), atol=0.015)
    assert evaluation.dimensions(replace(result, **NO_DIMENSIONS)) == ()
    unrated = replace(result, ratings=np.full((120, 2), np.nan))
    assert evaluation.dimensions(unrated) == ()


def test_the_report_shows_dimensions(tmp_path: Path) -> None:
    result = scored()
    plain = replace(result, system="b", title="plain", **NO_DIMENSIONS)
    table = report.score([result, plain], resamples=50)
    assert "| a: arousal | 0." in report.markdown(table) and "plain: arousal" not in report.markdown(table)
    record = report.record(table.systems[0])["dimensions"]
    assert record["arousal"]["utterances"] == 80 and "dimensions" not in report.record(table.systems[1])
    out, rows = tmp_path / "report.html", tmp_path / "answers.csv"
    report.write(out, table, title="T", protocol={}, corpus={"name": "c"}, csv=rows)
    page = out.read_text(encoding="utf-8")
    assert page.count("predicted against annotated ratings</title>") == 2 and 'href="#dimensions"' in page
    plots = page.split('<g class="scatter">')[1:]
    assert [plot.split("</g>")[0].count("<circle") for plot in plots] == [80, 120]
    lines = list(csv.DictReader(rows.read_text(encoding="utf-8").splitlines()))
    assert lines[0]["annotated_arousal"] == "" and lines[-1]["predicted_arousal"] == ""
    assert float(lines[1]["predicted_valence"]) == pytest.approx(result.predicted_ratings[:, 1, 1].mean(), abs=1e-3)
    report.write(out, report.score([plain], resamples=50), title="T", protocol={}, corpus={"name": "c"})
    assert "#dimensions" not in out.read_text(encoding="utf-8")


def test_a_scatter_plot_places_equal_ratings_on_the_diagonal() -> None:
    ratings = np.linspace(1, 4.5, 4000)
    plot = ScatterDiagram("arousal", ratings, ratings)
    assert plot.total == 4000 and len(plot.points) == MOST_POINTS
    assert all(x - plot.left == pytest.approx(plot.top + plot.side - y) for x, y in plot.points)
    assert plot.ticks == (1, 3, 5)


def rated_corpus(folder: Path) -> Path:
    """The corpus of `quick_training`, whose arousal follows the level."""
    manifest = quick_training.corpus(folder)
    level = {"angry": 4.0, "happy": 3.0, "neutral": 2.0, "sad": 1.0}
    rated_utterances = [replace(u, dimensions={"arousal": level[str(u.label)]}) for u in read_manifest(manifest)]
    write_manifest(manifest, rated_utterances)
    return manifest


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small system on `rated_corpus`."""
    folder = tmp_path_factory.mktemp("dimensions")
    manifest = rated_corpus(folder)
    changes = [word for change in ("hidden=8", "dense=8", "epochs=40") for word in ("--set", change)]
    changes += ["--set", 'dimensions=["arousal"]', "--set", "learning_rate=0.01"]
    options = ["--manifest", str(manifest), "--protocol", "session5", "-o", str(folder / "run"), *changes]
    done = RUN.invoke(app, ["train", "functionals-mlp", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    return folder / "run"


def test_from_the_manifest_to_predictions(trained: Path, tmp_path: Path) -> None:
    result = runs.result_of(trained)
    assert metrics.concordance(result.ratings[:, 0], result.predicted_ratings[0, :, 0]) > 0.3
    audio = {u.id: str(u.audio) for u in read_manifest(trained.parent / "manifest.jsonl")}
    files = [audio[str(name)] for name in result.ids[:3]]
    exported = tmp_path / "exported"
    assert RUN.invoke(app, ["export", str(trained), "-o", str(exported)]).exit_code == 0
    assert "| dimensions | arousal |" in (exported / "README.md").read_text(encoding="utf-8")
    options = ["--model", str(exported), "--any-sound"]
    done = RUN.invoke(app, ["predict", *files, *options, "--json"])
    records = [json.loads(line) for line in done.stdout.splitlines()]
    expected = result.predicted_ratings[0, :3, 0]
    np.testing.assert_allclose([r["dimensions"]["arousal"] for r in records], expected, atol=1e-4)
    shown = RUN.invoke(app, ["predict", files[0], *options]).stdout
    assert f"  arousal {expected[0]:.2f}\n" in shown
    assert RUN.invoke(app, ["predict", *files, *options, "-o", str(tmp_path / "p.csv")]).exit_code == 0
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()))
    np.testing.assert_allclose([float(row["arousal"]) for row in rows], expected, atol=1e-4)
    assert duetto.load(exported, require_speech=False)(files[0]).dimensions == pytest.approx(records[0]["dimensions"])
    assert duetto.load()(files[0]).dimensions is None  # the bundled model has none


def test_evaluate_scores_dimensions(trained: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["evaluate", str(trained), "--json", "-o", str(tmp_path / "report.html")])
    record = json.loads(done.stdout.splitlines()[0])
    assert record["dimensions"]["arousal"]["ccc"]["mean"] > 0.3
    assert "predicted against annotated" in (tmp_path / "report.html").read_text(encoding="utf-8")
    manifest, table = trained.parent / "manifest.jsonl", tmp_path / "a.csv"
    options = ["--manifest", str(manifest), "--csv", str(table), "--result", str(tmp_path / "r.npz")]
    done = RUN.invoke(app, ["evaluate", str(trained), *options, "--json"])
    again = json.loads(done.stdout.splitlines()[0])
    assert again["dimensions"]["arousal"]["utterances"] == 16  # those that the fold tests
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert (rows[0]["annotated_arousal"], len(rows)) == ("4.0", 16)
    ratings = SystemResult.load(tmp_path / "r.npz").predicted_ratings[0, :, 0]
    np.testing.assert_allclose([float(row["predicted_arousal"]) for row in rows], ratings, atol=1e-6)


def test_an_adapted_model_keeps_its_ratings(tmp_path: Path) -> None:
    manifest = rated_corpus(tmp_path)
    options = ["--manifest", str(manifest), "--protocol", "session5", "--set", 'dimensions=["arousal"]']
    options += ["--set", "classifier=discriminant"]
    done = RUN.invoke(app, ["train", "functionals", *options, "-o", str(tmp_path / "run")])
    assert done.exit_code == 0, (done.output, done.exception)
    utterances = read_manifest(manifest)[:16]
    adapt(str(tmp_path / "run"), utterances, tmp_path / "adapted")
    before, after = (duetto.load(tmp_path / name, require_speech=False) for name in ("run", "adapted"))
    for u in utterances[:4]:
        old, new = before(u.audio), after(u.audio)
        assert old.dimensions is not None and new.dimensions == pytest.approx(old.dimensions, abs=1e-3)
        assert new.probabilities != old.probabilities


def test_a_fusion_keeps_the_ratings_of_its_branches_to_itself(tmp_path: Path) -> None:
    """The product is one of classes: the results of the branches have dimensions, the fusion's and its answers none."""
    manifest = rated_corpus(tmp_path)
    (tmp_path / "two.toml").write_text(
        'name = "two"\ntitle = "Two"\nbranches = ["functionals", "functionals-mlp"]\ninner_folds = 2\n'
        """settings = ['dimensions=["arousal"]', "dense=8", "epochs=1"]\n""",
        encoding="utf-8",
    )
    options = ["--manifest", str(manifest), "--protocol", "session5", "-o", str(tmp_path / "run")]
    done = RUN.invoke(app, ["train", str(tmp_path / "two.toml"), *options])
    assert done.exit_code == 0, (done.output, done.exception)
    assert runs.result_of(tmp_path / "run").dimensions == ()
    assert [r.dimensions for r in runs.branch_results(tmp_path / "run")] == [("arousal",)] * 2
    recogniser = duetto.load(tmp_path / "run", require_speech=False)
    assert recogniser.dimensions == () and recogniser(read_manifest(manifest)[0].audio).dimensions is None


def test_curves_by_hand() -> None:
    def segment(start: float, end: float, dimensions: dict[str, float] | None) -> TimelineSegment:
        return TimelineSegment("utterance", start, end, 0, "sad", {"sad": 1.0}, dimensions=dimensions)

    segments = [
        segment(0, 1, {"arousal": 1.0, "valence": 2.0}),
        segment(1, 2, None),
        segment(2, 4, {"arousal": 3.0, "valence": 1.5}),
    ]
    scale = Scale.of(segments)
    assert (scale.names, scale.low, scale.high) == (("arousal", "valence"), 1.0, 3.0)
    arousal, valence = scale.curves(segments)
    assert (arousal.points, valence.points) == ("0.50,96.0 3.00,4.0", "0.50,50.0 3.00,73.0")
    assert [arousal.style, valence.style] == ["d0", "d1"]
    assert scale.curves(segments[1:2]) == Scale.of(segments[1:2]).curves(segments[1:2]) == ()


def test_the_time_line_has_ratings(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    talk = np.concatenate([voice(), np.zeros(16_000, np.float32), voice()])
    write_audio(tmp_path / "talk.wav", talk, 16_000)
    options = ["timeline", str(tmp_path / "talk.wav"), "--model", str(trained)]
    done = RUN.invoke(app, [*options, "--json", "--html", str(tmp_path / "page.html"), "--window", "2"])
    assert done.exit_code == 0, (done.output, done.exception)
    record = json.loads(done.stdout)
    ratings = [segment["dimensions"]["arousal"] for segment in record["segments"]]
    assert ratings and all(1 <= rating <= 4 for rating in ratings)
    assert RUN.invoke(app, [*options, "-o", str(tmp_path / "talk.csv")]).exit_code == 0
    rows = list(csv.DictReader((tmp_path / "talk.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["arousal"]) for row in rows] == pytest.approx(ratings, abs=1e-6)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    (curve,) = re.findall(r'<polyline class="d0" points="([^"]+)"><title>arousal', page)
    rated_windows = [window for window in record["windows"] if window["dimensions"]]
    assert len(curve.split()) == len(rated_windows) > 1
    assert '<th scope="col">arousal</th>' in page and f"<td>{ratings[0]:.2f}</td>" in page
    plain = RUN.invoke(app, ["timeline", str(tmp_path / "talk.wav"), "--html", str(tmp_path / "plain.html"), "--json"])
    assert {segment["dimensions"] for segment in json.loads(plain.stdout)["segments"]} == {None}
    assert "<polyline" not in (tmp_path / "plain.html").read_text(encoding="utf-8")


def test_utterances_without_a_class_join_training_where_test_data_stay_new() -> None:
    inputs = planted.fold()
    (held_out, *_), (tested, *_), (train, *_) = inputs.fold.development, inputs.fold.test, inputs.fold.train

    def other(name: str, like: Utterance, **changes: object) -> Utterance:
        return replace(like, id=name, label=None, dimensions={"arousal": 1.0}, **changes)

    others = [
        other("new", train),
        other("of a development speaker", held_out),
        other("of a test speaker", tested, session=train.session),
        other("of the test session", train, session=tested.session),
        other("of nobody", train, speaker=None),
    ]
    assert inputs.fold.disjoint_in == ("speaker", "session")
    found = with_rated(inputs.fold, others)
    assert [u.id for u in found.rated] == ["new"] and found.train == inputs.fold.train
    assert found.joined.train == (*inputs.fold.train, *found.rated)


def half_labelled() -> FoldInputs:
    """The planted fold, three quarters of whose training utterances have ratings only."""
    inputs = fold()
    keep = [number // 4 % 4 == 0 for number in range(len(inputs.fold.train))]
    train = tuple(u for u, labelled in zip(inputs.fold.train, keep, strict=True) if labelled)
    rest = tuple(replace(u, label=None) for u, labelled in zip(inputs.fold.train, keep, strict=True) if not labelled)
    return replace(inputs, fold=replace(inputs.fold, train=train, rated=rest))


def test_an_utterance_without_a_class_changes_the_loss_of_its_ratings_alone() -> None:
    inputs = half_labelled()
    changes = {"hidden": 8, "dense": 8, "dropout": 0.0, "recurrent_dropout": 0.0, "class_weights": True}
    losses = {}
    for weight in (0.0, 1.0):
        e = experiment.load("fusion-confidence", dimensions=NAMES, dimension_weight=weight, **changes)
        preprocessor = training.fit_preprocessor(e, inputs)
        everyone = training.prepare(training.learned(e, inputs.fold), preprocessor, inputs.frames)
        labelled = training.prepare(inputs.fold.train, preprocessor, inputs.frames)
        assert (everyone.target >= 0).sum() == len(labelled.target) < len(everyone.target)
        model = training.build(preprocessor, inputs, seed=0).eval()
        held_out = training.prepare(inputs.fold.development, preprocessor, inputs.frames)
        for name, part in (("all", everyone), ("labelled", labelled)):
            task = training.EmotionTask(preprocessor, part, held_out, seed=0)
            task.batches(0)
            losses[weight, name] = task.loss(model, np.arange(len(part.target))).item()
        unlabelled = np.flatnonzero(everyone.target < 0)
        task = training.EmotionTask(preprocessor, everyone, held_out, seed=0)
        losses[weight, "none"] = task.loss(model, unlabelled).item()
    assert losses[0.0, "all"] == pytest.approx(losses[0.0, "labelled"], abs=1e-6)
    assert losses[1.0, "all"] != pytest.approx(losses[1.0, "labelled"], abs=1e-3)
    assert losses[0.0, "none"] == 0 and losses[1.0, "none"] > 0


@pytest.mark.parametrize("system", ["fusion-random", "functionals"])
def test_ratings_are_learned_from_utterances_without_a_class(tmp_path: Path, system: str) -> None:
    """With them noise-free in a few labelled utterances and all others, against the labelled ones alone."""
    inputs = half_labelled()
    changes: dict[str, object] = {"epochs": 12, "hidden": 8, "dense": 16, "learning_rate": 0.01}
    if system == "functionals":
        changes = {"augmentation": "none"}
        inputs = replace(inputs, frames=vectors().frames)
    e = experiment.load(system, dimensions=NAMES, **changes)
    found = [
        training.train(e, each, tmp_path / name, seed=0)
        for name, each in (("all", inputs), ("labelled", replace(inputs, fold=replace(inputs.fold, rated=()))))
    ]
    with_others, without = (concordances(inputs, each.test_ratings)[0] for each in found)
    assert with_others > without + 0.03


def test_a_run_names_the_utterances_that_it_learned_ratings_from(tmp_path: Path) -> None:
    manifest = rated_corpus(tmp_path)
    utterances = read_manifest(manifest)
    write_manifest(manifest, [replace(u, label=None) if u.id.endswith("-7") else u for u in utterances])
    options = ["--manifest", str(manifest), "--protocol", "session5"]
    for name, more in (("rated", ["--set", 'dimensions=["arousal"]']), ("plain", [])):
        done = RUN.invoke(app, ["train", "functionals-mlp", *options, *more, "-o", str(tmp_path / name)])
        assert done.exit_code == 0, (done.output, done.exception)
    (described,), (plain,) = (runs.read(tmp_path / name)["folds"] for name in ("rated", "plain"))
    speakers = {u.id: u.speaker for u in utterances}
    trained = {speakers[i] for i in described["train"]}
    assert described["rated"] == [u.id for u in utterances if u.id.endswith("-7") and u.speaker in trained]
    assert "rated" not in plain and plain["train"] == described["train"]
    audited = RUN.invoke(app, ["audit", str(tmp_path / "rated"), "--manifest", str(manifest)])
    assert audited.exit_code == 0, audited.output


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_runs_the_page_with_curves(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    write_audio(tmp_path / "talk.wav", voice(), 16_000)
    page = tmp_path / "page.html"
    options = ["timeline", str(tmp_path / "talk.wav"), "--model", str(trained), "--html", str(page)]
    assert RUN.invoke(app, options).exit_code == 0
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    own = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run([*command, own, f"file://{page}"], capture_output=True, text=True, check=True)
    assert "Uncaught" not in done.stderr and "Refused to" not in done.stderr
    assert '<p class="tools">' in done.stdout  # the script ran: without it they are hidden
