"""A training run and its folder: updates, validation at intervals, the best parameters, and exact resuming.

The folder holds ``settings.json``, ``log.jsonl`` (one line a validation), ``curve.png``, ``checkpoint.pkl`` (the
averaged parameters with the best validation AUC), ``state.pkl`` (what the run resumes from, the last averaged
parameters among it) and, if the strided filters do not start as noise, ``initial_filters.npy`` and
``initial_filters.json`` (what they were made with). Whoever trains it holds its lock (`theanoish.files.locked`) from
before the run is started or resumed, so that no two processes do.
"""

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError, naming
from theanoish.files import write_json, write_text, written_whole
from theanoish.interrupt import StopRequest
from theanoish.machine import BACKENDS, versions_in_use
from theanoish.model.network import set_all, to_file
from theanoish.settings import Settings
from theanoish.training import checkpoint
from theanoish.training.curve import draw_curve
from theanoish.training.metrics import chance_error, score_tags
from theanoish.training.prediction import ClipPredictions, Predictor
from theanoish.training.progress import Progress, Report
from theanoish.training.trainer import Trainer
from theanoish.training.unsupervised import LEARNED_WITH

_SAME = 1e-7  # predictions that differ by no more are those of a network that hears nothing


class Run:
    """One training run in its folder; made by `start_run` or `resume_run`.

    Attributes
    ----------
    network : Network
        The one that the descent moves; validated, kept and shown is the mean of its parameters.
    progress : Progress
    initial : str
        The checkpoint whose parameters it started from; empty if it started from its seed.

    Raises
    ------
    InputError
        If there is no such backend, the data set's path is not UTF-8, or no tag has both positive and negative clips to
        validate on.
    """

    def __init__(self, folder: Path, settings: Settings, dataset: Dataset, backend: str) -> None:
        if backend not in BACKENDS:
            raise InputError(f"backend is {backend!r}; it must be one of {', '.join(BACKENDS)}")
        self.folder, self.settings, self.dataset, self.backend = folder, settings, dataset, backend
        self.progress = Progress()
        self.initial = ""
        self._data = {"path": _noted(dataset.path), "fingerprint": dataset.fingerprint()}
        self._trainer = Trainer(settings, dataset, backend)
        self.network = self._trainer.network
        self._predictor: Predictor | None = None  # made once the network has its start
        rows = dataset.rows("validation")
        self._validation_windows = dataset.windows(settings, rows)
        self._validation_labels = dataset.labels[rows]
        if math.isinf(chance_error(self._validation_labels)):
            raise InputError(f"{dataset.path}: no tag has both positive and negative clips in split 'validation'")

    def train(self, stop: StopRequest, report: Report) -> bool:
        """Train until all updates are done or `stop` is requested; then the state is on disk.

        `report` is called with the run's `Progress` after every block of updates and every validation.

        Returns
        -------
        bool
            Whether all updates are done.

        Raises
        ------
        InputError
            If the loss is not finite or the network has died; the last state on disk is then from before.
        """
        while self.progress.update < self.settings.updates:
            interval = self.settings.validation_interval
            until = min((self.progress.update // interval + 1) * interval, self.settings.updates)
            self._advance(until, stop, report)
            if not all(np.isfinite(values).all() for values in self.network.values().values()):
                raise self._diverged("parameters are not finite", self.progress.update)
            if self.progress.update == until:
                self._validate()
                report(self.progress)
            self.save_state()
            if stop.requested:
                break
        finished = self.progress.update == self.settings.updates
        if finished and self.progress.loss_count:  # resumed where it was stopped, between validations, as if planned so
            self._validate()
            self.save_state()
        return finished

    def _advance(self, until: int, stop: StopRequest, report: Report) -> None:
        progress = self.progress
        for update, losses in self._trainer.run(progress.update, until):
            if not np.isfinite(losses).all():
                raise self._diverged("the loss is not finite", update)
            progress.update = update
            progress.loss = float(losses.mean())
            progress.loss_sum += float(losses.sum(dtype=np.float64))
            progress.loss_count += len(losses)
            report(progress)
            if stop.requested:
                break

    def _diverged(self, what: str, update: int) -> InputError:
        return InputError(
            f"{self.folder}: {what} at update {update}; train again with a lower, at least another --learning-rate "
            f"(this one is {self.settings.learning_rate}) and another --run. What this one had saved before is kept."
        )

    def _validate(self) -> None:
        progress = self.progress
        if self._predictor is None:
            self._predictor = Predictor(self._trainer.averaged, self.backend)
        predicted = self._predictor.predict_clips(self._validation_windows)
        if not np.isfinite(predicted.probabilities).all():
            raise self._diverged("predictions are not finite", progress.update)
        self._check_alive(predicted)
        auc = score_tags(self._validation_labels, predicted.probabilities).mean_auc
        best = auc > progress.best_auc
        loss = progress.loss_sum / progress.loss_count
        entry = {"update": progress.update, "loss": loss, "validation_auc": auc, "silent": predicted.silent}
        progress.history.append({**entry, "best": best, "time": time.time()})
        progress.loss_sum, progress.loss_count = 0.0, 0
        if best:  # before the state, which must not know of a checkpoint that is not there
            artists = sorted({self.dataset.artists[row] for row in self.dataset.rows("train")} - {""})
            values = {"parameters": self._trainer.averaged.values(), "validation_auc": auc, "artists": artists}
            checkpoint.save(self.folder / "checkpoint.pkl", checkpoint.CHECKPOINT, self._common() | values)
        write_text(self.folder / "log.jsonl", "".join(json.dumps(entry) + "\n" for entry in progress.history))
        title = f"{self.settings.name}, seed {self.settings.seed}, {self.dataset.path.name}"
        draw_curve(self.folder / "curve.png", title, progress.history)

    def _check_alive(self, predicted: ClipPredictions) -> None:
        if predicted.all_alike:
            return
        for layer, share in predicted.silent.items():
            if share == 1:
                raise self._diverged(f"every unit of {layer} is silent for all validation clips", self.progress.update)
        if np.ptp(predicted.probabilities, axis=0).max() <= _SAME:
            raise self._diverged("the network predicts the same for all validation clips", self.progress.update)

    def save_state(self) -> None:
        """Write ``state.pkl``, which the run resumes from."""
        losses = {"sum": self.progress.loss_sum, "count": self.progress.loss_count}
        memory = {name: to_file(variable.get_value()) for name, variable in self._trainer.memory.items()}
        values = self._common() | {"parameters": self.network.values(), "memory": memory, "losses": losses}
        checkpoint.save(self.folder / "state.pkl", checkpoint.STATE, values)

    def _common(self) -> dict[str, Any]:
        return {
            "settings": self.settings.as_dict(),
            "tags": self.dataset.tags,
            "update": self.progress.update,
            "history": self.progress.history,
            "data": self._data,
            "initial": self.initial,
            "backend": self.backend,
            "versions": versions_in_use(),
        }

    def write_settings(self) -> None:
        """Write ``settings.json``, for people and for sweeps."""
        values = {"settings": self.settings.as_dict(), "data": self._data["path"], "initial": self.initial}
        write_json(self.folder / "settings.json", values | {"backend": self.backend, "versions": versions_in_use()})

    def store_filters(self, filters: NDArray[np.float32]) -> None:
        """Write ``initial_filters.npy``, and to ``initial_filters.json`` what made them."""
        with written_whole(self.folder / "initial_filters.npy") as beside, beside.open("wb") as file:
            np.save(file, filters)
        fields = ("initial_filters", "strided_filters", "pool_size", "length", "seed")
        made_with = {name: getattr(self.settings, name) for name in fields}
        made_with |= LEARNED_WITH.get(self.settings.initial_filters, {})
        write_json(self.folder / "initial_filters.json", {"checkpoint": self.initial} if self.initial else made_with)

    def begin(self, initial: Path | None) -> NDArray[np.float32] | None:
        """Give a new network the parameters that it starts from: measured ones, or those of a checkpoint.

        Returns
        -------
        float32 array (filters, length) or None
            What its strided convolution starts as, for samples in [-1, 1), if that is not noise.
        """
        filters = self._trainer.initial_filters() if initial is None else None
        self._trainer.measure_start(filters)
        if initial is None:
            return filters
        saved, other = checkpoint.load_network(initial)
        parameters = saved["parameters"]
        if saved["tags"] != self.dataset.tags:
            parameters |= {n: array for n, array in self.network.values().items() if n.startswith("output/")}
        try:
            self.network.set_values(parameters)
        except InputError as error:
            is_of = other.settings.name
            raise InputError(f"{initial}: {error}; it is of {is_of}, and {self.settings.name} is asked for") from error
        self.initial = f"{_noted(initial)}, update {saved['update']}"
        return parameters["strided/filters"] / parameters["start/loudness"] if "strided/filters" in parameters else None

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state that an earlier run of the same settings saved."""
        self.network.set_values(state["parameters"])
        set_all(self._trainer.memory, state["memory"], "memory")
        losses = state["losses"]
        self.progress = Progress(state["update"], math.nan, losses["sum"], losses["count"], state["history"])
        self.initial = state["initial"]


def _noted(path: Path) -> str:
    """Where a file is, as text that other files may hold."""
    text = str(path.resolve())
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: its name is not UTF-8, and a run must note it; rename it") from error
    return text


def start_run(folder: Path, settings: Settings, dataset: Dataset, backend: str, initial: Path | None = None) -> Run:
    """A new run, which can be resumed from its first moment.

    Parameters
    ----------
    folder : Path
    settings : Settings
    dataset : Dataset
    backend : {"jax", "numba"}
    initial : Path, optional
        Checkpoint to take the parameters from; if its tags are others, all but those of the output layer.

    Raises
    ------
    InputError
        If the folder holds a run already, the parameters of `initial` do not fit, or a path is not UTF-8.
    """
    if (folder / "settings.json").exists():
        raise InputError(f"{folder}: holds a run already; continue it with --resume {folder}, or choose another --run")
    run = Run(folder, settings, dataset, backend)
    filters = run.begin(initial)
    folder.mkdir(parents=True, exist_ok=True)
    if filters is not None:
        run.store_filters(filters)
    run.save_state()
    run.write_settings()
    return run


def check_resumable(folder: Path) -> None:
    """Raise InputError if a folder holds no run."""
    if not (folder / "state.pkl").exists():
        raise InputError(f"{folder}: no run to resume: there is no state.pkl in it")


def resume_run(folder: Path, data: Path | None = None, updates: int | None = None) -> Run:
    """The run in `folder`, as it was when its state was last saved.

    Parameters
    ----------
    folder : Path
    data : Path, optional
        The data set, if it has been moved.
    updates : int, optional
        Updates in all, to train for longer or shorter than first planned.

    Raises
    ------
    InputError
        If there is no run, its state is damaged or has more updates already, or the data set is another one.
    """
    check_resumable(folder)
    file = folder / "state.pkl"
    state = checkpoint.load(file, checkpoint.STATE)
    with naming(file):
        settings = Settings.from_dict(state["settings"])
    if updates is not None:
        settings = replace(settings, updates=updates)
    if state["update"] < 0 or state["losses"]["count"] < 0:
        raise InputError(f"{file}: a damaged state: it counts less than no update")
    if state["update"] > settings.updates:
        raise InputError(f"{folder}: has {state['update']} updates already; give --updates a larger number")
    dataset = Dataset(data or Path(state["data"]["path"]))
    if dataset.fingerprint() != state["data"]["fingerprint"]:
        raise InputError(f"{dataset.path}: clips or labels are not those that {folder} was trained on")
    with naming(file):
        run = Run(folder, settings, dataset, state["backend"])
        run.restore(state)
    run.write_settings()
    return run
