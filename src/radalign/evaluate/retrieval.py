"""Study-level retrieval: image to text, text to image, image to image; several systems on the same studies.

    StudyEmbeddings ──rank──> own report   R@k, MRR, median rank
                              same text    same text@k: any report with the same words counts
                              same label   P@k, mAP: a candidate is right when it shares a chosen label

A query without any chosen label is no query of P@k, but stays in the pool as a wrong candidate. Image to
image leaves out every study of the query's own patient.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from radalign.data.agreement import normalise
from radalign.evaluate import chance
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare, mean_number
from radalign.evaluate.embeddings import EvaluationError, Progress, StudyEmbeddings, same_studies
from radalign.evaluate.ranked import Ranked
from radalign.evaluate.ranking import Scores, dot_products, mixed, rank_scores
from radalign.evaluate.relevance import Relevance, SameGroup, SharedLabel, label_matrix, own
from radalign.evaluate.results import Result
from radalign.evaluate.statistic import average_of, mean_of, median_of
from radalign.evaluate.subgroups import subgroup_numbers, subgroups

Similarity = Literal["global", "local", "both"]
DIRECTIONS = ("image to text", "text to image", "image to image")
NORMAL_LABELS = ("normal", "no finding")


@dataclass(frozen=True)
class RetrievalSettings:
    """What decides the numbers.

    Args:
        recall_ks: Cut-offs of R@k.
        precision_ks: Cut-offs of P@k.
        labels: The chosen labels; empty takes the eight most frequent ones and the normal label.
        exclude_own_report: Hide the own report when P@k is counted between image and text.
        mean_average_precision: Also rank the whole pool for mAP; slower.
        similarity: Between image and text: of the global embeddings, of patches and words, or their mean.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap.
    """

    recall_ks: tuple[int, ...] = (1, 5, 10)
    precision_ks: tuple[int, ...] = (5, 10)
    labels: tuple[str, ...] = ()
    exclude_own_report: bool = False
    mean_average_precision: bool = True
    similarity: Similarity = "global"
    resamples: int = 1000
    seed: int = 0


def frequent_labels(positives: Sequence[frozenset[str]], count: int = 8) -> tuple[str, ...]:
    """The most frequent labels, ties by name, and the normal label in addition where it occurs.

    >>> frequent_labels([frozenset({"normal"}), frozenset({"B"}), frozenset({"A", "B"})], count=1)
    ('B', 'normal')
    """
    times = Counter(label for labels in positives for label in labels)
    normal = sorted(name for name in times if name.lower() in NORMAL_LABELS)
    findings = sorted(times.keys() - set(normal), key=lambda name: (-times[name], name))
    return (*findings[:count], *normal)


def known_labels(asked: Sequence[str], held: Iterable[str]) -> tuple[str, ...]:
    """The asked labels as the studies spell them, whatever their case.

    Raises:
        EvaluationError: If no study knows a label; close names are suggested.

    >>> known_labels(["edema"], {"Edema", "Nodule"})
    ('Edema',)
    """
    by_lower = {name.lower(): name for name in sorted(held, reverse=True)}
    unknown = [name for name in asked if name.lower() not in by_lower]
    if unknown:
        near = difflib.get_close_matches(unknown[0].lower(), list(by_lower), n=3, cutoff=0.6)
        names = [by_lower[name] for name in near] or sorted(by_lower.values())[:12]
        advice = (
            f"did you mean {' or '.join(map(repr, names))}?" if near else f"they have {', '.join(names)}."
        )
        raise EvaluationError(
            f"No study has the label {unknown[0]!r}; {advice if names else 'they have no labels.'}"
        )
    kept = set(held)
    return tuple(name if name in kept else by_lower[name.lower()] for name in asked)


def evaluate_retrieval(
    named: Mapping[str, StudyEmbeddings],
    settings: RetrievalSettings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Retrieval of every named system, with intervals, chance, and gaps of the first one to the others.

    Args:
        named: Name to embeddings; all of the same studies in the same order.
        settings: See `RetrievalSettings`.
        progress: Wraps the loop over systems and directions.

    Raises:
        EvaluationError: If there is nothing to evaluate, the systems saw different studies, or a label of
            the settings is unknown to these studies.
    """
    settings = settings or RetrievalSettings()
    first = same_studies(named)
    if any(given.text is None for given in named.values()):
        raise EvaluationError("Retrieval needs the reports' embeddings; embed the studies with reports=True.")
    held = {name for labels in first.labels for name in labels}
    labels = known_labels(settings.labels, held) or frequent_labels(first.positives)
    resamples = Resamples(first.patient_ids, settings.resamples, settings.seed)
    cells = [(name, direction) for name in named for direction in DIRECTIONS]
    numbers = {
        (name, direction): _numbers(named[name], direction, labels, settings)
        for name, direction in (progress(cells, "Ranking") if progress else cells)
    }
    measures, gaps = compare(numbers, resamples)
    facts = {"labels": list(labels), "studies": len(first), "patients": resamples.patients}
    return Result(
        "retrieval", "strict", measures, gaps, asdict(settings) | facts, notes=_notes(first, labels)
    )


