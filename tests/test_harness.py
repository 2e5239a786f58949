"""The harness of the benchmarks: turns, medians, and sections that replace their own text only."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import harness


def test_sides_take_turns_and_medians_are_theirs() -> None:
    clock, order = [0.0], []

    def side(name: str, seconds: list[float]) -> None:
        order.append(name)
        clock[0] += seconds.pop(0)

    a, b = [100.0, 1.0, 9.0, 2.0], [100.0, 5.0, 5.0, 5.0]
    sides = {"a": lambda: side("a", a), "b": lambda: side("b", b)}
    assert harness.alternate(sides, 3, clock=lambda: clock[0]) == {"a": 2.0, "b": 5.0}  # the first run is warming up
    assert order == ["a", "b"] * 4


def test_a_quick_side_runs_several_times_a_turn() -> None:
    clock = [0.0]

    def side() -> None:
        clock[0] += 0.25

    assert harness.alternate({"a": side}, 2, clock=lambda: clock[0], turn=1.0) == {"a": 0.25}
    assert clock[0] == 0.25 * (1 + 2 * 4)


def test_several_clocks_time_the_same_turns() -> None:
    wall, processor = [0.0], [0.0]

    def side() -> None:
        wall[0] += 0.5
        processor[0] += 0.125

    clocks = (lambda: wall[0], lambda: processor[0])
    assert harness.by_clocks({"a": side}, 2, clocks, turn=1.0) == {"a": (0.5, 0.125)}
    assert wall[0] == 0.5 * (1 + 2 * 2)  # the first clock ends a turn


def test_a_section_replaces_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    for name, body in (("One", "first"), ("Two", "second"), ("One", "again")):
        harness.write_section(name, body, path)
    text = path.read_text()
    assert text.count("## ") == 2 and "first" not in text and text.index("again") < text.index("second")
    harness.write_section("Two", "second", path)
    assert path.read_text() == text


def test_tables_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = harness.table(("", "ms"), [("a", 12.345), ("b", 1234.5), ("c", 7), ("d", 0.5)])
    assert found.splitlines() == [
        "|  | ms |",
        "| --- | --- |",
        "| a | 12.3 |",
        "| b | 1234 |",
        "| c | 7 |",
        "| d | 0.5 |",
    ]
    monkeypatch.setenv("DUETTO_DATA", "/somewhere/private")
    monkeypatch.setattr(sys, "argv", ["/anywhere/features.py", "--data", "/somewhere/private", "--write"])
    assert harness.command() == "python benchmarks/features.py --data $DUETTO_DATA --write"
    assert "numpy" in harness.machine("numpy", "no-such-package")


def test_results_are_printed_and_written_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "RESULTS.md"
    monkeypatch.setattr(sys, "argv", ["/anywhere/features.py", "--write"])
    options = harness.parser("What it is.").parse_args
    assert options([]).write is None and options(["--write", "--data", "x"]).write == harness.RESULTS
    for into in (options([]).write, options(["--write", str(path)]).write):
        assert not path.exists()
        harness.publish("One", ["first", "second"], packages=("numpy",), into=into)
    parts = path.read_text().split("\n\n")
    assert parts[-5] == "`python benchmarks/features.py --write`" and parts[-3:-1] == ["first", "second"]
    assert capsys.readouterr().out.count("## One\n\n`python") == 2
