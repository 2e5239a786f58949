"""The simulation of a cluster, beside the closed form and cases worked by hand."""

import math
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the extra scale")
pytest.importorskip("fsspec", reason="needs the extra scale")

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import scale_simulation
from scale_simulation import Cluster, Costs, expected, simulate


def test_the_closed_form_by_hand() -> None:
    """An hour of work, taken away every 20 hours, 3 minutes of delay: 20.05 (e^0.05 - 1)."""
    assert expected(1.0, 0.05, 0.05) == pytest.approx(20.05 * (math.e**0.05 - 1))
    assert expected(1.0, 0.05, 0.05) == pytest.approx(1.02799, abs=1e-5)
    assert expected(2.5, 0.0, 1.0) == 2.5


def test_machines_that_stay_by_hand() -> None:
    """Two workers, shards of 3, 2, 2 and 1 hours: one has 3 + 1, the other 2 + 2; the last one starts after 3 hours."""
    found = simulate([3.0, 2.0, 2.0, 1.0], Cluster(2, rate=0.0, slow=0.0), seed=0)
    assert (found.wall, found.busy, found.lost, found.tail, found.interruptions) == (4.0, 8.0, 0.0, 1.0, 0)
    slow = simulate([1.0, 1.0], Cluster(2, rate=0.0, slow=1.0, factor=3.0, overhead=0.5), seed=0)
    assert (slow.wall, slow.busy) == (3.5, 7.0)


@pytest.mark.parametrize(("hours", "rate", "delay"), [(1.0, 0.05, 0.05), (1.0, 1.0, 0.5), (0.2, 3.0, 0.0)])
def test_the_simulation_agrees_with_the_closed_form(hours: float, rate: float, delay: float) -> None:
    """One worker: the time of 20,000 shards is the sum of as many independent ones. The standard deviation of one is at
    most that of an exponential number of restarts, its mean times 1.5 here, so that four errors of the mean are 4 %."""
    found = simulate([hours] * 20_000, Cluster(1, rate, delay, slow=0.0), seed=3)
    assert found.wall / 20_000 == pytest.approx(expected(hours, rate, delay), rel=0.04)
    assert found.busy == pytest.approx(found.wall - delay * found.interruptions)
    # Each start is interrupted with probability 1 - exp(-rate hours), until one is not.
    share = -math.expm1(-rate * hours)
    assert found.interruptions / 20_000 == pytest.approx(share / (1 - share), rel=0.06)


def test_every_shard_is_done_though_workers_are_taken_away() -> None:
    found = simulate([0.5] * 300, Cluster(7, rate=2.0, delay=0.1), seed=5)
    assert found.interruptions > 100 and found.busy - (found.lost - 0.1 * found.interruptions) >= 150 - 1e-9


def test_the_work_of_shards_adds_up() -> None:
    costs = Costs({}, np.array([[2.0, 0.1], [4.0, 0.5]]), 0.0, {})  # 6 s of sound take 0.6 s
    for size in (0.01, 1.0):
        work = scale_simulation.shards(costs, 1000.0, size, np.random.default_rng(0))
        assert len(work) == round(1000 / size) and work.sum() == pytest.approx(100.0, rel=0.02)
