"""Tables of the averaged runs: whether raw audio attains spectrograms, and what the recipe changes."""

from statistics import fmean
from typing import Any

from results.shown import PAIRS, RECIPES, SWEEPS, baselines, cells, few, log, read, score, signed, table

SLOW = {
    "spectrograms, 128 bands": "mel_256_256",
    "spectrograms, 64 bands": "mel_256_256_64_bands",
    "spectrograms, 128 bands, 64 filters per convolution": "mel_256_256_64_filters",
    "raw audio, the paper's": "raw_256_256",
    "mel-initialised, at the full rate": f"{PAIRS}_rate_1",
    "mel-initialised, at 1/10": f"{PAIRS}_rate_0.1",
    "mel-initialised, at 1/100": f"{PAIRS}_rate_0.01",
    "**mel-initialised, at 1/1000**": PAIRS,
    "mel-initialised, at 1/10,000": f"{PAIRS}_rate_0.0001",
    "mel-initialised, not trained": f"{PAIRS}_fixed",
    "the same, 256 filters in 128 bands, at 1/1000": f"{PAIRS}_256_strided",
    "the same, 256 filters in 128 bands, at the full rate": f"{PAIRS}_rate_1_256_strided",
    "256 filters, 64 per convolution, at 1/1000": f"{PAIRS}_256_strided_64_filters",
    "learned without labels, subspaces, at 1/1000": "raw_256_256_log-square_l2_2_unsupervised-filters",
    "learned without labels, k-means, at 1/1000": "raw_256_256_log-square_l2_2_k-means-filters",
    "k-means, not trained": "raw_256_256_log-square_l2_2_k-means-filters_fixed",
}


def runs() -> dict[str, dict[str, dict[str, Any]]]:
    """The networks of each sweep of averaged runs, as results/runs.py described them."""
    return {SWEEPS[name][0]: read(f"{name}_runs") for name in RECIPES}


def attained() -> str:
    """Whether raw audio attains spectrograms."""
    found = runs()
    rows = []
    for text, network in SLOW.items():
        given = [networks.get(network) for networks in found.values()]
        if any(given):
            row = [text, next(f"{each['operations'] / 1e6:.0f}" for each in given if each)]
            rows.append(row + [value for each in given for value in _beside_spectrograms(each)])
    heading = [text for name in found for text in (name, "less spectrograms")]
    return table(["network", "MFLOP", *heading], rows)


def summary() -> str:
    """README's table: how far from the paper, and whether raw audio attains spectrograms."""
    rows = {
        "spectrograms": ("mel_256_256", "0.8815"),
        "raw audio, the paper's network": ("raw_256_256", "0.8487"),
        "raw audio, filters that begin as mel bands, trained slowly": (PAIRS, ""),
        "the same with 256 filters": (f"{PAIRS}_256_strided", ""),
        "128 filters, not trained": (f"{PAIRS}_fixed", ""),
    }
    found = runs()
    lines = [
        [text, paper, *(shown(each[name]["last"]) if name in each else "" for each in found.values())]
        for text, (name, paper) in rows.items()
    ]
    regression = [baselines(sweep)["log-mel statistics"] for sweep in RECIPES]
    lines.append(["no network: spectrogram statistics", "", *regression])
    return table(["256/256", "paper, MagnaTagATune", *found], lines)


def shown(scores: dict[str, Any]) -> str:
    return score(scores["mean_auc"], scores["interval"]) + few(len(scores["aucs"]))


def _beside_spectrograms(network: dict[str, Any] | None) -> list[str]:
    if network is None:
        return ["", ""]
    return [shown(network["last"]), _less_spectrograms(network["last"])]


def _less_spectrograms(scores: dict[str, Any]) -> str:
    less = scores["differences"].get("mel_256_256")
    return signed(*less) if less else ""


def slow() -> str:
    """What the slow filters have over other networks."""
    found = {(name, which): each[PAIRS][which] for name, each in runs().items() for which in ("last", "best")}
    rows = []
    for text, network in SLOW.items():
        less = [each["differences"].get(network) for each in found.values()]
        if any(less):
            rows.append([text, *(signed(*each) if each else "" for each in less)])
    return table(["mel-initialised at 1/1000, less", *(f"{name}, {which}" for name, which in found)], rows)


def long_tests() -> str:
    """Test AUC after 200,000 updates of rendered scores, by seed."""
    found = read("long_averaged_runs")
    rows = []
    for text, network in SLOW.items():
        if network in found:
            row = [text]
            for which in ("best", "last"):
                scores = found[network][which]
                row += [" ".join(f"{auc:.3f}" for auc in scores["aucs"]), _less_spectrograms(scores)]
            rows.append(row)
    heading = [text for kind in ("best on validation", "last") for text in (kind, "less spectrograms")]
    return table(["256/256, 200,000 updates", *heading], rows)