def _numbers(
    given: StudyEmbeddings, direction: str, labels: Sequence[str], settings: RetrievalSettings
) -> dict[Name, Number]:
    query, _, candidate = direction.partition(" to ")
    pairs = query != candidate
    scores = dot_products(getattr(given, query), getattr(given, candidate))
    if pairs and settings.similarity != "global":
        scores = _with_local(given, scores, query, settings.similarity)
    ks = tuple(sorted({*settings.recall_ks, *settings.precision_ks}))
    found: dict[Name, Number] = {}
    if pairs:
        ranked = rank_scores(scores, _right_reports(given), ks)
        found |= pair_numbers(ranked, settings.recall_ks) | _by_subgroup(given, ranked["own"], settings)
    alike = shared_label_relevances(given.positives, labels)
    if alike:
        hidden = _hidden(given, pairs, settings)
        ranked = rank_scores(scores, alike, ks, hidden, settings.mean_average_precision)
        found |= label_numbers(ranked, settings)
    return found


def _with_local(given: StudyEmbeddings, scores: Scores, query: str, similarity: Similarity) -> Scores:
    if given.local is None:
        raise EvaluationError(
            "The local similarity was not computed; use `local_similarity.with_local` first."
        )
    return mixed(scores, given.local if query == "image" else given.local.T, similarity)


def _right_reports(given: StudyEmbeddings) -> dict[str, Relevance]:
    right: dict[str, Relevance] = {"own": own(len(given))}
    if given.texts:
        plain = [normalise(text) for text in given.texts]
        right["same"] = SameGroup(plain, plain)
    return right


def shared_label_relevances(
    positives: Sequence[frozenset[str]], labels: Sequence[str]
) -> dict[str, Relevance]:
    """Relevance by any chosen label under "", and by each single one under its name; empty without labels."""
    matrix = label_matrix(positives, labels)
    if not matrix.any():
        return {}
    single = {label: matrix[:, [i]] for i, label in enumerate(labels) if matrix[:, i].any()}
    alike: dict[str, Relevance] = {"": SharedLabel(matrix, matrix)}
    return alike | {name: SharedLabel(one, one) for name, one in single.items()}


def _hidden(given: StudyEmbeddings, pairs: bool, settings: RetrievalSettings) -> Relevance | None:
    if pairs:
        return own(len(given)) if settings.exclude_own_report else None
    return SameGroup(given.patient_ids, given.patient_ids)


def pair_numbers(ranked: Mapping[str, Ranked], ks: Sequence[int]) -> dict[Name, Number]:
    """R@k, MRR and median rank of the `own` answer; `same text@k` where `same` was ranked too."""
    pair = ranked["own"]
    found: dict[Name, Number] = {
        (f"R@{k}", ""): mean_number(pair.recall(k), chance.recall(pair, k)) for k in ks
    }
    found["MRR", ""] = mean_number(pair.reciprocal_rank(), chance.reciprocal_rank(pair))
    found["median rank", ""] = Number(median_of(pair.rank()), chance.median_rank(pair))
    if "same" in ranked:
        same = ranked["same"]
        found |= {(f"same text@{k}", ""): mean_number(same.hit(k), chance.hit(same, k)) for k in ks}
    return found


def _by_subgroup(given: StudyEmbeddings, pair: Ranked, settings: RetrievalSettings) -> dict[Name, Number]:
    k = max(settings.recall_ks)
    values = pair.recall(k)
    groups = subgroups(given.groups)
    return subgroup_numbers(f"R@{k}", lambda members: [mean_of(np.where(members, values, np.nan))], groups)


def label_numbers(ranked: Mapping[str, Ranked], settings: RetrievalSettings) -> dict[Name, Number]:
    """P@k and mAP over any label, their macro means, and those of each label; nDCG at the largest k."""
    found: dict[Name, Number] = {}
    for k in settings.precision_ks:
        values = {group: mean_number(r.precision(k), chance.precision(r, k)) for group, r in ranked.items()}
        found |= _with_macro(f"P@{k}", values)
    k = max(settings.precision_ks)
    found[f"nDCG@{k}", ""] = mean_number(ranked[""].ndcg(k), chance.ndcg(ranked[""], k))
    if settings.mean_average_precision:
        values = {
            group: mean_number(r.average_precision(), chance.average_precision(r))
            for group, r in ranked.items()
        }
        found |= _with_macro("mAP", values)
    return found


def _with_macro(metric: str, values: Mapping[str, Number]) -> dict[Name, Number]:
    """The number over any label, its mean over single labels, and each single label's."""
    single = {group: number for group, number in values.items() if group}
    # The value leaves out a label that no query can be right about, so its chance must too.
    expected = [n.chance for n in single.values() if n.chance is not None and np.isfinite(n.chance)]
    macro = Number(
        average_of([number.statistic for number in single.values()]),
        float(np.mean(expected)) if expected else None,
    )
    return {(metric, ""): values[""], (f"macro {metric}", ""): macro} | {
        (metric, group): number for group, number in single.items()
    }


def _notes(given: StudyEmbeddings, labels: Sequence[str]) -> tuple[str, ...]:
    if not labels:
        return ("The studies carry no labels, so P@k and mAP were not computed.",)
    never = [name for name in labels if not any(name in positive for positive in given.positives)]
    nowhere = (f"No study shows {', '.join(never)}, so there is no P@k of it.",) if never else ()
    have = sum(bool(positive & set(labels)) for positive in given.positives)
    return (
        f"{have} of {len(given)} studies carry a chosen label and are queries of P@k; all are candidates.",
        *nowhere,
    )
