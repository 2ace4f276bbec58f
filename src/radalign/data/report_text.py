"""Which text of a report trains, and how it varies from epoch to epoch: its section and its sentences."""

from __future__ import annotations

import numpy as np

from radalign.data.settings import TextSettings
from radalign.reports.sentences import split_sentences
from radalign.study import Report

_SECTIONS = ("body", "findings", "impression")


def report_text(report: Report, settings: TextSettings, rng: np.random.Generator | None = None) -> str:
    """The text of a report that is shown to the system.

    Args:
        report: The report.
        settings: Section, shuffling and sampling.
        rng: Source of chance in training; None (evaluation) keeps the whole section in its order, and takes
            the body where the setting is `any`.

    Returns:
        The text, "" when the report has none.

    >>> report = Report(findings="Heart normal. Lungs clear.", impression="No acute disease.")
    >>> report_text(report, TextSettings(section="impression"))
    'No acute disease.'
    >>> report_text(report, TextSettings(section="findings"), np.random.default_rng(2))
    'Lungs clear. Heart normal.'
    """
    text = _section(report, settings, rng)
    if rng is None or not (settings.shuffle or settings.sample_probability):
        return text
    return " ".join(vary_sentences(split_sentences(text), settings, rng))


def vary_sentences(sentences: list[str], settings: TextSettings, rng: np.random.Generator) -> list[str]:
    """Keep some sentences (with `sample_probability`) and shuffle them; at least one stays.

    Args:
        sentences: In the report's order.
        settings: Shares and probabilities.
        rng: Source of chance; always draws the same number of values for a number of sentences.

    >>> cut = TextSettings(shuffle=False, sample_probability=1, sample_share=(0.5, 0.5))
    >>> len(vary_sentences(["A.", "B.", "C.", "D."], cut, np.random.default_rng(0)))
    2
    """
    if not sentences:
        return []
    chance, share = rng.random(), rng.uniform(*settings.sample_share)
    order = rng.permutation(len(sentences))
    if chance < settings.sample_probability:
        order = order[: max(1, round(share * len(sentences)))]
    if not settings.shuffle:
        order = np.sort(order)
    return [sentences[int(i)] for i in order]


def _section(report: Report, settings: TextSettings, rng: np.random.Generator | None) -> str:
    section: str = settings.section
    if section == "any":
        section = "body" if rng is None else _SECTIONS[int(rng.integers(len(_SECTIONS)))]
    chosen = report.body if section == "body" else str(getattr(report, section)).strip()
    return chosen or report.body
