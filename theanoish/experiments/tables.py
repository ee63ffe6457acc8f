"""The paper's tables and the project's own: what a sweep has reached, beside the paper's numbers and with intervals."""

import csv
import io
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theanoish.errors import InputError
from theanoish.experiments.cells import Sweep
from theanoish.experiments.contrasts import SMALLEST_DIFFERENCE, find_contrasts, score_networks
from theanoish.experiments.cost import cost
from theanoish.experiments.evaluation import Predictions
from theanoish.experiments.paper import REGRESSION, TABLES, Cell, paper_auc
from theanoish.experiments.statistics import interval
from theanoish.files import read_json, write_json, write_text
from theanoish.settings import Settings


@dataclass(frozen=True)
class Layout:
    """How a table is printed."""

    title: str
    names: tuple[str, ...]  # headings of the columns that name a row: the first entries of `Cell.row`
    # heading of each column of results by the last entry of `Cell.row`; a single column "AUC" if empty
    results: dict[str, str]
    costs: bool = False  # whether the cost of each network is shown, and no paper has numbers


LAYOUTS = {
    "1": Layout(
        "Table 1: length and stride of the filters",
        ("length", "stride"),
        {"mel": "AUC (spectrograms)", "raw": "AUC (raw audio)"},
    ),
    "2": Layout("Table 2: nonlinearity of the strided convolution", ("nonlinearity", "f(x)"), {}),
    "3": Layout("Table 3: feature pooling after the strided convolution", ("pooling", "pool size"), {}),
    "dropout": Layout(
        "Dropout in the dense layers (length and stride 256)",
        ("front end",),
        {"0.0": "AUC (none)", "0.5": "AUC (rate 0.5)"},
    ),
    "future": Layout("Future work (section 5; length and stride 256)", ("network",), {}, costs=True),
}
# Of one cell: its test scores and predictions, and the test AUC of its last parameters.
Finished = tuple[dict[str, Any], Predictions, float | None]
# what the paper leaves open and changes the results
_OPEN = ("learning_rate", "minibatch", "momentum", "validation_interval", "windows")


def collect(
    sweep: Sweep, tables: list[str], baselines: tuple[dict[str, Any], Predictions] | None = None
) -> dict[str, Any]:
    """All results of a sweep's finished cells as plain values, for JSON and `markdown`.

    Parameters
    ----------
    sweep : Sweep
    tables : list of str
        Names of tables in `theanoish.experiments.paper.TABLES`.
    baselines : (dict, Predictions), optional
        Of the data set, by `theanoish.experiments.baselines.measure_baselines`.
    """
    values, regression = baselines or (None, None)
    networks = {cell.settings.name: cell.settings for table in tables for cell in TABLES[table]}
    finished = {name: _finished(sweep, settings) for name, settings in networks.items()}
    predictions = {name: {seed: p for seed, (_, p, _) in cells.items()} for name, cells in finished.items() if cells}
    intervals, contrasts = _compared(predictions, regression)
    settings = sweep.settings(Settings()).as_dict()
    return {
        "data": sweep.data.name,
        "updates": settings["updates"],
        "seeds": sweep.seeds,
        "settings": {name: settings[name] for name in _OPEN},
        "tables": {
            table: [_collect_cell(cell, finished[cell.settings.name], intervals) for cell in TABLES[table]]
            for table in tables
        },
        "contrasts": contrasts,
        "baselines": values,
    }


def _finished(sweep: Sweep, network: Settings) -> dict[int, Finished]:
    """A network's finished cells, by seed."""
    found = ((job.settings.seed, job.scores, job.predictions, job.last_auc) for job in sweep.jobs(network))
    return {seed: (scores, predictions, last) for seed, scores, predictions, last in found if scores and predictions}


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


