"""Two runs, or two results, number by number: paired differences, queries won and lost, settings that differ.

run or result A ─┐  judged on the same studies, or read as they were judged
run or result B ─┴─ draws subtract by patient ─> gaps · ranks of the own report ─> wins · recipes ─> settings
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.data.provenance import provenance
from radalign.evaluate.bootstrap import Draw
from radalign.evaluate.ranking import dot_products, rank_scores
from radalign.evaluate.relevance import own
from radalign.evaluate.results import Gap, Result
from radalign.leaderboard.alike import label, unlike
from radalign.leaderboard.plan import LeaderboardError
from radalign.leaderboard.scores import Drawn, Key
from radalign.train.record import Line
from radalign.train.start import differences

DIRECTIONS = ("image to text", "text to image")
NAMES_OF_SETTINGS = ("name", "description")


@dataclass(frozen=True)
class Contestant:
    """One side of a comparison.

    Args:
        name: As tables call it.
        result: Its numbers.
        drawn: The same on every resample; empty when only numbers are known.
        image: Embeddings of the studies, [N, E], or None.
        text: Of their reports.
        study_ids: [N].
        recipe: Its settings.
        log: Of its training, may be empty.
    """

    name: str
    result: Result
    drawn: Drawn
    image: NDArray[Any] | None = None
    text: NDArray[Any] | None = None
    study_ids: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    log: Sequence[Line] = ()


@dataclass(frozen=True)
class Wins:
    """Queries whose own answer one side ranks higher.

    Args:
        direction: `image to text` or `text to image`.
        wins: The first side ranks it higher.
        losses: The second one does.
        ties: Both the same.
        gained: Studies that gain most places, with both ranks.
        lost: Studies that lose most.
    """

    direction: str
    wins: int
    losses: int
    ties: int
    gained: tuple[tuple[str, int, int], ...]
    lost: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Args:
        first: One side.
        second: The other.
        gaps: First minus second, paired by patient.
        unpaired: Key and both values, where pairing was not possible.
        wins: By direction.
        settings: Dotted key to both values, for all that differ.
        notes: What a reader must know.
        unlike: Rule to both values, where the sides were judged otherwise; then nothing is paired.
    """

    first: Contestant
    second: Contestant
    gaps: tuple[Gap, ...]
    unpaired: tuple[tuple[Key, float, float], ...]
    wins: tuple[Wins, ...]
    settings: Mapping[str, tuple[Any, Any]]
    notes: tuple[str, ...]
    unlike: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "first": self.first.name,
            "second": self.second.name,
            "gaps": [asdict(gap) for gap in self.gaps],
            "unpaired": [{"key": key, "first": a, "second": b} for key, a, b in self.unpaired],
            "wins": [asdict(wins) for wins in self.wins],
            "settings": {key: list(values) for key, values in self.settings.items()},
            "notes": list(self.notes),
            "unlike": {key: list(values) for key, values in self.unlike.items()},
            "judged": {side.name: label(side.result) for side in (self.first, self.second)},
            "made_by": provenance(),
        }


def compare(first: Contestant, second: Contestant) -> Comparison:
    """Compare two sides.

    Raises:
        LeaderboardError: If they have no number in common.
    """
    one, two = ({(m.task, m.metric, m.group): m for m in side.result.measures} for side in (first, second))
    shared = [key for key in one if key in two]
    if not shared:
        raise LeaderboardError(f"{first.name} and {second.name} have no number in common; judge both alike.")
    gaps, unpaired = [], []
    other_rules = unlike(first.result, second.result, dict.fromkeys(task for task, _, _ in shared))
    for key in shared:
        gap = None if other_rules else paired_gap(first, second, key, one[key].value, two[key].value)
        if gap is None:
            unpaired.append((key, one[key].value, two[key].value))
        else:
            gaps.append(gap)
    changed = {
        k: v for k, v in differences(first.recipe, second.recipe).items() if k not in NAMES_OF_SETTINGS
    }
    wins = () if {"split", "data sha256"} & set(other_rules) else tuple(wins_and_losses(first, second))
    return Comparison(
        first, second, tuple(gaps), tuple(unpaired), wins, changed,
        _notes(first, second, gaps, unpaired, other_rules), other_rules,
    )  # fmt: skip


def paired_gap(first: Contestant, second: Contestant, key: Key, a: float, b: float) -> Gap | None:
    """First minus second on the same resamples, None when they were drawn from other studies."""
    mine, other = first.drawn, second.drawn
    if key not in mine.samples or key not in other.samples or mine.patients[key] != other.patients[key]:
        return None
    found = Draw(a, mine.samples[key]).minus(Draw(b, other.samples[key]))
    task, metric, group = key
    return Gap(first.name, second.name, task, metric, found.value, found.low, found.high, found.p, group)


def wins_and_losses(first: Contestant, second: Contestant, shown: int = 5) -> list[Wins]:
    """Per direction, how often each side ranks the own answer higher; nothing without embeddings of both."""
    if first.study_ids != second.study_ids or first.image is None or second.image is None:
        return []
    return [_wins(direction, first, second, shown) for direction in DIRECTIONS]


def _wins(direction: str, first: Contestant, second: Contestant, shown: int) -> Wins:
    one, two = own_ranks(first, direction), own_ranks(second, direction)
    places = two - one  # above 0: the first side ranks it higher
    order = np.argsort(-places, kind="stable")

    def rows(chosen: Sequence[int]) -> tuple[tuple[str, int, int], ...]:
        return tuple((first.study_ids[i], int(one[i]), int(two[i])) for i in chosen)

    gained = [int(i) for i in order[:shown] if places[i] > 0]
    lost = [int(i) for i in order[::-1][:shown] if places[i] < 0]
    wins, losses = int((places > 0).sum()), int((places < 0).sum())
    return Wins(direction, wins, losses, len(places) - wins - losses, rows(gained), rows(lost))


def own_ranks(side: Contestant, direction: str) -> NDArray[np.float64]:
    """Rank of every query's own answer, from 1, [N]."""
    queries, candidates = (side.image, side.text) if direction == "image to text" else (side.text, side.image)
    if queries is None or candidates is None:
        raise LeaderboardError(f"{side.name} has no embeddings; compare the runs with --data.")
    ranked = rank_scores(dot_products(queries, candidates), {"own": own(len(queries))}, (1,))
    return ranked["own"].rank()


def _notes(
    first: Contestant, second: Contestant, gaps: Sequence[Gap], unpaired: Sequence[Any],
    other_rules: Mapping[str, tuple[Any, Any]],
) -> tuple[str, ...]:  # fmt: skip
    notes = []
    if other_rules:
        said = "; ".join(f"{name} {a} against {b}" for name, (a, b) in other_rules.items())
        notes.append(
            f"The two were not judged alike: {said}. Their numbers stand side by side and nothing is "
            "subtracted; compare the runs with --data to judge both alike."
        )
    elif unpaired and not gaps:
        without = [side.name for side in (first, second) if not side.drawn.samples]
        why = (
            f"There are no resampled numbers beside {' and '.join(without)} (a leaderboard's cells keep them)"
            if without
            else "The two results hold draws of other studies or resamples"
        )
        notes.append(
            f"{why}, so differences are not paired and have no interval; compare the runs with --data to "
            "judge both on the same studies."
        )
    if not first.recipe or not second.recipe:
        notes.append("The settings of one side are not known.")
    return tuple(notes)
