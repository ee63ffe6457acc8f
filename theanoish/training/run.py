"""A training run and its folder: updates, validation at intervals, the best parameters, and exact resuming.

The folder holds ``settings.json``, ``log.jsonl`` (one line a validation), ``curve.png``, ``checkpoint.pkl`` (the
parameters with the best validation AUC) and ``state.pkl`` (what the run resumes from). Whoever trains it holds its lock
(`theanoish.files.locked`) from before the run is started or resumed, so that no two processes do.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.files import written_whole
from theanoish.interrupt import StopRequest
from theanoish.machine import versions_in_use
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.training import checkpoint
from theanoish.training.curve import draw_curve
from theanoish.training.metrics import score_tags
from theanoish.training.prediction import Predictor
from theanoish.training.trainer import Trainer


@dataclass
class Progress:
    """Where a run stands: what its state file holds besides parameters, and what a progress bar shows.

    Attributes
    ----------
    update : int
        Updates done.
    loss : float
        Mean loss of the last block of updates.
    loss_sum, loss_count : float, int
        Losses since the last validation.
    history : list of dict
        One entry a validation: update, loss, validation_auc, best, time.
    """

    update: int = 0
    loss: float = math.nan
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_auc(self) -> float:
        """The best validation AUC so far; minus infinity before the first."""
        return max((entry["validation_auc"] for entry in self.history), default=-math.inf)


Report = Callable[[Progress], None]


class Run:
    """One training run in its folder; made by `start_run` or `resume_run`.

    Parameters
    ----------
    folder : Path
    settings : Settings
    dataset : Dataset
    backend : {"jax", "numba"}

    Raises
    ------
    InputError
        Where no tag has both positive and negative clips to validate on.
    """

    def __init__(self, folder: Path, settings: Settings, dataset: Dataset, backend: str) -> None:
        self.folder, self.settings, self.dataset, self.backend = folder, settings, dataset, backend
        self.progress = Progress()
        self._trainer = Trainer(settings, dataset, backend)
        self._predictor = Predictor(self._trainer.network, backend)
        rows = dataset.rows("validation")
        self._validation_windows = dataset.windows(settings, rows)
        self._validation_labels = dataset.labels[rows]
        if math.isnan(score_tags(self._validation_labels, self._validation_labels.astype(np.float32)).mean_auc):
            raise InputError(f"{dataset.path}: no tag has both positive and negative clips in split 'validation'")

    def train(self, stop: StopRequest, report: Report) -> bool:
        """Train until all updates are done or `stop` is requested; then the state is on disk.

        Parameters
        ----------
        stop : StopRequest
        report : callable
            Called with the run's `Progress` after every block of updates and every validation.

        Returns
        -------
        bool
            Whether all updates are done.

        Raises
        ------
        InputError
            Where the loss is not finite; the last state on disk is then from before.
        """
        while self.progress.update < self.settings.updates:
            interval = self.settings.validation_interval
            until = min((self.progress.update // interval + 1) * interval, self.settings.updates)
            self._advance(until, stop, report)
            if not all(np.isfinite(values).all() for values in self._trainer.network.values().values()):
                raise self._diverged("parameters are", self.progress.update)
            if self.progress.update == until:
                self._validate()
                report(self.progress)
            self._save_state()
            if stop.requested:
                break
        finished = self.progress.update == self.settings.updates
        if finished and self.progress.loss_count:  # resumed where it was stopped, between validations, as if planned so
            self._validate()
            self._save_state()
        return finished

    def _advance(self, until: int, stop: StopRequest, report: Report) -> None:
        progress = self.progress
        for update, losses in self._trainer.run(progress.update, until):
            if not np.isfinite(losses).all():
                raise self._diverged("the loss is", update)
            progress.update = update
            progress.loss = float(losses.mean())
            progress.loss_sum += float(losses.sum(dtype=np.float64))
            progress.loss_count += len(losses)
            report(progress)
            if stop.requested:
                break

    def _diverged(self, what: str, update: int) -> InputError:
        return InputError(
            f"{self.folder}: {what} not finite at update {update}; train again with a lower --learning-rate "
            "and another --run. What this one had saved before is kept."
        )

    def _validate(self) -> None:
        progress = self.progress
        probabilities = self._predictor.predict_clips(self._validation_windows)
        if not np.isfinite(probabilities).all():
            raise self._diverged("predictions are", progress.update)
        auc = score_tags(self._validation_labels, probabilities).mean_auc
        best = auc > progress.best_auc
        entry = {"update": progress.update, "loss": progress.loss_sum / progress.loss_count, "validation_auc": auc}
        progress.history.append({**entry, "best": best, "time": time.time()})
        progress.loss_sum, progress.loss_count = 0.0, 0
        if best:  # before the state, which must not know of a checkpoint that is not there
            parameters = self._trainer.network.values()
            artists = sorted({self.dataset.artists[row] for row in self.dataset.rows("train")} - {""})
            values = {**self._common(), "parameters": parameters, "validation_auc": auc, "artists": artists}
            checkpoint.save(self.folder / "checkpoint.pkl", checkpoint.CHECKPOINT, values)
        self._write_log()

    def _write_log(self) -> None:
        with written_whole(self.folder / "log.jsonl") as beside:
            beside.write_text("".join(json.dumps(entry) + "\n" for entry in self.progress.history))
        title = f"{self.settings.name}, seed {self.settings.seed}, {self.dataset.path.name}"
        draw_curve(self.folder / "curve.png", title, self.progress.history)

    def _save_state(self) -> None:
        progress = self.progress
        values = {
            **self._common(),
            "parameters": self._trainer.network.values(),
            "velocities": self._trainer.memory(),
            "losses": {"sum": progress.loss_sum, "count": progress.loss_count},
        }
        checkpoint.save(self.folder / "state.pkl", checkpoint.STATE, values)

    def _common(self) -> dict[str, Any]:
        return {
            "settings": self.settings.as_dict(),
            "tags": self.dataset.tags,
            "update": self.progress.update,
            "history": self.progress.history,
            "data": {"path": str(self.dataset.path.resolve()), "fingerprint": self.dataset.fingerprint()},
            "backend": self.backend,
            "versions": versions_in_use(),
        }

    def write_settings(self) -> None:
        """Write ``settings.json``."""
        with written_whole(self.folder / "settings.json") as beside:
            values = {
                "settings": self.settings.as_dict(),
                "data": str(self.dataset.path.resolve()),
                "backend": self.backend,
                "versions": versions_in_use(),
            }
            beside.write_text(json.dumps(values, indent=2) + "\n")

    def measure_start(self) -> None:
        """Measure what the network starts from; a resumed run has it in its state."""
        self._trainer.measure_start()

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state that an earlier run of the same settings saved."""
        self._trainer.network.set_values(state["parameters"])
        self._trainer.set_memory(state["velocities"])
        losses = state["losses"]
        self.progress = Progress(state["update"], math.nan, losses["sum"], losses["count"], state["history"])


