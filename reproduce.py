#!/usr/bin/env python3
"""Every experiment of the paper: python reproduce.py trains, tests and tabulates what is not there yet"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.cells import Event, Job, Sweep, check
from theanoish.experiments.figures import draw_architectures, make_figures
from theanoish.experiments.filters import as_text
from theanoish.experiments.paper import FIGURE_1, FIGURE_4, FIGURES_2_AND_3, TABLES
from theanoish.experiments.tables import collect, markdown, write_tables
from theanoish.experiments.workers import places_here, run_here, run_on_cluster
from theanoish.interrupt import StopRequest
from theanoish.model.compile import BACKENDS, DEFAULT_BACKEND
from theanoish.settings import TYPES

# settings that the paper leaves open, besides the number of updates
OVERRIDES = ("updates", "learning_rate", "momentum", "validation_interval")


def parse(arguments: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("data/magnatagatune.h5"), help="HDF5 data set (default: %(default)s)"
    )
    parser.add_argument("--table", nargs="+", choices=TABLES, default=list(TABLES), help="only these tables")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="only these networks: raw_256_256, ...")
    parser.add_argument("--seeds", type=positive, default=1, metavar="N", help="repetitions (default: 1)")
    for name in OVERRIDES:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=TYPES[name], help="of each network (default: as in train.py)"
        )
    parser.add_argument(
        "--runs",
        type=Path,
        metavar="FOLDER",
        help="of run folders, tables and figures (default: runs/ and the data set's name)",
    )
    parser.add_argument(
        "--backend", choices=BACKENDS, default=DEFAULT_BACKEND, help="what compiles the graphs (default: %(default)s)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=positive, metavar="N", help="processes (default: one a GPU, or one a core)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="run on this Dask cluster, such as tcp://host:8786")
    return parser, parser.parse_args(arguments)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def run(jobs: list[Job], args: argparse.Namespace, stop: StopRequest) -> Iterator[Event]:
    if args.scheduler:
        return run_on_cluster(jobs, args.scheduler, stop)
    return run_here(jobs, places_here(args.backend, args.workers), stop)


def train(jobs: list[Job], args: argparse.Namespace) -> tuple[dict[Job, str], bool]:
    """Run the cells; which failed and why, and whether it was interrupted."""
    failed: dict[Job, str] = {}
    done: dict[Job, int] = {}
    start = time.monotonic()
    total = sum(job.settings.updates for job in jobs)
    with StopRequest() as stop, tqdm(total=total, unit=" updates", smoothing=0.05) as bar:
        for event in run(jobs, args, stop):
            job = event.job
            if event.update is not None:
                if job not in done:  # what an earlier attempt did says nothing about the time left
                    bar.total -= event.update
                bar.update(event.update - done.get(job, event.update))
                done[job] = event.update
            elif event.died:
                bar.write(f"{job.name}: its process died; the cell is taken up again from its last state")
            elif event.outcome and event.outcome.state == "failed":
                failed[job] = event.outcome.reason
                bar.write(f"{job.name}: failed")
            elif event.outcome and event.outcome.state == "finished":
                bar.write(f"{result(job)}; {(time.monotonic() - start) / 60:.1f} min since the start")
    return failed, stop.requested


def result(job: Job) -> str:
    scores = job.scores
    auc = scores and scores["mean_auc"]
    return f"{job.name}: test AUC {'undefined' if auc is None else format(auc, '.4f')}"


def draw(sweep: Sweep, tags: int) -> None:
    """Draw Fig. 1, and in the folders of their cells Figs. 2 to 4, and print the numbers behind them."""
    draw_architectures(sweep.runs / "figures", list(FIGURE_1), tags)
    for job in [*sweep.jobs(FIGURES_2_AND_3), *sweep.jobs(FIGURE_4)]:
        if job.scores is not None:
            print(as_text(make_figures(job.folder / "checkpoint.pkl", job.folder / "figures")[1]))


def reproduce(args: argparse.Namespace) -> int:
    changes = {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}
    dataset = Dataset(args.data)
    sweep = Sweep(args.data, args.runs or Path("runs") / args.data.stem, args.backend, changes, args.seeds)
    jobs = sweep.plan(args.table, args.only)
    check(jobs, dataset)
    sweep.runs.mkdir(parents=True, exist_ok=True)
    left = [job for job in jobs if job.scores is None]
    print(f"{len(jobs)} cells, {len(jobs) - len(left)} of them finished earlier; runs in {sweep.runs}")
    failed, interrupted = train(left, args) if left else ({}, False)
    names = {job.settings.name for job in jobs}
    results = collect(sweep, [t for t in args.table if names & {cell.settings.name for cell in TABLES[t]}])
    write_tables(sweep.runs, results)
    print(markdown(results))
    for job, reason in failed.items():
        print(f"failed: {job.name} ({job.folder}): {reason}", file=sys.stderr)
    if interrupted:
        print("stopped; the same command continues where each cell was", file=sys.stderr)
        return 130
    draw(sweep, len(dataset.tags))
    return 1 if failed else 0


def main(arguments: list[str] | None = None) -> int:
    parser, args = parse(arguments)
    try:
        return reproduce(args)
    except (InputError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
