"""Tables 1 to 3 of the paper and one on dropout, what a sweep has reached beside the paper's own numbers."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theanoish.experiments.cells import Sweep
from theanoish.experiments.paper import TABLES, Cell
from theanoish.files import written_whole
from theanoish.settings import Settings


@dataclass(frozen=True)
class Layout:
    """How the paper prints a table.

    Attributes
    ----------
    title : str
    names : tuple of str
        Headings of the columns that name a row: the first entries of `Cell.row`.
    results : dict of str to str
        Heading of each column of results by the last entry of `Cell.row`; a single column "AUC" where empty.
    """

    title: str
    names: tuple[str, ...]
    results: dict[str, str]


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
}
# what the paper leaves open and changes the results
_OPEN = ("minibatch", "momentum", "validation_interval", "windows")


def collect(sweep: Sweep, tables: list[str]) -> dict[str, Any]:
    """All results of a sweep's finished cells as plain values, for JSON and `markdown`.

    Parameters
    ----------
    sweep : Sweep
    tables : list of str
        Names of tables in `theanoish.experiments.paper.TABLES`.

    Returns
    -------
    dict
    """
    settings = sweep.settings(Settings()).as_dict()
    rates = {sweep.settings(cell.settings).learning_rate for table in tables for cell in TABLES[table]}
    return {
        "data": sweep.data.name,
        "updates": settings["updates"],
        "seeds": sweep.seeds,
        "settings": {name: settings[name] for name in _OPEN} | {"learning_rates": sorted(rates)},
        "tables": {table: [_collect_cell(sweep, cell) for cell in TABLES[table]] for table in tables},
    }


def _collect_cell(sweep: Sweep, cell: Cell) -> dict[str, Any]:
    runs = [
        {
            "seed": job.settings.seed,
            "auc": scores["mean_auc"],
            "artist_filtered_auc": scores["artist_filtered_mean_auc"],
            "average_precision": scores["mean_average_precision"],
            "best_update": scores["update"],
            "clips": scores["clips"],
            "clips_kept": scores["clips_kept"],
        }
        for job in sweep.jobs(cell.settings)
        if (scores := job.scores) is not None
    ]
    aucs = [run["auc"] for run in runs if run["auc"] is not None]
    return {
        "row": cell.row,
        "network": cell.settings.name,
        "learning_rate": sweep.settings(cell.settings).learning_rate,
        "paper_auc": cell.auc,
        "mean_auc": statistics.fmean(aucs) if aucs else None,
        "deviation": statistics.stdev(aucs) if len(aucs) > 1 else None,
        "runs": runs,
    }


def markdown(results: dict[str, Any]) -> str:
    """The tables as Markdown, in the paper's layout."""
    parts = [_conditions(results)]
    for name, cells in results["tables"].items():
        parts.append(f"**{LAYOUTS[name].title}**")
        parts.append(_table(LAYOUTS[name], cells, results["seeds"]))
    return "\n\n".join(parts) + "\n"


def _conditions(results: dict[str, Any]) -> str:
    cells = [cell for table in results["tables"].values() for cell in table]
    runs = [run for cell in cells for run in cell["runs"]]
    clips = sorted({f"{run['clips']} test clips ({run['clips_kept']} clips kept)" for run in runs})
    seeds = results["seeds"]
    spread = "one seed" if seeds == 1 else f"mean ± standard deviation over {seeds} seeds"
    settings = dict(results["settings"])
    rates = " or ".join(map(str, settings.pop("learning_rates")))
    others = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    return (
        f"Ours: {', '.join([results['data'], *clips])}, {results['updates']:,} updates, {spread}; "
        f"learning rate {rates} by network, {others}. "
        "Paper: MagnaTagATune, about 5,000,000 updates. Mean test AUC over tags, parameters of the best validation AUC."
    )


def _table(layout: Layout, cells: list[dict[str, Any]], seeds: int) -> str:
    rows: dict[tuple[str, ...], list[str]] = {}
    for cell in cells:
        names = tuple(cell["row"][: len(layout.names)])
        paper = "-" if cell["paper_auc"] is None else f"{cell['paper_auc']:.4f}"
        rows.setdefault(names, []).extend([_ours(cell, seeds), paper])
    results = [heading for column in (layout.results.values() or ["AUC"]) for heading in (column, "paper")]
    lines = [[*layout.names, *results], *([*names, *values] for names, values in rows.items())]
    return _aligned(lines)


def _ours(cell: dict[str, Any], seeds: int) -> str:
    if cell["mean_auc"] is None:
        return "-"
    spread = "" if cell["deviation"] is None else f" ± {cell['deviation']:.4f}"
    part = f" ({len(cell['runs'])} of {seeds})" if len(cell["runs"]) < seeds else ""
    return f"{cell['mean_auc']:.4f}{spread}{part}"


def _aligned(lines: list[list[str]]) -> str:
    lines = [[entry.replace("|", "\\|") for entry in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([entry.ljust(width) for entry, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def write_tables(folder: Path, results: dict[str, Any]) -> None:
    """Write ``tables.md`` and ``tables.json``."""
    with written_whole(folder / "tables.md") as beside:
        beside.write_text(markdown(results), encoding="utf-8")
    with written_whole(folder / "tables.json") as beside:
        beside.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
