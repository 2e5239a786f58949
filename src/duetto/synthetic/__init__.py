"""A corpus that duetto synthesises: IEMOCAP's layout, synthetic speech, and a known best accuracy.

    write("corpus", size=600) ─▶ Session1 … Session5, SYNTHETIC.json ─▶ read like IEMOCAP
    ceilings(), oracle_accuracy("corpus") ─▶ the best accuracy that is possible

For tests, the demo and anyone without a licence for IEMOCAP it is a corpus on which a result can be checked: which
accuracy each modality can reach, where each word begins, what leaks. See docs/synthetic-corpus.md. Needs the extra
`synth`; nothing here is imported by prediction.

    channel    how an emotion shows in prosody and words
    ratings    how arousal, valence and dominance follow from these
    sentences  the grammar
    plan       every utterance, drawn
    espeak     text → speech with word times
    voices     a planned line → samples
    formats    the text files of IEMOCAP
    marker     SYNTHETIC.json
    tree       the folder
    oracle     Bayes-optimal decisions
"""

from .channel import Channel, ceilings
from .espeak import Speaker
from .marker import MARKER, is_complete, read_marker
from .oracle import oracle_accuracy, oracle_concordance, oracle_decisions
from .plan import Line, Options, Plan, draw_plan
from .ratings import rating_ceilings
from .tree import write

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
    "oracle_concordance",
    "oracle_decisions",
    "rating_ceilings",
    "read_marker",
    "write",
]
