import json
from dataclasses import replace

import pytest

from small_data import write_small_data
from stand_ins import write_scores
from theanoish.commands import evaluate, train
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.cells import Cell, Sweep, check
from theanoish.experiments.cost import cost
from theanoish.experiments.paper import TABLES
from theanoish.settings import Settings

SETTINGS = Settings(frontend="mel", length=1024, stride=1024, updates=2000, validation_interval=250)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("data") / "small.h5", representations=[(1024, 1024)])


@pytest.fixture
def cell(tmp_path):
    """One that has been tested."""
    made = Cell(SETTINGS, tmp_path / "d.h5", tmp_path, "jax")
    made.folder.mkdir()
    write_scores(made.folder / "test", made, 0.5)
    return made


@pytest.mark.parametrize(
    "settings",
    [
        *(row.settings for rows in TABLES.values() for row in rows),
        replace(SETTINGS, momentum=0.9, learning_rate=None, seed=4),
        replace(SETTINGS, average=0.0),
        Settings(pooling="l2", pool_size=2, initial_filters="mel", strided_rate=0.01),
        replace(SETTINGS, momentum=0.9, learning_rate=0.3, minibatch=7, windows="consecutive", dropout=0.25),
    ],
)
def test_the_commands_train_and_test_what_the_cell_is(tmp_path, settings):
    cell = Cell(settings, tmp_path / "d.h5", tmp_path, "numba")
    (script, *arguments), (_, *last_arguments), (tester, *test_arguments) = cell.commands()
    assert (script, tester) == ("train.py", "evaluate.py")
    assert " ".join(arguments).startswith(f"--frontend {settings.frontend} --length {settings.length} --stride ")
    args = train.parse(arguments)
    given = {name: value for name, value in vars(args).items() if value is not None}
    assert Settings(**{name: given[name] for name in given.keys() & SETTINGS.as_dict()}) == settings
    assert (args.data, args.run, args.backend) == (cell.data, cell.folder, "numba")
    assert getattr(args, "continue")  # a line that was printed may be run again after a preemption
    args = evaluate.parse(test_arguments)
    assert (args.data, args.checkpoint, args.backend) == (cell.data, cell.folder / "checkpoint.pkl", "numba")
    assert (args.json, args.predictions) == (cell.folder / "test.json", cell.folder / "test.npz")
    args = evaluate.parse(last_arguments)
    assert (args.data, args.checkpoint, args.json) == (cell.data, cell.folder / "state.pkl", cell.folder / "last.json")


def test_plan_trains_cells_that_tables_share_once_and_expensive_ones_first(tmp_path):
    sweep = Sweep(tmp_path / "d.h5", tmp_path, "jax", {"updates": 7}, seeds=2)
    cells = sweep.plan(["1", "2", "3", "dropout"], [])
    assert len(cells) == len({cell.folder for cell in cells}) == 2 * 18
    assert cells[-1].folder == tmp_path / "mel_1024_1024_seed2_7updates"
    costs = [cost(cell.settings).operations for cell in cells if cell.settings.seed == 1]
    assert costs == sorted(costs, reverse=True)
    assert [cell.settings.seed for cell in cells] == [1] * 18 + [2] * 18
    changed = Sweep(tmp_path / "d.h5", tmp_path, "jax", {"momentum": 0.9}, seeds=1)
    assert changed.settings(Settings(frontend="mel")) == Settings(frontend="mel", momentum=0.9)  # and its usual rate
    assert [cell.settings.name for cell in changed.plan(["1", "2"], ["mel_256_256"])] == ["mel_256_256"]
    with pytest.raises(InputError, match=r"raw_3_3; these tables have .*raw_256_256"):
        changed.plan(["1"], ["raw_3_3"])


def test_check_names_all_missing_representations_and_the_command(data, tmp_path):
    cells = Sweep(data, tmp_path, "jax", {}, seeds=1).plan(["1", "2"], [])
    with pytest.raises(InputError, match=r"mel_1024_512, .*mel_512_512, raw; .* --overwrite --representations all"):
        check(cells, [], Dataset(data))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda stored, _: stored["settings"].update(minibatch=7), "minibatch 7, not 10"),
        (lambda stored, _: stored.update(data="other.h5"), "trained with data other.h5, not small.h5"),
        (lambda stored, _: stored.pop("settings"), "damaged"),
        (
            lambda _, dataset: dataset.labels.__ixor__(1),
            r"was tested on other clips, labels or tags than .*small\.h5 has now",
        ),
    ],
)
def test_check_refuses_run_folders_of_other_runs(data, tmp_path, change, words):
    """And scores of a data set that was built again under the same name, with whose networks none can be compared."""
    cell, dataset = Cell(SETTINGS, data, tmp_path, "jax"), Dataset(data)
    cell.folder.mkdir()
    stored = {"settings": SETTINGS.as_dict(), "data": str(data)}
    write_scores(cell.folder / "test", cell, 0.5, dataset=dataset)
    (cell.folder / "settings.json").write_text(json.dumps(stored))
    check([cell], [], dataset)
    change(stored, dataset)
    (cell.folder / "settings.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match=words):
        check([cell], [], dataset)
    if "tested" in words:  # the tables have it, too, if it is not trained now
        with pytest.raises(InputError, match=words):
            check([], [cell], dataset)


def test_check_wants_clips_in_every_split(data, tmp_path):
    dataset = Dataset(data)
    dataset.splits[dataset.splits == "validation"] = "train"
    with pytest.raises(InputError, match="no clip in split 'validation'"):
        check([], [], dataset)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda text: text.replace(b'"mean_auc": 0.5', b'"mean_auc": NaN'),
        lambda text: text.replace(b'"clips"', b'"clops"'),
        lambda text: text.replace(b'{"hidden": 0.25}', b'{"hidden": NaN}'),
        lambda text: text.replace(b'"frontend": "mel"', b'"frontend": "raw"'),
        lambda text: b"[1, 2]",
    ],
)
def test_damaged_scores_are_none(cell, damage):
    assert cell.finished
    assert cell.scores["auc"] == 0.5
    file = cell.folder / "test.json"
    file.write_bytes(damage(file.read_bytes()))
    assert cell.scores is None
    assert not cell.finished


def test_cells_with_damaged_predictions_are_not_finished(cell):
    file = cell.folder / "test.npz"
    assert cell.predictions.tags == ["one", "two"]
    file.write_bytes(file.read_bytes()[:-99])
    assert cell.predictions is None
    assert not cell.finished


def test_updates_done_are_those_of_the_last_validation(cell):
    assert cell.updates_done == 0
    (cell.folder / "log.jsonl").write_text("".join(f'{{"update": {u}, "loss": 1}}\n' for u in range(100_000)))
    assert cell.updates_done == 99_999
    (cell.folder / "log.jsonl").write_text("")
    assert cell.updates_done == 0
