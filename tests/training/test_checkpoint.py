"""Checkpoints: round trips, and files that are hostile, cut off or something else."""

import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theanoish.errors import InputError
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.training import checkpoint, plain_pickle
from theanoish.training.checkpoint import CHECKPOINT, STATE, VERSIONS, load_network

SETTINGS = Settings(frontend="mel", length=1024, stride=1024)


def make_values(kind=CHECKPOINT):
    parameters = Network(SETTINGS, 3).values()
    entry = {"update": 20, "loss": 0.5, "validation_auc": 0.75, "silent": {"hidden": 0.1}, "best": True, "time": 1.5e9}
    values = {
        "settings": SETTINGS.as_dict(),
        "tags": ["guitar", "köto", "drums"],
        "parameters": parameters,
        "update": 20,
        "history": [entry],
        "data": {"path": "/data/magnatagatune.h5", "fingerprint": "0123456789abcdef"},
        "initial": "",
        "backend": "jax",
        "versions": {"numpy": np.__version__},
    }
    if kind == CHECKPOINT:
        return values | {"validation_auc": 0.75, "artists": ["", "Ana", "Łukasz"]}
    return values | {"memory": parameters, "losses": {"sum": 1.5, "count": 3}}


def stored(version=VERSIONS[CHECKPOINT], kind=CHECKPOINT, **changes):
    """A file's fields as they are pickled."""
    return {"format": kind, "version": version, **make_values(kind), **changes}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.pkl"


@pytest.fixture
def content(path):
    """Of a checkpoint as it is saved, which lies at `path`."""
    checkpoint.save(path, CHECKPOINT, make_values())
    return path.read_bytes()


def assert_same(loaded, saved):
    assert loaded.keys() == saved.keys()
    for name, value in saved.items():
        if name not in ("parameters", "memory"):
            assert loaded[name] == value
            continue
        assert list(loaded[name]) == list(value)
        for array, expected in zip(loaded[name].values(), value.values(), strict=True):
            np.testing.assert_array_equal(array, expected, strict=True)


ODD = {
    "odd": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "strided": np.arange(20, dtype=np.float32)[::3],
    "empty": np.zeros((0, 4), np.float32),
    "special": np.float32([np.inf, -0.0, np.nan, 1e-45]),
}


@pytest.mark.parametrize("kind", [CHECKPOINT, STATE])
def test_round_trip(path, kind):
    values = make_values(kind) | {"parameters": ODD}
    checkpoint.save(path, kind, values)
    assert_same(checkpoint.load(path, kind), values)


def test_readable_with_numpy_alone(content):
    """By plain pickle, which imports no more than every NumPy has; the arrays can then be written to."""
    named = set()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            named.add(f"{module}.{name}")
            return super().find_class(module, name)

    loaded = Unpickler(io.BytesIO(content)).load()
    assert named == {"numpy.ndarray", "builtins.bytearray"}
    assert (loaded.pop("format"), loaded.pop("version")) == (CHECKPOINT, 4)
    assert_same(loaded, make_values())
    assert all(array.flags.writeable for array in loaded["parameters"].values())


@pytest.mark.parametrize(("kind", "version"), [(CHECKPOINT, 3), (STATE, 4), (STATE, 3)])
def test_earlier_versions_are_read(path, kind, version):
    """They hold arrays as NumPy itself pickles them."""
    values = stored(version, kind, parameters=ODD)
    if (kind, version) == (STATE, 3):
        values["velocities"] = values.pop("memory")
    with path.open("wb") as file:
        pickler = pickle.Pickler(file, 4)
        pickler.fast = True
        pickler.dump(values)
    assert b"numpy._core.multiarray" in path.read_bytes()
    assert_same(checkpoint.load(path, kind), make_values(kind) | {"parameters": ODD})


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("where", ["whole file", "parameter", "objects in an array"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_hostile_files_run_nothing(path, where, protocol):
    proof = path.with_name("proof")
    call = Calls(os.system, f"touch {proof}")
    arrays = {"a": call if where == "parameter" else np.array([call], object)}
    path.write_bytes(pickle.dumps(call if where == "whole file" else stored(parameters=arrays), protocol))
    with pytest.raises(InputError, match=r"c\.pkl"):
        checkpoint.load(path, CHECKPOINT)
    assert not proof.exists()


FIELD = b"\x8c\x08settings"
# of a file that this program wrote, up to its first field; a stranger may go on as they like
BEGINNING = plain_pickle.dump({"format": CHECKPOINT, "version": VERSIONS[CHECKPOINT], "settings": {}}).split(FIELD)[0]
OBJECT_DTYPE = b"cnumpy\ndtype\n(VO8\nI00\nI01\ntR"
RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR"
NDARRAY, TRILLION = b"\x8c\x05numpy\x8c\x07ndarray\x93", b"\x8a\x06\0\0\0\0\0\x01"
HOSTILE = {
    "call by name": b"cposix\nsystem\n(Vtrue\ntR",
    "call from the stack": b"\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R",
    "persistent identifier": b"Pabc\n",
    "array of addresses": RECONSTRUCT + b"(I1\n(I1\nt" + OBJECT_DTYPE + b"I00\nC\x08AAAAAAAAtb",
    "array of four terabytes": NDARRAY + TRILLION + b"\x85\x8c\x03<f4C\x04AAAA\x87R",
    "array of objects": NDARRAY + b"K\x01\x85\x8c\x02|OC\x08AAAAAAAA\x87R",
    "terabyte of zeros": b"\x8c\x08builtins\x8c\x09bytearray\x93" + TRILLION + b"\x85R",
    "memo of 4 GiB": b"]r\0\0\0\x10",
    "doubling tuples as a key": b"}K\x01" + b"\x94h\0\x86" * 60 + b"Ns",
    "deep tuples as a key": b"})" + b"\x85" * (3 * 10**5) + b"Ns",
    "deep lists": b"]" * 10**5 + b"a" * 10**5,
    "marks": b"(" * 10**6,
    "a list that is no list": b"K\x01K\x02a",
    "more than there is": b"a" * 10,
    "long that is longer than the file": b"\x8b\xff\xff\xff\x7f",
    "digits": b"L" + b"9" * 10**5 + b"L\n",
    "not a number": b"}\x8c\x01aG\x7f\xf8\0\0\0\0\0\0s",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_opcodes(path, name):
    for content in (HOSTILE[name] + b".", BEGINNING + FIELD + HOSTILE[name] + b"u."):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"c\.pkl") as error:
            checkpoint.load(path, CHECKPOINT)
        assert len(str(error.value)) < 400 + len(str(path))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | st.binary(),
        lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    )
)
def test_plain_values_are_read_as_pickle_reads_them(values):
    content = plain_pickle.dump(values)
    assert repr(plain_pickle.load(content)) == repr(pickle.loads(content)) == repr(values)