def quality() -> str:
    """After how many updates a plain run of real notes reaches what the averaged one has after 20,000, seed 1."""
    rows = []
    for text, network, kind in (("spectrograms", "mel_256_256", "mel"), ("raw audio", "raw_256_256", "raw")):
        reached = read("recipe_realnotes_runs")[network]["runs"][0]["validation"]["20000"]
        plain = [(entry["validation_auc"], f"{entry['update']:,}") for entry in log(f"plain_realnotes_{kind}")]
        first = next((update for auc, update in plain if auc >= reached), f"not within {plain[-1][1]}")
        at_20_000 = next(auc for auc, update in plain if update == "20,000")
        rows.append([text, score(reached), score(at_20_000), first])
    return table(["network", "averaged, at 20,000", "plain, at 20,000", "plain as good from"], rows)


def moved() -> str:
    """How far filters went from the mel bands that they began as."""
    rows = []
    for data, networks in runs().items():
        for text, network in SLOW.items():
            ways = [run["moved"] for run in networks.get(network, {"runs": []})["runs"] if run["moved"]]
            if any(way["largest"] > 0.001 for way in ways):
                means = [fmean(way[field] for way in ways) for field in ("median", "largest", "hertz")]
                rows.append([data, text, f"{means[0]:.1%}", f"{means[1]:.1%}", f"{means[2]:.0f}"])
    return table(["data", "filters", "way of the median filter", "of the farthest", "change of frequency, Hz"], rows)


def averaging() -> str:
    """The last parameters as the descent left them, and their mean, of the same runs."""
    found = runs()
    rows = []
    for text, network in SLOW.items():
        given = [networks.get(network) for networks in found.values()]
        if any(given):
            rows.append([text, *(value for each in given for value in _averaged(each))])
    heading = [text for name in found for text in (f"{name}, as they are", "averaged", "difference")]
    return table(["network", *heading], rows)


def gained() -> str:
    """Each network at a constant rate and averaged, of two sweeps of a data set: best on validation, all seeds."""
    data = ("two_fonts", "realnotes")
    pairs = [[_by_network(name) for name in (plain, f"recipe_{plain}")] for plain in data]
    rows = []
    for network in dict.fromkeys(name for _, after in pairs for name in after):
        began_as = network.replace("_rate_1", "")  # all strided filters had the full rate before
        means = [(before.get(began_as), after.get(network)) for before, after in pairs]
        slow = "-filters" in network and "_rate_1" not in network and "_fixed" not in network
        if not slow and any(all(pair) for pair in means):
            rows.append([network, *(text for pair in means for text in _gain(*pair))])
    heading = [text for name in data for text in (f"{SWEEPS[name][0]}, constant rate", "averaged", "gain")]
    return table(["network", *heading], rows)


def _by_network(sweep: str) -> dict[str, float]:
    """Mean AUC of each network of a sweep that has all three seeds."""
    return {cell["network"]: cell["mean_auc"] for cell in cells(sweep).values() if len(cell["runs"]) == 3}


def _gain(before: float | None, after: float | None) -> list[str]:
    return [score(before), score(after), signed(after - before)] if before and after else ["", "", ""]


def _averaged(network: dict[str, Any] | None) -> list[str]:
    if network is None:
        return ["", "", ""]
    plain, last = network["plain"], network["last"]
    return [score(plain["mean_auc"]), score(last["mean_auc"]), signed(*last["less_plain"])]


def falling() -> str:
    """The average beside a rate that falls to 0 over the last half, of the same seeds."""
    found = {SWEEPS[data][0]: read(f"falling_{data}") for data in ("two_fonts", "realmusic")}
    rows = []
    for network in ("mel_256_256", PAIRS):
        row = [next(text for text, name in SLOW.items() if name == network)]
        for scores in (networks[network] for networks in found.values()):
            row += [score(fmean(scores["averaged"])), score(fmean(scores["falling"]))]
            row += [signed(scores["difference"], scores["interval"])]
        rows.append(row)
    heading = [text for name in found for text in (f"{name}, averaged", "falling", "difference")]
    return table(["network", *heading], rows)


def counts() -> str:
    """Test AUC of the parameters best on validation, and of the last ones, of all averaged runs."""
    rows = []
    for data, networks in runs().items():
        averaged = [each for name, each in networks.items() if not name.endswith("not-averaged")]
        best, last = ([auc for each in averaged for auc in each[which]["aucs"]] for which in ("best", "last"))
        gains = [after - before for before, after in zip(best, last, strict=True)]
        good = f"{sum(gain >= 0 for gain in gains)} of {len(gains)}"
        rows.append([data, score(fmean(best)), score(fmean(last)), good, signed(min(gains)), signed(max(gains))])
    heading = ["data", "best on validation", "last", "last as good or better", "its largest loss", "its largest gain"]
    return table(heading, rows)
