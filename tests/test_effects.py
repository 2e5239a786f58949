"""The section of wrong answers that are explained: the strongest effects of each side, by hand."""

from duetto.report.effects import ExplainedAnswer, section


def test_the_three_strongest_parts_of_each_side_are_named() -> None:
    effects = (
        ("0.00–0.80 s", 0.5),
        ("0.80–1.60 s", -0.25),
        ("“oh”", 1.5),
        ("“no”", 0.004),
        ("“it”", 0.75),
        ("“is”", 0.6),
    )
    found = section(
        "model", [ExplainedAnswer("u1", "sad", "angry", 0.875, effects), ExplainedAnswer("u2", "sad", "angry", 0.5, ())]
    )
    (table,) = found.tables
    assert table.rows[0] == ("u1", "sad → angry", "87.5", "“oh” +1.50, “it” +0.75, “is” +0.60", "0.80–1.60 s -0.25")
    assert table.rows[1] == ("u2", "sad → angry", "50.0", "–", "–")
    assert "| u1 | sad → angry | 87.5 |" in found.markdown()
