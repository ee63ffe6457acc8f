"""Names of artists as people: invented ones, and MagnaTagATune's own tables if they are there."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from theanoish.data.annotations import most_frequent_tags, read_annotations
from theanoish.experiments.artists import by_other_strings, by_unheard, people
from theanoish.experiments.paper import MAGNATAGATUNE_TAGS

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "magnatagatune"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C. Layne", "c layne"),
        ("The Sarasa Ensemble", "Sarasa Ensemble Labelle Sylvan"),
        ("La Serenissima", "Serenissima"),
        ("Seth and Maryse Carlin", "Seth Carlin"),
        ("Seth & Maryse Carlin", "Maryse Carlin"),
        ("Kammen & Swan", "Shira Kammen"),
        ("Jacob Heringman, Catherine King", "Catherine King feat. Someone Else"),
        ("J.S. Bach", "J S Bach"),
        ("Sigur Rós", "SIGUR ROS"),
        ("Guns N\u2019 Roses", "guns n' roses"),
        ("Ralph Meulenbroeks", "Ralph Rousseau Meulenbroeks"),
        ("AC/DC", "AC/DC"),
        ("!!!", "!!!"),
        ("宇多田ヒカル", "宇多田ヒカル"),
        ("The The", "The The"),
    ],
)
def test_may_be_the_same_people(one, other):
    assert by_unheard([one], [other]).tolist() == by_unheard([other], [one]).tolist() == [False]
    assert people(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("John Jackson", "John Williams"),
        ("Kyiv Chamber Choir", "Kiev Seminary Choir"),
        ("Kammen", "Shira Kammen"),  # one word by itself is a name, not a surname
        ("Jag", "Jag Panzer"),
        ("Wicked boy", "Wicked Allstars"),
        ("Voices of Music", "Music of the Spheres"),
        ("Sand", "Sandy Andes"),  # "and" is a word, not letters
        ("!!!", "???"),
        ("宇多田ヒカル", "椎名林檎"),
    ],
)
def test_are_other_people(one, other):
    assert by_unheard([one], [other]).tolist() == by_unheard([other], [one]).tolist() == [True]


@pytest.mark.parametrize(
    "artist", ["", "  ", "Various Artists", "<Unknown>", "Unknown Artist", "Magnatune Compilation", "V.A."]
)
def test_unknown_artists_count_as_heard(artist):
    assert not people(artist)
    assert by_unheard([artist, "Someone"], ["Anybody Else"]).tolist() == [False, True]
    assert by_unheard(["Someone"], [artist]).tolist() == [True]


def test_strings_are_compared_letter_by_letter():
    assert by_other_strings(["A", "a", ""], ["A"]).tolist() == [False, True, False]


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="MagnaTagATune's tables are not beside the repository")
def test_magnatagatune():
    """Of 5,329 test clips 2,045 are unheard by strings; 480 of these are by people heard, 79 by nobody knows whom."""
    table = read_annotations(OFFICIAL)
    artists, heard = (np.array(table.artists)[table.splits == split].tolist() for split in ("test", "train"))
    strings, unheard = by_other_strings(artists, heard), by_unheard(artists, heard)
    assert (len(artists), strings.sum(), unheard.sum()) == (5329, 2045, 1486)
    assert {table.tags[i] for i in most_frequent_tags(table.labels)} == MAGNATAGATUNE_TAGS
    assert not (unheard & ~strings).any()
    assert Counter(np.array(artists)[strings & ~unheard].tolist()) == {
        "Jacob Heringman and Catherine King": 144,
        "Jamie Janover and Michael Masley": 81,
        "Seth and Maryse Carlin": 78,
        "Sarasa Ensemble Labelle Sylvan": 74,
        "Three Holies Church Choristers": 59,
        "C Layne": 44,
        "Magnatune.com": 79,
    }
