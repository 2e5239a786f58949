"""Agreement of annotators: mean pairwise agreement and Fleiss' kappa.

J. L. Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76(5), 378–382 (1971). His
formulas have as many annotators for every item and one label each. Here an item may have any number of annotators from
two on, and an annotator may split one vote between classes; where neither is so, the values are his.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree.

    Attributes:
        items: Items with two annotators or more, which alone count.
        pairwise: Mean over items of the share of pairs of annotators that agree, 0–1.
        kappa: Fleiss' kappa: 1 in full agreement, 0 as by chance; None where all votes are for one class.
    """

    items: int
    pairwise: float
    kappa: float | None

    def __str__(self) -> str:
        kappa = "undefined" if self.kappa is None else f"{self.kappa:.2f}"
        return f"pairwise agreement {self.pairwise:.2f}, Fleiss' kappa {kappa}, over {self.items:,} utterances"


def agreement(items: Sequence[np.ndarray]) -> Agreement | None:
    """Measure the agreement of annotators.

    With w[a, j] the share of annotator a's vote for class j, S[j] its sum over n annotators, an item's agreement is
    P = Σ_j (S[j]² − Σ_a w[a, j]²) / (n (n − 1)), the mean of w[a] · w[b] over pairs a ≠ b. Chance is P_e = Σ_j p[j]², p
    the shares of all votes, and kappa (mean P − P_e) / (1 − P_e).

    Args:
        items: (annotators, classes) each, whose rows sum to 1; items with fewer than two annotators are left out.

    Returns:
        The agreement; None without any item of two annotators.
    """
    rated = [np.asarray(w, np.float64) for w in items if len(w) > 1]
    if not rated:
        return None
    each = [float((w.sum(0) ** 2 - (w**2).sum(0)).sum()) / (len(w) * (len(w) - 1)) for w in rated]
    observed = math.fsum(each) / len(each)
    sums = np.sum([w.sum(0) for w in rated], axis=0)
    chance = float(((sums / sums.sum()) ** 2).sum())
    kappa = None if 1 - chance < 1e-12 else (observed - chance) / (1 - chance)
    return Agreement(len(rated), observed, kappa)