def _collect_cell(
    cell: Cell, finished: dict[int, Finished], intervals: dict[str, list[float] | None]
) -> dict[str, Any]:
    runs = [
        {
            "seed": seed,
            "auc": scores["mean_auc"],
            "last_auc": last,
            "artist_filtered_auc": scores["artist_filtered_mean_auc"],
            "average_precision": scores["mean_average_precision"],
            "best_update": scores["update"],
            "silent": scores["silent"],
            "clips": scores["clips"],
            "clips_kept": scores["clips_kept"],
        }
        for seed, (scores, _, last) in finished.items()
    ]
    aucs, last_aucs = ([run[name] for run in runs if run[name] is not None] for name in ("auc", "last_auc"))
    return {
        "row": cell.row,
        "network": cell.settings.name,
        "paper_auc": paper_auc(cell.settings),
        "operations": cost(cell.settings).operations,
        "parameters": cost(cell.settings).parameters,
        "mean_auc": statistics.fmean(aucs) if aucs else None,
        "last_mean_auc": statistics.fmean(last_aucs) if last_aucs else None,
        "interval": intervals[cell.settings.name] if aucs else None,
        "runs": runs,
    }


def markdown(results: dict[str, Any]) -> str:
    """The tables as Markdown, in the paper's layout."""
    parts = [_conditions(results)]
    for name, cells in results["tables"].items():
        parts += [f"**{LAYOUTS[name].title}**", _table(LAYOUTS[name], cells, results["seeds"])]
    if results["baselines"]:
        rows = [
            [row["name"], _score(row["mean_auc"], row["mean_auc_interval"])]
            for row in results["baselines"]["baselines"]
        ]
        of = f"logistic regression; log-mel statistics are of {results['baselines']['spectrogram']}"
        parts += [f"**Without a network** ({of})", _aligned([["features", "AUC"], *rows])]
        parts += results["baselines"]["warnings"]
    if results["contrasts"]:
        parts.append(contrasts_markdown(results["contrasts"]))
    return "\n\n".join(parts) + "\n"


def _conditions(results: dict[str, Any]) -> str:
    runs = [run for cells in results["tables"].values() for cell in cells for run in cell["runs"]]
    clips = sorted({f"{run['clips']} test clips ({run['clips_kept']} clips kept)" for run in runs})
    seeds = "one seed" if results["seeds"] == 1 else f"mean over {results['seeds']} seeds"
    over = "test clips" if results["seeds"] == 1 else "seeds and test clips"
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in results["settings"].items())
    silent = max((share for run in runs for share in run["silent"].values()), default=0.0)
    return (
        f"Ours: {', '.join([results['data'], *clips])}, {results['updates']:,} updates, {seeds} ± half of the 95 % "
        f"interval over {over}; {settings}; at most {silent:.0%} of a layer's units silent for all test clips. "
        "Paper: MagnaTagATune, about 5,000,000 updates. Mean test AUC over tags, parameters of the best validation AUC."
    )


def _table(layout: Layout, cells: list[dict[str, Any]], seeds: int) -> str:
    rows: dict[tuple[str, ...], list[str]] = {}
    for cell in cells:
        part = f" ({len(cell['runs'])} of {seeds})" if 0 < len(cell["runs"]) < seeds else ""
        values = [_score(cell["mean_auc"], cell["interval"]) + part]
        if layout.costs:
            values += [f"{cell['operations'] / 1e6:.0f}", f"{cell['parameters']:,}"]
        else:
            values.append(_score(cell["paper_auc"], None))
        rows.setdefault(tuple(cell["row"][: len(layout.names)]), []).extend(values)
    beside = ["MFLOP per update", "parameters"] if layout.costs else ["paper"]
    results = [heading for column in (layout.results.values() or ["AUC"]) for heading in (column, *beside)]
    return _aligned([[*layout.names, *results], *([*names, *values] for names, values in rows.items())])


def _score(auc: float | None, bounds: list[float] | None) -> str:
    if auc is None:
        return "-"
    return f"{auc:.4f} ± {_half(bounds):.4f}" if bounds else f"{auc:.4f}"


def _half(bounds: list[float]) -> float:
    return (bounds[1] - bounds[0]) / 2


