"""The learning curve of a run as a picture."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from theanoish.files import written_whole


def draw_curve(path: Path, title: str, history: list[dict[str, Any]]) -> None:
    """Draw training loss and validation AUC over updates.

    Parameters
    ----------
    path : Path
        PNG file to write.
    title : str
    history : list of dict
        One entry a validation, with "update", "loss" and "validation_auc".
    """
    updates = [entry["update"] for entry in history]
    figure = Figure(figsize=(7, 4), layout="constrained")
    losses = figure.add_subplot()
    losses.plot(updates, [entry["loss"] for entry in history], color="0.6", label="training loss")
    losses.set(title=title, xlabel="updates", ylabel="training loss (binary cross-entropy)")
    aucs = losses.twinx()
    aucs.plot(updates, [entry["validation_auc"] for entry in history], color="C0", marker=".", label="validation AUC")
    aucs.set_ylabel("validation AUC")
    figure.legend(loc="outside lower center", ncols=2)
    with written_whole(path) as beside:
        figure.savefig(beside, format="png", dpi=120)
