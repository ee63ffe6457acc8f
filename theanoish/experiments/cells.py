"""The cells of a sweep: which runs make up the paper's tables, and training and testing one of them.

A cell is a network of the paper with one seed. Its folder is named after the network, the seed and the number of
updates, so a sweep finds what earlier ones left there: finished cells are read, interrupted ones resumed.
"""

import json
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.evaluation import evaluate, write_json
from theanoish.experiments.paper import TABLES
from theanoish.files import locked
from theanoish.interrupt import StopRequest
from theanoish.model.network import FILTERS, POOL, WIDTH
from theanoish.settings import MEL_CHANNELS, STRIDED_FILTERS, Settings
from theanoish.training.run import resume_run, start_run


@dataclass(frozen=True)
class Job:
    """One cell: what to train, on what, and where.

    Attributes
    ----------
    settings : Settings
    data : Path
        The HDF5 data set.
    runs : Path
        Folder that holds the run folders.
    backend : {"jax", "numba"}
    """

    settings: Settings
    data: Path
    runs: Path
    backend: str

    @property
    def name(self) -> str:
        """What reports call it, such as ``raw_256_256, seed 1``."""
        return f"{self.settings.name}, seed {self.settings.seed}"

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return self.runs / f"{self.settings.name}_seed{self.settings.seed}_{self.settings.updates}updates"

    @property
    def scores(self) -> dict[str, Any] | None:
        """All test scores, as `Evaluation.as_dict` gives them; None until the cell is finished."""
        file = self.folder / "test.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


@dataclass(frozen=True)
class Outcome:
    """How work on a cell ended.

    Attributes
    ----------
    state : {"finished", "stopped", "failed"}
        "stopped" where it was asked to; its state is on disk then.
    reason : str
        Why it failed.
    """

    state: str
    reason: str = ""


@dataclass(frozen=True)
class Event:
    """What is heard of a cell while a sweep runs.

    Attributes
    ----------
    job : Job
    update : int or None
        Updates done so far.
    died : bool
        Whether the process that trained it died; the cell is taken up again.
    outcome : Outcome or None
        Given last.
    """

    job: Job
    update: int | None = None
    died: bool = False
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Sweep:
    """What all cells of a sweep have in common.

    Attributes
    ----------
    data : Path
        The HDF5 data set.
    runs : Path
        Folder that holds the run folders.
    backend : {"jax", "numba"}
    changes : dict
        Settings that differ from the defaults, such as "updates" and "learning_rate".
    seeds : int
        Repetitions: seeds 1 to `seeds`.
    """

    data: Path
    runs: Path
    backend: str
    changes: dict[str, Any]
    seeds: int

    def settings(self, network: Settings) -> Settings:
        """The settings that a network is trained with, but for the seed."""
        by_network: dict[str, Any] = {"learning_rate": None}  # the default is another with momentum
        return replace(network, **(by_network | self.changes))

    def jobs(self, network: Settings) -> list[Job]:
        """The cells of a network, one a seed."""
        settings, data, runs = self.settings(network), self.data.resolve(), self.runs.resolve()
        return [Job(replace(settings, seed=seed + 1), data, runs, self.backend) for seed in range(self.seeds)]

    def plan(self, tables: Iterable[str], only: Iterable[str]) -> list[Job]:
        """The cells that some tables are made of, each once: by seed, the most expensive first.

        Parameters
        ----------
        tables : str
            Names of tables in `theanoish.experiments.paper.TABLES`.
        only : str
            Names of networks to narrow it down to; all where empty.

        Raises
        ------
        InputError
            Where no table has a network of that name.
        """
        networks = {cell.settings.name: cell.settings for table in tables for cell in TABLES[table]}
        unknown = sorted(set(only) - networks.keys())
        if unknown:
            raise InputError(f"no network is called {', '.join(unknown)}; these tables have {', '.join(networks)}")
        jobs = [job for name, settings in networks.items() if not only or name in only for job in self.jobs(settings)]
        return sorted(jobs, key=lambda job: (job.settings.seed, -multiplications(job.settings)))


def multiplications(settings: Settings) -> int:
    """Multiplications that the convolutions take for one window: running times are roughly proportional to them."""
    channels = MEL_CHANNELS if settings.frontend == "mel" else STRIDED_FILTERS // settings.pool_size
    strided = settings.frames * settings.length * STRIDED_FILTERS if settings.frontend == "raw" else 0
    first = settings.frames * channels * WIDTH * FILTERS
    second = settings.frames // POOL * FILTERS * WIDTH * FILTERS
    return strided + first + second


def check(jobs: list[Job], dataset: Dataset) -> None:
    """Find what would make cells fail hours later.

    Raises
    ------
    InputError
        Where the data set lacks a split or a representation, or a run folder holds a run of other settings or data.
    """
    for split in ("train", "validation", "test"):
        dataset.rows(split)
    missing = sorted({job.settings.representation.name for job in jobs} - set(dataset.representations))
    if missing:
        raise InputError(
            f"{dataset.path}: has no {', '.join(missing)}; build all that the tables need with "
            "preprocess/build_h5.py --overwrite --representations all, or narrow them down with --table and --only"
        )
    for job in jobs:
        _check_folder(job)


def _check_folder(job: Job) -> None:
    file = job.folder / "settings.json"
    if not file.exists():
        return
    try:
        stored = json.loads(file.read_text())
        differing = [name for name, value in job.settings.as_dict().items() if stored["settings"][name] != value]
        data = Path(stored["data"]).name
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: damaged ({error!r}); remove the folder to train this cell again") from error
    if data != job.data.name:
        raise InputError(f"{job.folder}: was trained on {data}, not {job.data.name}; choose another --runs folder")
    if differing:
        name = differing[0]
        raise InputError(
            f"{job.folder}: was trained with {name} {stored['settings'][name]}, not {job.settings.as_dict()[name]}; "
            "choose another --runs folder, or remove it"
        )


# PyTensor compiles in one thread at a time; the cells of a Dask worker with several threads wait for each other.
_ONE_A_PROCESS = threading.Lock()


def run_cell(job: Job, stop: StopRequest, report: Callable[[int], None]) -> Outcome:
    """Train and test a cell, from where an earlier attempt has left it.

    Parameters
    ----------
    job : Job
    stop : StopRequest
        Asked after every block of updates.
    report : callable
        Called with the number of updates done, first with those of the earlier attempt.

    Returns
    -------
    Outcome
        Whatever goes wrong is told there, so that other cells go on.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with _ONE_A_PROCESS, locked(job.folder):
            finished = not stop.requested and (job.scores is not None or _train_and_test(job, stop, report))
    except InputError as error:
        return Outcome("failed", str(error))
    except Exception:  # unforeseen: a fault of the program, or of the machine such as a full disk
        return Outcome("failed", traceback.format_exc())
    return Outcome("finished" if finished else "stopped")


def _train_and_test(job: Job, stop: StopRequest, report: Callable[[int], None]) -> bool:
    if (job.folder / "settings.json").exists():
        run = resume_run(job.folder, job.data)
    else:
        run = start_run(job.folder, job.settings, Dataset(job.data), job.backend)
    report(run.progress.update)
    if not run.train(stop, lambda progress: report(progress.update)):
        return False
    write_json(job.folder / "test.json", evaluate(job.folder / "checkpoint.pkl", job.data, "test", job.backend))
    return True
