"""Tables for people with songs: instruments on other recordings, and what starting from the weights gains."""

import json

from results.shown import RESULTS, read, table


def instruments() -> str:
    """AUC of each instrument and family on other people's recordings."""
    scores = read("instruments")
    rows = {row["tag"]: row for group in ("all instruments", "all families") for row in scores[group]["tags"]}
    lines = [
        [
            tag,
            f"{row['recordings']} ({row['sources']})",
            f"{row['auc']:.2f}",
            "{:.2f} to {:.2f}".format(*row["interval"]),
        ]
        for tag, row in rows.items()
        if row["sources"] > 1
    ]
    return table(["tag", "recordings (sources)", "AUC", "95 % interval"], lines)


def gain() -> str:
    """Test AUC from the weights that ship and from nothing, of few training clips of real notes; a number per draw."""
    runs = [json.loads(line) for line in (RESULTS / "initial.jsonl").read_text().splitlines()]
    lines = []
    for clips in sorted({run["clips"] for run in runs}):
        start, nothing = (
            [run["auc"] for run in runs if run["clips"] == clips and run["from_weights"] is from_weights]
            for from_weights in (True, False)
        )
        draws = [" ".join(f"{auc:.3f}" for auc in aucs) for aucs in (start, nothing)]
        lines.append([str(clips), *draws, f"{(sum(start) - sum(nothing)) / len(start):+.3f}"])
    return table(["training clips", "from the weights", "from nothing", "gain of the mean"], lines)
