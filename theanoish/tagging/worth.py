"""What the tags of a network are worth: what its card says, or the scores of its run."""

from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from theanoish.errors import InputError
from theanoish.files import read_json

DOUBTED = 0.7  # test AUC below which a tag is shown fainter


@dataclass(frozen=True)
class Worth:
    """What is known of a network's tags.

    Attributes
    ----------
    sentences : list of str
        What the tags are and how well they fit test clips, for people.
    aucs : dict
        Test AUC by tag, of the tags that have one.
    rare, chance : set of str
        Tags that the card calls too rare to trust, and others whose test AUC may be chance.
    """

    sentences: list[str] = field(default_factory=list)
    aucs: dict[str, float] = field(default_factory=dict)
    rare: frozenset[str] = frozenset()
    chance: frozenset[str] = frozenset()


UNKNOWN = Worth()
_OWN = "test clips of its own"


def read_worth(checkpoint: Path, update: Any) -> Worth:
    """What the card beside a checkpoint, or the test.json beside it, says of its tags.

    Scores of another `update` than the checkpoint's are passed over.

    Raises
    ------
    InputError
        If the file is neither a card nor the scores of a test.
    """
    for path in (checkpoint.with_suffix(".json"), checkpoint.with_name("test.json")):
        if path.is_file():
            values = read_json(path)
            try:
                if "mean_auc" not in values:
                    return _of_card(values)
                if values.get("update") == update and values["mean_auc"] is not None:
                    return _of_scores(values)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"{path}: neither a model's card with a list 'rare_tags' nor scores of evaluate.py ({error!r}); "
                    "mend or move it"
                ) from error
    return Worth()


def _of_card(card: dict[str, Any]) -> Worth:
    rare = frozenset(map(str, card["rare_tags"]))
    if "test" not in card:
        return Worth(rare=rare)
    test, labels = card["test"], card["trained_on"]["labels"].rstrip(".")
    sentences = [
        f"On the tags that it learned: {labels}.",
        f"{_mean(test['mean_auc'], test['clips'], test.get('of', _OWN))}; not {test['is_not']}.",
    ]
    rows = [(row["tag"], row["test_auc"], row["test_clips"]) for row in card["tags"]]
    return _worth(sentences, rows, test["clips"], rare)


def _of_scores(scores: dict[str, Any]) -> Worth:
    rows = [(row["tag"], row["auc"], row["positives"]) for row in scores["tags"]]
    return _worth([f"{_mean(scores['mean_auc'], scores['clips'])}."], rows, scores["clips"])


def _worth(
    sentences: list[str], rows: list[tuple[str, float | None, int]], clips: int, rare: frozenset[str] = frozenset()
) -> Worth:
    defined = {tag: (auc, positives) for tag, auc, positives in rows if auc is not None}
    chance = {
        tag for tag, (auc, positives) in defined.items() if auc - 1.96 * standard_error(auc, positives, clips) <= 0.5
    }
    beside = (
        f"The number with a tag's name is its AUC there; names below {DOUBTED:.2f} are faint on pages and pictures."
    )
    return Worth([*sentences, beside], {tag: auc for tag, (auc, _) in defined.items()}, rare, frozenset(chance))


def _mean(auc: float, clips: int, of: str = _OWN) -> str:
    return f"Mean AUC {auc:.2f} on {clips} {of} (.5 is chance)"


def standard_error(auc: float, positives: int, clips: int) -> float:
    """Of an AUC, after Hanley and McNeil (1982), for clips that are independent of each other."""
    negatives = clips - positives
    two_positives, two_negatives = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc)
    variance += (positives - 1) * (two_positives - auc**2) + (negatives - 1) * (two_negatives - auc**2)
    return sqrt(max(0.0, variance) / (positives * negatives))
