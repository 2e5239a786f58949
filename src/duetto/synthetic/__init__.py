"""A corpus that duetto makes itself: IEMOCAP's layout, synthetic speech, and a known best accuracy.

    write("corpus", size=600) ─▶ Session1 … Session5, SYNTHETIC.json ─▶ read like IEMOCAP
    ceilings(), oracle_accuracy("corpus") ─▶ what the best recogniser can reach

Tests, the demo and anyone without a licence for IEMOCAP have with it a corpus on which a result can be
checked: which accuracy each modality can reach, where each word begins, what is leaked. See
docs/synthetic-corpus.md. Needs the extra `synth`; nothing here is imported by prediction.
"""

from .channel import Channel, ceilings
from .espeak import Speaker
from .plan import Line, Options, Plan, draw_plan
from .tree import MARKER, is_complete, oracle_accuracy, oracle_decisions, read_marker, write

__all__ = [
    "MARKER",
    "Channel",
    "Line",
    "Options",
    "Plan",
    "Speaker",
    "ceilings",
    "draw_plan",
    "is_complete",
    "oracle_accuracy",
    "oracle_decisions",
    "read_marker",
    "write",
]
