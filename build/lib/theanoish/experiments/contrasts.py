"""The paper's findings as contrasts: our difference with its interval, the paper's difference, and a verdict.

Verdicts, from the 95 % interval (`theanoish.experiments.statistics`) of a difference over seeds and test clips:

- The paper finds a *difference*: "holds" if the interval lies on the paper's side of 0, "opposite" if on the other.
- The paper finds *no difference* (a shorter stride "does not result in any significant improvement", L2 pooling "does
  not seem to perform significantly better", dropout "did not affect performance significantly"): an interval around 0
  would not show that, as a wide one always is. It "holds" if the whole interval lies within ± 0.0086, which is the
  smallest difference that the paper calls one (max-pooling of 4 "performs worse"), and is "opposite" if the whole
  interval lies outside (equivalence by an interval: Schuirmann 1987). By the same number a paper's difference is told
  from none.
- Everything else is "not resolved", and so is whatever has one seed only, as nothing is known of others.

A difference that the paper says nothing of is "higher" or "lower" if its whole interval lies above or below 0.

Of 20 intervals one misses the truth on average: a single verdict is weaker than several rows that agree.
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.experiments.evaluation import Predictions, plain
from theanoish.experiments.paper import FINDINGS, REGRESSION, Finding
from theanoish.experiments.statistics import Resamples, interval, resample, score_seeds

SMALLEST_DIFFERENCE = 0.0086


Scores = tuple[NDArray[np.float64], NDArray[np.float64]]  # of `theanoish.experiments.statistics.score_seeds`


def score_networks(predictions: dict[str, dict[int, Predictions]]) -> tuple[dict[str, Scores], Resamples]:
    """Mean AUCs of networks by seed, over resamples that all of them share.

    Parameters
    ----------
    predictions : dict
        From a network's name (`Settings.name`) to its seeds, one or more, and from a seed to its predictions. The
        regression that networks must beat may be among them, as `theanoish.experiments.paper.REGRESSION`.

    Raises
    ------
    InputError
        If the predictions are not all of the same clips and tags.
    """
    first = _common_clips(predictions)
    resamples = resample(first.artists, first.titles)
    scores = {
        name: score_seeds(first.labels, [each.probabilities for each in seeds.values()], resamples)
        for name, seeds in predictions.items()
    }
    return scores, resamples


def find_contrasts(networks: dict[str, Scores], resamples: Resamples) -> list[dict[str, Any]]:
    """Compare the paper's findings with what `score_networks` found.

    Returns
    -------
    list of dict
        Plain values, one entry per finding all of whose networks are there: "finding", "difference", "interval" (None
        if nothing can be said), "paper_difference" (None if the paper gives no number), "paper_finds" ("difference",
        "no difference" or "nothing"), "verdict" ("holds", "opposite", "higher", "lower" or "not resolved"), "seeds"
        (the fewest of a network), "clips", and "resampled" as of `evaluate`.
    """
    return [
        _contrast(finding, networks, resamples)
        for finding in FINDINGS
        if all(name in networks for pair in finding.pairs for name in pair)
    ]


def _common_clips(predictions: dict[str, dict[int, Predictions]]) -> Predictions:
    first = next(iter(next(iter(predictions.values())).values()))
    for name, seeds in predictions.items():
        for seed, other in seeds.items():
            if not first.is_of(other.ids, other.labels, other.tags):
                raise InputError(
                    f"{name}, seed {seed}: its predictions are of other clips or tags than the first network's"
                )
    return first


def _contrast(finding: Finding, networks: dict[str, Scores], resamples: Resamples) -> dict[str, Any]:
    coefficients: Counter[str] = Counter()
    for first, second in finding.pairs:
        coefficients[first] += 1
        coefficients[second] -= 1
    parts = [(c / len(finding.pairs), *networks[name]) for name, c in coefficients.items()]
    seeds = min(len(networks[name][0]) for name in coefficients if name != REGRESSION)  # which has no need of any
    value, bounds = interval(parts, resamples.units)
    equal = finding.paper is None or round(abs(finding.paper), 4) < SMALLEST_DIFFERENCE
    bounds = bounds if seeds > 1 else None
    return {
        "finding": finding.name,
        "difference": plain(value),
        "interval": bounds,
        "paper_difference": finding.paper,
        "paper_finds": ("no difference" if equal else "difference") if finding.in_paper else "nothing",
        "verdict": _verdict(bounds, None if equal else finding.paper) if finding.in_paper else _direction(bounds),
        "seeds": seeds,
        "clips": len(resamples.weights),
        "resampled": resamples.drawn,
    }


def _verdict(bounds: list[float] | None, paper: float | None) -> str:
    """`paper` is None if the paper finds no difference."""
    if bounds is None:
        return "not resolved"
    low, high = bounds
    if paper is None:
        margin = SMALLEST_DIFFERENCE
        holds, opposite = -margin < low and high < margin, low > margin or high < -margin
    else:
        above, below = low > 0, high < 0
        holds, opposite = (above, below) if paper > 0 else (below, above)
    return "holds" if holds else "opposite" if opposite else "not resolved"


def _direction(bounds: list[float] | None) -> str:
    if bounds is None or bounds[0] <= 0 <= bounds[1]:
        return "not resolved"
    return "higher" if bounds[0] > 0 else "lower"
