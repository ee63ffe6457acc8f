"""How a sweep's results are printed: the paper's tables and the project's own, beside the paper's numbers."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theanoish.errors import InputError
from theanoish.experiments.contrasts import SMALLEST_DIFFERENCE
from theanoish.files import read_json, write_json, write_text


@dataclass(frozen=True)
class Layout:
    """How a table is printed."""

    title: str
    names: tuple[str, ...]  # headings of the columns that name a row: the first entries of `Row.names`
    # heading of each column of results by the last entry of `Row.names`; a single column "AUC" if empty
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
Grid = list[list[str]]  # of a table: a line of headings, and lines of entries
_TEX = str.maketrans(
    {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "±": r"$\pm$", "·": r"$\cdot$"}
    | {"²": "$^2$", **{sign: rf"\{sign}" for sign in "&%$#_{}"}, **{sign: f"${sign}$" for sign in "|<>"}}
)


def _grids(results: dict[str, Any]) -> list[tuple[str, Grid, list[str]]]:
    """Every table with its title, and what is to be said below it."""
    seeds = results["seeds"]
    grids = [(LAYOUTS[n].title, _grid(LAYOUTS[n], rows, seeds), list[str]()) for n, rows in results["tables"].items()]
    if baselines := results["baselines"]:
        rows = [[row["name"], _score(row["mean_auc"], row["mean_auc_interval"])] for row in baselines["baselines"]]
        title = f"Without a network (logistic regression; log-mel statistics are of {baselines['spectrogram']})"
        grids.append((title, [["features", "AUC"], *rows], baselines["warnings"]))
    if results["contrasts"]:
        title = "The paper's findings as contrasts (differences of mean test AUC)"
        grids.append((title, _contrasts(results["contrasts"]), [_about_intervals(results["contrasts"])]))
    return grids


def markdown(results: dict[str, Any]) -> str:
    """The tables as Markdown, in the paper's layout."""
    parts = [_conditions(results)]
    for title, grid, notes in _grids(results):
        parts += [f"**{title}**", _aligned(grid), *notes]
    return "\n\n".join(parts) + "\n"


def latex(results: dict[str, Any]) -> str:
    """The same for a LaTeX document, which needs no package for it."""
    tables = []
    for title, grid, notes in _grids(results):
        headings, *lines = [" & ".join(entry.translate(_TEX) for entry in line) + r" \\" for line in grid]
        caption = ". ".join([title, *notes]).translate(_TEX)
        begin = rf"\begin{{table}}\caption{{{caption}}}\begin{{tabular}}{{{'l' * len(grid[0])}}}"
        end = r"\hline\end{tabular}\end{table}"
        tables.append("\n".join([begin, rf"\hline {headings} \hline", *lines, end]))
    return "\n\n".join([_conditions(results).translate(_TEX), *tables]) + "\n"


def _conditions(results: dict[str, Any]) -> str:
    runs = [run for rows in results["tables"].values() for row in rows for run in row["runs"]]
    clips = sorted({f"{run['clips']} test clips ({run['clips_kept']} clips kept)" for run in runs})
    seeds = "one seed" if results["seeds"] == 1 else f"mean over {results['seeds']} seeds"
    over = "test clips" if results["seeds"] == 1 else "seeds and test clips (of one seed, over test clips)"
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in results["settings"].items())
    silent = max((share for run in runs for share in run["silent"].values()), default=0.0)
    return (
        f"Ours: {', '.join([results['data'], *clips])}, {results['updates']:,} updates, {seeds} ± half of the 95 % "
        f"interval over {over}; {settings}; at most {silent:.0%} of a layer's units silent for all test clips. "
        "Paper: MagnaTagATune, about 5,000,000 updates. Mean test AUC over tags, parameters of the best validation AUC."
    )


