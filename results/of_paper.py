"""Tables of the sweeps: the paper's, its findings, and what was found without a network."""

from collections.abc import Sequence
from statistics import fmean, mode
from typing import Any

from results.shown import (
    RECIPES,
    SWEEPS,
    baselines,
    cell_of,
    cells,
    contrasts,
    log,
    read,
    score,
    signed,
    table,
    titled,
)

_SHUFFLED = "log-mel statistics, training labels shuffled"


def paper(name: str, *sweeps: str) -> str:
    """A table of the paper on some data sets, beside its own numbers."""
    columns = {"1": ["length", "stride"], "2": ["nonlinearity", "f(x)"], "3": ["pooling", "pool size"]}
    columns |= {"dropout": ["front end"]}
    results = {"1": ["spectrograms", "raw audio"], "dropout": ["no dropout", "dropout of 0.5"]}
    tables = [read(sweep)["tables"][name] for sweep in sweeps]
    rows: dict[tuple[str, ...], list[str]] = {}
    for same in zip(*tables, strict=True):
        row = rows.setdefault(tuple(same[0]["row"][: len(columns[name])]), [])
        row += [score(cell["mean_auc"], cell["interval"]) for cell in same]
        on_paper = same[0]["paper_auc"]
        row.append(f"{on_paper:.4f}" if on_paper else "-")
    data = [SWEEPS[sweep][0] for sweep in sweeps]
    heading = [*columns[name]]
    for result in results.get(name, ["AUC"]):
        heading += [f"{result}: {data[0]}", *data[1:], "paper"]
    return f"{conditions(sweeps)}\n\n{table(heading, [[*row, *values] for row, values in rows.items()])}"


def conditions(sweeps: Sequence[str]) -> str:
    made = [f"{', '.join(SWEEPS[sweep])}, {read(sweep)['updates']:,} updates" for sweep in sweeps]
    text = "; ".join(made)
    seeds = read(sweeps[0])["seeds"]
    return f"{text[0].upper()}{text[1:]}: test AUC, mean of {seeds} seeds ± half of a 95 % interval."


def worth() -> str:
    """What can be told of each data set without a network."""
    rows = []
    for sweep in RECIPES:
        found = read(sweep)["baselines"]
        clips = " / ".join(f"{found['clips'][split]:,}" for split in ("train", "validation", "test"))
        tags = str(len(found["baselines"][0]["tags"]))
        named = [baselines(sweep)[name] for name in ("log-mel statistics", "these four together", _SHUFFLED)]
        rows.append([SWEEPS[sweep][0], clips, tags, *named])
    heading = ["data", "training / validation / test clips", "tags", "spectrogram statistics", "loudness and length"]
    return table([*heading, "shuffled labels"], rows)


def without() -> str:
    """All that regression reaches on each data set."""
    found = {sweep: baselines(sweep) for sweep in RECIPES}
    rows = [[name, *(of_sweep[name] for of_sweep in found.values())] for name in found[RECIPES[0]]]
    return table(["features", *(SWEEPS[sweep][0] for sweep in found)], rows)


def held() -> str:
    """The paper's findings on each data set, by the averaged runs."""
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
    found = {sweep: contrasts(sweep) for sweep in RECIPES}
    rows = []
    for text, finding in findings.items():
        ours = [found[sweep].get(finding) for sweep in RECIPES]
        on_paper = next(each["paper_difference"] for each in ours if each)
        differences = [signed(each["difference"], each["interval"]) if each else "" for each in ours]
        rows.append([text, "-" if on_paper is None else signed(on_paper), *differences, verdict(ours)])
    return table(["finding", "paper", *map(titled, RECIPES), "verdict"], rows)


def verdict(ours: list[dict[str, Any] | None]) -> str:
    """What most data sets say, and which say something else."""
    words = {SWEEPS[sweep][0]: each["verdict"] for sweep, each in zip(RECIPES, ours, strict=True) if each}
    most = mode(words.values())
    return "; ".join([most, *(f"{word} on {data}" for data, word in words.items() if word != most)])


