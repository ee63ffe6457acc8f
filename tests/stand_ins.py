"""Stand-ins for train.py and evaluate.py, which do at once what a test of sweeps wants to see."""

import json
import time
from pathlib import Path

import numpy as np

from theanoish.data.dataset import Dataset
from theanoish.experiments import workers
from theanoish.experiments.cells import Cell, Sweep
from theanoish.experiments.evaluation import Predictions, write_predictions
from theanoish.settings import Settings
from theanoish.training import checkpoint

_TRAIN = """
import os, re, signal, sys, time
from pathlib import Path
run = Path(sys.argv[sys.argv.index("--resume" if "--resume" in sys.argv else "--run") + 1])
seed = int(re.search(r"_seed(\\d+)_", run.name)[1])
"""
_EVALUATE = """
import shutil, sys
from pathlib import Path
run = Path(sys.argv[1]).parent
if Path(sys.argv[1]).name == "state.pkl":
    (run / "last.json").write_text('{"mean_auc": 0.25}')
    sys.exit(0)
for kind in ("json", "npz"):
    shutil.copy(run.parent / f"{run.name}.{kind}", run / f"test.{kind}")
"""
# of `stand_in_scripts`: runs until it is stopped, saves, and ends with this status; a second time it ends at once
UNTIL_STOPPED = """
signal.signal(signal.SIGTERM, lambda *_: ((run / "saved").touch(), sys.exit(%d)))
if not (run / "process").exists():
    (run / "writing").write_text(str(os.getpid()))
    (run / "writing").rename(run / "process")
    time.sleep(600)
"""


def stand_in_scripts(folder: Path, monkeypatch, train: str, evaluate: str = _EVALUATE) -> Path:
    """Make sweeps run other scripts: Python source that finds `run` and `seed` defined. Returns their folder."""
    scripts = folder / "scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "train.py").write_text(_TRAIN + train)
    (scripts / "evaluate.py").write_text(evaluate)
    monkeypatch.setattr(workers, "SCRIPTS", scripts)
    return scripts


def cells_of(folder: Path, seeds: int) -> list[Cell]:
    """Cells of one network."""
    return Sweep(folder / "data.h5", folder / "runs", "jax", {}, seeds).cells(Settings(frontend="mel"))


def cells_with_scores(folder: Path, seeds: int) -> list[Cell]:
    """The same, with the scores that the stand-in for evaluate.py gives them beside their run folders."""
    cells = cells_of(folder, seeds)
    (folder / "runs").mkdir()
    for cell in cells:
        write_scores(folder / "runs" / cell.folder.name, cell, 0.5)
    return cells


def write_scores(beginning: Path, cell: Cell, auc: float | None, dataset: Dataset | None = None) -> None:
    """What evaluate.py writes, as far as sweeps read it, to ``<beginning>.json`` and ``.npz``.

    The predictions have about that AUC, in two tags of which one is in turn, by artists with two clips each. With
    `dataset` they are of its test clips, and any.
    """
    clips = 30
    values = {"settings": cell.settings.as_dict(), "update": 7, "clips": clips, "clips_kept": "all", "mean_auc": auc}
    values |= {"artist_filtered_mean_auc": None, "mean_average_precision": 0.1, "silent": {"hidden": 0.25}}
    beginning.with_name(f"{beginning.name}.json").write_text(json.dumps(values))
    generator = np.random.default_rng(cell.settings.seed)
    labels = (np.arange(2 * clips).reshape(clips, 2) % 3 == 0).astype(np.uint8)
    right = generator.random((clips, 2)) < (auc or 0.5)
    probabilities = np.where(right, labels, 1 - labels).astype(np.float32)
    artists = [f"Artist {clip // 2}" for clip in range(clips)]
    predictions = Predictions(probabilities, labels, np.arange(clips), artists, artists, ["one", "two"])
    if dataset:
        rows = dataset.rows("test")
        labels, names = dataset.labels[rows], [""] * len(rows)
        predictions = Predictions(labels.astype(np.float32), labels, dataset.ids[rows], names, names, dataset.tags)
    write_predictions(beginning.with_name(f"{beginning.name}.npz"), predictions)


def save_checkpoint(path: Path, settings: Settings, tags: list[str], parameters, data: Path, artists=()) -> Path:
    """A checkpoint of a run on `data`, which may be missing."""
    values = {"settings": settings.as_dict(), "tags": tags, "parameters": parameters, "artists": sorted(artists)}
    values["data"] = {"path": str(data), "fingerprint": Dataset(data).fingerprint() if data.exists() else ""}
    values |= {"update": 1234, "validation_auc": 0.5, "history": [], "backend": "jax", "initial": "", "versions": {}}
    checkpoint.save(path, checkpoint.CHECKPOINT, values)
    return path


def wait_for(condition) -> None:
    """Return once the condition holds; ten minutes is for ever."""
    beginning = time.monotonic()
    while not condition():
        assert time.monotonic() < beginning + 600
        time.sleep(0.02)


def alive(process_id: int) -> bool:
    """Whether a process that is no child of this one runs."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