def contrasts_markdown(contrasts: list[dict[str, Any]]) -> str:
    """The contrasts as a Markdown table with what one must know to read it."""
    lines = [["finding", "ours", "95 % interval", "paper", "paper finds", "verdict"]]
    for row in contrasts:
        ours, paper = _signed(row["difference"]), _signed(row["paper_difference"])
        bounds = " to ".join(map(_signed, row["interval"])) if row["interval"] else "-"
        lines.append([row["finding"], ours, bounds, paper, row["paper_finds"], row["verdict"]])
    fewest, most = min(row["seeds"] for row in contrasts), max(row["seeds"] for row in contrasts)
    seeds = "1 seed" if most == 1 else f"{fewest} seeds" if fewest == most else f"{fewest} to {most} seeds"
    clips, resampled = contrasts[0]["clips"], contrasts[0]["resampled"]
    return (
        f"**The paper's findings as contrasts** (differences of mean test AUC)\n\n{_aligned(lines)}\n\n"
        f"Intervals over {seeds} and {clips} test clips ({resampled['units']} {resampled['by']}s drawn with "
        'replacement, alike for both networks). "No difference" holds if the whole interval is within '
        f"± {SMALLEST_DIFFERENCE}, the smallest difference that the paper calls one; with one seed nothing is "
        "resolved. One interval of 20 misses the truth on average."
    )


def _signed(difference: float | None) -> str:
    return "-" if difference is None else f"{difference:+.4f}"


def _aligned(lines: list[list[str]]) -> str:
    lines = [[entry.replace("|", "\\|") for entry in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([entry.ljust(width) for entry, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def as_csv(results: dict[str, Any]) -> str:
    """The cells of the tables as CSV, one a line; what is not known is empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["table", "row", "network", "seeds", "mean_auc", "low", "high", "paper_auc"])
    for table, cells in results["tables"].items():
        for cell in cells:
            scores = [cell["mean_auc"], *(cell["interval"] or ["", ""]), cell["paper_auc"]]
            rows.writerow([table, ", ".join(cell["row"]), cell["network"], len(cell["runs"]), *scores])
    return text.getvalue()


def write_tables(folder: Path, results: dict[str, Any]) -> None:
    """Write ``tables.md``, ``tables.csv`` and ``tables.json``."""
    write_text(folder / "tables.md", markdown(results))
    write_text(folder / "tables.csv", as_csv(results))
    write_json(folder / "tables.json", results)


def read_cells(path: Path) -> dict[str, dict[str, Any]]:
    """The cells of a ``tables.json`` by the names of their networks.

    Raises
    ------
    InputError
        If it is something else.
    """
    try:
        cells = {cell["network"]: cell for table in read_json(path)["tables"].values() for cell in table}
        for cell in cells.values():
            _score(cell["mean_auc"], cell["interval"])
        return cells
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: no tables.json of reproduce.py ({error!r})") from error


def comparison(results: dict[str, Any], others: dict[str, dict[str, Any]], name: str) -> str:
    """Each cell's difference from the same cell of another sweep, as Markdown.

    The sweeps are taken as independent, so that the squares of their intervals' halves add up. On the same test clips
    the difference is known better than that.

    Parameters
    ----------
    results : dict
        Of `collect`.
    others : dict
        Of `read_cells`.
    name : str
        What the other sweep is called.
    """
    lines = [["network", "AUC", name, "difference"]]
    for cell in {cell["network"]: cell for table in results["tables"].values() for cell in table}.values():
        other = others.get(cell["network"])
        if other is None or other["mean_auc"] is None or cell["mean_auc"] is None:
            continue
        difference = f"{cell['mean_auc'] - other['mean_auc']:+.4f}"
        if cell["interval"] and other["interval"]:
            difference += f" ± {math.hypot(_half(cell['interval']), _half(other['interval'])):.4f}"
        scores = [_score(each["mean_auc"], each["interval"]) for each in (cell, other)]
        lines.append([cell["network"], *scores, difference])
    return _aligned(lines)
