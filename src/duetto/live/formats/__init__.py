"""Time lines in the formats of other programs: one small writer each, behind one registry.

[Recorded(name, timeline), …] ─ FORMATS["rttm"].files(recordings, path) ─▶ {path: text}
"""

from __future__ import annotations

from pathlib import Path

from ...errors import ConfigurationError
from . import audformat, eaf, plain, records, rttm, subtitles, textgrid
from .common import Format, Recorded

FORMATS: dict[str, Format] = {
    "text": Format(".txt", "lines for a person", plain.text),
    "json": Format(".json", "one record with segments and windows", records.json_text, several=False),
    "jsonl": Format(".jsonl", "one segment a line", records.jsonl_text),
    "csv": Format(".csv", "one segment a row", records.csv_text),
    "rttm": Format(".rttm", "NIST rich transcription, as diarisation tools read it", rttm.text),
    "vtt": Format(".vtt", "WebVTT subtitles", subtitles.vtt_text, several=False),
    "srt": Format(".srt", "SubRip subtitles", subtitles.srt_text, several=False),
    "textgrid": Format(".TextGrid", "Praat", textgrid.text, several=False),
    "eaf": Format(".eaf", "ELAN", eaf.text, several=False),
    "audformat": Format("", "a folder that audformat.Database.load reads", tables=audformat.tables),
}
"""Name → format."""


def format_of(path: Path, name: str | None) -> str:
    """Find the format of a file to be written.

    Args:
        path: The file.
        name: What was asked for; None to go by the suffix of the file.

    Returns:
        The name of the format.

    Raises:
        ConfigurationError: The suffix is that of no format.
    """
    if name is not None:
        return name
    suffix = path.suffix.lower()
    for known, each in FORMATS.items():
        if suffix and suffix == each.suffix.lower():
            return known
    known = ", ".join(each.suffix for each in FORMATS.values() if each.suffix)
    raise ConfigurationError(f"{path}: the suffix is that of no format; give one of {known}, or name the format")


__all__ = ["FORMATS", "Format", "Recorded", "format_of"]
