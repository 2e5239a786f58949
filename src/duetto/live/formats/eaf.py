"""ELAN's annotation format, version 3.0: for each channel the tiers emotion, probability, words and windows."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from itertools import count
from pathlib import Path, PurePath
from xml.etree import ElementTree

from ...utils.text import printable
from .common import Interval, Recorded, milliseconds, tiers

_ROOT = {
    "AUTHOR": "duetto",
    "DATE": "1970-01-01T00:00:00+00:00",  # so that the same recording gives the same file
    "FORMAT": "3.0",
    "VERSION": "3.0",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
}
_KIND = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}


def text(recordings: Sequence[Recorded]) -> str:
    """Write an EAF document, which refers to the recording by its path.

    Args:
        recordings: One.

    Returns:
        The file.
    """
    (recorded,) = recordings
    document = ElementTree.Element("ANNOTATION_DOCUMENT", _ROOT)
    header = ElementTree.SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", _media(recorded.name))
    order = ElementTree.SubElement(document, "TIME_ORDER")
    listed = {name: list(map(_in_milliseconds, intervals)) for name, intervals in tiers(recorded)}
    times = sorted({time for each in listed.values() for start, end, _ in each for time in (start, end)})
    slots = {time: f"ts{number}" for number, time in enumerate(times, 1)}
    for time, slot in slots.items():
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(time)})
    numbers = count(1)
    for name, each in listed.items():
        tier = ElementTree.SubElement(document, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": name})
        for start, end, value in each:
            place = {"ANNOTATION_ID": f"a{next(numbers)}", "TIME_SLOT_REF1": slots[start], "TIME_SLOT_REF2": slots[end]}
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            aligned = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", place)
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = printable(value)
    ElementTree.SubElement(document, "LINGUISTIC_TYPE", _KIND)
    ElementTree.indent(document)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(document, encoding="unicode") + "\n"


def _media(name: str) -> dict[str, str]:
    shown = printable(name)
    kind = mimetypes.guess_type(shown)[0] or "audio/x-wav"
    url = "" if shown == "-" else Path(shown).absolute().as_uri()
    return {"MEDIA_URL": url, "MIME_TYPE": kind, "RELATIVE_MEDIA_URL": f"./{PurePath(shown).name}"}


def _in_milliseconds(interval: Interval) -> tuple[int, int, str]:
    start, end, value = interval
    return milliseconds(start), max(milliseconds(end), milliseconds(start) + 1), value
