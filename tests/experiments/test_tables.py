import csv
import json
import math
import shutil
import subprocess

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stand_ins import write_scores
from theanoish.errors import InputError
from theanoish.experiments.cells import Sweep
from theanoish.experiments.results import collect
from theanoish.experiments.tables import comparison, latex, markdown, read_rows, write_tables


def finish(sweep, name, aucs):
    """Give a network's first seeds scores."""
    for cell, auc in zip(sweep.plan(["1"], [name]), aucs, strict=False):
        cell.folder.mkdir(parents=True)
        write_scores(cell.folder / "test", cell, auc)


def entries(text):
    return [[entry.strip() for entry in line.split("|")[1:-1]] for line in text.splitlines()]


def row_of(results, network, table="1"):
    (row,) = [row for row in results["tables"][table] if row["network"] == network]
    return row


@pytest.fixture
def sweep(tmp_path):
    made = Sweep(tmp_path / "d.h5", tmp_path / "runs", "jax", {"updates": 7}, seeds=3)
    finish(made, "raw_256_256", (0.5, 0.6, 0.8))
    finish(made, "mel_256_256", (0.7,))
    return made


def test_tables_give_mean_and_interval_beside_the_papers_number(sweep):
    results = collect(sweep, ["1", "2", "dropout", "future"])
    low, high = row_of(results, "raw_256_256")["interval"]
    assert low < high
    raw, mel = f"0.6333 ± {(high - low) / 2:.4f}", row_of(results, "mel_256_256")["interval"]
    text = markdown(results)
    assert ["256", "256", f"0.7000 ± {(mel[1] - mel[0]) / 2:.4f} (1 of 3)", "0.8815", raw, "0.8487"] in entries(text)
    assert ["raw", raw, "0.8487", "-", "-"] in entries(text)
    assert ["raw audio", raw, "620", "111,070"] in entries(text)
    assert r"| log(1 + C·\|x\|) |" in text
    for words in (
        "30 test clips (all clips kept), 7 updates, mean over 3 seeds ± half of the 95 % interval over seeds and test",
        "learning rate 0.1, minibatch 10, momentum 0.0, average 0.1, validation interval 20000",
        "at most 25% of a layer's units silent",
        "| spectrograms - raw audio, 256/256 ",
    ):
        assert words in text


def test_both_choices_of_parameters_are_in_the_json(sweep):
    """Those that validated best, and the last ones where they were tested; nothing of a cell without predictions."""
    first, _, third = sweep.plan(["1"], ["raw_256_256"])
    (first.folder / "last.json").write_text('{"mean_auc": 0.75}')
    row = row_of(collect(sweep, ["1"]), "raw_256_256")
    assert [run["last_auc"] for run in row["runs"]] == [0.75, None, None]
    assert (row["mean_auc"], row["last_mean_auc"]) == (pytest.approx(1.9 / 3), 0.75)
    (third.folder / "test.npz").unlink()
    assert [run["auc"] for run in row_of(collect(sweep, ["1"]), "raw_256_256")["runs"]] == [0.5, 0.6]


def test_baselines_have_a_table_of_their_own(sweep):
    rows = [{"name": "log-mel statistics", "mean_auc": 0.7, "mean_auc_interval": [0.68, 0.72]}]
    regression = sweep.plan(["1"], ["mel_256_256"])[0].predictions
    values = {"baselines": rows, "warnings": ["so loud"], "spectrogram": "mel_512_256"}
    text = markdown(collect(sweep, ["1"], (values, regression)))
    assert "statistics are of mel_512_256" in text
    assert ["log-mel statistics", "0.7000 ± 0.0200"] in entries(text)
    assert "so loud" in text
    (difference,) = [line for line in entries(text) if line[:1] == ["raw audio, 256/256 - logistic regression"]]
    raw = [cell.predictions for cell in sweep.plan(["1"], ["raw_256_256"])]
    ours, theirs = (np.mean([roc_auc_score(p.labels, p.probabilities) for p in found]) for found in (raw, [regression]))
    assert difference[1] == f"{ours - theirs:+.4f}"


