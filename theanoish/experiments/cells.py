"""The cells of a sweep: which runs make up the paper's tables, and the commands that each is.

A cell is a network of the paper with one seed: one training run and its test. Its folder is named after the network,
the seed and the number of updates, so a sweep finds what earlier ones left there: finished cells are read, interrupted
ones resumed.
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
from theanoish.data.hdf5 import SPLITS
from theanoish.errors import InputError, typed
from theanoish.experiments.cost import cost
from theanoish.experiments.evaluation import Predictions, read_predictions
from theanoish.experiments.paper import TABLES
from theanoish.files import read_json
from theanoish.settings import Settings

_LAST_BYTES = 10_000  # of a log: several lines, the first of which may be cut off
_PACKAGE = Path(__file__).resolve().parents[1]
CLONE = _PACKAGE.parent if (_PACKAGE.parent / "train.py").exists() else None  # unless a wheel was installed
SCRIPTS = CLONE or _PACKAGE / "scripts"  # the folder of train.py and evaluate.py


@dataclass(frozen=True)
class Cell:
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
        folder, how = str(self.folder), ["--data", str(self.data), "--backend", self.backend]
        last = ["--json", f"{folder}/last.json"]
        best = ["--json", f"{folder}/test.json", "--predictions", f"{folder}/test.npz"]
        return [
            ["train.py", *train_options(self.settings), *how, "--run", folder, "--continue"],
            ["evaluate.py", f"{folder}/state.pkl", *how, *last],
            ["evaluate.py", f"{folder}/checkpoint.pkl", *how, *best],
        ]

    def shell_command(self) -> str:
        """The commands as one line of a shell."""
        return " && ".join(
            shlex.join([sys.executable, str(SCRIPTS / script), *arguments]) for script, *arguments in self.commands()
        )

    @property
    def scores(self) -> dict[str, Any] | None:
        """Its test scores as tables have them, plain values; None until the cell is finished, or if they are damaged.

        "last_auc", of the last parameters, is None where it was not measured, as older sweeps did not.
        """
        try:
            values = read_json(self.folder / "test.json")
            if Settings.from_dict(values["settings"]) != self.settings:
                return None
            last = self.folder / "last.json"
            return {
                "seed": self.settings.seed,
                "auc": _score(values["mean_auc"]),
                "last_auc": _score(read_json(last)["mean_auc"]) if last.exists() else None,
                "artist_filtered_auc": _score(values["artist_filtered_mean_auc"]),
                "average_precision": _score(values["mean_average_precision"]),
                "best_update": int(values["update"]),
                "silent": {layer: _share(share) for layer, share in values["silent"].items()},
                "clips": int(values["clips"]),
                "clips_kept": str(values["clips_kept"]),
            }
        except (InputError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
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


def _score(value: Any) -> float | None:
    return None if value is None else _share(value)


def _share(value: Any) -> float:
    if isinstance(value, float) and 0 <= value <= 1:
        return value
    raise ValueError(f"{value!r} is no share")


def train_options(settings: Settings) -> list[str]:
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

    def cells(self, network: Settings) -> list[Cell]:
        """The cells of a network, one per seed."""
        settings, data, runs = self.settings(network), self.data.resolve(), self.runs.resolve()
        return [Cell(replace(settings, seed=seed + 1), data, runs, self.backend) for seed in range(self.seeds)]

    def plan(self, tables: Iterable[str], only: Iterable[str]) -> list[Cell]:
        """The cells that some tables are made of, each once: by seed, the most expensive first.

        Parameters
        ----------
        tables : str
            Names of tables in `theanoish.experiments.paper.TABLES`.
        only : str
            Names of networks to narrow it down to; all if empty.
        """
        networks = {row.settings.name: row.settings for table in tables for row in TABLES[table]}
        unknown = sorted(set(only) - networks.keys())
        if unknown:
            raise InputError(f"no network is called {', '.join(unknown)}; these tables have {', '.join(networks)}")
        cells = [
            cell for name, settings in networks.items() if not only or name in only for cell in self.cells(settings)
        ]
        return sorted(cells, key=lambda cell: (cell.settings.seed, -cost(cell.settings).operations))


def check(cells: list[Cell], others: list[Cell], dataset: Dataset) -> None:
    """Find what would make cells, or the tables of them and the others, fail hours later.

    Raises
    ------
    InputError
        If the data set lacks a split or a representation, or a run folder holds a run of other settings or data, or
        what it predicts is of clips or labels that the data set no longer has.
    """
    for split in SPLITS:
        dataset.rows(split)
    missing = sorted({cell.settings.representation.name for cell in cells} - set(dataset.representations))
    if missing:
        raise InputError(
            f"{dataset.path}: has no {', '.join(missing)}; build all that the tables need with "
            f"{typed('build')} --overwrite --representations all, or narrow them down with --table and --only"
        )
    test = dataset.rows("test")
    for cell in cells:
        _check_folder(cell)
    for cell in dict.fromkeys([*cells, *others]):
        if (found := cell.predictions) and not found.is_of(dataset.ids[test], dataset.labels[test], dataset.tags):
            raise InputError(
                f"{cell.folder}: was tested on other clips, labels or tags than {dataset.path} has now; "
                "choose another --runs folder, or remove it"
            )


def _check_folder(cell: Cell) -> None:
    file = cell.folder / "settings.json"
    if not file.exists():
        return
    stored = read_json(file)
    try:
        before = Settings.from_dict(stored["settings"]).as_dict() | {"data": Path(stored["data"]).name}
        now = cell.settings.as_dict() | {"data": cell.data.name}
        differing = [f"{name} {before[name]}, not {value}" for name, value in now.items() if before[name] != value]
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"{file}: damaged ({error!r}); remove the folder to train this cell again") from error
    if differing:
        raise InputError(f"{cell.folder}: was trained with {differing[0]}; choose another --runs folder, or remove it")
