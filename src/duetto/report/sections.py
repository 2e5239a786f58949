"""Further sections of a report, as plain text: the HTML templates escape them, `markdown` writes them as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from .formatting import cell


@dataclass(frozen=True)
class Table:
    """A table of plain text.

    Attributes:
        caption: Heading of the table.
        header: Names of the columns.
        rows: Cells; the first of a row names it. `68.5 [64.2–72.0]` is a figure with its interval.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Write the table as Markdown.

        Returns:
            The caption as a heading, and the table.
        """
        lines = [self.header, ("---", *("---:" for _ in self.header[1:])), *(map(cell, row) for row in self.rows)]
        return f"### {self.caption}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes:
        name: Heading.
        lead: A sentence or two below the heading.
        tables: Tables, in order.
        notes: Remarks, shown as a list.
    """

    name: str
    lead: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Write the section as Markdown.

        Returns:
            Heading, lead, tables and notes.
        """
        parts = [f"## {self.name}\n", self.lead + "\n", *(t.markdown() for t in self.tables)]
        return "\n".join(parts + (["\n".join(f"- {cell(note)}" for note in self.notes) + "\n"] if self.notes else []))
