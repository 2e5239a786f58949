"""Sections that a report shows beside its own, and the same as Markdown: plain text in, escaped text out."""

from __future__ import annotations

from dataclasses import dataclass

from .formatting import bullets, cell, escape, table


@dataclass(frozen=True)
class Table:
    """A table of plain text. The first cell of a row names it."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def html(self) -> str:
        """With the caption above."""
        rows = [[_html(text) for text in row] for row in self.rows]
        return table([escape(name) for name in self.header], rows, escape(self.caption), "figures captioned")

    def markdown(self) -> str:
        """With the caption as a heading."""
        lines = [self.header, ("---", *("---:" for _ in self.header[1:])), *(map(cell, row) for row in self.rows)]
        return f"### {self.caption}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two, tables, and remarks."""

    name: str
    lead: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()

    def html(self) -> str:
        """What stands under the heading."""
        return f"<p>{escape(self.lead)}</p>" + "".join(t.html() for t in self.tables) + bullets(self.notes)

    def markdown(self) -> str:
        """Heading and all."""
        parts = [f"## {self.name}\n", self.lead + "\n", *(t.markdown() for t in self.tables)]
        return "\n".join(parts + (["\n".join(f"- {cell(note)}" for note in self.notes) + "\n"] if self.notes else []))


def _html(text: str) -> str:
    """A figure's interval, which follows in brackets, goes below it in small."""
    figure, bracket, rest = text.partition(" [")
    return f"{escape(figure)}<small>{escape(rest.rstrip(']'))}</small>" if bracket else escape(text)
