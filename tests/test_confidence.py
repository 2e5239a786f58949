"""Confidence: distances from training data, posteriors widened by them, and thresholds that hold an error rate."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
import quick_training
from duetto import metrics
from duetto.audio import load
from duetto.cli import app
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, ModelError
from duetto.experiments.confidence import fit_run
from duetto.experiments.inner_folds import corpus_folds
from duetto.experiments.workspace import Workspace
from duetto.features.registry import feature_spec
from duetto.inference.confidence import CONFIDENCE, Confidence
from duetto.inference.confidence_fit import HeldOut, fit
from duetto.inference.familiarity import MOST_UTTERANCES, SHRINKAGE, Familiarity, embedding
from duetto.splits import Fold

RUN = CliRunner()
CLASSES = 4


def _cloud(n: int, values: int = 12, seed: int = 0) -> np.ndarray:
    """Embeddings that vary along a few directions, much, and a little along the others."""
    rng = np.random.default_rng(seed)
    scales = np.concatenate([[5.0, 3.0, 2.0], np.full(values - 3, 0.1)])
    return rng.standard_normal((n, values)) * scales + 1


def _speakers(n: int) -> list[str]:
    return [f"s{i % 6}" for i in range(n)]


def test_the_distance_is_that_of_its_definition() -> None:
    """Against eigenvectors of the covariance matrix, an independent way to the same components."""
    x = _cloud(40)
    found, _ = Familiarity.fit(x, _speakers(40))
    values, vectors = np.linalg.eigh(np.cov(x.T))
    k = 10  # a quarter of the utterances
    top, directions = values[::-1][:k], vectors[:, ::-1][:, :k]
    shrunk = (1 - SHRINKAGE) * top + SHRINKAGE * top.mean()
    residual = values[::-1][k:].sum() * 39 / 40
    new = _cloud(5, seed=3) + 2
    centred = new - x.mean(0)
    along = centred @ directions
    left = (centred**2).sum(1) - (along**2).sum(1)
    expected = np.sqrt(((along**2 / shrunk).mean(1) + left / residual) / 2)
    assert found.distances(new) * found.unit == pytest.approx(expected, rel=1e-5)


def test_half_of_the_recordings_of_unseen_speakers_are_closer_than_one() -> None:
    found, unseen = Familiarity.fit(_cloud(600), _speakers(600))
    assert np.median(unseen) == pytest.approx(1)
    assert np.median(found.distances(_cloud(2000, seed=8))) == pytest.approx(1, abs=0.1)
    assert (found.distances(_cloud(200, seed=8) + 10) > np.quantile(unseen, 0.98)).all()


def test_a_new_direction_is_far_though_no_training_recording_varies_along_it() -> None:
    found, _ = Familiarity.fit(_cloud(400, values=130), _speakers(400))
    along_known, along_new = np.ones(130), np.ones(130)
    along_known[0] += 3
    along_new[100:109] += 1
    near, far = found.distances(np.stack([along_known, along_new]))
    assert near < 1 < 2 < far, "of the same length as the other"


def test_distances_depend_on_neither_scale_of_time_nor_order_nor_number_of_values() -> None:
    frames = np.random.default_rng(0).standard_normal((7, 3))
    assert embedding(frames) == pytest.approx(np.concatenate([frames.mean(0), frames.std(0)]))
    assert embedding(np.concatenate([frames, frames])) == pytest.approx(embedding(frames))
    assert embedding(np.zeros((0, 3))) == pytest.approx(np.zeros(6))
    same = np.ones((8, 5))
    found, unseen = Familiarity.fit(same, ["a"] * 8)
    assert np.isfinite(unseen).all() and np.isfinite(found.distances(same + 1)).all()
    many = Familiarity.fit(_cloud(MOST_UTTERANCES + 500), _speakers(MOST_UTTERANCES + 500))[1]
    assert len(many) == MOST_UTTERANCES


def test_a_density_survives_float32() -> None:
    found, _ = Familiarity.fit(_cloud(80), _speakers(80))
    again = Familiarity.of_arrays(found.arrays(), "here")
    assert again.distances(_cloud(9, seed=2)) == pytest.approx(found.distances(_cloud(9, seed=2)), rel=1e-4)
    for damage in (
        {"mean": found.arrays()["mean"][:-1]},
        {"scale": np.float32([1, 0])},
        {"deviations": -found.deviations},
    ):
        with pytest.raises(ModelError, match="here"):
            Familiarity.of_arrays({**found.arrays(), **damage}, "here")


def _planted(n: int, distance: np.ndarray, seed: int, kind: str = "speakers", slope: float = 2.0) -> HeldOut:
    """Answers that are overconfident by 1.5 · (1 + slope · max(0, d − 1.25))."""
    rng = np.random.default_rng(seed)
    honest = rng.standard_normal((n, CLASSES)) * 2
    drawn = (np.log(metrics.softmax(honest)) + rng.gumbel(size=(n, CLASSES))).argmax(1)
    factor = 1.5 * (1 + slope * np.maximum(0, distance - 1.25))
    return HeldOut(kind, honest * factor[:, None], drawn, distance)


def _density() -> dict[str, Familiarity]:
    return {"": Familiarity.fit(_cloud(40), _speakers(40))[0]}


def test_the_planted_temperature_is_found() -> None:
    rng = np.random.default_rng(1)
    distance = rng.uniform(0.5, 4, 6000)
    found = fit([_planted(6000, distance, 2)], _density(), rng.uniform(0.5, 1.5, 100), {})
    assert (found.slope, found.knee) == (2.0, 1.25)
    assert found.temperature == pytest.approx(1.5, rel=0.05)
    test = _planted(6000, distance, 3)
    probabilities = metrics.softmax(test.log_posteriors / found.factors(test.distances)[:, None])
    before = metrics.expected_calibration_error(metrics.softmax(test.log_posteriors), test.target)
    assert metrics.expected_calibration_error(probabilities, test.target) < 0.03 < 0.2 < before
    assert found.factors(np.array([0.1, 1.25])) == pytest.approx(found.temperature)
    assert found.factors(None) == pytest.approx(found.temperature)


def test_each_kind_counts_as_much_as_the_others() -> None:
    """Few answers of a kind that are as wrong as many others are right: the same as equal numbers of both."""
    near, far = np.full(4000, 0.5), np.full(400, 3.0)
    few = fit([_planted(4000, near, 1), _planted(400, far, 2, "channels")], _density(), near, {})
    repeated = fit([_planted(4000, near, 1), *([_planted(400, far, 2, "channels")] * 10)], _density(), near, {})
    assert few.temperature == pytest.approx(repeated.temperature, rel=1e-4)
    assert few.slope == repeated.slope > 0


def test_systems_without_audio_are_not_widened_by_distance() -> None:
    unknown = np.full(3000, np.nan)
    honest = replace(_planted(3000, np.full(3000, 0.5), 4), distances=unknown)
    found = fit([honest], {}, np.zeros(0), {})
    assert found.slope == 0 and found.temperature == pytest.approx(1.5, rel=0.06)
    assert found.distance({}) is None and found.unfamiliar(None) is None
    assert found.thresholds(0.2)[0] < 1


def test_thresholds_hold_their_error_rate() -> None:
    rng = np.random.default_rng(5)
    distance = rng.uniform(0.5, 3, 8000)
    found = fit([_planted(8000, distance, 6)], _density(), rng.uniform(0.5, 1.5, 500), {})
    test = _planted(8000, distance, 7)
    confidence = metrics.softmax(test.log_posteriors / found.factors(test.distances)[:, None]).max(1)
    wrong = test.log_posteriors.argmax(1) != test.target
    far = test.distances >= found.unfamiliar_from
    for rate in (0.1, 0.2):
        near, beyond = found.thresholds(rate)
        assert wrong[~far & (confidence >= near)].mean() == pytest.approx(rate, abs=0.025)
        assert beyond >= 1 - rate and wrong[far & (confidence >= beyond)].mean() < rate
    assert found.thresholds("auto") == found.thresholds(0.2)
    with pytest.raises(ConfigurationError, match="at best"):
        found.thresholds(1e-6)


def test_the_file_is_the_same_every_time_and_is_checked(tmp_path: Path) -> None:
    near = np.full(200, 0.9)
    found = fit([_planted(200, near, 1)], _density(), near, {"corpora": ["a"]})
    found.save(tmp_path)
    first = (tmp_path / CONFIDENCE).read_bytes()
    again = Confidence.load(tmp_path)
    assert again is not None
    again.save(tmp_path)
    assert (tmp_path / CONFIDENCE).read_bytes() == first
    assert again.about == {"corpora": ["a"]} and again.thresholds("auto") == found.thresholds("auto")
    again.check({"": 12})
    with pytest.raises(ModelError, match="not of one model"):
        again.check({"": 13})
    (tmp_path / CONFIDENCE).write_bytes(first[:-30])
    with pytest.raises(ModelError, match=r"confidence\.npz"):
        Confidence.load(tmp_path)
    assert Confidence.load(tmp_path / "nothing") is None


def _utterance(number: int, corpus: str | None, label: str) -> Utterance:
    return Utterance(f"u{number}", Path("a.wav"), label=label, speaker=f"s{number % 4}", corpus=corpus)


def test_corpora_are_left_out_one_by_one_with_their_development_data() -> None:
    train = tuple(_utterance(i, "ab"[i % 2], ("happy", "sad")[i // 2 % 2]) for i in range(12))
    development = tuple(_utterance(20 + i, "ab"[i], "sad") for i in range(2))
    folds = corpus_folds(Fold("f", train, development, (_utterance(99, "c", "sad"),)))
    assert [fold.name for fold in folds] == ["f, without a", "f, without b"]
    for fold, out in zip(folds, "ab", strict=True):
        assert {u.corpus for u in fold.test} == {out} and len(fold.test) == 7
        assert out not in {u.corpus for u in (*fold.train, *fold.development)}
    assert corpus_folds(Fold("f", tuple(replace(u, corpus="a") for u in train), development[:1], ())) == ()
    assert corpus_folds(Fold("f", (*train, _utterance(30, None, "sad")), development, ())) == ()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose confidence was fitted by the command, on a manifest of two corpora."""
    folder = tmp_path_factory.mktemp("confidence")
    run = quick_training.train("functionals", folder)
    manifest = folder / "manifest.jsonl"
    utterances = [replace(u, corpus="even" if int(str(u.speaker)[1:]) % 2 else "odd") for u in read_manifest(manifest)]
    write_manifest(manifest, utterances)
    done = RUN.invoke(app, ["confidence", str(run), "--manifest", str(manifest), "--copies", "1"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "other speakers" in done.output and "other channels" in done.output and "at most 20%" in done.output
    return run


def test_a_fitted_run_states_what_is_unfamiliar_and_uncertain(fitted: Path, tmp_path: Path) -> None:
    test = [u.audio for u in read_manifest(fitted.parent / "manifest.jsonl") if u.session == "2"]
    plain = duetto.load(fitted, require_speech=False)
    rng = np.random.default_rng(0)
    noise = plain({"waveform": rng.standard_normal(16_000).astype(np.float32) * 0.1, "sample_rate": 16_000})
    assert noise.unfamiliar is True and any("unlike the recordings of training" in w for w in noise.warnings)
    assert noise.uncertain is False, "nothing is rejected unless asked for"
    predictions = [plain(path) for path in test]
    assert all(p.unfamiliar is not None for p in predictions)
    choosy = duetto.load(fitted, require_speech=False, reject="auto")
    near, far = Confidence.load(fitted / "fold0-seed0").thresholds("auto")  # type: ignore[union-attr]
    for path, expected in zip(test, predictions, strict=True):
        found = choosy(path)
        assert found.probabilities == expected.probabilities and found.label == expected.label
        assert found.uncertain == (max(found.probabilities.values()) < (far if found.unfamiliar else near))
    exported = tmp_path / "exported"
    assert RUN.invoke(app, ["export", str(fitted), "-o", str(exported)]).exit_code == 0
    assert duetto.load(exported, require_speech=False)(test[0]).unfamiliar == predictions[0].unfamiliar


def test_every_output_format_shows_it(fitted: Path, tmp_path: Path) -> None:
    from duetto import audio

    audio.write(
        tmp_path / "noise.wav", np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1, 16_000
    )
    command = ["predict", str(tmp_path / "noise.wav"), "--model", str(fitted), "--any-sound", "--reject", "auto"]
    (record,) = [json.loads(line) for line in RUN.invoke(app, [*command, "--json"]).stdout.splitlines()]
    assert record["unfamiliar"] is True
    shown = RUN.invoke(app, command)
    assert ("uncertain, unfamiliar" in shown.stdout) == record["uncertain"]
    assert "unlike the recordings of training" in shown.stderr
    for wrong in ("much", "2"):
        done = RUN.invoke(app, [*command[:-1], wrong])
        assert done.exit_code != 0 and "reject" in (done.stderr + str(done.exception))


def test_a_model_that_states_nothing_rejects_nothing(tmp_path: Path) -> None:
    run = quick_training.train("functionals", tmp_path)
    recogniser = duetto.load(run, require_speech=False)
    audio = read_manifest(tmp_path / "manifest.jsonl")[0].audio
    assert recogniser(audio).unfamiliar is None and recogniser(audio).uncertain is False
    with pytest.raises(ConfigurationError, match="duetto confidence RUN"):
        duetto.load(run, reject=0.1)


def test_a_fusion_is_widened_as_a_whole(tmp_path: Path) -> None:
    """Its inner models are used again, and a corpus is left out where there are two."""
    (tmp_path / "two.toml").write_text(
        'name = "two"\ntitle = "Two"\nbranches = ["functionals", "functionals-mlp"]\ninner_folds = 2\n'
    )
    run = quick_training.train(tmp_path / "two.toml", tmp_path)
    manifest, part = tmp_path / "manifest.jsonl", run / "fold0-seed0"
    before = (part / "inner/0/functionals/model.onnx").stat().st_mtime_ns
    utterances = [replace(u, corpus="a" if str(u.speaker) < "s2" else "b") for u in read_manifest(manifest)]
    found = fit_run(run, utterances, Workspace(tmp_path / "cache"), copies=1)
    assert (part / "inner/0/functionals/model.onnx").stat().st_mtime_ns == before, "what is there is not trained again"
    assert set(found.densities) == {"functionals", "functionals-mlp"}
    assert set(found.about["answers"]) >= {"speakers", "channels"} and found.about["corpora"]
    assert found.about["answers"]["corpora"] == 16, "the only development speaker is of the other corpus"
    test = next(u for u in utterances if u.session == "2")
    recogniser = duetto.load(run, require_speech=False)
    prediction = recogniser(test.audio)
    d = found.distance(
        {n.folder.name: n.preprocessor.normalise_frames(_functionals(test.audio)) for n in recogniser._networks}
    )
    posterior = np.log(list(_without(run, test.audio).probabilities.values()))
    expected = metrics.softmax(posterior / found.factors(d))
    assert list(prediction.probabilities.values()) == pytest.approx(expected, abs=1e-4)
    exported = tmp_path / "exported"
    assert RUN.invoke(app, ["export", str(run), "-o", str(exported)]).exit_code == 0
    assert (
        "at distance d" in (exported / "README.md").read_text()
        and "Coverage and accuracy" in (exported / "README.md").read_text()
    )
    assert duetto.load(exported, require_speech=False)(test.audio).probabilities == pytest.approx(
        prediction.probabilities
    )


def _functionals(path: Path) -> np.ndarray:
    waveform = load(path)
    return feature_spec("functionals").extractor.extract(waveform.samples, waveform.sample_rate)


def _without(run: Path, path: Path) -> duetto.Prediction:
    """The prediction of a run without its confidence."""
    file = run / "fold0-seed0" / CONFIDENCE
    file.rename(file.with_suffix(".off"))
    try:
        return duetto.load(run, require_speech=False)(path)
    finally:
        file.with_suffix(".off").rename(file)
