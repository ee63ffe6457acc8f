"""Where a training run stands."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """Where a run stands: what its state file holds besides parameters, and what a progress bar shows."""

    update: int = 0  # updates done
    loss: float = math.nan  # mean loss of the last block of updates
    loss_sum: float = 0.0  # of the updates since the last validation
    loss_count: int = 0  # of these updates
    # a dict per validation: update, loss, validation_auc, silent (the share of silent units by layer), best, time
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_auc(self) -> float:
        """The best validation AUC so far; minus infinity before the first."""
        return max((entry["validation_auc"] for entry in self.history), default=-math.inf)


Report = Callable[[Progress], None]
