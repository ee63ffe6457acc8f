"""Table of how far the network "instruments" goes beyond the recordings that it learned from."""

import json
from pathlib import Path

SCORES = Path(__file__).with_name("instruments.json")


def instruments() -> str:
    """AUC of each instrument and family on other people's recordings."""
    scores = json.loads(SCORES.read_text())
    lines = ["| tag | recordings (sources) | AUC | 95 % interval |", "| --- | --- | --- | --- |"]
    rows = {row["tag"]: row for group in ("all instruments", "all families") for row in scores[group]["tags"]}
    for tag, row in rows.items():
        if row["sources"] > 1:
            heard, interval = f"{row['recordings']} ({row['sources']})", "{:.2f} to {:.2f}".format(*row["interval"])
            lines.append(f"| {tag} | {heard} | {row['auc']:.2f} | {interval} |")
    return "\n".join(lines) + "\n"