def start_run(folder: Path, settings: Settings, dataset: Dataset, backend: str) -> Run:
    """A new run.

    Raises
    ------
    InputError
        Where the folder holds a run already.
    """
    if (folder / "settings.json").exists():
        raise InputError(f"{folder}: holds a run already; continue it with --resume {folder}, or choose another --run")
    run = Run(folder, settings, dataset, backend)
    run.measure_start()
    folder.mkdir(parents=True, exist_ok=True)
    run.write_settings()
    return run


def check_resumable(folder: Path) -> None:
    """Make sure that a folder holds a run.

    Raises
    ------
    InputError
        Where it does not.
    """
    if not any((folder / name).exists() for name in ("settings.json", "state.pkl")):
        raise InputError(f"{folder}: no run to resume: there is no settings.json in it")


def resume_run(folder: Path, data: Path | None = None, updates: int | None = None) -> Run:
    """The run in `folder`, as it was when its state was last saved; from its beginning where none was.

    Parameters
    ----------
    folder : Path
    data : Path, optional
        The data set, where it has been moved.
    updates : int, optional
        Updates in all, to train for longer or shorter than first planned.

    Raises
    ------
    InputError
        Where there is no run, its state is damaged or has more updates already, or the data set is another one.
    """
    check_resumable(folder)
    state_file = folder / "state.pkl"
    if not state_file.exists():
        return _restart_run(folder, data, updates)
    state = checkpoint.load(state_file, checkpoint.STATE)
    try:
        settings = Settings.from_dict(state["settings"])
    except InputError as error:
        raise InputError(f"{state_file}: {error}") from error
    if updates is not None:
        settings = replace(settings, updates=updates)
    if state["update"] > settings.updates:
        raise InputError(f"{folder}: has {state['update']} updates already; give --updates a larger number")
    dataset = Dataset(data or Path(state["data"]["path"]))
    if dataset.fingerprint() != state["data"]["fingerprint"]:
        raise InputError(f"{dataset.path}: clips or labels are not those that {folder} was trained on")
    run = Run(folder, settings, dataset, state["backend"])
    try:
        run.restore(state)
    except InputError as error:
        raise InputError(f"{state_file}: {error}") from error
    run.write_settings()
    return run


def _restart_run(folder: Path, data: Path | None, updates: int | None) -> Run:
    """A run that was stopped before it saved a state."""
    file = folder / "settings.json"
    try:
        values = json.loads(file.read_text())
        settings, saved_data, backend = Settings.from_dict(values["settings"]), Path(values["data"]), values["backend"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: no run to resume: {file.name} cannot be used ({error})") from error
    if updates is not None:
        settings = replace(settings, updates=updates)
    run = Run(folder, settings, Dataset(data or saved_data), backend)
    run.measure_start()
    run.write_settings()
    return run


def load_network(path: Path) -> tuple[dict[str, Any], Network]:
    """A checkpoint and the network it describes, with its parameters.

    Raises
    ------
    InputError
        Where the file is no checkpoint or contradicts itself.
    """
    saved = checkpoint.load(path, checkpoint.CHECKPOINT)
    try:
        network = Network(Settings.from_dict(saved["settings"]), len(saved["tags"]))
        network.set_values(saved["parameters"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return saved, network
