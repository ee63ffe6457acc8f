#!/usr/bin/env python3
"""Train one network of the paper: python train.py --frontend raw --length 256 --stride 256"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.files import locked
from theanoish.interrupt import StopRequest
from theanoish.model.compile import BACKENDS, DEFAULT_BACKEND
from theanoish.settings import CHOICES, TYPES, Settings
from theanoish.training.run import Progress, Run, check_resumable, resume_run, start_run

HELP = {
    "frontend": "input: raw samples or log-mel spectrograms",
    "length": "samples of a filter, or of a spectrogram's window",
    "stride": "samples between two of them",
    "nonlinearity": "of the strided convolution (Table 2)",
    "pooling": "feature pooling after the strided convolution (Table 3)",
    "pool_size": "adjacent filters in a pool: 2 or 4 in the paper",
    "dropout": "share of the dense layers' inputs that is dropped; the paper tried 0.5",
    "minibatch": "windows an update",
    "updates": "updates in all",
    "learning_rate": "of stochastic gradient descent",
    "momentum": "Nesterov's; 0 for plain gradient descent",
    "seed": "of initial parameters, sampling and dropout",
    "validation_interval": "updates between two validations",
    "windows": "training windows: anywhere in a clip, or its consecutive ones",
}


def parse(arguments: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Settings):
        default = "by network and momentum" if field.default is None else field.default
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=TYPES[field.name],
            choices=CHOICES.get(field.name),
            help=f"{HELP[field.name]} (default: {default})",
        )
    parser.add_argument("--backend", choices=BACKENDS, help=f"what compiles the graph (default: {DEFAULT_BACKEND})")
    parser.add_argument("--data", type=Path, help="HDF5 data set (default: data/magnatagatune.h5)")
    parser.add_argument("--run", type=Path, help="run folder (default: runs/ and the settings' short name)")
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="continue the run in this folder; takes only --updates and --data beside",
    )
    return parser, parser.parse_args(arguments)


@contextmanager
def opened_run(args: argparse.Namespace) -> Iterator[Run]:
    """The run that is asked for, new or resumed, locked against other processes."""
    given = {f.name: getattr(args, f.name) for f in fields(Settings) if getattr(args, f.name) is not None}
    if args.resume:
        others = sorted({*given, *(n for n in ("run", "backend") if getattr(args, n))} - {"updates"})
        if others:
            raise InputError(f"--resume takes the settings of the run; leave out --{others[0].replace('_', '-')}")
        check_resumable(args.resume)
        with locked(args.resume):
            yield resume_run(args.resume, args.data, args.updates)
        return
    settings = Settings(**given)
    dataset = Dataset(args.data or Path("data/magnatagatune.h5"))
    folder = args.run or Path("runs") / f"{dataset.path.stem}_{settings.name}_seed{settings.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        yield start_run(folder, settings, dataset, args.backend or DEFAULT_BACKEND)


def train(run: Run) -> bool:
    done, total = run.progress.update, run.settings.updates
    with StopRequest() as stop, tqdm(initial=done, total=total, unit=" updates", smoothing=0.05) as bar:

        def report(progress: Progress) -> None:
            text = f"loss {progress.loss:.4f}"
            if progress.history:
                text += f", validation AUC {progress.history[-1]['validation_auc']:.4f}, best {progress.best_auc:.4f}"
            bar.set_postfix_str(text, refresh=False)
            bar.update(progress.update - bar.n)

        return run.train(stop, report)


def main(arguments: list[str] | None = None) -> int:
    parser, args = parse(arguments)
    try:
        with opened_run(args) as run:
            finished = train(run)
    except (InputError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:  # before training began, or a second time
        parser.exit(130, f"{parser.prog}: stopped; continue with --resume and the run's folder where it exists\n")
    if not finished:
        print(f"stopped at update {run.progress.update}; continue with: python train.py --resume {run.folder}")
        return 130
    print(
        f"best validation AUC {run.progress.best_auc:.4f}; test it with: python evaluate.py {run.folder}/checkpoint.pkl"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
