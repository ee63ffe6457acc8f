import csv
import json
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stand_ins import write_scores
from theanoish.errors import InputError
from theanoish.experiments.cells import Sweep
from theanoish.experiments.tables import collect, comparison, markdown, read_cells, write_tables


def finish(sweep, name, aucs):
    """Give a network's first seeds scores."""
    for job, auc in zip(sweep.plan(["1"], [name]), aucs, strict=False):
        job.folder.mkdir(parents=True)
        write_scores(job.folder / "test", job, auc)


def entries(text):
    return [[entry.strip() for entry in line.split("|")[1:-1]] for line in text.splitlines()]


@pytest.fixture
def sweep(tmp_path):
    made = Sweep(tmp_path / "d.h5", tmp_path / "runs", "jax", {"updates": 7}, seeds=3)
    finish(made, "raw_256_256", (0.5, 0.6, 0.8))
    finish(made, "mel_256_256", (0.7,))
    return made


def test_tables_give_mean_and_interval_beside_the_papers_number(sweep):
    results = collect(sweep, ["1", "dropout"])
    cells = {cell["network"]: cell for cell in results["tables"]["1"]}
    low, high = cells["raw_256_256"]["interval"]
    assert low < high
    raw, mel = f"0.6333 ± {(high - low) / 2:.4f}", cells["mel_256_256"]["interval"]
    lines = entries(markdown(results))
    mel_text = f"0.7000 ± {(mel[1] - mel[0]) / 2:.4f} (1 of 3)"
    assert ["256", "256", mel_text, "0.8815", raw, "0.8487"] in lines
    assert ["raw", raw, "0.8487", "-", "-"] in lines
    assert ["512", "512", "-", "0.8793", "-", "0.8386"] in lines
    text = markdown(results)
    assert "7 updates, mean over 3 seeds ± half of the 95 % interval over seeds and test clips" in text
    assert "30 test clips (all clips kept)" in text


def test_contrasts_stand_below_the_tables(sweep):
    results = collect(sweep, ["1"])
    (contrast,) = [found for found in results["contrasts"] if found["finding"] == "spectrograms - raw audio, 256/256"]
    assert contrast["paper_difference"] == pytest.approx(0.8815 - 0.8487)
    assert "spectrograms - raw audio, 256/256" in markdown(results)


def test_both_choices_of_parameters_are_in_the_json(sweep):
    """Those that validated best, and the last ones where they were tested."""
    for job, text in zip(sweep.plan(["1"], ["raw_256_256"]), ('{"mean_auc": 0.75}', "damaged", None), strict=True):
        if text:
            (job.folder / "last.json").write_text(text)
    (cell,) = [cell for cell in collect(sweep, ["1"])["tables"]["1"] if cell["network"] == "raw_256_256"]
    assert [run["last_auc"] for run in cell["runs"]] == [0.75, None, None]
    assert (cell["mean_auc"], cell["last_mean_auc"]) == (pytest.approx(1.9 / 3), 0.75)


def test_cells_without_predictions_are_not_in_the_tables(sweep):
    for job in sweep.plan(["1"], ["mel_256_256"])[:1]:
        (job.folder / "test.npz").unlink()
    cells = {cell["network"]: cell for cell in collect(sweep, ["1"])["tables"]["1"]}
    assert cells["mel_256_256"]["runs"] == []
    assert cells["mel_256_256"]["mean_auc"] is None


def test_the_largest_share_of_silent_units_is_told(sweep):
    (job, *_) = sweep.plan(["1"], ["raw_256_256"])
    file = job.folder / "test.json"
    scores = json.loads(file.read_text())
    file.write_text(json.dumps(scores | {"silent": {"hidden": 0.37, "convolution1": 0.25}}))
    assert "at most 37% of a layer's units silent for all test clips" in markdown(collect(sweep, ["1"]))


