"""NumPy's buffer of elements, made small for arithmetic between arrays of frames and one number for each frame.

Where several rows fit into the buffer, NumPy copies an operand that is the same for a whole row into it, again and
again; where little more than one does, it reads the number in place, and `frames -= mean[:, None]` takes less than half
of the time. Conversions gain from a large buffer, so this is for functions that have more of the former.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

_ELEMENTS = 2048
"""Instead of NumPy's 8192; a frame of 100 ms has 1600 samples at 16 kHz."""


def small(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The function with a small buffer, in its thread, while it runs."""

    @wraps(function)
    def buffered(*args: Given.args, **options: Given.kwargs) -> Answer:
        before = np.setbufsize(_ELEMENTS)
        try:
            return function(*args, **options)
        finally:
            np.setbufsize(before)

    return buffered
