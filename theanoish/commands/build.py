"""Make the HDF5 data set that train.py and evaluate.py read: of MagnaTagATune, or of your own songs."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from theanoish.command import positive, user_path
from theanoish.data.build import BuildSettings, BuildStopped, Summary, build, check_output
from theanoish.data.download import download
from theanoish.data.hdf5 import SPLITS
from theanoish.data.unpack import join_and_unpack
from theanoish.errors import InputError
from theanoish.interrupt import StopRequest
from theanoish.machine import usable_cores
from theanoish.representation import REPRESENTATIONS, USUAL_SAMPLES

DEFAULT_SOURCE = Path("data/magnatagatune")
DEMO_SOURCE = Path("data/demo")
LISTED = 10
BAR_SECONDS = 0.1 if sys.stderr and sys.stderr.isatty() else 30  # between two states of a bar, which a log keeps all


def parse(arguments: list[str] | None) -> argparse.Namespace:
    names = [representation.name for representation in REPRESENTATIONS]
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "--source",
        type=user_path,
        help=f"folder of the data set (default: {DEFAULT_SOURCE}, or {DEMO_SOURCE} with --demo)",
    )
    add("--output", type=user_path, help="HDF5 file (default: the source folder's name with .h5, beside it)")
    add(
        "--representations",
        nargs="+",
        choices=("all", *names),
        default=["raw", "mel_256_256"],
        metavar="NAME",
        help=f"any of {', '.join(names)}, or all (default: raw mel_256_256)",
    )
    add("--clips", choices=("all", "tagged"), default="all", help="all, or those with a tag of the 50 (default: all)")
    add("--allow-missing", action="store_true", help="accept that audio files are missing")
    add("--overwrite", action="store_true", help="replace the output where it exists")
    add("--workers", type=positive, default=len(usable_cores()), help="processes (default: %(default)s, the cores)")
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--download", action="store_true", help="fetch the official files into the source folder first")
    origin.add_argument(
        "--songs", type=user_path, metavar="FOLDER", help="build from a folder of songs of your own, with --labels"
    )
    origin.add_argument("--demo", action="store_true", help="compose a small data set in the source folder first")
    add(
        "--labels",
        type=user_path,
        metavar="CSV",
        help="with --songs: table with columns file and tags (separated by ;) or one per tag (1, 0 or nothing), "
        "perhaps artist, title, album and split",
    )
    add("--seed", type=int, default=1, help="with --songs: of the split drawn (default: %(default)s)")
    args = parser.parse_args(arguments)
    if (args.songs is None) != (args.labels is None):
        parser.error("--songs and --labels go together")
    if args.songs and args.source:
        parser.error("--songs names a folder itself, without --source")
    if args.seed < 0:
        parser.error(f"argument --seed: must be 0 or more, not {args.seed}")
    return args


def build_settings(args: argparse.Namespace) -> BuildSettings:
    source = args.songs or args.source or (DEMO_SOURCE if args.demo else DEFAULT_SOURCE)
    if not args.output and not source.resolve().name:
        raise InputError(f"{source}: has no name that the data set could have; name it with --output")
    return BuildSettings(
        source=source,
        output=args.output or source.resolve().with_name(f"{source.resolve().name}.h5"),
        representations=tuple(r for r in REPRESENTATIONS if {"all", r.name} & set(args.representations)),
        clips=args.clips,
        allow_missing=args.allow_missing,
        overwrite=args.overwrite,
        workers=args.workers,
        labels=args.labels,
        seed=args.seed,
        demo=args.demo,
    )


@contextmanager
def shown(stop: StopRequest, stage: str, unit: str = "B") -> Iterator[Callable[[int, int], None]]:
    """A bar of what is done, as a callback that also stops the work where that was asked for."""
    with tqdm(desc=stage, unit=unit, unit_scale=unit == "B", mininterval=BAR_SECONDS) as bar:

        def progress(done: int, total: int) -> None:
            if stop.requested:
                raise BuildStopped
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def fill(source: Path, args: argparse.Namespace, stop: StopRequest) -> None:
    """Bring what --demo or --download ask for, and unpack the official parts."""
    if args.demo:
        from theanoish.demo.make import make_demo  # slow to import

        with shown(stop, "composing", " clips") as progress:
            make_demo(source, progress=progress, workers=args.workers)
    if args.download:
        with shown(stop, "downloading") as progress:
            download(source, progress=progress)
    if not args.songs and any((source / name).exists() for name in ("mp3.zip.001", "mp3.zip")):
        with shown(stop, "unpacking") as progress:
            join_and_unpack(source, progress=progress)
    if not source.is_dir():
        if args.songs:
            raise InputError(f"{source}: no such folder; --songs names the one that holds your songs")
        raise InputError(
            f"{source}: no such folder; put MagnaTagATune there, name its place with --source, fetch it with "
            "--download, or try --demo"
        )


def build_with_bar(settings: BuildSettings, stop: StopRequest) -> Summary:
    stage_shown = ""
    with tqdm(unit=" clips", mininterval=BAR_SECONDS) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            nonlocal stage_shown
            if stage != stage_shown:
                stage_shown = stage
                bar.reset(total)
                bar.n = bar.initial = bar.last_print_n = done - 1  # an earlier run's clips say nothing of the speed
                bar.set_description(stage)
            bar.update(done - bar.n)

        return build(settings, stop, progress)


def print_summary(settings: BuildSettings, summary: Summary, seconds: float) -> None:
    for clip in summary.left_out:
        if clip.kind not in ("missing", "untagged"):
            print(f"left out ({clip.kind}): clip {clip.id}, {clip.path}: {clip.reason}")
    for number, path, remark in summary.remarks:
        print(f"odd file: clip {number}, {path}: {remark}")
    odd_lengths = [] if settings.labels else summary.odd_lengths
    for number, path, samples in odd_lengths[:LISTED]:
        print(f"length: clip {number}, {path}: {samples} samples, not {USUAL_SAMPLES}")
    if odd_lengths:
        print(f"length: {len(odd_lengths)} clips are not {USUAL_SAMPLES} samples long; kept at their own length")
    for note in summary.notes:
        print(note)
    splits = ", ".join(f"{summary.clips.get(split, 0)} {split}" for split in SPLITS)
    print(f"clips: {sum(summary.clips.values())} ({splits}), {summary.tags} tags")
    kinds = Counter(clip.kind for clip in summary.left_out)
    print(f"left out: {', '.join(f'{count} {kind}' for kind, count in kinds.items()) or 'none'}")
    resumed = f" ({summary.resumed} clips by an earlier run)" if summary.resumed else ""
    print(f"read: {summary.read} clips in {seconds:.1f} s, {summary.read / seconds:.1f} clips/s{resumed}")
    size = settings.output.stat().st_size / 1e9
    print(f"written: {settings.output}, {size:.2f} GB: {', '.join(r.name for r in settings.representations)}")


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    settings = build_settings(args)
    try:
        check_output(settings)  # as build() does, but before --demo or --download take their time
        with StopRequest() as stop:
            fill(settings.source, args, stop)
            begun = time.perf_counter()
            summary = build_with_bar(settings, stop)
            seconds = time.perf_counter() - begun
    except (BuildStopped, KeyboardInterrupt):
        print("stopped; the same command continues where it stopped", file=sys.stderr)
        return 130
    print_summary(settings, summary, seconds)
    return 0
