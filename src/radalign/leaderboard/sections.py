"""The sections of the page: who wins, the tables, the differences, the ablations, what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radalign.evaluate.results import Gap
from radalign.evaluate.tables import spread, written
from radalign.leaderboard.alike import mixed_rules
from radalign.leaderboard.blocks import Block, Cell, Folded, Grid, Listing, Section, Side
from radalign.leaderboard.plan import ALL, Arm, BoardPlan
from radalign.leaderboard.scores import Judged, Key, Score, Scores, gaps_to, verdict
from radalign.leaderboard.standing import by_reason
from radalign.leaderboard.svg import interval_bar
from radalign.leaderboard.winners import by_test, overall, side_by_side, winner


def in_short(plan: BoardPlan, scores: Scores, columns: Sequence[Key], label: str, budget: str) -> Section:
    """Who wins, in sentences."""
    ordered = [key for own in by_test(columns) for key in own]
    winners = [w for key in ordered if (w := winner(scores, key)) is not None]
    blocks: list[Block] = [plan.description] if plan.description else []
    blocks += [
        f"Budget: {budget}; weights: {plan.evaluate.weights} "
        f"{'by validation' if plan.evaluate.weights == 'best' else 'ones'}. {label}",
        *_by_classes(plan, scores),
        overall(winners),
        Listing([w.sentence() for w in winners]),
        "Intervals are 95 %, by resampling patients, and cover the choice of patients; what "
        "seeds change stands beside them. Each difference is judged by its own interval, with no "
        "correction for their number.",
    ]
    return Section("In short", blocks)


def _by_classes(plan: BoardPlan, scores: Scores) -> list[Block]:
    """Who was not asked by sentences, if anybody."""
    named = [arm.name for arm in plan.arm if arm.own_classes and arm.name in scores]
    if not named and not plan.evaluate.own_classes:
        return []
    who = (
        "Systems with classes of their own"
        if plan.evaluate.own_classes
        else " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
    )
    return [f"{who}: in `zero-shot`, findings are scored by classes of their own, not by sentences."]


def main_table(scores: Scores, columns: Sequence[Key], label: str) -> Section:
    """Systems x tasks, a table per test set, then each column as dots with intervals."""
    tests = by_test(columns)
    blocks: list[list[Block]] = [
        [_main_grid(scores, own, label), Side(_forests(scores, own))] for own in tests
    ]
    return Section("Systems and tasks", _first_open(tests, blocks))


def _first_open(tests: Sequence[Sequence[Key]], blocks: Sequence[Sequence[Block]]) -> list[Block]:
    """The blocks of each test set; on a page the first is open and the others wait to be asked for."""
    found: list[Block] = []
    for own, mine in zip(tests, blocks, strict=True):
        name = own[0][0].partition(" [")[2].removesuffix("]")
        if mine:
            found += [Folded(f"Test set: {name or ALL}", mine)] if found else mine
    return found


def _main_grid(scores: Scores, columns: Sequence[Key], label: str) -> Grid:
    leaders = {key: w.best.arm for key in columns if (w := winner(scores, key)) is not None}
    rows = [
        [Cell(arm), *(_number(mine.get(key), leaders.get(key) == arm) for key in columns)]
        for arm, mine in scores.items()
        if any(key in mine for key in columns)
    ]
    chance = [next((s[key].chance for s in scores.values() if key in s), None) for key in columns]
    if any(value is not None for value in chance):
        pairs = zip(columns, chance, strict=True)
        rows.append([Cell("chance"), *(Cell("" if c is None else written(k[1], c)) for k, c in pairs)])
    return Grid(header("system", columns), rows, label)


def header(first: str, columns: Sequence[Key]) -> list[str]:
    """Of a table with a column per number."""
    return [first, *(f"{task}, {metric}" for task, metric, _ in columns)]


def _number(score: Score | None, is_best: bool = False) -> Cell:
    if score is None:
        return Cell("")
    metric = score.key[1]
    bounds = ""
    if score.low is not None and score.high is not None:
        bounds = f"{written(metric, score.low)}–{written(metric, score.high)}"
    return Cell(written(metric, score.value), bounds, "best" if is_best else "")


def _forests(scores: Scores, columns: Sequence[Key]) -> list[Grid]:
    """Per column a small table with an interval on a line; seeds' spread beside."""
    tables = []
    for key in columns:
        have = [mine[key] for mine in scores.values() if key in mine]
        limits = _limits(have)
        rows = [
            [
                Cell(s.arm),
                Cell(_short(s), bar=interval_bar(s.value, s.low, s.high, limits, s.chance)),
                Cell("" if s.spread is None else f"±{written(key[1], s.spread)}"),
            ]
            for s in have
        ]
        tables.append(Grid([f"{key[0]}, {key[1]}", "value (95 %)", "SD, seeds"], rows))
    return tables


