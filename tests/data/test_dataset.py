"""Windows against h5py's own slices, and files that are not data sets."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from small_data import SPLITS, TAGS, clip_of, small_settings, write_small_data
from theanoish.data.dataset import Dataset, Windows
from theanoish.errors import InputError
from theanoish.representation import REPRESENTATIONS, WINDOW_SAMPLES
from theanoish.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
RAW = Settings(frontend="raw")
MEL = small_settings()
FRONTENDS = [RAW, MEL, small_settings(length=512, stride=256)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("data") / "small.h5")


@pytest.fixture
def damaged(tmp_path):
    """Write a data set, change something in it, and return its path."""

    def write(change=lambda file: None, representations=(), **attributes):
        path = write_small_data(tmp_path / "d.h5", representations=representations, **attributes)
        with h5py.File(path, "a") as file:
            change(file)
        return path

    return write


def put(name, values):
    return lambda file: (file.__delitem__(name), file.__setitem__(name, values))


def remove(name):
    return lambda file: file.__delitem__(name)


def test_tables(path):
    dataset = Dataset(path)
    assert dataset.tags == TAGS and dataset.splits.tolist() == SPLITS
    assert dataset.ids.tolist() == list(range(100, 124))
    assert dataset.artists[4:6] == ["artist 0", "artist 1"]
    assert dataset.labels.shape == (24, 4)
    assert dataset.rows("validation").tolist() == [12, 13, 14, 15, 16, 17]


@pytest.mark.parametrize("settings", FRONTENDS, ids=lambda s: s.name)
def test_windows_are_slices_of_their_clips(path, settings):
    rows = np.array([3, 20, 7, 12])
    windows = Dataset(path).windows(settings, rows)
    clips = [clip_of(path, settings.representation.name, row) for row in rows]
    frames = WINDOW_SAMPLES if settings.frontend == "raw" else settings.frames
    assert windows.counts.tolist() == [len(clip) for clip in clips]
    np.testing.assert_array_equal(windows.choices, windows.counts - frames + 1)
    chosen = np.array([2, 0, 3, 1, 1, 0])
    offsets = np.array([0, 5, 11, 3, 4, 5]) * 10 % windows.choices[chosen]
    offsets[-1] = windows.choices[0] - 1  # the last window of a clip
    into = np.zeros((6, *windows.shape), windows.dtype)
    windows.read(chosen, offsets, into)
    for window, clip, offset in zip(into, chosen, offsets, strict=True):
        np.testing.assert_array_equal(window, clips[clip][offset : offset + frames])


@pytest.mark.parametrize("representation", REPRESENTATIONS, ids=lambda r: r.name)
def test_as_many_windows_in_spectrograms_as_in_samples(tmp_path, representation):
    """At every length about a multiple of a window; nine in a clip of MagnaTagATune. All of each are in their clip."""
    lengths = np.array([465_984, 48_000, *(k * 48_000 + d for k in (2, 3, 7) for d in (-1, 0, 1, 255, 256, 1023))])
    path, counts = tmp_path / "d.h5", representation.rows_of(lengths)
    with h5py.File(path, "w") as file:
        file.attrs["sample_rate"] = 16_000
        file["clips/samples"] = lengths
        group = file.create_group(representation.name)
        shape = (counts.sum(), *representation.row_shape)
        group.create_dataset("values", shape, representation.dtype)[-1:] = 0
        group["start"], group["count"] = np.cumsum(counts) - counts, counts
    windows = Windows(path, representation, False, np.arange(len(lengths)))
    assert windows.consecutive.tolist() == (lengths // 48_000).tolist() and windows.consecutive[0] == 9
    begins = windows.consecutive_offsets(np.arange(9)) * representation.stride
    assert (begins <= np.arange(9) * 48_000).all() and (begins > np.arange(9) * 48_000 - representation.stride).all()
    last = windows.consecutive_offsets(windows.consecutive - 1)
    assert (last + windows.shape[0] <= counts).all()


def test_training_windows_of_both_kinds(path):
    windows = np.arange(3)
    assert Dataset(path).windows(RAW, windows).training_offsets(windows).tolist() == [0, 1, 2]
    consecutive = Dataset(path).windows(Settings(windows="consecutive"), windows)
    np.testing.assert_array_equal(consecutive.choices, consecutive.consecutive)
    assert consecutive.training_offsets(windows).tolist() == [0, 48_000, 96_000]


@pytest.mark.parametrize("settings", FRONTENDS[:2], ids=lambda s: s.name)
def test_whole_clips_are_padded_with_zeros(path, settings):
    rows = np.arange(5, 9)
    clips = Dataset(path).windows(settings, rows).read_whole_clips()
    for clip, row in zip(clips, rows, strict=True):
        expected = clip_of(path, settings.representation.name, row)
        np.testing.assert_array_equal(clip[: len(expected)], expected)
        assert not clip[len(expected) :].any()


def test_fingerprint_is_that_of_every_earlier_version_and_tells_data_sets_apart(path, damaged):
    """Runs note it: with another one, none could be resumed. A clip in another split is another data set."""
    same = damaged(representations=["raw"])
    assert Dataset(same).fingerprint() == Dataset(path).fingerprint() == "ae90ef5659efc4a0"
    labels = Dataset(path).labels
    labels[0, 0] ^= 1
    for name, values in (
        ("labels", labels),
        ("clips/id", np.arange(24)),
        ("tags", ["other", *TAGS[1:]]),
        ("clips/split", ["validation", *SPLITS[1:]]),
    ):
        assert Dataset(damaged(put(name, values))).fingerprint() != "ae90ef5659efc4a0", name


def test_missing_representation_or_split_is_named(path, damaged):
    with pytest.raises(
        InputError, match=r"no 'mel_256_256', only mel_1024_1024, mel_512_256, raw; build it again with .*build"
    ):
        Dataset(path).windows(Settings(frontend="mel"), np.arange(3))
    with pytest.raises(InputError, match="no clip in split 'elsewhere'"):
        Dataset(path).rows("elsewhere")
    with pytest.raises(InputError, match=r"no data set with 'mel_300_300'; there are raw, mel_1024_1024"):
        Dataset(path).windows(Settings(frontend="mel", length=300, stride=300), np.arange(3))
    built = damaged(representations=["raw"], built_with="--songs Music --labels l.csv")
    with pytest.raises(InputError, match=r"--overwrite --songs Music --labels l\.csv --representations raw mel_512_51"):
        Dataset(built).windows(Settings(frontend="mel", length=512, stride=512), np.arange(24))


def test_a_file_that_hdf5_never_finishes_reading(damaged):
    """A text's length so large that the place after it is the same place again."""
    path = damaged()
    data = bytearray(path.read_bytes())
    first_text = data.index(b"GCOL") + 16
    data[first_text + 8 : first_text + 16] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(data)
    program = (
        "import sys; from pathlib import Path\n"
        "import theanoish.data.hdf5 as hdf5; from theanoish.data.dataset import Dataset\n"
        "hdf5.READING_SECONDS = 1; Dataset(Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL and "d.h5: is damaged: HDF5 never comes to an end" in ended.stderr


def test_a_file_on_a_disk_without_locks_is_read(path, monkeypatch):
    opened = h5py.File

    def without_locks(name, mode, locking=None):
        if locking is None:
            raise OSError(errno.ENOLCK, "Unable to synchronously open file (unable to lock file, errno = 37)")
        return opened(name, mode, locking=locking)

    monkeypatch.setattr("theanoish.data.hdf5.h5py.File", without_locks)
    assert Dataset(path).tags == TAGS


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.attrs.__setitem__("format", "something else"),
        lambda file: file.attrs.__delitem__("sample_rate"),
        remove("tags"),
        put("tags", ["one"]),
        put("labels", np.zeros((24, 4))),
        put("labels", np.full((24, 4), 2, np.uint8)),
        put("labels", np.zeros((23, 4), np.uint8)),
        put("clips/artist", ["one"]),
        put("clips/split", ["elsewhere"] * 24),
        remove("clips/id"),
        put("clips/id", np.arange(24, dtype=np.uint8)),
        lambda file: (file.__delitem__("tags"), file.create_group("tags")),
    ],
)
def test_damaged_tables(damaged, change):
    with pytest.raises(InputError, match=r"d\.h5"):
        Dataset(damaged(change))


