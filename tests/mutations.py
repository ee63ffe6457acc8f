"""Damaged inputs for `attack.py`: how each kind is mutated, and all that the library does with it.

Every mutation is known by its number and a seed. A process of this module tries those whose numbers it reads.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from theanoish.data import build as builds
from theanoish.data.audio import AudioError, expected_length, read_audio
from theanoish.data.build import BuildSettings, BuildStopped, build
from theanoish.data.dataset import Dataset
from theanoish.data.unpack import join_and_unpack
from theanoish.errors import InputError
from theanoish.experiments import evaluation
from theanoish.experiments.cells import Sweep, check
from theanoish.experiments.evaluation import evaluate
from theanoish.experiments.results import collect
from theanoish.experiments.tables import comparison, latex, markdown, read_rows
from theanoish.interrupt import StopRequest
from theanoish.representation import RAW, Representation
from theanoish.settings import Settings
from theanoish.training import plain_pickle
from theanoish.training.prediction import Predictor
from theanoish.training.run import resume_run

MEL = Representation(1024, 1024)
NETWORK = Settings(frontend="mel", length=1024, stride=1024)
CHANGES = {"updates": 30, "validation_interval": 10}  # of the cell that is damaged
CELL = "mel_1024_1024_seed1_30updates"
TABLES = ["annotations_final.csv", "clip_info_final.csv", "labels.csv"]
RESULTS = ["settings.json", "test.json", "test.npz", "log.jsonl", "tables.json"]
KINDS = ["wav", "flac", "mp3", "ogg", *TABLES, "hdf5", "checkpoint", "state", "journal", "zip", *RESULTS]
FIELDS = [
    b"", b"0", b"1", b"-1", b'"', b'"a\tb"', b"x" * 150_000, b"a\0b", b"9" * 5000, b"../../x", b"/etc/passwd", b"0/x",
    b"0/" + b"x" * 300, b"\xff\xfe", "½".encode(), "٣".encode(), b"clip_id", b"mp3_path", b"\x1b]0;x\x07", b"\n", b"\r",
    b";", b"train", b"file", b"tags",
]  # fmt: skip
VALUES = [None, -1, 0, 1, 2**31, 2**63, 10**400, -(2**70), float("nan"), float("inf"), 5e-324, 1e308, True, 0.5]
VALUES += ["", "x", "a\0b", "\x1b[2J", "../x", "x" * 300, "raw", "numba", "l2", [], {}, [1, 2], {"a": 1}]


def damaged(data: bytes, rng: random.Random, header: int = 200) -> bytes:
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        size = max(1, len(data))
        place = rng.randrange(min(size, header)) if rng.random() < 0.5 else rng.randrange(size)
        length = rng.choice((1, 4, 100, 5000))
        width = rng.choice((1, 2, 4, 8))
        match rng.randrange(9):
            case 0 if data:
                data[min(place, len(data) - 1)] ^= 1 << rng.randrange(8)
            case 1:
                for _ in range(rng.randrange(1, 30) if data else 0):
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            case 2:
                del data[place:]
            case 3:
                other = rng.randrange(size)
                data[place:place] = data[other : other + length]
            case 4:
                data[place : place + length] = bytes(length)
            case 5:
                number = rng.choice((2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 1))
                data[place : place + width] = number.to_bytes(width, rng.choice(("little", "big")))
            case 6:
                data[place:place] = rng.randbytes(length)
            case 7:
                del data[place : place + length]
            case _:
                data[place : place + 1] = rng.choice((b"\0", b"\xff", b"\n", b"\t", b'"', b"(" * 50_000, b"[" * 50_000))
    return bytes(data)


def altered(values, rng: random.Random):
    """Plain nested values with some replaced, removed or added."""
    places = []

    def collect(value):
        if isinstance(value, dict | list) and value:
            places.append(value)
            for inside in value.values() if isinstance(value, dict) else value:
                collect(inside)

    collect(values)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.choice(places)
        if not place:
            continue
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        match rng.randrange(8):
            case 0:
                del place[key]
            case 1 if isinstance(place, dict):
                place[rng.choice(("extra", "", "a" * 99))] = rng.choice(VALUES)
            case _:
                place[key] = rng.choice(VALUES)
    return values


def altered_table(data: bytes, separator: bytes, rng: random.Random) -> bytes:
    rows = [line.split(separator) for line in data.splitlines()]
    for _ in range(rng.choice((1, 2, 3))):
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = rng.choice(FIELDS)
        if rng.random() < 0.1 and len(row) > 1:
            row.pop()
        if rng.random() < 0.1:
            rows.append(rng.choice(rows))
    return b"\r\n".join(separator.join(row) for row in rows) + b"\r\n"


def alter_hdf5(path: Path, rng: random.Random) -> None:
    with h5py.File(path, "r+") as file:
        for _ in range(rng.choice((1, 1, 2))):
            names: list[str] = []
            file.visit(names.append)
            name = rng.choice(names)
            with suppress(TypeError, ValueError, OSError, KeyError, RuntimeError, AttributeError, OverflowError):
                old = file[name][()] if isinstance(file[name], h5py.Dataset) else np.zeros(24)
                number = old if old.dtype.kind in "iuf" else np.zeros(len(old))
                if rng.random() < 0.15:
                    attribute = rng.choice(sorted(file.attrs))
                    file.attrs[attribute] = rng.choice(
                        [5, 1.5, "x", b"\xff", h5py.Empty("f4"), np.arange(3), np.uint64(2**63)]
                    )
                    continue
                del file[name]
                kind = rng.choice(("<f8", "i1", "u8", ">i8", "bool", "c8", "S4", "V5", "i4,f8", "i8", "u1", "f4"))
                odd = rng.choice((np.nan, np.inf, -1, 2**63 - 1, -(2**63), 2, 10**9))
                new = [
                    None, h5py.SoftLink("/nowhere"), h5py.SoftLink(f"/{name}"), h5py.SoftLink("/labels"),
                    h5py.ExternalLink("/etc/passwd", "/x"), h5py.ExternalLink("other.h5", f"/{name}"), np.dtype("i4"),
                    1, h5py.Empty("f4"), old[:0], old[None], old[:-1], old[::-1], np.concatenate([old, old]),
                    np.zeros(old.shape, kind), np.full_like(number, np.array(odd).astype(number.dtype)),
                    np.array(["x\0y"] * len(old), "S3"),
                ]  # fmt: skip
                chosen = rng.randrange(len(new) + 2)
                if chosen < len(new) and new[chosen] is not None:
                    file[name] = new[chosen]
                elif chosen == len(new):
                    file.create_dataset(name, (10**9, *old.shape[1:]), number.dtype, chunks=True, compression="gzip")
                elif chosen == len(new) + 1:
                    external = [("/dev/zero", 0, h5py.h5f.UNLIMITED)]
                    file.create_dataset(name, old.shape, number.dtype, external=external)


def mutate(kind: str, number: int, seed: int, corpus: Path, folder: Path) -> Path:
    """Make a mutated input in `folder`; the file or folder that a script would be given."""
    rng = random.Random(f"{seed} {number}")
    by_bytes = rng.random() < 0.4
    if kind in ("wav", "flac", "mp3", "ogg"):
        shutil.copytree(corpus / "source", folder / "source")
        file = rng.choice(sorted((folder / "source").rglob(f"*.{kind}")))
        file.write_bytes(damaged(file.read_bytes(), rng, 64))
        return file
    if kind.endswith(".csv") or kind == "journal":
        shutil.copytree(corpus / "source", folder / "source")
        file = folder / "source" / kind
        if kind != "journal":
            data = file.read_bytes()
            separator = b"," if kind == "labels.csv" else b"\t"
            file.write_bytes(damaged(data, rng) if by_bytes else altered_table(data, separator, rng))
        return file
    if kind == "hdf5":
        file = shutil.copy(corpus / "small.h5", folder / "small.h5")
        shutil.copy(file, folder / "other.h5")
        if by_bytes:
            file.write_bytes(damaged(file.read_bytes(), rng, 8000))
        else:
            alter_hdf5(file, rng)
        return file
    if kind == "zip":
        file = shutil.copy(corpus / "mp3.zip", folder / "mp3.zip")
        data = file.read_bytes()
        directory = data.index(b"PK\x01\x02") - 50
        file.write_bytes(data[:directory] + damaged(data[directory:], rng) if by_bytes else damaged(data, rng))
        return file
    shutil.copytree(corpus / "runs", folder / "runs")
    file = folder / "runs" / "tables.json" if kind == "tables.json" else folder / "runs" / CELL / kind
    if kind in ("checkpoint", "state"):
        file = file.with_suffix(".pkl")
    if kind == "test.npz" and not by_bytes:
        with np.load(file) as stored:
            arrays = dict(stored)
        name = rng.choice(list(arrays))
        old = arrays[name]
        odd = [
            old[:0], old[:1], old[None], old.astype("S3"), np.zeros(old.shape, object), np.zeros(old.shape, "f8"),
            np.array(1), np.full(old.shape, np.nan, "f4"), np.full(old.shape, 200, old.dtype),
            np.zeros((old.shape[0], 0), old.dtype),
        ]  # fmt: skip
        arrays[name] = rng.choice(odd)
        np.savez(file, **arrays)
    elif by_bytes or kind == "test.npz":
        file.write_bytes(damaged(file.read_bytes(), rng, 1000))
    elif kind in ("checkpoint", "state"):
        file.write_bytes(plain_pickle.dump(altered(plain_pickle.load(file.read_bytes()), rng)))
    elif kind == "log.jsonl":
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps(line) + "\n" for line in altered(lines, rng)))
    else:
        file.write_text(json.dumps(altered(json.loads(file.read_text()), rng)))
    return file


def kept(network, known={}):  # noqa: B006
    """The first network of this form and what predicts with it, which takes seconds to compile."""
    form = network.settings.name, len(network.values()["output/bias"])
    if form not in known:
        known[form] = network, Predictor(network, "jax")
    return known[form]


class KeptPredictor:
    """As Predictor, but compiled once for all networks that differ in their parameters alone."""

    def __init__(self, network, backend):
        self.values = network.values()
        self.network, self.predictor = kept(network)

    def predict_clips(self, windows, report=None):
        self.network.set_values(self.values)
        return self.predictor.predict_clips(windows)


def answer(number: int, seed: int, corpus: Path) -> str:
    """What becomes of a mutation: accepted, refused, or a defect."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "inside"
        folder.mkdir()
        kind = KINDS[number % len(KINDS)]
        try:
            file = mutate(kind, number, seed, corpus, folder)
            use(kind, file, random.Random(number), corpus)
            text = "accepted"
        except InputError as error:
            text = "refused" if str(error) else "defect: refused without a word"
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)
            last = [frame for frame in frames if "theanoish" in frame.filename or "mutations" in frame.filename][-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            text = f"defect: {type(error).__name__}: {str(error)[:150]!r} at {place}"
        return text if os.listdir(name) == ["inside"] else "defect: wrote outside its folder"


def use(kind: str, file: Path, rng: random.Random, corpus: Path) -> None:
    """Do all that the project does with such an input; what it gives must be finite."""
    folder = file.parent
    good_data = corpus / "small.h5"
    if kind == "hdf5":
        Dataset(file).fingerprint()
        check_finite(evaluate(corpus / "runs" / CELL / "checkpoint.pkl", file, "test", "jax")[0])
    elif kind == "checkpoint":
        check_finite(evaluate(file, good_data, "test", "jax")[0])
    elif kind == "state":
        resume_run(folder, good_data).save_state()
    elif kind == "zip":
        join_and_unpack(folder)
    elif kind in RESULTS:
        sweep = Sweep(good_data, folder if kind == "tables.json" else folder.parent, "jax", CHANGES, 1)
        check(sweep.cells(NETWORK), Dataset(good_data))
        results = collect(sweep, ["1"], None)
        markdown(results)
        latex(results)
        check_finite(results)
        if kind == "tables.json":
            comparison(results, read_rows(file), "other")
    else:
        build_with(kind, file, rng, corpus)


def check_finite(values) -> None:
    json.dumps(values, allow_nan=False)


def build_with(kind: str, file: Path, rng: random.Random, corpus: Path) -> None:
    """Build a data set of which a clip, a table or the journal is damaged, and read it."""
    folder = next(place for place in file.parents if place.name == "source")
    settings = BuildSettings(
        folder,
        folder / "made.h5",
        (RAW, MEL),
        allow_missing=kind != "journal",
        labels=file if kind == "labels.csv" else None,
    )
    if kind in ("wav", "flac", "mp3", "ogg"):
        with suppress(AudioError):
            assert expected_length(file) > 0
        samples, _ = read_audio(file)
        assert samples.dtype == np.int16 and samples.ndim == 1
    if kind == "journal":
        stop, last = StopRequest(), rng.randrange(1, 10)

        def stop_there(stage, done, total):
            stop.requested = stage == "reading clips" and done == last

        with suppress(BuildStopped):
            build(settings, stop, stop_there)
        journal = folder / "made.h5.results"
        whole = journal.read_bytes()
        journal.write_bytes(whole[: rng.randrange(len(whole) + 1)])  # as a death leaves it; other damage goes unnoticed
    build(settings, StopRequest())
    dataset = Dataset(settings.output)
    for split in set(dataset.splits):
        assert np.isfinite(dataset.windows(NETWORK, dataset.rows(split)).read_whole_clips()).all()
    if kind == "journal":
        assert contents(settings.output) == contents(corpus / "made.h5"), "is not the undisturbed build"


def contents(path: Path) -> dict[str, bytes]:
    """All of a data set that its build decides, wherever in the file it is."""
    with h5py.File(path) as file:
        tables = ["tags", "labels", *(f"clips/{name}" for name in file["clips"])]
        found = {name: repr(file[name][()].tolist()).encode() for name in tables}
        for name in ("raw", "mel_1024_1024"):
            places = zip(file[f"{name}/start"][()], file[f"{name}/count"][()], strict=True)
            found[name] = b"".join(file[f"{name}/values"][start : start + count].tobytes() for start, count in places)
    return found


def main() -> None:
    seed, corpus = int(sys.argv[1]), Path(sys.argv[2])
    builds.in_parallel = lambda function, tasks, workers: map(function, tasks)  # processes are for the scripts
    evaluation.Predictor = KeptPredictor
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        for line in sys.stdin:
            print(json.dumps(answer(int(line), seed, corpus)), file=answers, flush=True)


if __name__ == "__main__":
    main()