def future(*sweeps: str) -> str:
    """All networks of the table of future work."""
    by_sweep = {sweep: cells(sweep) for sweep in sweeps}
    rows = []
    for cell in read(sweeps[0])["tables"]["future"]:
        row = cell["row"][0]
        cost = [f"{cell['operations'] / 1e6:.0f}", f"{cell['parameters']:,}"]
        rows.append([row, *(cell_of(by_sweep[sweep], row) for sweep in sweeps), *cost])
    return table(["network", *map(titled, sweeps), "MFLOP per update", "parameters"], rows)


def differences(*sweeps: str) -> str:
    """All contrasts that the first sweep has, in some sweeps."""
    return _differences(list(contrasts(sweeps[0])), sweeps)


def steps(*sweeps: str) -> str:
    """What each part of the table of future work changes: its contrasts with other rows than the two front ends."""
    outside = (" - logistic regression", " - raw audio", " - spectrograms, 128 bands")
    found = contrasts(sweeps[0]).items()
    names = [name for name, each in found if each["paper_finds"] == "nothing" and not name.endswith(outside)]
    return _differences(names, sweeps)


def _differences(findings: list[str], sweeps: Sequence[str]) -> str:
    by_sweep = {sweep: contrasts(sweep) for sweep in sweeps}
    rows = [
        [finding, *(signed(c["difference"], c["interval"]) if (c := by_sweep[s].get(finding)) else "" for s in sweeps)]
        for finding in findings
    ]
    return table(["difference", *map(titled, sweeps)], rows)


def fonts() -> str:
    """Table 1 on the test clips of each sound font."""
    found = read("by_font")
    rows = []
    for name in next(iter(found.values())):
        show = signed if " - " in name else score
        text = name.replace("mel_", "spectrograms ").replace("raw_", "raw audio ").replace("_", "/")
        rows.append([text, *(show(*of_font[name]) for of_font in found.values())])
    return table(["mean test AUC", *found], rows)


def again() -> str:
    """The networks of rendered scores, trained again with seed 1 by later code on another machine."""
    first, later = cells("two_fonts"), cells("two_fonts_again")
    rows = []
    for cell in {cell["network"]: cell for cell in later.values()}.values():
        before = next(each for each in first.values() if each["network"] == cell["network"])
        seeds = " ".join(f"{run['auc']:.3f}" for run in before["runs"])
        rows.append([cell["network"], seeds, score(cell["mean_auc"]), signed(cell["mean_auc"] - before["mean_auc"])])
    return table(["network", "seeds 1, 2, 3", "seed 1 again", "less the mean"], rows)


def long(step: str, prefix: str, *kinds: str) -> str:
    """Some networks over many updates, of seed 1, as means over each so many; and the test of each."""
    names = {"mel": "spectrograms", "raw": "raw audio", "slow": "mel-initialised at 1/1000", "slow256": "256 of these"}
    logs = [log(f"{prefix}_{kind}") for kind in kinds]
    every = int(step)
    rows = []
    for last in range(every, max(each[-1]["update"] for each in logs) + 1, every):
        row = [f"{last - every:,} to {last:,}"]
        for entries in logs:
            part = [entry for entry in entries if last - every < entry["update"] <= last]
            row += [f"{fmean(e[field] for e in part):.3f}" if part else "" for field in ("validation_auc", "loss")]
        rows.append(row)
    tests = [read(f"{prefix}_{kind}_test") for kind in kinds]
    scores = [score(test["mean_auc"], test["mean_auc_interval"]) for test in tests]
    updates = [f"{test['update']:,}" for test in tests]
    rows.append(["test AUC of the best", *(cell for each in scores for cell in (each, ""))])
    rows.append(["its update", *(cell for each in updates for cell in (each, ""))])
    return table(["updates", *(text for kind in kinds for text in (f"{names[kind]}: validation AUC", "loss"))], rows)
