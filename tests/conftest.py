"""What all tests share: one thread, one cache of compiled networks, and a small data set in MagnaTagATune's form."""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis
import jax
import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits

threadpool_limits(1)  # as in a build's workers: a product by several threads has other last bits
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")

INFO_COLUMNS = [
    "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd", "original_url",
    "mp3_path",
]  # fmt: skip
TAGS = ["piano", "guitar", "slow", "never", "loud"]
FOLDERS = "f0c19"  # not sorted by split, as in the official file


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write a table as the official ones are: tab-separated, every value quoted, CRLF."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)


def write_tables(folder: Path, paths: Sequence[str], labels: Sequence[Sequence[int]], tags: Sequence[str]) -> None:
    """Write both tables for clips numbered from 1; each has the artist and title that its number names."""
    clips = range(1, len(paths) + 1)
    rows = [[i, *values, path] for i, values, path in zip(clips, labels, paths, strict=True)]
    write_csv(folder / "annotations_final.csv", [["clip_id", *tags, "mp3_path"], *rows])
    info = [[i, 1, f"Título {i}", f"artist {i}", "album", "", 0, 29, "", path] for i, path in enumerate(paths, 1)]
    write_csv(
        folder / "clip_info_final.csv", [INFO_COLUMNS, *info, [9999, 1, "unannotated", "", "", "", 0, 29, "", ""]]
    )


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have JAX compile a network once for all tests and the scripts that they start."""
    folder = str(tmp_path_factory.mktemp("jax"))
    os.environ["JAX_COMPILATION_CACHE_DIR"], os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = folder, "0"
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def write_source(folder: Path, clips: int, kinds: Sequence[str] = ()) -> list[str]:
    """Make a folder with `clips` clips of 3.5 s each, every one of other noise; their paths in it."""
    rng = np.random.default_rng(7)
    paths = [f"{FOLDERS[i % len(FOLDERS)]}/clip_{i + 1}.{kinds[i] if kinds else 'wav'}" for i in range(clips)]
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, rng.integers(-9000, 9000, 56_000).astype(np.int16), 16_000)
    write_tables(folder, paths, [[i % 2, 1, int(i % 3 == 0), 0, int(i % 3 == 0)] for i in range(clips)], TAGS)
    return paths


@pytest.fixture
def make_source(tmp_path: Path) -> Callable[..., Path]:
    """Make such a folder."""

    def make(clips: int = 10, name: str = "source") -> Path:
        write_source(tmp_path / name, clips)
        return tmp_path / name

    return make