def _short(score: Score) -> str:
    return spread(score.key[1], score.value, score.low, score.high)


def _limits(scores: Sequence[Score]) -> tuple[float, float]:
    ends = [e for s in scores for e in (s.low, s.high, s.value, s.chance) if e is not None and e == e]
    return (min([0.0, *ends]), max(ends)) if ends else (0.0, 1.0)


def differences(plan: BoardPlan, scores: Scores, columns: Sequence[Key], label: str) -> Section:
    """Every arm minus the reference, paired by patient."""
    against = plan.against
    if against not in scores:
        return Section(f"Differences to {against}", [f"{against} has no result yet, so nothing is compared."])
    gaps = gaps_to(scores, against, columns)
    grids: list[list[Block]] = []
    tests = by_test(columns)
    for own in tests:
        rows = [
            [Cell(arm), *(gap_cell(gaps.get((arm, key)), key in mine) for key in own)]
            for arm, mine in scores.items()
            if arm != against and any(key in mine for key in own)
        ]
        grids.append([Grid(header(f"minus {against}", own), rows, label)] if rows else [])
    return Section(f"Differences to {against}", _first_open(tests, grids))


def gap_cell(gap: Gap | None, has_value: bool = True) -> Cell:
    """A difference with its interval, marked by who is better; or that the numbers are not paired."""
    if gap is None:
        return Cell("not paired" if has_value else "")
    value = written(gap.metric, gap.value, "+")
    bounds = f"{written(gap.metric, gap.low, '+')} to {written(gap.metric, gap.high, '+')}"
    return Cell(f"{value} {verdict(gap)}", bounds, verdict(gap))


def ablations(plan: BoardPlan, scores: Scores, columns: Sequence[Key], label: str) -> Section:
    """Every arm that varies another, minus that other, from the raw numbers."""
    note = (
        "An arm minus the one that it is a variation of. “worse” and “better” are of the variation: where a "
        "part was taken away, “worse” says that it had helped; where training went on from the other, that "
        f"this had not. Where a smaller number is the better one, a difference above 0 is worse. {label}"
    )
    grids: list[list[Block]] = []
    tests = by_test(columns)
    for own in tests:
        rows = [row for arm in plan.arm if (row := _ablation(arm, scores, own))]
        grids.append([Grid(header("variation", own), rows, note)] if rows else [])
    return Section("Ablations and variations", _first_open(tests, grids))


def _ablation(arm: Arm, scores: Scores, columns: Sequence[Key]) -> list[Cell]:
    """The row of an arm that varies another; empty when there is nothing to say."""
    mine, whole = scores.get(arm.name, {}), scores.get(arm.ablates, {})
    shared = [key for key in columns if key in mine and key in whole]
    if not arm.ablates or not shared:
        return []
    found = {key: mine[key].minus(whole[key]) for key in shared}
    return [Cell(f"{arm.name} − {arm.ablates}"), *(gap_cell(found.get(key), key in mine) for key in columns)]


def by_group(scores: Scores, label: str) -> Section:
    """Every number of a finding or subgroup: zero-shot AUC and precision by label."""
    keys = dict.fromkeys(key for mine in scores.values() for key in mine if key[2])
    kinds = [k for k in dict.fromkeys(key[:2] for key in keys) if k[1] in ("AUC", "P@5", "P@10")]
    blocks: list[Block] = []
    for task, metric in kinds:
        own = [key for key in keys if key[:2] == (task, metric) and ":" not in key[2]]
        if not own:
            continue
        rows = _plain_rows(scores, own)
        header = ["system", *(key[2] for key in own)]
        blocks.append(Grid(header, rows, _why_bare(scores, own), title=f"{task}, {metric}"))
    return Section("By finding", _folded(blocks, label))


def _folded(grids: Sequence[Block], label: str) -> list[Block]:
    """Tables that are looked up, not read: on a page they wait to be asked for."""
    many = f"{len(grids)} table{'s' * (len(grids) != 1)}"
    return [Folded(many, [*grids, label])] if grids else []


def _plain_rows(scores: Scores, columns: Sequence[Key]) -> list[list[Cell]]:
    """A row per arm that has any of the numbers."""
    return [
        [Cell(arm), *(_number(mine.get(key)) for key in columns)]
        for arm, mine in scores.items()
        if any(key in mine for key in columns)
    ]


def _why_bare(scores: Scores, columns: Sequence[Key]) -> str:
    """Why numbers of a table have no interval although every seed's has one; "" when none lacks it."""
    if not any(key in mine and mine[key].lacks_draws for mine in scores.values() for key in columns):
        return ""
    return (
        "A mean over several seeds without an interval: it takes the resamples of every seed, on the same "
        "studies, and records keep those over all cases alone. Cells that were judged here have them."
    )


