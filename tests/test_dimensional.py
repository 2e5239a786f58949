"""Concordance and RMSE: against worked examples, another formula, and where values are constant or missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto.metrics import concordance, paired_sums, root_mean_square_error, scores_of_sums


def test_worked_by_hand():
    x, y = [1.0, 2.0, 3.0, 6.0], [2.0, 2.0, 4.0, 4.0]
    # means 3 and 3; Σ(x − 3)² = 4 + 1 + 0 + 9 = 14, Σ(y − 3)² = 4, Σ(x − 3)(y − 3) = 2 + 1 + 0 + 3 = 6
    assert concordance(x, y) == pytest.approx(2 * (6 / 4) / (14 / 4 + 4 / 4), abs=1e-15)
    assert root_mean_square_error(x, y) == pytest.approx(np.sqrt((1 + 0 + 1 + 4) / 4), abs=1e-15)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.integers(0, 2**32), st.floats(-50, 50), st.floats(0.1, 10))
def test_equals_correlation_times_bias_correction(n, seed, offset, scale):
    """CCC = ρ·C_b, with C_b = 2 / (v + 1/v + u²), v = σ_x/σ_y, u = (μ_x − μ_y)/√(σ_x·σ_y) (Lin 1989, section 2)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = offset + scale * (x + rng.normal(size=n))
    v, u = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    assert concordance(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1] * 2 / (v + 1 / v + u**2), abs=1e-9)
    assert concordance(y, x) == pytest.approx(concordance(x, y), abs=1e-9)
    assert root_mean_square_error(x, y) == pytest.approx(np.linalg.norm(x - y) / np.sqrt(n))


def test_extremes():
    x = np.arange(5.0)
    assert concordance(x, x) == 1.0 and root_mean_square_error(x, x) == 0.0
    assert concordance(x, 4 - x) == pytest.approx(-1.0)
    assert -1 < concordance(x, -x) < 0  # another mean costs concordance, not correlation


@pytest.mark.parametrize("predicted", [[3.1, 3.1, 3.1], [0.1 + 0.2, 0.3, 0.3]])
def test_a_constant_has_no_concordance(predicted):
    assert concordance([1.0, 2.0, 4.0], predicted) == 0.0
    assert concordance(predicted, [1.0, 2.0, 4.0]) == 0.0
    assert concordance(predicted, predicted) == 0.0


def test_one_pair_none_and_missing_ones():
    assert concordance([3.3], [3.3]) == 0.0 and root_mean_square_error([3.3], [3.0]) == pytest.approx(0.3)
    assert np.isnan(concordance([], [])) and np.isnan(root_mean_square_error([np.nan], [1.0]))
    x, y = [1.0, np.nan, 3.0, 6.0], [2.0, 2.0, 4.0, np.nan]
    assert concordance(x, y) == pytest.approx(2 / 3)
    assert root_mean_square_error(x, y) == 1.0


def test_sums_of_groups_add_up():
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, (2, 30))
    sums = paired_sums(x, y)
    ccc, rmse = scores_of_sums(np.stack([sums[:10].sum(0) + sums[10:].sum(0), sums[:10].sum(0)]))
    np.testing.assert_allclose(ccc, [concordance(x, y), concordance(x[:10], y[:10])], atol=1e-12)
    np.testing.assert_allclose(rmse, [root_mean_square_error(x, y), root_mean_square_error(x[:10], y[:10])])
