"""Train one network of the paper: python train.py --frontend raw --length 256 --stride 256"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from theanoish.command import checkpoint_path, user_path
from theanoish.errors import InputError, naming, typed
from theanoish.files import locked
from theanoish.interrupt import StopRequest
from theanoish.machine import BACKENDS, DEFAULT_BACKEND
from theanoish.settings import METADATA, TYPES, Settings

if TYPE_CHECKING:  # what takes long to import is imported where it is used: whoever asks for help waits for nothing
    from theanoish.data.dataset import Dataset
    from theanoish.training.run import Progress, Run

DEFAULT_DATA = Path("data/magnatagatune.h5")
CHANCE = 0.1  # by which a tag's AUC may be off without meaning anything
SILENT = 0.1  # share of a layer's units from which on it is said


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    for name, setting in Settings.__dataclass_fields__.items():
        kind: dict[str, Any] = {"type": TYPES[name], "choices": METADATA[name]["choices"] or None}
        if TYPES[name] is bool:
            kind = {"action": "store_true", "default": None}
        default = f" (default: {setting.default})" if setting.default is not None else ""
        add(f"--{name.replace('_', '-')}", help=METADATA[name]["help"] + default, **kind)
    add("--backend", choices=BACKENDS, help=f"what compiles the graph (default: {DEFAULT_BACKEND})")
    add("--data", type=user_path, help=f"HDF5 data set (default: {DEFAULT_DATA})")
    add("--run", type=user_path, help="run folder (default: runs/ and the settings' short name)")
    add(
        "--initial",
        type=checkpoint_path,
        metavar="CHECKPOINT",
        help="start from the parameters of this checkpoint or run; if its tags are others, all but the last layer's",
    )
    add(
        "--resume",
        type=user_path,
        metavar="RUN",
        help="continue the run in this folder; takes only --updates and --data beside",
    )
    add(
        "--continue",
        action="store_true",
        help="with --run: continue the run if there is one in that folder, otherwise start it",
    )
    return parser.parse_args(arguments)


@contextmanager
def opened_run(args: argparse.Namespace) -> "Iterator[Run]":
    """The run that is asked for, new or resumed, locked against other processes."""
    given = {name: getattr(args, name) for name in TYPES if getattr(args, name) is not None}
    if args.resume:
        options = (name for name in ("run", "backend", "initial", "continue") if getattr(args, name))
        others = sorted({*given, *options} - {"updates"})
        if others:
            raise InputError(f"--resume takes the settings of the run; leave out --{others[0].replace('_', '-')}")
        from theanoish.training.run import check_resumable, resume_run

        check_resumable(args.resume)
        with locked(args.resume):
            yield resume_run(args.resume, args.data, args.updates)
        return
    if getattr(args, "continue") and not args.run:
        raise InputError("--continue names its run by --run; to continue one that there is take --resume")
    settings = Settings(**given)
    from theanoish.data.dataset import Dataset
    from theanoish.training.run import start_run

    dataset = Dataset(args.data or DEFAULT_DATA)
    folder = args.run or Path("runs") / f"{dataset.path.stem}_{settings.name}_seed{settings.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if getattr(args, "continue") and (folder / "state.pkl").exists():
            yield continued(folder, settings, args.data)
            return
        yield start_run(folder, settings, dataset, args.backend or DEFAULT_BACKEND, args.initial)


def continued(folder: Path, settings: Settings, data: Path | None) -> "Run":
    """The run in a folder, if it is the one that is asked for but for the number of updates; its backend stays."""
    from theanoish.training import checkpoint
    from theanoish.training.run import resume_run

    file = folder / "state.pkl"
    state = checkpoint.load(file, checkpoint.STATE)
    with naming(file):
        before = Settings.from_dict(state["settings"]).as_dict()
    for name, value in settings.as_dict().items():
        if name != "updates" and before[name] != value:
            raise InputError(
                f"{folder}: its run has {name} {before[name]}, not {value}; choose another --run folder, or remove it"
            )
    return resume_run(folder, data, settings.updates)


def description(run: "Run") -> str:
    """What is about to be done, and on what."""
    from theanoish.data.hdf5 import SPLITS
    from theanoish.model.compile import device_name

    settings, dataset, done = run.settings, run.dataset, run.progress.update
    clips = {split: int((dataset.splits == split).sum()) for split in SPLITS}
    parameters = sum(variable.get_value().size for variable in run.network.parameters.values())
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in run.network.shapes.items())
    slow = f" ({settings.strided_rate:g} of it for the strided filters)" if settings.strided_rate != 1 else ""
    average = f"mean of the last {settings.average:g} of updates" if settings.average else "parameters as they are"
    lines = {
        "network": f"{settings.name}, {parameters:,} parameters",
        "layers": shapes,
        "start": run.initial or f"seed {settings.seed}",
        "data": f"{dataset.path}: {', '.join(f'{clips[split]:,} {split}' for split in SPLITS)} clips",
        "tags": f"{len(dataset.tags)}: {', '.join(dataset.tags[:5])}{', ...' if len(dataset.tags) > 5 else ''}",
        "training": f"updates {done:,} to {settings.updates:,} of {settings.minibatch} windows, validation "
        f"every {settings.validation_interval:,}; learning rate {settings.learning_rate}{slow}, momentum "
        f"{settings.momentum}, {average}",
        "run": str(run.folder),
        "backend": f"{run.backend} on {device_name(run.backend)}",
    }
    return "\n".join([*(f"{name + ':':<10}{text}" for name, text in lines.items()), *cautions(dataset)])


def cautions(dataset: "Dataset") -> list[str]:
    """What is to be said of splits too small to mean anything."""
    from theanoish.training.metrics import FEW_CLIPS, chance_error

    lines = []
    if (clips := len(dataset.rows("train"))) < FEW_CLIPS:
        lines.append(f"caution: {clips} clips are few to learn from")
    for split in ("validation", "test"):
        labels = dataset.labels[dataset.splits == split]
        if (error := chance_error(labels)) > CHANCE:
            by_chance = (
                "no tag can be scored" if math.isinf(error) else f"chance alone moves a tag's AUC by {error:.2f}"
            )
            lines.append(f"caution: split '{split}' is small, {len(labels)} clips: {by_chance}")
    return lines


class Reporter:
    """Shows progress on standard error: as a bar on a terminal, elsewhere as a line per validation."""

    def __init__(self, run: "Run") -> None:
        self._total, self._validations = run.settings.updates, len(run.progress.history)
        self._bar: Any = None
        self._first: tuple[int, float] | None = None  # update and time, once all is compiled

    def __call__(self, progress: "Progress") -> None:
        if self._first is None:
            self._first = progress.update, time.monotonic()
            how = {"unit": "", "smoothing": 0.05, "bar_format": "{n_fmt}/{total_fmt}", "disable": None}
            self._bar = tqdm(initial=progress.update, total=self._total, **how)
        scores = f", loss {progress.loss:.4f}{last_scores(progress)}"
        self._bar.bar_format = (
            "{n_fmt}/{total_fmt}" + scores + ", {rate_noinv_fmt}, {remaining} left" + silent(progress)
        )
        self._bar.update(progress.update - self._bar.n)
        if self._bar.disable and len(progress.history) > self._validations:
            self._validations = len(progress.history)
            pace = self._pace(progress.update, *self._first)
            line = f"update {progress.update} of {self._total}{scores}{pace}{silent(progress)}"
            print(line.replace("AUC", "validation AUC"), file=sys.stderr, flush=True)

    def _pace(self, update: int, first: int, begun: float) -> str:
        rate = (update - first) / max(time.monotonic() - begun, 1e-9)
        return f", {rate:.3g} updates/s, {(self._total - update) / rate / 60:.0f} min left" if rate else ""

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def last_scores(progress: "Progress") -> str:
    """The last validation as text; empty if there is none."""
    if not progress.history:
        return ""
    last = progress.history[-1]
    best = "best" if last["best"] else f"best {progress.best_auc:.4f}"
    return f", AUC {last['validation_auc']:.4f} ({best})"


def silent(progress: "Progress") -> str:
    """Layers with many silent units at the last validation as text; empty if there is none."""
    shares = progress.history[-1]["silent"] if progress.history else {}
    return "".join(f", {share:.0%} of {layer} silent" for layer, share in shares.items() if share > SILENT)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    with opened_run(args) as run:
        print(description(run))
        print("compiling, which takes seconds with JAX and minutes with Numba ...", flush=True)
        with StopRequest() as stop, closing(Reporter(run)) as report:
            finished = run.train(stop, report)
    if not finished:
        print(f"stopped at update {run.progress.update}; continue with: {typed('train')} --resume {run.folder}")
        return 130
    test = f"{typed('evaluate')} {run.folder}/checkpoint.pkl"
    print(f"best validation AUC {run.progress.best_auc:.4f}; test it with: {test}")
    return 0
