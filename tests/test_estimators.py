"""The transformer of scikit-learn: its numbers are those of the extractors, and scikit-learn's own checks pass."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from duetto import audio
from duetto.data.manifest import read_manifest
from duetto.errors import AudioError, ConfigurationError
from duetto.features.estimators import EMBEDDING, SpeechFeatures
from duetto.features.registry import FEATURES
from duetto.features.short_term import FUNCTIONAL_NAMES, extract, functionals
from duetto.inference.model_folder import settings
from duetto.inference.pretrained import DEFAULT, folder
from sounds import voice

RATE = 16_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two kinds of sounds, six of each: voices, and the same twice as fast."""
    made = tmp_path_factory.mktemp("sounds")
    names = []
    for number in range(12):
        names.append(str(made / f"{number}.wav"))
        sound = voice(2.0)[200 * number :]
        audio.write(names[-1], sound[::2] if number % 2 else sound, RATE)
    return names


def test_statistics_of_the_34_features(files: list[str]) -> None:
    found = SpeechFeatures("corrected").fit_transform(files[:2])
    expected = [functionals(extract(audio.load(name).samples, RATE)) for name in files[:2]]
    np.testing.assert_array_equal(found, np.stack(expected))
    assert SpeechFeatures("corrected").get_feature_names_out().tolist() == list(FUNCTIONAL_NAMES)


@pytest.mark.parametrize("features", [name for name in FEATURES if name not in ("spectrogram", "waveform", "whisper")])
def test_every_kind_has_as_many_names_as_columns(features: str, files: list[str]) -> None:
    transformer = SpeechFeatures(features).fit(files)
    found, names = transformer.transform(files[:1]), transformer.get_feature_names_out()
    assert found.shape == (1, len(names)) and found.dtype == np.float32 and np.isfinite(found).all()
    assert len(set(names)) == len(names) and names.dtype == object
    spec = FEATURES[features]
    if spec.whole_recording:
        np.testing.assert_array_equal(found, spec.extractor.extract(audio.load(files[0]).samples, RATE))


def test_the_default_is_what_the_default_model_reads() -> None:
    assert SpeechFeatures().features == EMBEDDING == settings(folder(DEFAULT))[0].experiment.features


def test_names_of_an_encoders_vector_stand_over_its_values(files: list[str]) -> None:
    """The deviation of a state is where its name says, and voice features are means and deviations of theirs."""
    sound = audio.load(files[0]).samples
    table = dict(zip(SpeechFeatures("whisper-statistics").get_feature_names_out(),
                     SpeechFeatures("whisper-statistics").transform(files[:1])[0], strict=True))  # fmt: skip
    states = FEATURES["whisper"].extractor.extract(sound, RATE)
    # Weights of speech are near 1 throughout, so plain statistics are close.
    assert np.corrcoef([table[f"state_{i}_mean"] for i in range(512)], states.mean(0))[0, 1] > 0.95
    assert np.corrcoef([table[f"state_{i}_std"] for i in range(512)], states.std(0))[0, 1] > 0.8
    by_voice = dict(zip(SpeechFeatures("whisper-voice").get_feature_names_out(),
                        SpeechFeatures("whisper-voice").transform(files[:1])[0], strict=True))  # fmt: skip
    frames = FEATURES["voice"].extractor.extract(sound, RATE)
    assert by_voice["pitch_mean"] == pytest.approx(frames[:, 0].mean(), rel=1e-5)
    assert by_voice["pitch_std"] == pytest.approx(frames[:, 0].std(), rel=1e-4)


FORMS: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "array": np.array,
    "objects": lambda names: np.array([{"waveform": audio.load(n).samples, "sample_rate": RATE} for n in names]),
    "pairs": lambda names: [(audio.load(n).samples, RATE) for n in names],
    "paths": lambda names: [Path(n) for n in names],
    "series": lambda names: pytest.importorskip("pandas").Series(names),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_recordings(form: str, files: list[str]) -> None:
    expected = SpeechFeatures("functionals").transform(files[:2])
    np.testing.assert_array_equal(SpeechFeatures("functionals", n_jobs=2).transform(FORMS[form](files[:2])), expected)


