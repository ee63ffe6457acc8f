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
from theanoish.data.build import BuildSettings, build
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

NETWORK = Settings(frontend="mel", length=1024, stride=1024)
CHANGES = {"updates": 30, "validation_interval": 10}  # of the cell that is damaged
CELL = "mel_1024_1024_seed1_30updates"
AUDIO = ["wav", "flac", "mp3", "ogg"]
TABLES = ["annotations_final.csv", "clip_info_final.csv", "labels.csv"]
RESULTS = ["settings.json", "test.json", "test.npz", "log.jsonl", "tables.json"]
KINDS = [*AUDIO, *TABLES, "hdf5", "checkpoint", "state", "zip", *RESULTS]
FIELDS = [
    b"", b"0", b"1", b"-1", b'"', b'"a\tb"', b"x" * 150_000, b"a\0b", b"9" * 5000, b"../../x", b"/etc/passwd", b"0/x",
    b"0/" + b"x" * 300, b"\xff\xfe", "½".encode(), "٣".encode(), b"clip_id", b"mp3_path", b"\x1b]0;x\x07", b"\n", b"\r",
    b";", b"train", b"file", b"tags",
]  # fmt: skip
VALUES = [None, -1, 0, 1, 2**31, 2**63, 10**400, -(2**70), float("nan"), float("inf"), 5e-324, 1e308, True, 0.5]
VALUES += ["", "x", "a\0b", "\x1b[2J", "../x", "x" * 300, "raw", "numba", "l2", [], {}, [1, 2], {"a": 1}]


def damaged(data: bytes, rng: random.Random, header: int = 200) -> bytes:
    """Bits flipped, bytes cut off, left out, repeated, put in or overwritten, every other time in the header."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(max(1, min(len(data), header if rng.random() < 0.5 else len(data))))
        other, length, width = rng.randrange(len(data) + 1), rng.choice((1, 4, 100, 5000)), rng.choice((1, 2, 4, 8))
        number = rng.choice((2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 1))
        new, replaced = rng.choice(
            [
                (bytes(byte ^ 1 << rng.randrange(8) for byte in data[place : place + 1]), 1),
                (b"", len(data)),
                (data[other : other + length], 0),
                (bytes(length), length),
                (number.to_bytes(width, rng.choice(("little", "big"))), width),
                (rng.randbytes(length), 0),
                (b"", length),
                (rng.choice((b"\0", b"\xff", b"\n", b"\t", b'"', b"(" * 50_000, b"[" * 50_000)), 1),
            ]
        )
        data = data[:place] + new + data[place + replaced :]
    return data


def altered(values, rng: random.Random):
    """Plain nested values of which one, at any depth, is replaced or removed."""
    place, inside = values, values
    while isinstance(inside, dict | list) and inside and (inside is values or rng.random() < 0.7):
        place = inside
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        inside = place[key]
    if rng.random() < 0.15:
        del place[key]
    else:
        place[rng.choice(("extra", "")) if isinstance(place, dict) and rng.random() < 0.1 else key] = rng.choice(VALUES)
    return values


def altered_table(data: bytes, separator: bytes, rng: random.Random) -> bytes:
    rows = [line.split(separator) for line in data.splitlines()]
    for _ in range(rng.choice((1, 2, 3))):
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = rng.choice(FIELDS)
        del row[len(row) - (len(row) > 1 and rng.random() < 0.1) :]
        rows += [rng.choice(rows)] * (rng.random() < 0.1)
    return b"\r\n".join(separator.join(row) for row in rows) + b"\r\n"


def alter_hdf5(path: Path, rng: random.Random) -> None:
    """Replace or remove an attribute, a group or a data set; other types, shapes and values, links to elsewhere."""
    with (
        h5py.File(path, "r+") as file,
        suppress(TypeError, ValueError, OSError, KeyError, RuntimeError, AttributeError),
    ):
        if rng.random() < 0.15:
            odd = [5, 1.5, "x", b"\xff", h5py.Empty("f4"), np.arange(3), np.uint64(2**63)]
            file.attrs[rng.choice(sorted(file.attrs))] = rng.choice(odd)
            return
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        old = file[name][()] if isinstance(file[name], h5py.Dataset) else np.zeros(24)
        number = old if old.dtype.kind in "iuf" else np.zeros(len(old))
        del file[name]
        kind = rng.choice(("<f8", "i1", "u8", ">i8", "bool", "c8", "S4", "V5", "i4,f8", "i8", "u1", "f4"))
        odd = rng.choice((np.nan, np.inf, -1, 2**63 - 1, -(2**63), 2, 10**9))
        how = [
            {}, {"shape": (10**9, *old.shape[1:]), "chunks": True, "compression": "gzip"},
            {"shape": old.shape, "external": [("/dev/zero", 0, h5py.h5f.UNLIMITED)]},
        ]  # fmt: skip
        new = [
            h5py.SoftLink("/nowhere"), h5py.SoftLink(f"/{name}"), h5py.SoftLink("/labels"),
            h5py.ExternalLink("/etc/passwd", "/x"), h5py.ExternalLink("other.h5", f"/{name}"), np.dtype("i4"),
            1, h5py.Empty("f4"), old[:0], old[None], old[:-1], old[::-1], np.concatenate([old, old]),
            np.zeros(old.shape, kind), np.full_like(number, np.array(odd).astype(number.dtype)),
            np.array(["x\0y"] * len(old), "S3"), *how,
        ]  # fmt: skip
        chosen = new[rng.randrange(len(new))]
        if not isinstance(chosen, dict):
            file[name] = chosen
        elif chosen:
            file.create_dataset(name, dtype=number.dtype, **chosen)


def alter_npz(path: Path, rng: random.Random) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    name = rng.choice(list(arrays))
    old = arrays[name]
    odd = [
        old[:0], old[:1], old[None], old.astype("S3"), np.zeros(old.shape, object), np.zeros(old.shape, "f8"),
        np.array(1), np.full(old.shape, np.nan, "f4"), np.full(old.shape, 200, old.dtype),
        np.zeros((old.shape[0], 0), old.dtype),
    ]  # fmt: skip
    arrays[name] = rng.choice(odd)
    np.savez(path, **arrays)


def mutate(kind: str, number: int, seed: int, corpus: Path, folder: Path) -> Path:
    """Make a mutated input in `folder`; the file that a script would be given."""
    rng = random.Random(f"{seed} {number}")
    if kind in AUDIO or kind in TABLES:
        shutil.copytree(corpus / "source", folder / "source")
        file = rng.choice(sorted((folder / "source").rglob(f"*{kind}")))
    elif kind in ("hdf5", "zip"):
        file = Path(shutil.copy(corpus / {"hdf5": "small.h5", "zip": "mp3.zip"}[kind], folder))
        shutil.copy(file, folder / "other.h5")
    else:
        shutil.copytree(corpus / "runs", folder / "runs")
        name = f"{kind}.pkl" if kind in ("checkpoint", "state") else kind
        file = folder / "runs" / ("" if kind == "tables.json" else CELL) / name
    data = file.read_bytes()
    if kind in AUDIO or rng.random() < 0.4:
        file.write_bytes(damaged(data, rng, {"hdf5": 8000, "state": 1000, "checkpoint": 1000}.get(kind, 100)))
    elif kind in TABLES:
        file.write_bytes(altered_table(data, b"," if kind == "labels.csv" else b"\t", rng))
    elif kind == "zip":
        directory = data.index(b"PK\x01\x02") - 50
        file.write_bytes(data[:directory] + damaged(data[directory:], rng))
    elif kind == "hdf5":
        alter_hdf5(file, rng)
    elif kind == "test.npz":
        alter_npz(file, rng)
    elif kind in ("checkpoint", "state"):
        file.write_bytes(plain_pickle.dump(altered(plain_pickle.load(data), rng)))
    elif kind == "log.jsonl":
        lines = altered([json.loads(line) for line in data.splitlines()], rng)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        file.write_text(json.dumps(altered(json.loads(data), rng)))
    return file


def kept_predictor(network, backend, known={}):  # noqa: B006
    """A Predictor, compiled once for all networks that differ in their parameters alone: that takes seconds."""
    form = network.settings.name, len(network.values()["output/bias"])
    if form not in known:
        known[form] = network, Predictor(network, backend)
    known[form][0].set_values(network.values())
    return known[form][1]


def answer(number: int, seed: int, corpus: Path) -> str:
    """What becomes of a mutation: accepted, refused, or a defect."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "inside"
        folder.mkdir()
        kind = KINDS[number % len(KINDS)]
        try:
            use(kind, mutate(kind, number, seed, corpus, folder), corpus)
            text = "accepted"
        except InputError as error:
            text = "refused" if str(error) else "defect: refused without a word"
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            text = f"defect: {type(error).__name__}: {str(error)[:150]!r} at {place}"
        return text if os.listdir(name) == ["inside"] else "defect: wrote outside its folder"


