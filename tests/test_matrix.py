"""`matrix.py`: what it lists is there, and a row is what it says or an error."""

import pytest

import matrix


def test_its_files_are_there() -> None:
    for name in (*matrix.NUMERIC, *matrix.QUICK):
        assert (matrix.TESTS / f"test_{name}.py").is_file(), name


def test_a_row_without_effect_is_red_and_one_for_another_machine_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "inspected", lambda _: {"numpy": ["X86_V4"]})
    green, cells = matrix.run(matrix.Row("no AVX", {}, lambda facts: not facts["numpy"]), [], [])
    assert not green and "NO EFFECT" in cells[-1]
    green, cells = matrix.run(matrix.Row("arm64", {}, bool, there=False), [], [])
    assert green and "left out" in cells[-1]


@pytest.mark.parametrize(("code", "green"), [("assert True", True), ("assert False", False)])
def test_a_row_runs_its_tests_in_its_environment(code: str, green: bool, tmp_path, monkeypatch) -> None:
    file = tmp_path / "test_one.py"
    file.write_text(f"import os\ndef test_it():\n    assert os.environ['LC_ALL'] == 'C'\n    {code}\n")
    monkeypatch.setattr(matrix, "inspected", lambda _: {})
    found, cells = matrix.run(
        matrix.Row("row", {"LC_ALL": "C"}, lambda _: True), [str(file)], [f"--rootdir={tmp_path}"]
    )
    assert found is green and cells[1] == str(int(green)) and (cells[-1] == "green") is green
    assert "LC_ALL" not in matrix.environment({}) and matrix.environment({})["OMP_NUM_THREADS"] == "1"