def test_a_pipeline_is_chosen_and_learns(files: list[str]) -> None:
    labels, groups = np.array(["slow", "fast"] * 6), np.arange(12) // 4
    model = make_pipeline(SpeechFeatures("corrected"), StandardScaler(), LogisticRegression())
    found = cross_val_predict(model, files, labels, groups=groups, cv=GroupKFold(3))
    assert (found == labels).mean() > 0.8
    search = GridSearchCV(model, {"speechfeatures__features": ["corrected", "functionals"]}, cv=2).fit(files, labels)
    assert set(search.predict(files)) == {"slow", "fast"}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(files), search.best_estimator_.predict_proba(files))


def test_tables_of_pandas_in_and_out(files: list[str]) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"file": files[:3], "age": [20, 30, 40]})
    both = ColumnTransformer([("speech", SpeechFeatures("corrected"), "file"), ("age", "passthrough", ["age"])])
    found = both.set_output(transform="pandas").fit_transform(frame)
    assert list(found.columns) == [*(f"speech__{name}" for name in FUNCTIONAL_NAMES), "age__age"]
    assert found["age__age"].to_list() == [20, 30, 40]


def test_scikit_learns_check_knows_that_it_cannot_make_recordings() -> None:
    """Its checks feed random numbers into `fit`; where tags state another input, scikit-learn skips these itself."""
    with pytest.warns(SkipTestWarning, match="requires input  of type"):
        estimator_checks.check_estimator(SpeechFeatures())


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_mixin_order",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
    ],
)
def test_checks_of_scikit_learn_that_need_no_data(check: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(estimator_checks, check)("SpeechFeatures", SpeechFeatures())


def test_nothing_is_fitted_and_nothing_changes(files: list[str]) -> None:
    """What the other checks ask for, on recordings."""
    transformer = SpeechFeatures("corrected")
    before = transformer.get_params()
    whole = transformer.transform(files[:4])  # without fit
    assert transformer.fit(files, None) is transformer and transformer.get_params() == before
    np.testing.assert_array_equal(clone(transformer).fit_transform(files[:4]), whole)
    np.testing.assert_array_equal(transformer.transform(files[3::-1]), whole[::-1])
    np.testing.assert_array_equal(np.concatenate([transformer.transform([name]) for name in files[:4]]), whole)
    assert transformer.transform([]).shape == (0, 68)


def test_what_is_refused(files: list[str]) -> None:
    for wrong, message in (
        (files[0], "X is a str; give a list"),
        (np.zeros((2, 3)), r"X is a ndarray of shape \(2, 3\); give a list"),
        (3, "X is a int"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            SpeechFeatures("corrected").transform(wrong)
    with pytest.raises(ConfigurationError, match="features 'mel' are not known"):
        SpeechFeatures("mel").fit(files)
    with pytest.raises(AudioError, match=r"absent\.wav: no such file"):
        SpeechFeatures("corrected").transform(["absent.wav"])
    with pytest.raises(AudioError, match=r"a recording: .* less than one frame"):
        SpeechFeatures("pyaudioanalysis").transform([(np.zeros(100), RATE)])


def test_speakers_of_a_manifest_are_a_group(manifest: Path) -> None:
    """The documented way: utterances of one manifest, folds by speaker."""
    utterances = read_manifest(manifest)[:24]
    model = make_pipeline(SpeechFeatures("corrected"), StandardScaler(), LogisticRegression(max_iter=500))
    groups = [u.speaker for u in utterances]
    found = cross_val_predict(
        model, [u.audio for u in utterances], [u.label for u in utterances], groups=groups, cv=GroupKFold(2)
    )
    assert len(found) == 24 and set(found) <= {u.label for u in utterances}