def test_baselines_have_a_table_of_their_own(sweep):
    rows = [{"name": "log-mel statistics", "mean_auc": 0.7, "mean_auc_interval": [0.68, 0.72]}]
    regression = sweep.plan(["1"], ["mel_256_256"])[0].predictions
    values = {"baselines": rows, "warnings": ["so loud"], "spectrogram": "mel_512_256"}
    text = markdown(collect(sweep, ["1"], (values, regression)))
    assert "statistics are of mel_512_256" in text
    assert ["log-mel statistics", "0.7000 ± 0.0200"] in entries(text)
    assert "so loud" in text
    (difference,) = [line for line in entries(text) if line[:1] == ["raw audio, 256/256 - logistic regression"]]
    raw = [job.predictions for job in sweep.plan(["1"], ["raw_256_256"])]
    ours, theirs = (np.mean([roc_auc_score(p.labels, p.probabilities) for p in found]) for found in (raw, [regression]))
    assert difference[1] == f"{ours - theirs:+.4f}"


def test_another_sweeps_tables_are_compared(sweep, tmp_path):
    results = collect(sweep, ["1"])
    write_tables(tmp_path, results)
    assert (tmp_path / "tables.md").read_text(encoding="utf-8") == markdown(results)
    stored = json.loads((tmp_path / "tables.json").read_text(encoding="utf-8"))
    cells = {cell["network"]: cell for cell in stored["tables"]["1"]}
    cells["raw_256_256"].update(mean_auc=0.6, interval=[0.59, 0.61])
    cells["mel_256_256"].update(interval=None)
    (tmp_path / "tables.json").write_text(json.dumps(stored))
    lines = entries(comparison(results, read_cells(tmp_path / "tables.json"), "old.json"))
    own = next(cell for cell in results["tables"]["1"] if cell["network"] == "raw_256_256")["interval"]
    half = (own[1] - own[0]) / 2
    raw = ["raw_256_256", f"0.6333 ± {half:.4f}", "0.6000 ± 0.0100", f"+0.0333 ± {math.sqrt(half**2 + 0.01**2):.4f}"]
    assert lines[0] == ["network", "AUC", "old.json", "difference"]
    assert raw in lines
    assert [line[3] for line in lines if line[0] == "mel_256_256"] == ["+0.0000"]
    assert len(lines) == 4  # of the others there is nothing to compare


def test_tables_as_csv_hold_the_same_numbers(sweep, tmp_path):
    results = collect(sweep, ["1", "2"])
    write_tables(tmp_path, results)
    with (tmp_path / "tables.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["table"] for row in rows] == ["1"] * 10 + ["2"] * 3
    (raw,) = [row for row in rows if row["network"] == "raw_256_256"]
    (cell,) = [cell for cell in results["tables"]["1"] if cell["network"] == "raw_256_256"]
    assert (raw["row"], raw["seeds"], raw["paper_auc"]) == ("256, 256, raw", "3", "0.8487")
    assert [float(raw[name]) for name in ("mean_auc", "low", "high")] == [cell["mean_auc"], *cell["interval"]]
    assert rows[0] | {"mean_auc": "", "low": "", "high": "", "seeds": "0"} == rows[0]  # nothing is finished


HUGE = '{"tables": {"1": [{"network": "x", "mean_auc": 1%s, "interval": null}]}}' % ("0" * 400)


@pytest.mark.parametrize("text", ["", "[]", '{"tables": {"1": [{"network": "x"}]}}', '{"tables": []}', "{}", HUGE])
def test_what_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "tables.json").write_text(text)
    with pytest.raises(InputError, match=r"tables\.json"):
        read_cells(tmp_path / "tables.json")


def test_an_undefined_auc_is_a_gap(tmp_path):
    sweep = Sweep(tmp_path / "d.h5", tmp_path / "runs", "jax", {}, seeds=1)
    finish(sweep, "raw_256_256", (None,))
    (cell,) = [cell for cell in collect(sweep, ["1"])["tables"]["1"] if cell["runs"]]
    assert cell["mean_auc"] is cell["interval"] is None
    assert not np.isnan(json.loads(json.dumps(cell))["operations"])
