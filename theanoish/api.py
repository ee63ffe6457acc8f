"""Data sets from arrays, training and testing, as calls; docs/api.md shows each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset
from theanoish.data.hdf5 import SPLITS
from theanoish.data.mel import represented
from theanoish.data.storage import Arrays, description, first_row, write_tables
from theanoish.errors import InputError, MissingFileError
from theanoish.experiments import evaluation
from theanoish.files import locked, written_whole
from theanoish.interrupt import StopRequest
from theanoish.machine import DEFAULT_BACKEND
from theanoish.representation import RAW, REPRESENTATIONS, SAMPLE_RATE, WINDOW_SAMPLES, Representation
from theanoish.settings import Settings
from theanoish.tagging.memory import at_16_khz
from theanoish.training.progress import Progress
from theanoish.training.run import start_run

_DEFAULT = (RAW.name, "mel_256_256")


def write_dataset(
    path: str | Path,
    clips: Sequence[NDArray[Any]],
    labels: NDArray[Any],
    tags: Sequence[str],
    splits: Sequence[str],
    sample_rate: int = SAMPLE_RATE,
    artists: Sequence[str] | None = None,
    representations: Sequence[str] = _DEFAULT,
) -> Path:
    """Write the HDF5 data set of clips in memory.

    Parameters
    ----------
    path : path
    clips : sequence of int16 or float arrays (samples,) or (samples, channels)
        Of 3 s at least; floats in [-1, 1).
    labels : array (clips, tags)
        1 where a clip has a tag, else 0.
    tags : sequence of str
    splits : sequence of str (clips,)
        "train", "validation" or "test".
    sample_rate : int
        Of all clips.
    artists : sequence of str (clips,), optional
    representations : sequence of str

    Raises
    ------
    InputError
        If the arrays do not fit each other, or a clip is shorter than a window.
    """
    table, named = np.asarray(labels), [""] * len(clips) if artists is None else artists
    if not len(clips) == len(splits) == len(named) or table.shape != (len(clips), len(tags)):
        raise InputError(
            f"{path}: {len(clips)} clips, {len(splits)} splits, {len(named)} artists, {len(tags)} tags and labels of "
            f"shape {table.shape} do not fit; labels are (clips, tags)"
        )
    if not np.isin(table, (0, 1)).all() or not set(splits) <= set(SPLITS):
        raise InputError(f"{path}: labels must be 0 or 1, and splits {', '.join(SPLITS)}")
    wanted = [each for each in REPRESENTATIONS if each.name in representations]
    if unknown := set(representations) - {each.name for each in wanted}:
        raise InputError(f"{path}: there is no representation {', '.join(sorted(unknown))}")
    order = sorted(range(len(clips)), key=lambda clip: SPLITS.index(splits[clip]))
    sounds = [at_16_khz(clips[clip], sample_rate) for clip in order]
    if short := [clip for clip, sound in zip(order, sounds, strict=True) if len(sound) < WINDOW_SAMPLES]:
        raise InputError(f"{path}: clip {short[0]} is shorter than a window of {WINDOW_SAMPLES / SAMPLE_RATE:g} s")
    tables: dict[str, Any] = {
        "tags": list(tags),
        "labels": table[order].astype(np.uint8),
        "clips/id": np.array(order, np.int64),
        "clips/split": [splits[clip] for clip in order],
        "clips/artist": [named[clip] for clip in order],
    }
    tables |= {f"clips/{name}": [""] * len(order) for name in ("path", "album", "title")}
    with written_whole(Path(path)) as beside:
        _write(beside, sounds, wanted, tables)
    return Path(path)


def _write(path: Path, sounds: list[NDArray[np.int16]], wanted: list[Representation], tables: dict[str, Any]) -> None:
    """As a build does, but for where the clips come from."""
    samples = np.array([len(sound) for sound in sounds], np.int64)
    begins = np.cumsum(samples) - samples
    tables |= {"clips/samples": samples}
    for each in wanted:
        tables |= {f"{each.name}/start": first_row(begins, each), f"{each.name}/count": each.rows_of(samples)}
    attributes = description(wanted)
    attributes["/"]["tags_kept"] = "all"
    arrays = Arrays(path, wanted, 0, int(samples.sum()))
    for sound in sounds:
        arrays.append(len(sound), list(represented(sound, wanted)))
    write_tables(path, tables, attributes, begin=lambda: None)


def train(
    dataset: str | Path,
    settings: Settings,
    folder: str | Path,
    backend: str = DEFAULT_BACKEND,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train a network as `theanoish train` does.

    Ctrl-C stops it with its state on disk; `theanoish train --resume` goes on from there.

    Parameters
    ----------
    dataset : path
        The HDF5 file.
    settings : Settings
    folder : path
        The run folder, which may not hold a run.
    backend : {"jax", "numba"}
    report : callable, optional
        Called with the run's `Progress` after every block of updates and every validation.

    Returns
    -------
    Path
        The checkpoint with the best validation AUC.

    Raises
    ------
    InputError
        If the data set or folder cannot be used, or training diverges.
    """
    run_folder = Path(folder)
    if not Path(dataset).exists():
        raise MissingFileError(f"{dataset}: no such file; write it with write_dataset")
    run_folder.mkdir(parents=True, exist_ok=True)
    with locked(run_folder):
        run = start_run(run_folder, settings, Dataset(Path(dataset)), backend)
        with StopRequest() as stop:
            if not run.train(stop, report):
                raise KeyboardInterrupt
    return run_folder / "checkpoint.pkl"


def evaluate(
    checkpoint: str | Path, dataset: str | Path | None = None, split: str = "test", backend: str = DEFAULT_BACKEND
) -> dict[str, Any]:
    """All scores of a checkpoint or run folder, as `theanoish evaluate --json` writes them.

    Parameters
    ----------
    checkpoint : path
    dataset : path, optional
        By default the one that it was trained on.
    split : {"train", "validation", "test"}
    backend : {"jax", "numba"}

    Raises
    ------
    InputError
        If the checkpoint or the data cannot be used; where one is missing, a FileNotFoundError as well.
    """
    file = Path(checkpoint) / "checkpoint.pkl" if Path(checkpoint).is_dir() else Path(checkpoint)
    data = None if dataset is None else Path(dataset)
    for path in filter(None, (file, data)):
        if not path.exists():
            raise MissingFileError(f"{path}: no such file")
    return evaluation.evaluate(file, data, split, backend)[0]