def test_another_sweeps_tables_are_compared_row_by_row(sweep, tmp_path):
    """By what rows are called: an older sweep trained networks of these names at the full rate."""
    finish(sweep, "mel_512_256", (0.4,))
    results = collect(sweep, ["1", "future"])
    write_tables(tmp_path, results)
    stored = json.loads((tmp_path / "tables.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(results))
    row_of(stored, "raw_256_256").update(mean_auc=0.6, interval=[0.59, 0.61], network="another name")
    row_of(stored, "mel_256_256").update(interval=None)
    row_of(stored, "mel_512_256").update(row=["512", "256", "mel, trained slowly"])  # which has no like
    row_of(stored, "mel_1024_1024").update(mean_auc=0.3)  # nor has this
    (tmp_path / "tables.json").write_text(json.dumps(stored))
    lines = entries(comparison(results, read_rows(tmp_path / "tables.json"), "old.json"))
    low, high = row_of(results, "raw_256_256")["interval"]
    half = (high - low) / 2
    difference = f"+0.0333 ± {math.sqrt(half**2 + 0.01**2):.4f}"
    assert lines[0] == ["table", "row", "AUC", "old.json", "difference"]
    assert ["1", "256, 256, raw", f"0.6333 ± {half:.4f}", "0.6000 ± 0.0100", difference] in lines
    assert [line[4] for line in lines if line[1] == "256, 256, mel"] == ["+0.0000"]
    assert [line[:2] for line in lines[4:]] == [["future", "spectrograms, 128 bands"], ["future", "raw audio"]]


def test_tables_as_csv_hold_the_same_numbers(sweep, tmp_path):
    results = collect(sweep, ["1", "2"])
    write_tables(tmp_path, results)
    with (tmp_path / "tables.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["table"] for row in rows] == ["1"] * 10 + ["2"] * 3
    (raw,) = [row for row in rows if row["network"] == "raw_256_256"]
    row = row_of(results, "raw_256_256")
    assert (raw["row"], raw["seeds"], raw["paper_auc"]) == ("256, 256, raw", "3", "0.8487")
    assert [float(raw[name]) for name in ("mean_auc", "low", "high")] == [row["mean_auc"], *row["interval"]]
    assert rows[0] | {"mean_auc": "", "low": "", "high": "", "seeds": "0"} == rows[0]  # nothing is finished


def test_tables_for_latex(sweep, tmp_path):
    """What TeX would obey is escaped; what a font of it may lack is written as mathematics."""
    results = collect(sweep, ["1", "2"])
    low, high = row_of(results, "raw_256_256")["interval"]
    warning = r"50 % of {a_b} & #1 \x ~^ $2|<>"
    results["baselines"] = {"baselines": [], "warnings": [warning], "spectrogram": "mel_512_256"}
    text = latex(results)
    assert rf"& 0.6333 $\pm$ {(high - low) / 2:.4f} & 0.8487 \\" in text
    assert r"logarithmic & log(1 + C$\cdot$x$^2$) & - & 0.7508 \\" in text
    assert r"50 \% of \{a\_b\} \& \#1 \textbackslash{}x \textasciitilde{}\textasciicircum{} \$2$|$$<$$>$" in text
    assert text.isascii()
    assert text.count(r"\begin{table}") == text.count(r"\end{tabular}\end{table}") == 4
    assert r"\begin{tabular}{llllll}" in text
    if shutil.which("pdflatex"):
        document = rf"\documentclass{{article}}\begin{{document}}{text}\end{{document}}"
        (tmp_path / "t.tex").write_text(document)
        subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True)


HUGE = '{"tables": {"1": [{"row": ["x"], "mean_auc": 1%s, "interval": null}]}}' % ("0" * 400)


@pytest.mark.parametrize("text", ["", "[]", '{"tables": {"1": [{"row": ["x"]}]}}', HUGE])
def test_what_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "tables.json").write_text(text)
    with pytest.raises(InputError, match=r"tables\.json"):
        read_rows(tmp_path / "tables.json")


def test_an_undefined_auc_is_a_gap(sweep):
    finish(sweep, "mel_512_256", (None,))
    row = row_of(collect(sweep, ["1"]), "mel_512_256")
    assert row["mean_auc"] is row["interval"] is None
    assert len(row["runs"]) == 1
