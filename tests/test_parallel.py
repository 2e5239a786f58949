"""Work on several cores: in order, lazily, and past a process that dies."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from duetto.errors import ConfigurationError
from duetto.parallel import cores, in_order


def slow_first(item: int) -> int:
    time.sleep(0.05 * (item == 0))
    return item * item


def deadly(item: int) -> int:
    if item == 3:
        os._exit(9)
    return item * item


def lost(item: int) -> int:
    return -item


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_answers_keep_the_order_of_the_items(workers: int) -> None:
    assert list(in_order(slow_first, range(50), workers=workers, crashed=lost)) == [i * i for i in range(50)]
    assert list(in_order(slow_first, [], workers=workers, crashed=lost)) == []


def test_processes_give_the_same_and_a_dead_one_loses_its_own_item_alone() -> None:
    found = list(in_order(deadly, range(12), workers=2, processes=True, crashed=lost))
    assert found == [-3 if i == 3 else i * i for i in range(12)]


def test_items_are_taken_as_they_are_needed() -> None:
    """However many items there are, no more than four a worker wait: memory stays flat."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 10_000:
            taken += 1
            yield taken

    answers = in_order(slow_first, items(), workers=2, crashed=lost)
    for answered in range(1, 20):
        next(answers)
        assert taken - answered < 8
    answers.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_an_exception_comes_at_its_items_turn() -> None:
    def bad(item: int) -> int:
        if item == 2:
            raise KeyError(item)
        return item

    answers = in_order(bad, range(9), workers=3, crashed=lost)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(KeyError):
        next(answers)


def test_no_workers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="0 workers were asked for; give 1 or more"):
        list(in_order(slow_first, [1], workers=0, crashed=lost))
    assert cores() >= 1
