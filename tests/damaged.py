"""Damaged versions of a valid file, for tests that a reader reads or refuses whatever it gets."""

from hypothesis import strategies as st

_PIECES = (
    *(b"\0", b"\xff", b"\xff\xfe", b"\\ud800", b"\xd9\xa1", b"\xc2\x92", b"[" * 2000, b"9" * 400, b"9" * 5000),
    *(b"1e999", b"nan", b"NaN", b"null", b"-1", b"{}", b'"', b",", b";", b"\t", b"\n", b"\r", b" "),
)
"""What readers stumble over: encodings, deep nesting, numbers without a float, separators."""


@st.composite
def damaged(draw: st.DrawFn, text: bytes) -> bytes:
    """`text` with one to three stretches of at most twelve bytes replaced."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.sampled_from(_PIECES) | st.binary(max_size=4)) + text[end:]
    return text
