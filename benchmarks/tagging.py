#!/usr/bin/env python3
"""Where the time goes when songs are tagged, and how many are done per second.

Songs are made here: MP3s of 44.1 kHz in stereo. The parts are timed by the processor time of all their threads, so that
other programs of the machine disturb little; all together by the clock, with a worker per core.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from threadpoolctl import threadpool_limits

from theanoish.data.audio import decode
from theanoish.machine import usable_cores
from theanoish.tagging.songs import read_song


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--frontends", nargs="+", choices=("mel", "raw"), default=["mel", "raw"])
    return parser.parse_args()


def make_songs(folder: Path, count: int, minutes: float) -> list[Path]:
    """One song under many names: what differs between songs is no matter of speed."""
    generator = np.random.default_rng(1)
    time_axis = np.arange(int(minutes * 60 * 44_100)) / 44_100
    chord = sum(np.sin(2 * np.pi * time_axis * frequency) for frequency in (110, 275, 330, 880)) / 10
    stereo = np.stack([chord, chord]).T + generator.standard_normal((len(time_axis), 2)) * 0.03
    soundfile.write(folder / "0.mp3", stereo.astype(np.float32), 44_100)
    for number in range(1, count):
        (folder / f"{number}.mp3").hardlink_to(folder / "0.mp3")
    return [folder / f"{number}.mp3" for number in range(count)]


def median_seconds(work: Callable[[], Any], clock: Callable[[], float], repeats: int = 5) -> float:
    """Of `repeats` calls, after one that warms up."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = clock()
        work()
        seconds.append(clock() - begun)
    return float(np.median(seconds))


def measure(paths: list[Path], frontend: str) -> None:
    """Print the parts of the time per song and all of it."""
    from theanoish.model.network import Network
    from theanoish.settings import Settings
    from theanoish.tagging.tagger import Tagger, tag_songs

    tags = [str(number) for number in range(50)]
    tagger = Tagger(Network(Settings(frontend=frontend), len(tags)), tags)
    song = read_song(paths[0], tagger.representation)
    with threadpool_limits(1):
        decoding = median_seconds(lambda: decode(paths[0]), time.process_time)
        reading = median_seconds(lambda: read_song(paths[0], tagger.representation), time.process_time)
    network = median_seconds(lambda: tagger.listen(song), time.process_time)
    print(f"{frontend} 256/256, a song, one core")
    print(f"  decoding to 16 kHz      {decoding * 1000:7.1f} ms")
    print(f"  spectrogram             {(reading - decoding) * 1000:7.1f} ms")
    print(f"  windows and network     {network * 1000:7.1f} ms, {1 / network:.0f} songs per second")
    workers = len(usable_cores())
    begun, peaks = time.perf_counter(), []
    for _ in tag_songs(tagger, paths, workers=workers):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    seconds = time.perf_counter() - begun
    print(f"  {len(paths)} songs with {workers} workers: {seconds:.1f} s, {len(paths) / seconds:.2f} songs per second")
    print(f"  most memory after {len(peaks) // 2} and {len(peaks)} : {peaks[len(peaks) // 2]:.0f}, {peaks[-1]:.0f} MB")


def main() -> None:
    args = parse()
    with tempfile.TemporaryDirectory() as folder:
        paths = make_songs(Path(folder), args.songs, args.minutes)
        for frontend in args.frontends:
            measure(paths, frontend)


if __name__ == "__main__":
    main()
