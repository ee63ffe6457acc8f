import zlib

import pytest

from theanoish.experiments.paper import FIGURE_1, FIGURE_4, FINDINGS, MAGNATAGATUNE_TAGS, REGRESSION, TABLES, paper_auc
from theanoish.settings import Settings


def test_findings_are_differences_of_networks_that_tables_have_and_of_the_regression():
    names = {row.settings.name for rows in TABLES.values() for row in rows} | {REGRESSION}
    assert all(name in names for finding in FINDINGS for pair in finding.pairs for name in pair)
    assert len({finding.name for finding in FINDINGS}) == len(FINDINGS)
    assert sum(finding.in_paper for finding in FINDINGS) == 17


def test_the_networks_of_each_table():
    """Dropout is of a half; those of future work that start with mel bands, or were learned, have 64 pools of 2."""
    sizes = ("1024_1024", "1024_512", "512_512", "512_256", "256_256")
    log, full = "raw_256_256_log-square_l2_2", "_rate_1"
    expected = {
        "1": [f"{frontend}_{size}" for size in sizes for frontend in ("mel", "raw")],
        "2": ["raw_1024_1024", "raw_1024_1024_log-square", "raw_1024_1024_log-absolute"],
        "3": ["raw_1024_1024", *(f"raw_1024_1024_{pools}" for pools in ("l2_2", "l2_4", "max_2", "max_4"))],
        "dropout": ["mel_256_256", "mel_256_256_dropout", "raw_256_256", "raw_256_256_dropout"],
        "future": [
            *("mel_256_256", "mel_256_256_not-averaged", "mel_256_256_64_bands", "mel_256_256_64_filters"),
            *("raw_256_256", "raw_256_256_not-averaged", "raw_256_256_l2_2", log),
            *(f"raw_256_256_l2_2_mel-filters{rate}" for rate in (full, "")),
            *(f"{log}_mel-filters{rate}" for rate in (full, "", "_fixed")),
            *(f"{log}_{start}-filters{rate}" for start in ("unsupervised", "k-means") for rate in (full, "")),
            *(f"{log}{start}_256_strided" for start in ("", f"_mel-filters{full}", "_mel-filters")),
            f"{log}_mel-filters_256_strided_64_filters",
        ],
    }
    assert {table: [row.settings.name for row in rows] for table, rows in TABLES.items()} == expected
    assert [row.names[0] for row in TABLES["2"]] == ["rectified linear", "logarithmic", "logarithmic"]
    aucs = {table: [row.auc for row in rows] for table, rows in TABLES.items()}
    assert aucs["2"] + aucs["3"] == [0.8366, 0.7508, 0.7487, 0.8366, 0.8387, 0.8387, 0.8183, 0.8280]
    assert aucs["1"] == [0.8690, 0.8366, 0.8726, 0.8365, 0.8793, 0.8386, 0.8793, 0.8408, 0.8815, 0.8487]
    assert zlib.crc32(" ".join(sorted(MAGNATAGATUNE_TAGS)).encode()) == 3754600787  # of the official table
    pools = [FIGURE_1[2], FIGURE_4]
    assert [settings.name for settings in pools] == ["raw_1024_1024_l2_4"] * 2


def test_rows_of_future_work_say_how_fast_their_strided_filters_train():
    """Those of before there was a rate of their own were trained at the full one."""
    rates = {row.names[0]: row.settings.strided_rate for row in TABLES["future"]}
    slow = {row for row, rate in rates.items() if rate == 0.001}
    assert slow == {row for row in rates if "trained slowly" in row}
    assert {rates[row] for row in rates.keys() - slow} == {1.0}


def test_the_contrasts_that_answer_the_papers_wish():
    pairs = {finding.name: finding.pairs for finding in FINDINGS}
    slow = "raw_256_256_log-square_l2_2_mel-filters"
    assert pairs["L2 of 2, log, mel-initialised, trained slowly - spectrograms, 128 bands"] == ((slow, "mel_256_256"),)
    assert pairs["L2 of 2, log, mel-initialised, trained slowly - raw audio"] == ((slow, "raw_256_256"),)
    of_as_many = pairs["mel-initialised, log, trained slowly - 64 bands, spectrograms"]
    assert of_as_many == ((slow, "mel_256_256_64_bands"),)
    assert pairs["trained slowly - fixed, mel-initialised, log"] == ((slow, f"{slow}_fixed"),)
    as_large = pairs["64 filters per convolution, 256 filters trained slowly - spectrograms"]
    assert as_large == ((f"{slow}_256_strided_64_filters", "mel_256_256_64_filters"),)
    whole = "; ".join(f"{finding.name}: {finding.pairs}" for finding in FINDINGS)
    assert zlib.crc32(whole.encode()) == 3250508753  # which first network less which second one
    for network in ("mel_256_256", "raw_256_256"):
        assert ((network, f"{network}_not-averaged"),) in pairs.values()
    log = "raw_256_256_log-square_l2_2"
    assert pairs["unsupervised - random, log"] == ((f"{log}_unsupervised-filters_rate_1", log),)
    assert pairs["trained slowly - at the full rate, k-means, log"] == (
        (f"{log}_k-means-filters", f"{log}_k-means-filters_rate_1"),
    )


@pytest.mark.parametrize(
    ("words", "difference"),  # worked out by hand from the paper's tables
    [
        ("spectrograms - raw audio, 1024/512", 0.8726 - 0.8365),
        ("spectrograms - raw audio, mean", (0.0324 + 0.0361 + 0.0407 + 0.0385 + 0.0328) / 5),
        ("256/256 - 1024/1024, spectrograms", 0.0125),
        ("256/256 - 1024/1024, raw", 0.0121),
        ("stride of half", (0.0036 - 0.0001 + 0.0 + 0.0022) / 4),
        ("log(1 + C·x²) - rectifier", -0.0858),
        ("log(1 + C·|x|) - rectifier", -0.0879),
        ("L2 pooling of 4 - none", 0.0021),
        ("max-pooling of 2 - none", -0.0183),
        ("dropout - none, raw audio", None),
    ],
)
def test_findings_have_the_papers_differences(words, difference):
    (finding,) = [finding for finding in FINDINGS if finding.name.startswith(words)]
    assert finding.paper == (difference and pytest.approx(difference))


def test_paper_auc_is_that_of_the_same_network():
    assert paper_auc(Settings(frontend="mel", updates=7, learning_rate=3.0)) == 0.8815
    assert paper_auc(Settings(frontend="mel", average=0)) == 0.8815  # as older checkpoints are
    assert paper_auc(Settings(length=512, stride=128)) is None
    assert paper_auc(Settings(dropout=0.5)) is None
