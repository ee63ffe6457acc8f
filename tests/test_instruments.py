"""results/instruments.py on a network and sounds that are made here."""

import csv
import json
import sys

import h5py
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import theanoish
from results import instruments
from small_data import small_settings, write_small_data
from small_song import write_song
from theanoish import api

# file: source, kind, instrument
RECORDINGS = {
    f"{number}.wav": (f"source {number % 11}", ("played", "notes")[number // 12], instrument)
    for number, instrument in enumerate(["flute", "french-horn", "tuba", "cello+flute", "voice", "flute"] * 4)
}


def test_a_network_is_scored_on_recordings_of_others(tmp_path, monkeypatch, capsys):
    data = write_small_data(tmp_path / "small.h5")
    tags = ["flute", "woodwind", "brass", "french horn"]
    with h5py.File(data, "r+") as file:
        file["tags"][:] = tags
    checkpoints = [api.train(data, small_settings(updates=20, seed=seed), tmp_path / f"{seed}") for seed in (1, 2)]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["source", "file", "kind", "instrument"])
        for number, (name, (source, kind, instrument)) in enumerate(RECORDINGS.items()):
            write_song(tmp_path / name, 3 + number / 10)
            table.writerow([source, name, kind, instrument])
    monkeypatch.setattr(sys, "argv", ["", *map(str, [tmp_path / "table.csv", *checkpoints, "--json", tmp_path / "x"])])
    instruments.main()
    found = json.loads((tmp_path / "x").read_text())

    means = [[theanoish.load(c).tag(tmp_path / name) for name in RECORDINGS] for c in checkpoints]
    has = {
        "flute": ["flute" in row[2] for row in RECORDINGS.values()],
        "woodwind": ["flute" in row[2] for row in RECORDINGS.values()],
        "brass": [row[2] in ("french-horn", "tuba") for row in RECORDINGS.values()],
        "french horn": [row[2] == "french-horn" for row in RECORDINGS.values()],
    }
    aucs = {tag: np.mean([roc_auc_score(has[tag], [m[tag] for m in each]) for each in means]) for tag in tags}
    for kind, names in (("instruments", ("flute", "french horn")), ("families", ("brass", "woodwind"))):
        scores = found[f"all {kind}"]
        assert {row["tag"]: row["auc"] for row in scores["tags"]} == pytest.approx({name: aucs[name] for name in names})
        assert scores["auc"] == pytest.approx(np.mean([aucs[name] for name in names]))
        assert scores["interval"][0] < scores["auc"] < scores["interval"][1]
        assert (scores["recordings"], scores["sources"], scores["own_auc"]) == (24, 11, None)
    likeliest = [[("flute", "french horn")[m["french horn"] > m["flute"]] for m in each] for each in means]
    alone = [row for row in range(24) if has["flute"][row] or has["french horn"][row]]
    right = np.mean([[has[each[row]][row] for row in alone] for each in likeliest])
    assert found["all instruments"]["likeliest_is_right"] == pytest.approx(right)
    assert found["played families"]["recordings"] == found["notes families"]["recordings"] == 12
    assert found["pairs instruments"]["recordings"] > 0
    assert f"| brass | 8 (6) | {aucs['brass']:.2f} |" in capsys.readouterr().out


def test_pairs_are_of_other_sources_and_instruments_and_equally_loud():
    kinds = ["flute", "cello", "voice"] * 8
    rows = [{"source": f"{i // 4}", "file": f"{i}", "instrument": kinds[i]} for i in range(24)]
    tones = [np.sin(np.arange(4000 + i) * (i + 1) * np.pi / 30) for i in range(24)]
    pairs, sounds = instruments.laid_over(
        rows, [(tone * (i + 1) * 1000).astype(np.int16) for i, tone in enumerate(tones)]
    )
    assert len(pairs) > 5
    for pair, sound in zip(pairs, sounds, strict=True):
        first, second = (int(number) for number in pair["file"].split("+"))
        assert rows[first]["source"] != rows[second]["source"]
        assert rows[first]["instrument"] != rows[second]["instrument"]
        assert len(sound) == 4000 + min(first, second)
        levels = [abs(sound[: 60 * 60] @ tones[i][: 60 * 60]) for i in (first, second)]
        assert 10 ** (-4.2 / 20) < levels[0] / levels[1] < 10 ** (4.2 / 20)


def test_an_instrument_of_few_sources_is_not_in_the_mean():
    rows = [{"source": f"{i % 12}", "file": f"{i}", "instrument": ("flute", "voice")[i % 2]} for i in range(24)]
    rows += [{"source": "12", "file": f"{i}", "instrument": "banjo"} for i in range(24, 27)]
    means = np.random.default_rng(0).random((27, 2))
    scores = instruments.score(rows, [(["flute", "banjo"], means, theanoish.tagging.worth.Worth())], {"flute", "banjo"})
    aucs = {row["tag"]: row["auc"] for row in scores["tags"]}
    assert list(aucs) == sorted(aucs, key=lambda tag: -aucs[tag])
    assert scores["auc"] == aucs["flute"] != aucs["banjo"]


def test_the_network_that_ships_says_what_was_measured():
    """Its card, and what people read of it, are of results/instruments.json; what was not measured is left out."""
    measured = json.loads((instruments.RESULTS / "instruments.json").read_text())
    network = theanoish.load("instruments")
    of_tags = {row["tag"]: row for kind in ("instruments", "families") for row in measured[f"all {kind}"]["tags"]}
    good = {tag: row["auc"] for tag, row in of_tags.items() if row["sources"] >= 3 and row["interval"][0] > 0.5}
    assert set(network.tags) == set(good)
    assert network.worth.aucs == good | {"flute": of_tags["flute"]["auc"]}
    mean = measured["all instruments"]["auc"]
    assert f"Mean AUC {mean:.2f} on 209 recordings of 43 other sources" in network.worth.sentences[1]
    with (instruments.RESULTS / "instruments.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), len({row["source"] for row in rows})) == (209, 43)


def test_the_network_that_ships_hears_what_plays():
    """A low, plucked string by Karplus and Strong, and noise in bursts: two sounds that nobody recorded."""
    generator = np.random.default_rng(0)
    string = np.zeros(6 * 16_000)
    for start in range(0, len(string), 8000):
        ring, period = np.zeros(8000), 146  # 110 Hz
        ring[:period] = generator.uniform(-1, 1, period)
        for i in range(period + 1, 8000):
            ring[i] += 0.498 * (ring[i - period] + ring[i - period - 1])
        string[start : start + 8000] = ring / 2
    bursts = generator.standard_normal(6 * 16_000) * 0.2 * np.exp(-(np.arange(6 * 16_000) % 8000) / 400)
    tags = [theanoish.load("instruments").tag(sound, sample_rate=16_000) for sound in (string, bursts)]
    assert tags[0]["plucked"] > tags[1]["plucked"]
    assert tags[1]["percussion"] > tags[0]["percussion"]
    assert max(tags[1], key=tags[1].get) == "percussion"
