"""Who wins, in sentences made from the paired intervals; a tie when the interval includes 0."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from radalign.evaluate.report_edits import ADDED
from radalign.evaluate.report_edits import TASKS as EDITED
from radalign.evaluate.sensitivity import ALL, EVERY, IMAGE, SENTENCE
from radalign.evaluate.tables import written
from radalign.leaderboard.scores import Key, Score, Scores, is_about_wording, is_smaller_better, verdict

HEADLINES = (
    ("image to text", "R@1"),
    ("image to text", "R@5"),
    ("image to text", "R@10"),
    ("text to image", "R@10"),
    ("image to text", "macro P@5"),
    ("text to image", "macro P@10"),
    ("image to image", "macro P@10"),
    ("zero-shot", "mean AUC"),
    ("zero-shot", "mean AUPRC"),
    (SENTENCE, EVERY),
    (IMAGE, EVERY),
    *((ADDED.format(task), ALL) for task in EDITED),
)


@dataclass(frozen=True)
class Winner:
    """The leader of one column.

    Args:
        key: Of the column.
        best: The leading arm's score.
        ties: Arms whose paired interval with the leader includes 0, best first.
        behind: Arms that are worse beyond the interval.
        unpaired: Arms judged on other studies than most, so that they neither lead nor follow.
    """

    key: Key
    best: Score
    ties: tuple[str, ...]
    behind: tuple[str, ...]
    unpaired: tuple[Score, ...]

    @property
    def leaders(self) -> tuple[str, ...]:
        """The best and those tied with it."""
        return (self.best.arm, *self.ties)

    def sentence(self) -> str:
        """For a person."""
        task, metric, _ = self.key
        value = written(metric, self.best.value)
        if len(self.leaders) == 1 and not self.behind:
            return f"{task}, {metric}: {self.best.arm} has {value}; nothing is paired with it."
        head = f"{task}, {metric}: {self.best.arm} leads with {value}"
        ties = f"a tie with {side_by_side(self.ties)} (the interval of the difference includes 0)"
        others = "the others" if self.unpaired else "all others"
        said = ties if self.ties else f"ahead of {others} beyond the interval"
        apart = side_by_side([f"{score.arm} ({written(metric, score.value)})" for score in self.unpaired])
        return f"{head}, {said}{f'; judged on other studies, so not paired: {apart}' if apart else ''}."


def side_by_side(names: Sequence[str]) -> str:
    """Names in a row, told apart even where they have commas of their own.

    >>> side_by_side(["ALTA", "LoRA"]), side_by_side(["ALTA", "full fine-tuning, CLIP"])
    ('ALTA, LoRA', 'ALTA; full fine-tuning, CLIP')
    """
    return ("; " if any("," in name for name in names) else ", ").join(names)


def columns_of(scores: Scores, asked: Sequence[str] = ()) -> list[Key]:
    """The columns of the first table: those asked for as `task: metric`, or the usual ones of each task.

    A task without usual ones (a probe, a protocol) gives its first number, what only describes none.
    """
    keys = list(dict.fromkeys(key for mine in scores.values() for key in mine if not key[2]))
    if asked:
        wanted = [tuple(part.strip() for part in text.rpartition(":")[::2]) for text in asked]
        return [key for pair in wanted for key in keys if key[:2] == pair]
    usual = [key for task, metric in HEADLINES for key in keys if _plain(key[0]) == task and key[1] == metric]
    known = {"space", *(_plain(key[0]) for key in usual)}  # no contest: the narrowest has the highest cosine
    rest: dict[str, Key] = {}
    for key in keys:
        if _plain(key[0]) not in known and not is_about_wording(key[0]):
            rest.setdefault(key[0], key)
    return [*usual, *rest.values()]


def _plain(task: str) -> str:
    """A task without its test set."""
    return task.partition(" [")[0]


def by_test(columns: Sequence[Key]) -> list[list[Key]]:
    """The columns of each test set together.

    >>> by_test([("a", "m", ""), ("a [x]", "m", ""), ("b", "m", "")])
    [[('a', 'm', ''), ('b', 'm', '')], [('a [x]', 'm', '')]]
    """
    tests: dict[str, list[Key]] = {}
    for key in columns:
        tests.setdefault(key[0].partition(" [")[2], []).append(key)
    return list(tests.values())


def winner(scores: Scores, key: Key) -> Winner | None:
    """The leader of a column among the arms that most others are paired with, None when no arm has it."""
    sign = 1 if is_smaller_better(key[1]) else -1
    have = [mine[key] for mine in scores.values() if key in mine and not math.isnan(mine[key].value)]
    if not have:
        return None
    on_same = Counter(score.drawn_from for score in have)
    most = max(on_same.values())
    leaders = [score for score in have if on_same[score.drawn_from] == most]
    best = min(leaders, key=lambda score: sign * score.value)
    others = sorted((score for score in have if score is not best), key=lambda score: sign * score.value)
    gaps = {other.arm: other.minus(best) for other in others}
    ties = tuple(arm for arm, gap in gaps.items() if gap is not None and verdict(gap) == "tie")
    behind = tuple(arm for arm, gap in gaps.items() if gap is not None and verdict(gap) != "tie")
    return Winner(key, best, ties, behind, tuple(other for other in others if gaps[other.arm] is None))


def overall(winners: Sequence[Winner]) -> str:
    """Who leads or ties most often, in one sentence."""
    if not winners:
        return "No number was measured."
    compared = [w for w in winners if w.ties or w.behind]
    if not compared:
        return "Nobody leads: no two arms have a number that can be paired."
    times = {arm: sum(arm in w.leaders for w in compared) for w in compared for arm in w.leaders}
    most = max(times.values())
    first = [arm for arm, count in times.items() if count == most]
    alone = {arm: sum(w.leaders == (arm,) for w in compared) for arm in first}
    names = " and ".join([side_by_side(first[:-1]), first[-1]] if len(first) > 1 else first)
    who = "lead or tie" if len(first) > 1 else "leads or ties"
    clear = [f"{arm} alone in {count}" for arm, count in alone.items() if count]
    which = "columns" if len(compared) == len(winners) else "columns in which arms are paired"
    said = f"{names} {who} in {most} of {len(compared)} {which}"
    return f"{said} ({', '.join(clear) if clear else 'never alone: every lead is within an interval'})."