def _grid(layout: Layout, rows: list[dict[str, Any]], seeds: int) -> Grid:
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        part = f" ({len(row['runs'])} of {seeds})" if 0 < len(row["runs"]) < seeds else ""
        values = [_score(row["mean_auc"], row["interval"]) + part]
        if layout.costs:
            values += [f"{row['operations'] / 1e6:.0f}", f"{row['parameters']:,}"]
        else:
            values.append(_score(row["paper_auc"], None))
        lines.setdefault(tuple(row["row"][: len(layout.names)]), []).extend(values)
    beside = ["MFLOP per update", "parameters"] if layout.costs else ["paper"]
    results = [heading for column in (layout.results.values() or ["AUC"]) for heading in (column, *beside)]
    return [[*layout.names, *results], *([*names, *values] for names, values in lines.items())]


def _score(auc: float | None, bounds: list[float] | None) -> str:
    if auc is None:
        return "-"
    return f"{auc:.4f} ± {_half(bounds):.4f}" if bounds else f"{auc:.4f}"


def _half(bounds: list[float]) -> float:
    return (bounds[1] - bounds[0]) / 2


def _contrasts(contrasts: list[dict[str, Any]]) -> Grid:
    lines = [["finding", "ours", "95 % interval", "paper", "paper finds", "verdict"]]
    for row in contrasts:
        ours, paper = _signed(row["difference"]), _signed(row["paper_difference"])
        bounds = " to ".join(map(_signed, row["interval"])) if row["interval"] else "-"
        lines.append([row["finding"], ours, bounds, paper, row["paper_finds"], row["verdict"]])
    return lines


def _about_intervals(contrasts: list[dict[str, Any]]) -> str:
    fewest, most = min(row["seeds"] for row in contrasts), max(row["seeds"] for row in contrasts)
    seeds = "1 seed" if most == 1 else f"{fewest} seeds" if fewest == most else f"{fewest} to {most} seeds"
    clips, resampled = contrasts[0]["clips"], contrasts[0]["resampled"]
    return (
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
    """The rows of the tables as CSV; what is not known is empty."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["table", "row", "network", "seeds", "mean_auc", "low", "high", "paper_auc"])
    for table, rows in results["tables"].items():
        for row in rows:
            scores = [row["mean_auc"], *(row["interval"] or ["", ""]), row["paper_auc"]]
            lines.writerow([table, ", ".join(row["row"]), row["network"], len(row["runs"]), *scores])
    return text.getvalue()


def write_tables(folder: Path, results: dict[str, Any]) -> None:
    """Write ``tables.md``, ``tables.csv``, ``tables.tex`` and ``tables.json``."""
    for ending, form in (("md", markdown), ("csv", as_csv), ("tex", latex)):
        write_text(folder / f"tables.{ending}", form(results))
    write_json(folder / "tables.json", results)


def read_rows(path: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of a ``tables.json`` by their table and what they are called in it."""
    try:
        rows = {(table, *row["row"]): row for table, rows in read_json(path)["tables"].items() for row in rows}
        for row in rows.values():
            _score(row["mean_auc"], row["interval"])
        return rows
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: no tables.json of reproduce.py ({error!r})") from error


def comparison(results: dict[str, Any], others: dict[tuple[str, ...], dict[str, Any]], name: str) -> str:
    """The difference of each row from the one that is called the same in another sweep, as Markdown.

    That says what is trained, and at which rate its strided filters are; a network's name tells only what is unusual,
    which was something else in older sweeps. The sweeps are taken as independent, so that the squares of their
    intervals' halves add up. On the same test clips the difference is known better than that.

    Parameters
    ----------
    results : dict
        Of `theanoish.experiments.results.collect`.
    others : dict
        Of `read_rows`.
    name : str
        What the other sweep is called.
    """
    lines = [["table", "row", "AUC", name, "difference"]]
    for key, row in {(table, *row["row"]): row for table, rows in results["tables"].items() for row in rows}.items():
        other = others.get(key)
        if other is None or other["mean_auc"] is None or row["mean_auc"] is None:
            continue
        difference = f"{row['mean_auc'] - other['mean_auc']:+.4f}"
        if row["interval"] and other["interval"]:
            difference += f" ± {math.hypot(_half(row['interval']), _half(other['interval'])):.4f}"
        scores = [_score(each["mean_auc"], each["interval"]) for each in (row, other)]
        lines.append([key[0], ", ".join(key[1:]), *scores, difference])
    return _aligned(lines)
