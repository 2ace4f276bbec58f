"""The table that `radalign report score` prints, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from radalign.reports.scoring import Agreement, Score


def score_table(results: Mapping[str, Agreement], with_findings: bool = True) -> str:
    """Precision, recall and F1 of each set, by status, by change and by finding.

    >>> from radalign.reports.scoring import Agreement, Score
    >>> one = Agreement(1, {"absent": Score(1, 1, 1)}, {}, {}, ())
    >>> print(score_table({"mine": one}))
    | set (sentences) | asserted | true | precision | recall | F1 |
    |---|---|---:|---:|---:|---:|
    | mine (1) | absent | 1 | 1.000 | 1.000 | 1.000 |
    """
    lines = [
        "| set (sentences) | asserted | true | precision | recall | F1 |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, result in results.items():
        label = f"{name} ({result.sentences})"
        lines += _rows(label, result.statuses)
        lines += _rows(label, {f"change: {change}": s for change, s in result.changes.items()})
        if with_findings:
            lines += _rows(label, {f"finding: {finding}": s for finding, s in result.findings.items()})
    return "\n".join(lines)


def score_record(results: Mapping[str, Agreement]) -> dict[str, object]:
    """The same numbers for a script."""
    return {
        name: {
            "sentences": result.sentences,
            **{kind: _numbers(getattr(result, kind)) for kind in ("statuses", "changes", "findings")},
            "misses": [[s, [*map(list, missed)], [*map(list, extra)]] for s, missed, extra in result.misses],
        }
        for name, result in results.items()
    }


def _rows(label: str, scores: Mapping[str, Score]) -> Iterable[str]:
    for name, s in scores.items():
        yield f"| {label} | {name} | {s.true} | {s.precision:.3f} | {s.recall:.3f} | {s.f1:.3f} |"


def _numbers(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    return {
        name: {"true": s.true, "precision": s.precision, "recall": s.recall, "f1": s.f1}
        for name, s in scores.items()
    }
