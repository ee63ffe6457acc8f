"""Tables for people with songs: instruments on other recordings, and what starting from the weights gains."""

import json
from pathlib import Path

HERE = Path(__file__).parent


def instruments() -> str:
    """AUC of each instrument and family on other people's recordings."""
    scores = json.loads((HERE / "instruments.json").read_text())
    lines = ["| tag | recordings (sources) | AUC | 95 % interval |", "| --- | --- | --- | --- |"]
    rows = {row["tag"]: row for group in ("all instruments", "all families") for row in scores[group]["tags"]}
    for tag, row in rows.items():
        if row["sources"] > 1:
            heard, interval = f"{row['recordings']} ({row['sources']})", "{:.2f} to {:.2f}".format(*row["interval"])
            lines.append(f"| {tag} | {heard} | {row['auc']:.2f} | {interval} |")
    return "\n".join(lines) + "\n"


def gain() -> str:
    """Test AUC from the weights that ship and from nothing, of few training clips of real notes; a number per draw."""
    runs = [json.loads(line) for line in (HERE / "initial.jsonl").read_text().splitlines()]
    lines = ["| training clips | from the weights | from nothing | gain of the mean |", "| --- | --- | --- | --- |"]
    for clips in sorted({run["clips"] for run in runs}):
        start, nothing = (
            [run["auc"] for run in runs if run["clips"] == clips and run["from_weights"] is from_weights]
            for from_weights in (True, False)
        )
        draws = [" ".join(f"{auc:.3f}" for auc in aucs) for aucs in (start, nothing)]
        lines.append(f"| {clips} | {draws[0]} | {draws[1]} | {(sum(start) - sum(nothing)) / len(start):+.3f} |")
    return "\n".join(lines) + "\n"