def everything(scores: Scores, label: str) -> Section:
    """All numbers over all cases, one table per task."""
    keys = list(dict.fromkeys(key for mine in scores.values() for key in mine if not key[2]))
    blocks: list[Block] = []
    for task in dict.fromkeys(key[0] for key in keys):
        own = [key for key in keys if key[0] == task]
        rows = _plain_rows(scores, own)
        blocks.append(Grid(["system", *(key[1] for key in own)], rows, _why_bare(scores, own), title=task))
    return Section("All numbers", _folded(blocks, label))


def missing(
    failures: Sequence[tuple[str, str]], waiting: Sequence[str], left_out: Mapping[str, str]
) -> Section:
    """Cells whose results the page does not show, or that have none, and why."""
    lines = [f"{label} failed: {why}" for label, why in failures]
    lines += [f"Not shown, {why}: {'; '.join(own)}." for why, own in by_reason(left_out.items()).items()]
    if waiting:
        lines.append(f"Not run yet: {_by_seed(waiting)}.")
    return Section("Cells without a result", [Listing(lines)] if lines else [])


def _by_seed(labels: Sequence[str]) -> str:
    """Cells in few words, by the seeds that are missing.

    >>> _by_seed(["ALTA, seed 0", "ALTA, seed 1", "LoRA, seed 1", "HiCA, seed 1"])
    'with seeds 0, 1: ALTA; with seed 1: LoRA, HiCA'
    """
    seeds: dict[str, list[str]] = {}
    for label in labels:
        arm, _, seed = label.rpartition(", seed ")
        seeds.setdefault(arm, []).append(seed)
    arms: dict[tuple[str, ...], list[str]] = {}
    for arm, missing_seeds in seeds.items():
        arms.setdefault(tuple(missing_seeds), []).append(arm)
    return "; ".join(
        f"with {'seed' if len(s) == 1 else 'seeds'} {', '.join(s)}: {side_by_side(names)}"
        for s, names in arms.items()
    )


def how_made(plan: BoardPlan, cells: Sequence[Judged], label: str) -> Section:
    """Versions, data, seeds, notes of the evaluation, and a row per cell."""
    made = [j.result.made_by for j in cells]
    versions = dict.fromkeys(f"radalign {m.get('radalign')} {_commit(m)}".strip() for m in made)
    packages = dict.fromkeys(", ".join(f"{k} {v}" for k, v in m.get("packages", {}).items()) for m in made)
    notes = dict.fromkeys(note for j in cells for note in j.result.notes)
    rows = [
        [
            Cell(j.cell.label),
            Cell(_recipes(j)),
            Cell(j.cell.folder.name),
            Cell(_identity(m)),
            Cell(_commit(m)),
            Cell(encoding_share(j)),
            Cell(str(m.get("date", ""))),
        ]
        for j, m in zip(cells, made, strict=True)
    ]
    header = ["cell", "recipe", "folder", "identity", "commit", "encoding", "date"]
    mixed = mixed_rules({j.cell.label: j.result for j in cells})
    facts = [*versions, *packages, f"Reference: {plan.against}.", label, *mixed, *notes]
    return Section("How it was made", [Listing(facts), Grid(header, rows)])


def _recipes(judged: Judged) -> str:
    """The recipe of the run, behind that of the run which made its vision encoder."""
    own = str(_recipe_of(judged.run) or judged.cell.arm.recipe)
    return f"{_recipe_of(judged.pretrained)}, then {own}" if judged.pretrained else own


def _recipe_of(run: Mapping[str, Any]) -> Any:
    return run.get("details", {}).get("recipe", {}).get("name")


def _commit(made: Mapping[str, Any]) -> str:
    """The code that judged a cell, short, and whether it had been changed.

    >>> _commit({"commit": "0123456789abcdef0123456789abcdef01234567+changes"}), _commit({})
    ('0123456789ab+changes', '')
    """
    commit, plus, changes = str(made.get("commit", "")).partition("+")
    return f"{commit[:12]}{plus}{changes}"


def _identity(made: Mapping[str, Any]) -> str:
    systems: list[Mapping[str, Any]] = list(made.get("systems", {}).values())
    return str(systems[0].get("identity", ""))[:12] if systems else ""


def encoding_share(judged: Judged) -> str:
    """The share of the judging time that went into the encoders; loading, rendering and timing are apart."""
    times = judged.result.made_by.get("wall_time_s", {})
    work = times.get("all", 0.0) - sum(times.get(name, 0.0) for name in ("load", "render", "speed"))
    if work <= 0:
        return ""
    return f"{100 * (times.get('images', 0.0) + times.get('texts', 0.0)) / work:.0f} % of {work:.1f} s"
