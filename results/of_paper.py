"""Tables of the sweeps: the paper's, its findings, and what was found without a network."""

import json
from statistics import fmean, mode
from typing import Any

from results.shown import (
    RESULTS,
    SWEEPS,
    baselines,
    cell_of,
    cells,
    contrasts,
    latest,
    read,
    score,
    signed,
    table,
    there,
    titled,
)

_LOG_PAIRS = "L2 of 2, log, mel-initialised"
_SHUFFLED = "log-mel statistics, training labels shuffled"


def paper(sweep: str, name: str) -> str:
    """A table of the paper, beside its numbers."""
    columns = {"1": ["length", "stride"], "2": ["nonlinearity", "f(x)"], "3": ["pooling", "pool size"]}
    columns |= {"dropout": ["front end"]}
    results = {"1": ["spectrograms", "raw audio"], "dropout": ["no dropout", "dropout of 0.5"]}
    rows: dict[tuple[str, ...], list[str]] = {}
    for cell in read(sweep)["tables"][name]:
        row = rows.setdefault(tuple(cell["row"][: len(columns[name])]), [])
        row += [score(cell["mean_auc"], cell["interval"]), f"{cell['paper_auc']:.4f}" if cell["paper_auc"] else "-"]
    heading = [text for column in results.get(name, ["AUC"]) for text in (column, "paper")]
    return f"{conditions(sweep)}\n\n{table(columns[name] + heading, [[*row, *values] for row, values in rows.items()])}"


def conditions(sweep: str) -> str:
    found = read(sweep)
    data, recipe = SWEEPS[sweep]
    return (
        f"{data.capitalize()}, {recipe}: test AUC, mean of {found['seeds']} seeds ± half of a 95 % interval, "
        f"{found['updates']:,} updates."
    )


def worth() -> str:
    """What can be told of each data set without a network."""
    rows = []
    for sweep in ("two_fonts", "realnotes", "realmusic"):
        found = read(sweep)["baselines"]
        clips = " / ".join(f"{found['clips'][split]:,}" for split in ("train", "validation", "test"))
        tags = str(len(found["baselines"][0]["tags"]))
        named = [baselines(sweep)[name] for name in ("log-mel statistics", "these four together", _SHUFFLED)]
        rows.append([SWEEPS[sweep][0], clips, tags, *named])
    heading = ["data", "training / validation / test clips", "tags", "spectrogram statistics", "loudness and length"]
    return table([*heading, "shuffled labels"], rows)


def without() -> str:
    """All that regression reaches on each data set."""
    found = {sweep: baselines(sweep) for sweep in ("two_fonts", "realnotes", "realmusic")}
    rows = [[name, *(of_sweep[name] for of_sweep in found.values())] for name in found["two_fonts"]]
    return table(["features", *(SWEEPS[sweep][0] for sweep in found)], rows)


def held() -> str:
    """The paper's findings on each data set."""
    findings = {
        "spectrograms above raw audio, 256/256": "spectrograms - raw audio, 256/256",
        "the same, mean of Table 1's five rows": "spectrograms - raw audio, mean of the five",
        "256/256 above 1024/1024, raw audio": "256/256 - 1024/1024, raw audio",
        "the same, spectrograms": "256/256 - 1024/1024, spectrograms",
        "half of the stride makes no difference": "stride of half a length - of a whole one, mean of four",
        "log(1 + C·x²) below the rectifier": "log(1 + C·x²) - rectifier",
        "log(1 + C·|x|) below the rectifier": "log(1 + C·|x|) - rectifier",
        "L2 pooling of 2 makes no difference": "L2 pooling of 2 - none",
        "L2 pooling of 4 makes no difference": "L2 pooling of 4 - none",
        "max-pooling of 2 harms": "max-pooling of 2 - none",
        "max-pooling of 4 harms": "max-pooling of 4 - none",
        "dropout makes no difference, spectrograms": "dropout - none, spectrograms",
        "dropout makes no difference, raw audio": "dropout - none, raw audio",
        "(spectrograms above regression, 256/256)": "spectrograms, 256/256 - logistic regression",
        "(raw audio above regression, 256/256)": "raw audio, 256/256 - logistic regression",
    }
    sweeps = [*there(["two_fonts", "realnotes", "recipe_realnotes"]), latest()[-1]]
    found = {sweep: contrasts(sweep) for sweep in sweeps}
    rows = []
    for text, finding in findings.items():
        ours = [found[sweep].get(finding) for sweep in sweeps]
        on_paper = next(each["paper_difference"] for each in ours if each)
        differences = [signed(each["difference"], each["interval"]) if each else "" for each in ours]
        rows.append([text, "-" if on_paper is None else signed(on_paper), *differences, verdict(sweeps, ours)])
    return table(["finding", "paper", *map(titled, sweeps), "verdict"], rows)


