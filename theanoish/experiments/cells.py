"""The cells of a sweep: which runs make up the paper's tables, and the commands that each is.

A cell is a network of the paper with one seed. Its folder is named after the network, the seed and the number of
updates, so a sweep finds what earlier ones left there: finished cells are read, interrupted ones resumed.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.cost import cost
from theanoish.experiments.evaluation import Predictions, read_predictions
from theanoish.experiments.paper import TABLES
from theanoish.files import read_json
from theanoish.settings import Settings

_LAST_BYTES = 10_000  # of a log: several lines, the first of which may be cut off
_CLONE, _PACKAGE = Path(__file__).resolve().parents[2], Path(__file__).resolve().parents[1]
SCRIPTS = _CLONE if (_CLONE / "train.py").exists() else _PACKAGE / "scripts"  # the folder of train.py and evaluate.py


@dataclass(frozen=True)
class Job:
    """One cell: what to train, on what, and where."""

    settings: Settings
    data: Path  # the HDF5 data set
    runs: Path  # folder that holds the run folders
    backend: str  # "jax" or "numba"

    @property
    def name(self) -> str:
        """What reports call it, such as ``raw_256_256, seed 1``."""
        return f"{self.settings.name}, seed {self.settings.seed}"

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return self.runs / f"{self.settings.name}_seed{self.settings.seed}_{self.settings.updates}updates"

    @property
    def log(self) -> Path:
        """What its commands print."""
        return self.folder / "output.txt"

    def commands(self) -> list[list[str]]:
        """The scripts that train and test it, from where earlier ones have left it, with their arguments.

        Tested are the last parameters, for what that tells of the rule, and then those of the best validation.
        """
        folder, data = str(self.folder), ["--data", str(self.data)]
        train = [*_options(self.settings), *data, "--run", folder, "--backend", self.backend, "--continue"]
        how = [*data, "--backend", self.backend]
        last = [f"{folder}/state.pkl", *how, "--json", f"{folder}/last.json"]
        files = ["--json", f"{folder}/test.json", "--predictions", f"{folder}/test.npz"]
        best = [f"{folder}/checkpoint.pkl", *how, *files]
        return [["train.py", *train], ["evaluate.py", *last], ["evaluate.py", *best]]

    def shell_command(self) -> str:
        """The commands as one line of a shell."""
        return " && ".join(
            shlex.join([sys.executable, str(SCRIPTS / script), *arguments]) for script, *arguments in self.commands()
        )

    @property
    def scores(self) -> dict[str, Any] | None:
        """All test scores, as evaluate.py writes them; None until the cell is finished, or if they are damaged."""
        try:
            scores = read_json(self.folder / "test.json")
            numbers = [scores[name] for name in ("mean_auc", "mean_average_precision", "artist_filtered_mean_auc")]
            same = Settings.from_dict(scores["settings"]) == self.settings
            counts = type(scores["update"]) is type(scores["clips"]) is int and type(scores["clips_kept"]) is str
            shares = all(n is None or _is_share(n) for n in numbers) and all(map(_is_share, scores["silent"].values()))
            return scores if same and counts and shares else None
        except (InputError, KeyError, TypeError, AttributeError):
            return None

    @property
    def last_auc(self) -> float | None:
        """Mean test AUC of the last parameters; None if it was not measured, as older sweeps did not."""
        try:
            auc = read_json(self.folder / "last.json")["mean_auc"]
            return auc if _is_share(auc) else None
        except (InputError, KeyError, TypeError):
            return None

    @property
    def predictions(self) -> Predictions | None:
        """What it predicts for the test clips; None until it is finished, or if they are damaged."""
        try:
            return read_predictions(self.folder / "test.npz")
        except InputError:
            return None

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.scores is not None and self.predictions is not None

    @property
    def updates_done(self) -> int:
        """Updates before the last validation; 0 if the log of the run is damaged."""
        try:
            with (self.folder / "log.jsonl").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LAST_BYTES))
                updates = [json.loads(line)["update"] for line in file.read().splitlines()[size > _LAST_BYTES :]]
            return max((update for update in updates if isinstance(update, int)), default=0)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return 0


def _is_share(value: Any) -> bool:
    return isinstance(value, float) and 0 <= value <= 1


def _options(settings: Settings) -> list[str]:
    """The options of train.py for what is not its default, and for what names a row of Table 1."""
    usual = replace(settings, learning_rate=None, strided_rate=None)  # type: ignore[arg-type]  # follow from the rest
    rates = {"learning_rate": usual.learning_rate, "strided_rate": usual.strided_rate}
    defaults = Settings().as_dict() | {"frontend": None, "length": None, "stride": None} | rates
    changed = {name: value for name, value in settings.as_dict().items() if value != defaults[name]}
    options = [
        [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])] for name, value in changed.items()
    ]
    return [text for option in options for text in option]


@dataclass(frozen=True)
class Sweep:
    """What all cells of a sweep have in common."""

    data: Path  # the HDF5 data set
    runs: Path  # folder that holds the run folders
    backend: str  # "jax" or "numba"
    changes: dict[str, Any]  # settings that differ from the defaults, such as "updates" and "learning_rate"
    seeds: int  # repetitions: seeds 1 to `seeds`

    def settings(self, network: Settings) -> Settings:
        """The settings that a network is trained with, but for the seed."""
        by_momentum: dict[str, Any] = {"learning_rate": None}  # the default is another with momentum
        return replace(network, **(by_momentum | self.changes))

    def jobs(self, network: Settings) -> list[Job]:
        """The cells of a network, one per seed."""
        settings, data, runs = self.settings(network), self.data.resolve(), self.runs.resolve()
        return [Job(replace(settings, seed=seed + 1), data, runs, self.backend) for seed in range(self.seeds)]

    def plan(self, tables: Iterable[str], only: Iterable[str]) -> list[Job]:
        """The cells that some tables are made of, each once: by seed, the most expensive first.

        Parameters
        ----------
        tables : str
            Names of tables in `theanoish.experiments.paper.TABLES`.
        only : str
            Names of networks to narrow it down to; all if empty.

        Raises
        ------
        InputError
            If no table has a network of that name.
        """
        networks = {cell.settings.name: cell.settings for table in tables for cell in TABLES[table]}
        unknown = sorted(set(only) - networks.keys())
        if unknown:
            raise InputError(f"no network is called {', '.join(unknown)}; these tables have {', '.join(networks)}")
        jobs = [job for name, settings in networks.items() if not only or name in only for job in self.jobs(settings)]
        return sorted(jobs, key=lambda job: (job.settings.seed, -cost(job.settings).operations))


def check(jobs: list[Job], dataset: Dataset) -> None:
    """Find what would make cells fail hours later.

    Raises
    ------
    InputError
        If the data set lacks a split or a representation, or a run folder holds a run of other settings or data, or
        what it predicts is of clips or labels that the data set no longer has.
    """
    for split in ("train", "validation", "test"):
        dataset.rows(split)
    missing = sorted({job.settings.representation.name for job in jobs} - set(dataset.representations))
    if missing:
        raise InputError(
            f"{dataset.path}: has no {', '.join(missing)}; build all that the tables need with "
            "preprocess/build_h5.py --overwrite --representations all, or narrow them down with --table and --only"
        )
    test = dataset.rows("test")
    for job in jobs:
        _check_folder(job)
        if (kept := job.predictions) and not kept.is_of(dataset.ids[test], dataset.labels[test], dataset.tags):
            raise InputError(
                f"{job.folder}: was tested on other clips, labels or tags than {dataset.path} has now; "
                "choose another --runs folder, or remove it"
            )


def _check_folder(job: Job) -> None:
    file = job.folder / "settings.json"
    if not file.exists():
        return
    stored = read_json(file)
    try:
        before = Settings.from_dict(stored["settings"]).as_dict() | {"data": Path(stored["data"]).name}
        now = job.settings.as_dict() | {"data": job.data.name}
        differing = [f"{name} {before[name]}, not {value}" for name, value in now.items() if before[name] != value]
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"{file}: damaged ({error!r}); remove the folder to train this cell again") from error
    if differing:
        raise InputError(f"{job.folder}: was trained with {differing[0]}; choose another --runs folder, or remove it")
