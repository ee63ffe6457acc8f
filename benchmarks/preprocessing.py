#!/usr/bin/env python3
"""Clips a second from audio file to log-mel spectrogram, ours and librosa's in turns on the same files and cores."""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from importlib.metadata import version
from itertools import repeat
from pathlib import Path

import librosa
import numpy as np
import soundfile
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from theanoish.data.audio import decode
from theanoish.data.mel import fft_length, represented
from theanoish.errors import InputError
from theanoish.representation import COMPRESSION, MEL_CHANNELS, REPRESENTATIONS, SAMPLE_RATE, Representation

Shapes = Sequence[Representation]
TASKS: dict[str, Shapes] = {"mel 256/256": (Representation(256, 256),), "all five of Table 1": REPRESENTATIONS[1:]}
CONTENDERS = {
    "theanoish": ("ours", 1),
    "librosa, one thread a process": ("librosa", 1),
    "librosa, its default threads": ("librosa", None),
}


def ours(path: Path, shapes: Shapes) -> int:
    return sum(len(values) for _, values in represented(decode(path), shapes))


def with_librosa(path: Path, shapes: Shapes) -> int:
    """Loads once for all spectrograms, as ours does."""
    samples, _ = librosa.load(path, sr=SAMPLE_RATE)
    frames = 0
    for shape in shapes:
        mel = librosa.feature.melspectrogram(
            y=samples,
            sr=SAMPLE_RATE,
            n_fft=fft_length(shape.length),
            win_length=shape.length,
            hop_length=shape.stride,
            center=False,
            n_mels=MEL_CHANNELS,
            fmax=SAMPLE_RATE / 2,
        )
        frames += np.log1p(COMPRESSION * mel).shape[1]
    return frames


PIPELINES: dict[str, Callable[[Path, Shapes], int]] = {"ours": ours, "librosa": with_librosa}


def limit_threads(threads: int | None) -> None:
    if threads is not None:
        threadpool_limits(threads)


def clips_a_second(pool: ProcessPoolExecutor, pipeline: str, files: list[Path], shapes: Shapes) -> float:
    begun = time.perf_counter()
    frames = sum(pool.map(PIPELINES[pipeline], files, repeat(shapes)))
    seconds = time.perf_counter() - begun
    if frames == 0:
        raise InputError(f"{files[0].parent}: the clips are shorter than a window")
    return len(files) / seconds


def measure(files: list[Path], workers: int, repeats: int) -> dict[tuple[str, str], list[float]]:
    speeds: dict[tuple[str, str], list[float]] = {(task, name): [] for task in TASKS for name in CONTENDERS}
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(ProcessPoolExecutor(workers, context, limit_threads, (threads,)))
            for name, (_, threads) in CONTENDERS.items()
        }
        for name, pool in pools.items():  # imports, tables, and the files into the system's cache
            clips_a_second(pool, CONTENDERS[name][0], files[: 4 * workers], REPRESENTATIONS[1:])
        for _ in tqdm(range(repeats), unit=" repeats"):
            for task, shapes in TASKS.items():
                for name, pool in pools.items():
                    speeds[task, name].append(clips_a_second(pool, CONTENDERS[name][0], files, shapes))
    return speeds


def print_table(speeds: dict[tuple[str, str], list[float]]) -> None:
    print("| representation | pipeline | clips/s, median (least to most) | theanoish is faster by |")
    print("| --- | --- | --- | --- |")
    for (task, name), values in speeds.items():
        ratios = [a / b for a, b in zip(speeds[task, "theanoish"], values, strict=True)]
        ratio = "" if name == "theanoish" else f"{statistics.median(ratios):.2f}"
        print(
            f"| {task} | {name} | {statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f}) | {ratio} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=Path("data/demo"), help="folder of clips (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=100, help="clips, spread over the folder (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (default: %(default)s, the cores)"
    )
    args = parser.parse_args()
    files = sorted(args.source.rglob("*.mp3"))
    if not files:
        parser.exit(2, f"{parser.prog}: error: {args.source}: holds no MP3 file; --source names another folder\n")
    files = files[:: max(1, len(files) // args.clips)][: args.clips]
    try:
        speeds = measure(files, args.workers, args.repeats)
    except InputError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(f"{len(files)} clips, {args.workers} processes, librosa {version('librosa')}, "
          f"libsndfile {soundfile.__libsndfile_version__}\n")  # fmt: skip
    print_table(speeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
