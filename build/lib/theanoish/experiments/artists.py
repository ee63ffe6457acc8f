"""Who made a clip: names of artists taken apart into people, so that one heard in training is known again.

A clip counts as unheard only if it has a known artist none of whose people was heard. Decided, looking at every artist
of MagnaTagATune's test clips (5,329; by exact strings 2,045 of them are unheard, by people 1,486):

- Case, accents, punctuation and leading articles do not matter, and initials may stand together: "C Layne" is
  "C. Layne" (44 clips), "J.S." is "J. S.".
- Lists ("and", "with", "feat.", "vs.", "&", ",", "/", "+", ";") are taken apart: Jacob Heringman was heard when a clip
  is by "Jacob Heringman and Catherine King" (144), Jamie Janover likewise (81), "Three Holies Church Choristers" in
  "Ensemble Sreteniye & …" (59). A surname at a list's end is everyone's: "Seth and Maryse Carlin" are two Carlins (78).
- Of two names with two or more words the shorter may be a part of the longer: "The Sarasa Ensemble" is "Sarasa Ensemble
  Labelle Sylvan" (74), "Ralph Meulenbroeks" is "Ralph Rousseau Meulenbroeks". One word is too little for that:
  "Magnatune" or "Jag" would be found in strangers.
- A bare surname in a list is anyone's of that name: "Kammen & Swan" make Shira Kammen heard.
- "Various Artists", "Unknown", a record label's compilations: nobody knows who plays, so, as without any name, these
  count as heard. That removes "Magnatune.com" (79), an album of 15 artists of whom 14 are in the training folders under
  their names.

Missed, since no spelling tells: short forms ("Ed Martin" and "Edward Martin"), other transliterations ("Kyiv" and
"Kiev", whose choirs are different ones, though), missing commas ("Sand Craig and Dornenburg"), members of a band. Doubt
counts as heard: a false merge costs some clips, a missed one makes the measure false. None was seen in MagnaTagATune.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_SEPARATOR = re.compile(r"[,;/&+]|\b(?:and|with|featuring|feat|ft|versus|vs)\b")
_ARTICLE = re.compile(r"^\W*(?:the|an?|la|les?|el|los|las|il|lo|gli|der|die|das)\s+(?=\w)")
_NOBODY = set(
    ["various", "artists", "artist", "unknown", "va", "compilation", "compilations", "remixed", "magnatune", "com"]
)

Person = tuple[str, ...]  # the words of a name


def people(artist: str) -> frozenset[Person]:
    """The people that an artist's name is made of, each as the words of the name; empty if nobody knows who it is.

    Someone who has a single word in a list has two entries if others share a surname: ("seth",) and ("seth", "carlin").
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", artist.casefold()) if not unicodedata.combining(c))
    parts = [_words(part) for part in _SEPARATOR.split(re.sub(r"['\u2019`\u00b4]", "", plain))]
    members = [words for words in parts if words and not _NOBODY.issuperset(words)]
    if plain.strip() and not any(parts):
        return frozenset({(plain.strip(),)})  # a name of signs alone, such as "!!!"
    surname = members[-1][-1:] if members and len(members[-1]) > 1 else ()
    return frozenset([*members, *((*words, *surname) for words in members[:-1] if len(words) == 1)])


def _words(name: str) -> Person:
    name = _ARTICLE.sub("", name)
    name = re.sub(r"\b(\w)\b\W*(?=\w\b)", r"\1", name)  # initials together
    return tuple(re.findall(r"[^\W_]+", name))


def by_unheard(artists: Sequence[str], heard: Iterable[str]) -> NDArray[np.bool_]:
    """Which clips are by people of whom none was heard; see above.

    Parameters
    ----------
    artists : sequence of str (clips,)
        Empty if unknown.
    heard : iterable of str
        Artists of the training clips.
    """
    by_word: dict[str, set[tuple[Person, bool]]] = {}
    for artist in heard:
        for entry in _with_bareness(artist):
            for word in entry[0]:
                by_word.setdefault(word, set()).add(entry)

    def unheard(artist: str) -> bool:
        entries = _with_bareness(artist)
        return bool(entries) and not any(
            _may_be_one(*entry, *other) for entry in entries for word in entry[0] for other in by_word.get(word, ())
        )

    answers = {artist: unheard(artist) for artist in set(artists)}
    return np.array([answers[artist] for artist in artists], bool)


def by_other_strings(artists: Sequence[str], heard: Iterable[str]) -> NDArray[np.bool_]:
    """Which clips have an artist whose name, letter by letter, none of `heard` is: the usual, too generous, measure."""
    strings = {"", *heard}
    return np.array([artist not in strings for artist in artists], bool)


def _with_bareness(artist: str) -> list[tuple[Person, bool]]:
    """Everyone in a name, and whether it is a single word in a list, which may be a surname."""
    members = people(artist)
    return [(words, len(words) == 1 and len(members) > 1) for words in members]


def _may_be_one(words: Person, bare: bool, others: Person, others_bare: bool) -> bool:
    if words == others or (bare and words[0] == others[-1]) or (others_bare and others[0] == words[-1]):
        return True
    shorter, longer = sorted((words, others), key=len)
    return len(shorter) > 1 and set(shorter) <= set(longer)
