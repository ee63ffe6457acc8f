"""What the harness that is run by hand does with undamaged files, so that it still fits what it attacks."""

from mutations import CELL, CHANGES, NETWORK, RESULTS, use
from small_data import write_small_data
from theanoish.commands import evaluate
from theanoish.data.dataset import Dataset
from theanoish.experiments.cells import Sweep
from theanoish.experiments.results import collect
from theanoish.experiments.tables import write_tables
from theanoish.interrupt import StopRequest
from theanoish.training.run import start_run


def test_the_harness_uses_undamaged_files(tmp_path):
    data, runs = tmp_path / "small.h5", tmp_path / "runs"
    write_small_data(data, representations=[(1024, 1024)])
    sweep = Sweep(data, runs, "jax", CHANGES, 1)
    [cell] = sweep.cells(NETWORK)
    with StopRequest() as stop:
        start_run(cell.folder, cell.settings, Dataset(data), "jax").train(stop, lambda progress: None)
    scores, predictions = cell.folder / "test.json", cell.folder / "test.npz"
    checkpoint = cell.folder / "checkpoint.pkl"
    evaluate.main([str(checkpoint), "--json", str(scores), "--predictions", str(predictions)])
    write_tables(runs, collect(sweep, ["1"]))
    assert cell.folder.name == CELL
    use("hdf5", data, tmp_path)
    use("checkpoint", checkpoint, tmp_path)
    use("state", cell.folder / "state.pkl", tmp_path)
    for kind in RESULTS:
        use(kind, (runs if kind == "tables.json" else cell.folder) / kind, tmp_path)
