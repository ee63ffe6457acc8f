"""What a sweep has reached, as plain values: every row of the paper's tables with its interval, and the contrasts."""

import statistics
from typing import Any

from theanoish.experiments.cells import Sweep
from theanoish.experiments.contrasts import find_contrasts, score_networks
from theanoish.experiments.cost import cost
from theanoish.experiments.evaluation import Predictions
from theanoish.experiments.paper import REGRESSION, TABLES, Row, paper_auc
from theanoish.experiments.statistics import interval
from theanoish.settings import Settings

# what the paper leaves open and changes the results
_OPEN = ("learning_rate", "minibatch", "momentum", "average", "validation_interval", "windows")
Finished = dict[int, tuple[dict[str, Any], Predictions]]  # a network's finished cells: scores and predictions, by seed


def collect(
    sweep: Sweep, tables: list[str], baselines: tuple[dict[str, Any], Predictions] | None = None
) -> dict[str, Any]:
    """All results of a sweep's finished cells, for JSON and `theanoish.experiments.tables`.

    Parameters
    ----------
    sweep : Sweep
    tables : list of str
        Names of tables in `theanoish.experiments.paper.TABLES`.
    baselines : (dict, Predictions), optional
        Of the data set, by `theanoish.experiments.baselines.measure_baselines`.
    """
    values, regression = baselines or (None, None)
    networks = {row.settings.name: row.settings for table in tables for row in TABLES[table]}
    finished = {name: _finished(sweep, settings) for name, settings in networks.items()}
    predictions = {name: {seed: p for seed, (_, p) in cells.items()} for name, cells in finished.items() if cells}
    intervals, contrasts = _compared(predictions, regression)
    settings = sweep.settings(Settings()).as_dict()
    return {
        "data": sweep.data.name,
        "updates": settings["updates"],
        "seeds": sweep.seeds,
        "settings": {name: settings[name] for name in _OPEN},
        "tables": {
            table: [_result_of(row, finished[row.settings.name], intervals) for row in TABLES[table]]
            for table in tables
        },
        "contrasts": contrasts,
        "baselines": values,
    }


def _finished(sweep: Sweep, network: Settings) -> Finished:
    found = ((cell.settings.seed, cell.scores, cell.predictions) for cell in sweep.cells(network))
    return {seed: (scores, predictions) for seed, scores, predictions in found if scores and predictions}


def _compared(
    predictions: dict[str, dict[int, Predictions]], regression: Predictions | None
) -> tuple[dict[str, list[float] | None], list[dict[str, Any]]]:
    """The 95 % interval of each network's mean AUC over seeds and test clips, and the contrasts of all of them."""
    if not predictions:
        return {}, []
    if regression:
        predictions = predictions | {REGRESSION: {0: regression}}
    networks, resamples = score_networks(predictions)
    intervals = {name: interval([(1.0, *scores)], resamples.units)[1] for name, scores in networks.items()}
    return intervals, find_contrasts(networks, resamples)


def _result_of(row: Row, finished: Finished, intervals: dict[str, list[float] | None]) -> dict[str, Any]:
    runs = [scores for scores, _ in finished.values()]
    means = {name: [run[name] for run in runs if run[name] is not None] for name in ("auc", "last_auc")}
    mean, last = (statistics.fmean(aucs) if aucs else None for aucs in means.values())
    return {
        "row": row.names,
        "network": row.settings.name,
        "paper_auc": paper_auc(row.settings),
        "operations": cost(row.settings).operations,
        "parameters": cost(row.settings).parameters,
        "mean_auc": mean,
        "interval": None if mean is None else intervals[row.settings.name],
        "last_mean_auc": last,  # of the last parameters, while all else is of those of the best validation
        "runs": runs,
    }
