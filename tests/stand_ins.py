"""Stand-ins for train.py and evaluate.py, which do at once what a test of sweeps wants to see."""

import json
import time
from pathlib import Path

from theanoish.experiments import workers
from theanoish.experiments.cells import Job, Sweep
from theanoish.settings import Settings

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
shutil.copy(run.parent / f"{run.name}.json", run / "test.json")
"""


def stand_in_scripts(folder: Path, monkeypatch, train: str, evaluate: str = _EVALUATE) -> Path:
    """Make sweeps run other scripts: Python source that finds `run` and `seed` defined. Returns their folder."""
    scripts = folder / "scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "train.py").write_text(_TRAIN + train)
    (scripts / "evaluate.py").write_text(evaluate)
    monkeypatch.setattr(workers, "SCRIPTS", scripts)
    return scripts


def jobs_of(folder: Path, seeds: int) -> list[Job]:
    """Cells of one network."""
    return Sweep(folder / "data.h5", folder / "runs", "jax", {}, seeds).jobs(Settings(frontend="mel"))


def jobs_with_scores(folder: Path, seeds: int) -> list[Job]:
    """The same, with the scores that the stand-in for evaluate.py gives them beside their run folders."""
    jobs = jobs_of(folder, seeds)
    (folder / "runs").mkdir()
    for job in jobs:
        write_scores(folder / "runs" / f"{job.folder.name}.json", job, 0.5)
    return jobs


def write_scores(file: Path, job: Job, auc: float | None) -> None:
    """What evaluate.py writes, as far as sweeps read it."""
    values = {"settings": job.settings.as_dict(), "update": 7, "clips": 5, "clips_kept": "all", "mean_auc": auc}
    values |= {"artist_filtered_mean_auc": None, "mean_average_precision": 0.1}
    file.write_text(json.dumps(values))


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
