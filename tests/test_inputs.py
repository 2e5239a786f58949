"""Normalisation, padding and batching, against values worked by hand and NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duetto.config import experiment
from duetto.embeddings.vocabulary import Vocabulary
from duetto.errors import ConfigurationError, ModelError
from duetto.preprocessing import Normaliser, Preprocessor, pad
from duetto.training.dataset import buckets


def test_normaliser_equals_numpy_over_all_frames() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.normal(5, 3, (n, 34)).astype(np.float32) for n in (1, 40, 7)]
    normaliser = Normaliser.fit(sequences, 34)
    together = np.concatenate(sequences)
    # float32 storage of float64 statistics: 1e-6 relative.
    np.testing.assert_allclose(normaliser.mean, together.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(normaliser.deviation, together.std(0, dtype=np.float64), rtol=1e-5)
    z = np.concatenate([normaliser(s) for s in sequences])
    np.testing.assert_allclose(z.std(0), 1, rtol=1e-4)


def test_one_statistic_takes_all_values_for_one_quantity() -> None:
    rows = np.random.default_rng(0).normal(5, 3, (7, 160)).astype(np.float32)
    normaliser = Normaliser.fit([rows[:3], rows[3:]], 1)
    np.testing.assert_allclose([normaliser.mean[0], normaliser.deviation[0]], [rows.mean(), rows.std()], rtol=1e-5)
    np.testing.assert_allclose(normaliser(rows), (rows - rows.mean()) / rows.std(), atol=1e-5)  # float32


def test_a_constant_feature_is_centred_only() -> None:
    normaliser = Normaliser.fit([np.full((5, 2), 3.0, np.float32)], 2)
    assert normaliser(np.array([[3.0, 4.0]], np.float32)).tolist() == [[0.0, 1.0]]


def test_no_frames_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="at least one frame"):
        Normaliser.fit([], 34)


SEQUENCES = [np.array([1, 2, 3]), np.array([4]), np.zeros(0, np.int64)]


@pytest.mark.parametrize(
    ("padding", "values", "lengths"),
    [
        ("packed", [[1, 2, 3], [4, 0, 0], [0, 0, 0]], [3, 1, 0]),
        ("post", [[1, 2, 3, 0], [4, 0, 0, 0], [0, 0, 0, 0]], [4, 4, 4]),
        ("pre", [[0, 1, 2, 3], [0, 0, 0, 4], [0, 0, 0, 0]], [4, 4, 4]),
    ],
)
def test_padding_worked_by_hand(padding: str, values: list, lengths: list) -> None:
    padded = pad(SEQUENCES, padding=padding, maximum=4)
    assert padded.values.tolist() == values and padded.lengths.tolist() == lengths


def test_long_sequences_lose_the_end_or_with_pre_the_beginning() -> None:
    long = [np.arange(1, 6)]
    assert pad(long, padding="packed", maximum=2).values.tolist() == [[1, 2]]
    assert pad(long, padding="post", maximum=2).values.tolist() == [[1, 2]]
    assert pad(long, padding="pre", maximum=2).values.tolist() == [[4, 5]]


@given(lengths=st.lists(st.integers(0, 50), max_size=200), size=st.integers(1, 33), seed=st.integers(0, 9))
def test_buckets_hold_every_utterance_once(lengths: list[int], size: int, seed: int) -> None:
    batches = buckets(lengths, size, np.random.default_rng(seed))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)


def test_buckets_leave_little_padding_and_change_with_the_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 1024).tolist()

    def share(batches: list[np.ndarray]) -> float:
        return sum(lengths) / sum(len(b) * max(lengths[i] for i in b) for b in batches)

    first, second = (buckets(lengths, 32, np.random.default_rng(s)) for s in (1, 2))
    assert share(first) > 0.9 > 0.6 > share(np.array_split(np.arange(1024), 32))
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def preprocessor(**changes: object) -> Preprocessor:
    e = replace(experiment.load("fusion-random"), **changes)  # type: ignore[arg-type]
    normaliser = Normaliser(np.full(34, 2.0, np.float32), np.full(34, 4.0, np.float32))
    return Preprocessor(e, normaliser, Vocabulary(("good", "bad")), normaliser)


def test_preprocessor_is_unchanged_after_json() -> None:
    import json

    before = preprocessor()
    after = Preprocessor.from_json(json.loads(json.dumps(before.to_json())), "here")
    assert after.experiment == before.experiment and after.vocabulary == before.vocabulary
    np.testing.assert_array_equal(after.normaliser.mean, before.normaliser.mean)
    assert after.ids(["good", "new", "bad"]).tolist() == [2, 1, 3]


def test_a_damaged_preprocessor_names_its_place() -> None:
    broken = preprocessor().to_json()
    del broken["features"]
    with pytest.raises(ModelError, match="here: 'features' is missing; train or export again"):
        Preprocessor.from_json(broken, "here")


def test_a_preprocessor_of_other_features_of_the_same_name_is_refused() -> None:
    other = preprocessor().to_json() | {"features": Normaliser.identity(17).to_json()}
    with pytest.raises(
        ModelError, match=r"here: made for 17 values of features 'corrected', of which .* has 34; train"
    ):
        Preprocessor.from_json(other, "here")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mean", [0.0] * 33, "of shape"),
        ("mean", 0.0, "must be a list"),
        ("mean", [[0.0]] * 34, "of shape"),
        ("mean", ["a"] * 34, "numbers only"),
        ("mean", [10**400] * 34, "numbers only"),
        ("mean", [1e39] * 34, "no finite number"),
        ("mean", [float("nan")] * 34, "NaN or infinity"),
        ("mean", None, "must be a list"),
        ("deviation", [0.0] * 34, "not above 0"),
        ("deviation", [1e-60] * 34, "not above 0"),
        ("deviation", [-1.0] * 34, "not above 0"),
        ("deviation", [float("inf")] * 34, "NaN or infinity"),
    ],
)
def test_statistics_that_no_training_gives_are_refused(key: str, value: object, message: str) -> None:
    """Not taken for numbers: an answer from NaN frames is one that nobody notices."""
    broken = preprocessor().to_json()
    broken["features"][key] = value
    with pytest.raises(ModelError, match=f"here: 'features'.*{message}.*; train or export again"):
        Preprocessor.from_json(broken, "here")


def test_normalisation_by_training_by_speaker_and_none() -> None:
    x = np.random.default_rng(0).normal(7, 2, (30, 34)).astype(np.float32)
    np.testing.assert_allclose(preprocessor().normalise_frames(x), (x - 2) / 4)
    by_itself = preprocessor(normalisation="speaker").normalise_frames(x)
    np.testing.assert_allclose(by_itself.mean(0), 0, atol=1e-5)
    speaker = Normaliser(np.ones(34, np.float32), np.ones(34, np.float32))
    np.testing.assert_allclose(preprocessor(normalisation="speaker").normalise_frames(x, speaker), x - 1)


def test_a_constant_that_is_large_is_centred_only() -> None:
    """Digital silence has −63.2 in a column; what rounding leaves of its deviation is no scale."""
    rng = np.random.default_rng(0)
    constant = np.full(1, -10 * np.sqrt(40), np.float32)
    silent = [np.tile(np.nextafter(constant, np.float32(rng.choice([-99, 99]))), (n, 1)) for n in range(1, 300)]
    assert Normaliser.fit(silent, 1).deviation.tolist() == [1.0]
    varied = [x + 1e-3 * rng.standard_normal(x.shape) for x in silent]
    assert Normaliser.fit(varied, 1).deviation[0] == pytest.approx(1e-3, rel=0.02)
