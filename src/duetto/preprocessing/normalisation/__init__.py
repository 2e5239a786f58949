"""Normalisation of features, and how it adapts to a speaker without labels.

frames ─ Normaliser ─▶ z-scores
recordings of a speaker ─ SpeakerSums ─ Adaptation (shrinkage, Guard) ─▶ Normaliser of that speaker
"""

from .adaptation import Adaptation, SpeakerSums
from .guard import Guard, fit_guard
from .normaliser import Normaliser

__all__ = ["Adaptation", "Guard", "Normaliser", "SpeakerSums", "fit_guard"]