def compact(file):
    """Small arrays may be among HDF5's own, without a place in the file."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    file["clips/samples"][:], file["raw/start"][:], file["raw/count"][:] = 48_000, 0, 48_000
    del file["raw/values"]
    space = h5py.h5s.create_simple((30_000,))
    h5py.h5d.create(file["raw"].id, b"values", h5py.h5t.py_create(np.dtype(np.int16)), space, properties)


def shorter_than_a_window(file):
    file["clips/samples"][3] = file["raw/count"][3] = 47_999


def chunked(file):
    values = file["raw/values"][:]
    del file["raw/values"]
    file["raw"].create_dataset("values", data=values, chunks=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.attrs.__setitem__("sample_rate", 22_050), "build"),
        (put("raw/values", np.zeros(1_000_000, np.float32)), "build"),
        (put("raw/values", np.zeros(100_000, np.int16)), "build"),
        (put("raw/start", np.zeros(3, np.int64)), "build"),
        (put("raw/start", np.full(24, -1)), "build"),
        (put("raw/count", np.full(24, 47_999)), "build"),
        (shorter_than_a_window, "shorter than a window"),
        (remove("raw/count"), "build"),
        (put("raw", np.zeros(5, np.int16)), "build"),
        (chunked, "contiguous"),
        (compact, "contiguous"),
    ],
)
def test_damaged_representation(damaged, change, words):
    with pytest.raises(InputError, match=rf"d\.h5.*{words}"):
        Dataset(damaged(change, ["raw"])).windows(RAW, np.arange(24))


def test_a_file_of_the_first_version_is_to_be_built_again(damaged):
    with pytest.raises(InputError, match=r"d\.h5: .*version 1, not 2; build it again with .*build"):
        Dataset(damaged(format_version=1))


def virtual_labels(secret):
    layout = h5py.VirtualLayout((24, 4), np.uint8)
    layout[:] = h5py.VirtualSource(secret, "labels", (24, 4))
    return layout


@pytest.mark.parametrize(
    ("name", "trick"),
    [
        ("labels", lambda file, secret: file.create_dataset("labels", (24, 4), np.uint8, external=[(secret, 0, 96)])),
        ("labels", lambda file, secret: file.create_virtual_dataset("labels", virtual_labels(secret))),
        ("tags", lambda file, secret: file.__setitem__("tags", h5py.ExternalLink(secret, "/tags"))),
        ("clips", lambda file, secret: file.__setitem__("clips", h5py.ExternalLink(secret, "/clips"))),
        ("clips/artist", lambda file, _: file.__setitem__("clips/artist", h5py.SoftLink("/clips/title"))),
        ("labels", lambda file, _: file.create_dataset("labels", (10**9, 4), np.uint8)),
        ("tags", lambda file, _: file.create_dataset("tags", (10**9,), h5py.string_dtype())),
    ],
)
def test_files_of_strangers_are_refused(damaged, path, name, trick):
    """None leads to another file's contents, which would do, or claims what is not in it."""
    with pytest.raises(InputError, match=r"d\.h5: is no data set"):
        Dataset(damaged(lambda file: (file.__delitem__(name), trick(file, str(path)))))