def test_files_cut_off_anywhere(path, content):
    for length in range(0, len(content), 1000):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"c\.pkl"):
            checkpoint.load(path, CHECKPOINT)


def test_bytes_changed_anywhere_load_or_are_refused(path, content):
    generator, refused = np.random.default_rng(0), 0
    for position in [*range(100), *generator.integers(0, len(content), 100)]:
        changed = bytearray(content)
        changed[position] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        try:
            load_network(path)
        except InputError:
            refused += 1
    assert refused > 50


def test_what_is_no_checkpoint(path):
    os.mkfifo(path.with_name("pipe"))
    for place, reason in ((path, "no such file"), (path.parent, "not a file"), (path.with_name("pipe"), "not a f")):
        with pytest.raises(InputError, match=f"{place}: {reason}"):
            checkpoint.load(place, CHECKPOINT)
    for content in (b"", b"text", pickle.dumps({"format": "other"}), plain_pickle.dump(stored(kind=STATE))):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"c\.pkl: not a theanoish checkpoint"):
            checkpoint.load(path, CHECKPOINT)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps({"format": CHECKPOINT, "version": 2, "parameters": {}}, 4), "train again"),  # with references
        (plain_pickle.dump({"format": CHECKPOINT, "version": 2, "parameters": {}}), "of version 2, .* train again"),
        (plain_pickle.dump({"format": CHECKPOINT, "version": VERSIONS[CHECKPOINT] + 1, "a": 1}), "by a later one"),
    ],
)
def test_other_versions_are_refused(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        checkpoint.load(path, CHECKPOINT)


ENTRY = make_values()["history"][0]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("update", "20", "update"),
        ("tags", [1, 2, 3], "tags"),
        ("tags", ["\ud800", "", ""], "surrogates"),
        ("parameters", {"a": 1}, "parameters"),
        ("parameters", {"a": np.zeros(3)}, "a call"),
        ("parameters", [], "parameters"),
        ("history", [{"update": 1}], "best"),
        ("history", [3], "damaged"),
        ("history", [ENTRY | {"update": 2**70}], "update"),
        ("history", [ENTRY | {"loss": 1e300}], "loss"),
        ("history", [ENTRY | {"silent": {"hidden": float("nan")}}], "hidden"),
        ("settings", {"length": [[]]}, "length"),
        ("artists", ["Ana", 3], "artists"),
        ("data", {}, "fingerprint"),
        ("surplus", 1, "surplus"),
    ],
)
def test_damaged_fields_are_named(path, field, value, named):
    path.write_bytes(plain_pickle.dump(stored(**{field: value})))
    with pytest.raises(InputError, match=named):
        checkpoint.load(path, CHECKPOINT)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"settings": {}}, "settings"),
        ({"settings": SETTINGS.as_dict() | {"length": 256, "stride": 256}}, "hidden/weights"),
        ({"tags": ["one"]}, "of 1 tags"),
        ({"tags": ["tag"] * 10**5}, "100000 tags"),  # found before there is a network of that many
        ({"parameters": {"a": np.zeros(3, np.float32)}}, "of 3 tags"),
    ],
)
def test_checkpoints_that_contradict_themselves(path, changes, named):
    checkpoint.save(path, CHECKPOINT, make_values() | changes)
    with pytest.raises(InputError, match=rf"c\.pkl: .*{named}"):
        load_network(path)


def test_what_could_not_be_read_again_is_not_written(path, content):
    lacking = {name: value for name, value in make_values().items() if name != "artists"}
    for values in (lacking, make_values() | {"validation_auc": float("nan")}, make_values() | {"more": 1}):
        with pytest.raises(ValueError, match="the file"):
            checkpoint.save(path, CHECKPOINT, values)
        assert path.read_bytes() == content
