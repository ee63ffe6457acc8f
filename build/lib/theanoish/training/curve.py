"""The learning curve of a run as a picture."""

from pathlib import Path
from typing import Any

from theanoish.files import written_whole


def draw_curve(path: Path, title: str, history: list[dict[str, Any]]) -> None:
    """Draw training loss and validation AUC over updates, one above the other, and mark the best update.

    Parameters
    ----------
    path : Path
        PNG file to write.
    title : str
        What was trained, on what.
    history : list of dict
        One entry per validation, with "update", "loss" and "validation_auc"; at least one.
    """
    from matplotlib.figure import Figure  # importing it takes as long as PyTensor, and only now is it needed

    updates = [entry["update"] for entry in history]
    best = max(history, key=lambda entry: entry["validation_auc"])  # the first of equals, as in the checkpoint
    marker = "." if len(history) <= 100 else ""
    figure = Figure(figsize=(7, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.plot(updates, [entry["loss"] for entry in history], color="0.4", marker=marker)
    upper.set_title(title, parse_math=False)  # which may hold dollar signs
    upper.set_ylabel("training loss\n(binary cross-entropy)")
    lower.plot(updates, [entry["validation_auc"] for entry in history], color="C0", marker=marker)
    lower.set(xlabel="update", ylabel="validation AUC", xlim=(0, 1.03 * updates[-1]))
    lower.xaxis.set_major_formatter("{x:,.0f}")
    for axes in (upper, lower):
        axes.axvline(best["update"], color="C3", linewidth=0.8, linestyle="--")
        axes.grid(alpha=0.3)
    label = f"best: {best['validation_auc']:.4f} at update {best['update']:,}"
    lower.plot(best["update"], best["validation_auc"], color="C3", marker="o", linestyle="none", label=label)
    lower.legend()
    with written_whole(path) as beside:
        figure.savefig(beside, format="png", dpi=120)