def test_many_texts_that_are_one_in_the_file_do_not_fill_the_memory(damaged):
    path = damaged()
    with h5py.File(path, "a") as file:
        del file["tags"]
        texts = file.create_dataset("tags", (5000,), h5py.string_dtype())
        texts[0] = "x" * 100_000
        place = texts.id.get_offset()
    content = bytearray(path.read_bytes())
    content[place : place + 16 * 5000] = content[place : place + 16] * 5000  # references to the same text
    path.write_bytes(content)
    with pytest.raises(InputError, match="more text than the file"):
        Dataset(path)


def test_a_data_set_replaced_while_it_is_in_use_is_refused(damaged, tmp_path):
    path = damaged(representations=["raw"])
    dataset = Dataset(path)
    os.replace(write_small_data(tmp_path / "other.h5", representations=["raw"]), path)
    with pytest.raises(InputError, match=r"d\.h5: was replaced"):
        dataset.windows(RAW, np.arange(3))
    dataset = Dataset(path)
    os.utime(path)  # written to in place
    with pytest.raises(InputError, match=r"d\.h5: was replaced"):
        dataset.windows(RAW, np.arange(3))


def test_a_file_open_for_writing_elsewhere_is_not_called_broken(damaged):
    path = damaged()
    program = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        with pytest.raises(InputError, match=r"d\.h5: is open for writing in another process"):
            Dataset(path)
        other.communicate("\n")
    assert Dataset(path).tags == TAGS


def test_files_that_are_not_hdf5_or_not_there(tmp_path):
    with pytest.raises(InputError, match=r"d\.h5: no such file; build it with .*build"):
        Dataset(tmp_path / "d.h5")
    for content in (b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(500)):
        (tmp_path / "d.h5").write_bytes(content)
        with pytest.raises(InputError, match=r"d\.h5: is no data set"):
            Dataset(tmp_path / "d.h5")


def test_file_cut_off_before_and_while_reading(damaged):
    path = damaged(representations=["raw"])
    windows = Dataset(path).windows(RAW, np.arange(24))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"d\.h5"):
        Dataset(path)
    into = np.zeros((1, *windows.shape), np.int16)
    with pytest.raises(InputError, match="cut off"):
        windows.read(np.array([23]), np.array([0]), into)
