"""Names of artists as people: invented ones, and MagnaTagATune's own tables if they are there."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from theanoish.data.annotations import most_frequent_tags, read_annotations
from theanoish.experiments.artists import by_other_strings, by_unheard, people
from theanoish.experiments.paper import MAGNATAGATUNE_TAGS

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "magnatagatune"
SAME, OTHERS = False, True  # whether a clip of the one is unheard where the other was heard


@pytest.mark.parametrize(
    ("one", "other", "unheard"),
    [
        ("The Sarasa Ensemble", "Sarasa Ensemble Labelle Sylvan", SAME),
        ("La Serenissima", "Serenissima", SAME),
        ("Seth and Maryse Carlin", "Seth Carlin", SAME),
        ("Kammen & Swan", "Shira Kammen", SAME),
        ("Jacob Heringman, Catherine King", "Catherine King feat. Someone Else", SAME),
        ("J.S. Bach", "J S Bach", SAME),
        ("Sigur Rós", "SIGUR ROS", SAME),
        ("Guns N\u2019 Roses", "guns n' roses", SAME),
        ("Ralph Meulenbroeks", "Ralph Rousseau Meulenbroeks", SAME),
        ("!!!", "!!!", SAME),
        ("宇多田ヒカル", "宇多田ヒカル", SAME),
        ("The The", "The The", SAME),
        ("John Jackson", "John Williams", OTHERS),
        ("Kammen", "Shira Kammen", OTHERS),  # one word by itself is a name, not a surname
        ("Jag", "Jag Panzer", OTHERS),
        ("Voices of Music", "Music of the Spheres", OTHERS),
        ("Sand", "Sandy Andes", OTHERS),  # "and" is a word, not letters
        ("!!!", "???", OTHERS),
        ("宇多田ヒカル", "椎名林檎", OTHERS),
    ],
)
def test_who_may_be_the_same_people(one, other, unheard):
    assert by_unheard([one], [other]).tolist() == by_unheard([other], [one]).tolist() == [unheard]
    assert people(one)


@pytest.mark.parametrize(
    "artist", ["", "  ", "Various Artists", "<Unknown>", "Unknown Artist", "Magnatune Compilation", "V.A."]
)
def test_unknown_artists_count_as_heard(artist):
    assert not people(artist)
    assert by_unheard([artist, "Someone"], ["Anybody Else", artist]).tolist() == [False, True]


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
