"""IEMOCAP: ten actors in five dyadic sessions, scripted and improvised, 10,039 utterances.

C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee and S. S. Narayanan,
"IEMOCAP: Interactive emotional dyadic motion capture database", Language Resources and Evaluation 42
(2008), 335–359. Licence: signed with the University of Southern California (https://sail.usc.edu/iemocap/);
it may not be redistributed.

    SessionN/dialog/EmoEvaluation/<dialog>.txt       labels and votes of each utterance
    SessionN/dialog/transcriptions/<dialog>.txt      transcripts
    SessionN/sentences/wav/<dialog>/<id>.wav         one utterance, 16 kHz
    SessionN/sentences/ForcedAlignment/<dialog>/<id>.wdseg   times of its words

`ID` parses an id such as `Ses03M_script01_2_F011`. Its first letter is the actor who wore the markers, its **last**
the speaker: a dialogue holds utterances of both actors. Session N's two actors are `Ses0N_F` and `Ses0N_M`.

All utterances are returned with their raw label; `label` is None where the label set has no class for it. A missing
transcript is `text=None`, a missing or damaged alignment `words=None`, and a missing recording keeps the path where
it should be; `duetto corpus check` reports all of these.

The only corpus with a package of its own: `release` holds its facts, `files` reads it, `checks` validates it, and
`synthetic` reads corpora that duetto wrote in the same layout.
"""

from __future__ import annotations

from ...audio.timing import SAMPLE_RATE
from ..corpus import Corpus
from . import checks, release, synthetic
from .release import ID
from .synthetic import SYNTHETIC_MARKER, is_synthetic

__all__ = ["CORPUS", "ID", "SYNTHETIC", "SYNTHETIC_MARKER", "is_synthetic"]

CORPUS = Corpus(
    title="IEMOCAP",
    read=synthetic.read_any,
    name="iemocap",
    label_maps=release.LABEL_MAPS,
    emotions=release.CLASSES,
    votes=release.VOTES,
    language="en",
    sample_rate=release.SAMPLE_RATE,
    check=checks.check,
)
"""The licensed corpus."""

SYNTHETIC = Corpus(
    title="synthetic speech",
    read=synthetic.read,
    name="synthetic",
    label_maps=release.LABEL_MAPS,
    emotions=release.CLASSES,
    votes=release.VOTES,
    language="en",
    sample_rate=SAMPLE_RATE,
    check=checks.check,
)
"""A corpus written by `duetto corpus synthesise`."""