def verdict(sweeps: list[str], ours: list[dict[str, Any] | None]) -> str:
    """What most data sets say, and which say something else; of two sweeps of the same data the later one counts."""
    words = {SWEEPS[sweep][0]: each["verdict"] for sweep, each in zip(sweeps, ours, strict=True) if each}
    most = mode(words.values())
    return "; ".join([most, *(f"{word} on {data}" for data, word in words.items() if word != most)])


def future(*sweeps: str) -> str:
    """All networks of the table of future work."""
    names = there(sweeps)
    by_sweep = {sweep: cells(sweep) for sweep in names}
    rows = []
    for cell in read(names[0])["tables"]["future"]:
        row = cell["row"][0]
        cost = [f"{cell['operations'] / 1e6:.0f}", f"{cell['parameters']:,}"]
        rows.append([row, *(cell_of(by_sweep[sweep], row) for sweep in names), *cost])
    return table(["network", *map(titled, names), "MFLOP per update", "parameters"], rows)


def differences(*sweeps: str) -> str:
    """All contrasts that the first sweep has, in some sweeps."""
    names = there(sweeps)
    by_sweep = {sweep: contrasts(sweep) for sweep in names}
    rows = [
        [finding, *(signed(c["difference"], c["interval"]) if (c := by_sweep[s].get(finding)) else "" for s in names)]
        for finding in by_sweep[names[0]]
    ]
    return table(["difference", *map(titled, names)], rows)


def again() -> str:
    """The networks of rendered scores, trained again with seed 1 by later code on another machine."""
    first, later = cells("two_fonts"), cells("two_fonts_again")
    rows = []
    for cell in {cell["network"]: cell for cell in later.values()}.values():
        before = next(each for each in first.values() if each["network"] == cell["network"])
        seeds = " ".join(f"{run['auc']:.3f}" for run in before["runs"])
        rows.append([cell["network"], seeds, score(cell["mean_auc"]), signed(cell["mean_auc"] - before["mean_auc"])])
    return table(["network", "seeds 1, 2, 3", "seed 1 again", "less the mean"], rows)


def long() -> str:
    """One seed of either front end over 1,000,000 updates."""
    names = ("long_mel", "long_raw")
    logs = [[json.loads(line) for line in (RESULTS / f"{name}_log.jsonl").read_text().splitlines()] for name in names]
    rows = []
    for last in range(100_000, 1_000_001, 100_000):
        row = [f"{last - 100_000:,} to {last:,}"]
        for log in logs:
            part = [entry for entry in log if last - 100_000 < entry["update"] <= last]
            row += [f"{fmean(entry[field] for entry in part):.3f}" for field in ("validation_auc", "loss")]
        rows.append(row)
    tests = [read(f"{name}_test") for name in names]
    scores = [score(test["mean_auc"], test["mean_auc_interval"]) for test in tests]
    rows.append(["test AUC of the best", scores[0], "", scores[1], ""])
    rows.append(["its update", f"{tests[0]['update']:,}", "", f"{tests[1]['update']:,}", ""])
    return table(["updates", "spectrograms: validation AUC", "loss", "raw audio: validation AUC", "loss"], rows)
