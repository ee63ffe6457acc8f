"""Every experiment of the paper: python reproduce.py trains, tests and tabulates what is not there yet"""

import argparse
import sys
import time
from functools import partial
from itertools import chain, repeat
from pathlib import Path

from tqdm import tqdm

from theanoish.command import escaped, positive, progress, user_path
from theanoish.data.dataset import Dataset
from theanoish.experiments.baselines import stored_baselines
from theanoish.experiments.cells import Cell, Sweep, check
from theanoish.experiments.cluster import Cluster, connect
from theanoish.experiments.cost import cost
from theanoish.experiments.figures import draw_architectures, make_figures
from theanoish.experiments.filters import as_text
from theanoish.experiments.paper import FIGURE_1, FIGURE_4, FIGURES_2_AND_3, TABLES
from theanoish.experiments.results import collect
from theanoish.experiments.sweep import Event, run_cells
from theanoish.experiments.tables import comparison, markdown, read_rows, write_tables
from theanoish.experiments.workers import Runner, places_here, run_here
from theanoish.interrupt import StopRequest
from theanoish.machine import BACKENDS, DEFAULT_BACKEND
from theanoish.settings import TYPES

# settings that the paper leaves open, besides the number of updates
OVERRIDES = ("updates", "learning_rate", "momentum", "validation_interval")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", type=user_path, default=Path("data/magnatagatune.h5"), help="HDF5 data set (default: %(default)s)")
    papers = [table for table in TABLES if table != "future"]
    add("--table", nargs="+", choices=TABLES, default=papers, help=f"only these tables (default: {' '.join(papers)})")
    add("--only", nargs="+", metavar="NAME", default=[], help="only these networks: raw_256_256, ...")
    add("--seeds", type=positive, default=1, metavar="N", help="repetitions (default: 1)")
    for name in OVERRIDES:
        add(f"--{name.replace('_', '-')}", type=TYPES[name], help="of each network (default: as in train.py)")
    runs_help = "of run folders, tables and figures (default: runs/ and the data set's name)"
    add("--runs", type=user_path, metavar="FOLDER", help=runs_help)
    backend_help = "what compiles the graphs (default: %(default)s)"
    add("--backend", choices=BACKENDS, default=DEFAULT_BACKEND, help=backend_help)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=positive, metavar="N", help="cells at once (default: one per GPU, or per core)"
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="run on this Dask cluster, such as tcp://host:8786")
    print_help = "train nothing; print the commands of what is not finished, one line per cell, for another scheduler"
    where.add_argument("--print", action="store_true", help=print_help)
    add("--compare", type=user_path, metavar="FILE", help="show the differences from this tables.json of another sweep")
    return parser.parse_args(arguments)


def run(cells: list[Cell], args: argparse.Namespace) -> tuple[dict[Cell, str], bool]:
    """Run the cells; which failed and why, and whether all was stopped."""
    failed: dict[Cell, str] = {}
    costs = {cell: cost(cell.settings).operations for cell in cells}  # running times are roughly proportional to them
    total, start = sum(costs[cell] * cell.settings.updates for cell in cells), time.monotonic()
    bar = tqdm(total=total, initial=work_done(costs), unit="FLOP", unit_scale=True, smoothing=0.05, disable=None)

    def say(text: str) -> None:
        minutes = (time.monotonic() - start) / 60
        bar.write(f"{escaped(text)}; {minutes:.1f} min since the start", file=sys.stderr)

    if args.scheduler:
        new_places = Cluster(connect(args.scheduler), say).new_places
    else:
        here: list[Runner] = [partial(run_here, place=place) for place in places_here(args.backend, args.workers)]
        new_places = chain([here], repeat([])).__next__
    with StopRequest() as stop, bar:
        for events in run_cells(cells, stop, new_places):
            for event in events:
                if text := as_line(event):
                    say(text)
                if event.cell and event.state == "failed":
                    failed[event.cell] = event.reason
                    bar.total -= costs[event.cell] * (event.cell.settings.updates - event.cell.updates_done)
            news = work_done(costs) - bar.n
            bar.update(news) if news > 0 else bar.refresh()
    return failed, stop.requested


def work_done(costs: dict[Cell, int]) -> int:
    return sum(cost * cell.updates_done for cell, cost in costs.items())


def as_line(event: Event) -> str:
    cell, reason = event.cell, event.reason
    if cell is None:
        return reason
    auc = (cell.scores or {}).get("auc")
    texts = {
        "finished": f"test AUC {'undefined' if auc is None else format(auc, '.4f')}",
        "failed": f"failed: {reason} ({cell.log})",
        "died": f"its process died ({reason}); the cell is taken up again from its last state",
        "lost": f"{reason}; the cell is taken up again from its last state",
        "busy": "another process trains it; it is waited for",
    }
    return f"{cell.name}: {texts[event.state]}" if event.state in texts else ""


def draw(sweep: Sweep, tags: int) -> None:
    """Draw Fig. 1, and in the folders of their cells Figs. 2 to 4, and print the numbers behind them."""
    draw_architectures(sweep.runs / "figures", list(FIGURE_1), tags)
    for cell in [*sweep.cells(FIGURES_2_AND_3), *sweep.cells(FIGURE_4)]:
        if cell.scores is not None:
            print(as_text(make_figures(cell.folder / "checkpoint.pkl", cell.folder / "figures", cell.data)[1]))


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    others = read_rows(args.compare) if args.compare else None
    dataset = Dataset(args.data)
    changes = {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}
    sweep = Sweep(args.data, args.runs or Path("runs") / args.data.stem, args.backend, changes, args.seeds)
    cells = sweep.plan(args.table, args.only)
    check(cells, sweep.plan(args.table, []), dataset)
    left = [cell for cell in cells if not cell.finished]
    if args.print:
        print("".join(f"{cell.shell_command()}\n" for cell in left), end="")
        return 0
    sweep.runs.mkdir(parents=True, exist_ok=True)
    print(f"{len(cells)} cells, {len(cells) - len(left)} of them finished earlier; runs in {sweep.runs}", flush=True)
    failed, stopped = run(left, args) if left else ({}, False)
    names = {cell.settings.name for cell in cells}
    tables = [t for t in args.table if names & {row.settings.name for row in TABLES[t]}]
    with progress("measuring what the data set gives away without a network") as update:
        baselines = None if stopped else stored_baselines(sweep.runs, dataset, update)
    results = collect(sweep, tables, baselines)
    write_tables(sweep.runs, results)
    print(markdown(results))
    if others:
        print(comparison(results, others, args.compare.name))
    for cell, reason in failed.items():
        print(f"failed: {cell.name}: {reason} ({cell.log})", file=sys.stderr)
    if stopped:
        print("stopped; the same command continues where each cell was", file=sys.stderr)
        return 130
    draw(sweep, len(dataset.tags))
    return 1 if failed else 0
