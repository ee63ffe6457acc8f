"""The numbers of this folder, and how pages show them."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent
# each sweep: what pages call its data, and the recipe that made it
SWEEPS = {
    "two_fonts": ("rendered scores", "constant rate"),
    "recipe_two_fonts": ("rendered scores", "averaged"),
    "rendered": ("1,700 of them", "constant rate"),
    "rendered_future": ("1,700 of them", "constant rate"),
    "realnotes": ("real notes", "constant rate"),
    "recipe_realnotes": ("real notes", "averaged"),
    "realmusic": ("game soundtracks", "constant rate"),
    "recipe_realmusic": ("game soundtracks", "averaged"),
}
PAIRS = "raw_256_256_log-square_l2_2_mel-filters"  # mel-initialised filters, trained slowly
RECIPES = ("recipe_two_fonts", "recipe_realnotes", "recipe_realmusic")


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def log(name: str) -> list[dict[str, Any]]:
    """A run's log, as `train.py` wrote it."""
    return [json.loads(line) for line in (RESULTS / f"{name}_log.jsonl").read_text().splitlines()]


def half(bounds: list[float]) -> float:
    return (bounds[1] - bounds[0]) / 2


def score(value: float | None, bounds: list[float] | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f} ± {half(bounds):.3f}" if bounds else f"{value:.3f}"


def signed(value: float, bounds: list[float] | None = None) -> str:
    return f"{value:+.3f} ± {half(bounds):.3f}" if bounds else f"{value:+.3f}"


def table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cells(sweep: str) -> dict[str, dict[str, Any]]:
    """The cells of a sweep by row, such as "256, 256, mel", and those of future work by theirs alone."""
    return {", ".join(cell["row"]): cell for part in read(sweep)["tables"].values() for cell in part}


def contrasts(sweep: str) -> dict[str, dict[str, Any]]:
    return {contrast["finding"]: contrast for contrast in read(sweep)["contrasts"]}


def titled(sweep: str) -> str:
    return ", ".join(SWEEPS[sweep])


def baselines(sweep: str) -> dict[str, str]:
    """What logistic regression reaches, by what it sees."""
    rows = read(sweep)["baselines"]["baselines"]
    return {row["name"]: score(row["mean_auc"], row["mean_auc_interval"]) for row in rows}


def cell_of(by_row: dict[str, dict[str, Any]], row: str) -> str:
    cell = by_row.get(row)
    if not cell or cell["mean_auc"] is None:
        return ""
    seeds = len(cell["runs"])
    return score(cell["mean_auc"], cell["interval"] if seeds > 1 else None) + few(seeds)


def few(seeds: int) -> str:
    """How many seeds a number is of, if these are not three."""
    return "" if seeds == 3 else f" ({seeds} seed{'s' * (seeds > 1)})"
