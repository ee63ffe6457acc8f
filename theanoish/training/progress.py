"""Where a training run stands."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """Where a run stands: what its state file holds besides parameters, and what a progress bar shows.

    Attributes
    ----------
    update : int
        Updates done.
    loss : float
        Mean loss of the last block of updates.
    loss_sum, loss_count : float, int
        Losses since the last validation.
    history : list of dict
        One entry per validation: update, loss, validation_auc, silent (the share of silent units by layer), best, time.
    """

    update: int = 0
    loss: float = math.nan
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_auc(self) -> float:
        """The best validation AUC so far; minus infinity before the first."""
        return max((entry["validation_auc"] for entry in self.history), default=-math.inf)


Report = Callable[[Progress], None]