def use(kind: str, file: Path, corpus: Path) -> None:
    """Do all that the project does with such an input; what it gives must be finite."""
    data, checkpoint = corpus / "small.h5", corpus / "runs" / CELL / "checkpoint.pkl"
    found = None
    if kind == "hdf5":
        found, _ = evaluate(checkpoint, file, "test", "jax")
    elif kind == "checkpoint":
        found, _ = evaluate(file, data, "test", "jax")
    elif kind == "state":
        resume_run(file.parent, data).save_state()
    elif kind == "zip":
        join_and_unpack(file.parent)
    elif kind in RESULTS:
        sweep = Sweep(data, file.parent if kind == "tables.json" else file.parents[1], "jax", CHANGES, 1)
        check(sweep.plan(["1"], [NETWORK.name]), sweep.plan(["1"], []), Dataset(data))
        found = collect(sweep, ["1"], None)
        markdown(found)
        latex(found)
        if kind == "tables.json":
            comparison(found, read_rows(file), "other")
    else:
        build_with(kind, file)
    json.dumps(found, allow_nan=False)


def build_with(kind: str, file: Path) -> None:
    """Build a data set of which a clip or a table is damaged, and read it."""
    folder = next(place for place in file.parents if place.name == "source")
    if kind in AUDIO:
        with suppress(AudioError):
            assert expected_length(file) > 0
        samples, _ = read_audio(file)
        assert samples.dtype == np.int16 and samples.ndim == 1
    labels, representations = file if kind == "labels.csv" else None, (RAW, Representation(1024, 1024))
    build(BuildSettings(folder, folder / "made.h5", representations, allow_missing=True, labels=labels), StopRequest())
    dataset = Dataset(folder / "made.h5")
    for split in set(dataset.splits):
        assert np.isfinite(dataset.windows(NETWORK, dataset.rows(split)).read_whole_clips()).all()


def main() -> None:
    seed, corpus = int(sys.argv[1]), Path(sys.argv[2])
    builds.in_parallel = lambda function, tasks, workers, size: map(function, tasks)  # processes are for the scripts
    evaluation.Predictor = kept_predictor
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        for line in sys.stdin:
            print(json.dumps(answer(int(line), seed, corpus)), file=answers, flush=True)


if __name__ == "__main__":
    main()
