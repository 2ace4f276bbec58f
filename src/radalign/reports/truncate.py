"""Cut text to a token limit without cutting a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from radalign.reports.sentences import split_sentences
from radalign.study import Report


def truncate(text: str, limit: int, count: Callable[[str], int]) -> str:
    """Keep as many whole sentences from the start as fit.

    A first sentence that is too long is cut at a word, and a first word that is too long within it.

    Args:
        text: Report text.
        limit: Most tokens the result may have, in the units of `count`.
        count: Tokens of a text, special tokens included if the limit includes them; never less for more
            text.

    Raises:
        ValueError: If not even one letter fits.

    References:
        ClinVLA, section 3.1: reports are cut "to complete diagnostic sentences" at 128 tokens.

    >>> truncate("No effusion. Heart size is normal. Lungs clear.", 6, lambda t: len(t.split()))
    'No effusion. Heart size is normal.'
    """
    if count(text) <= limit:
        return text
    sentences = split_sentences(text)
    kept = _longest_prefix(sentences, limit, count)
    if kept:
        return " ".join(sentences[:kept])
    words = sentences[0].split() if sentences else []
    kept = _longest_prefix(words, limit, count)
    if kept or not words:
        return " ".join(words[:kept])
    kept = _longest_prefix(words[0], limit, count, "")  # Chinese has no spaces
    if not kept:
        raise ValueError(f"Not one letter fits into {limit} tokens; raise the token limit.")
    return words[0][:kept]


def truncate_report(report: Report, limit: int, count: Callable[[str], int]) -> str:
    """The report's body within the limit: the impression is kept first, then findings; reading order stays.

    Args:
        report: A report; without findings or impression its whole text is used.
        limit: Most tokens, in the units of `count`.
        count: Tokens of a text.

    >>> r = Report(findings="Heart normal. Bones intact. Lungs clear.", impression="No acute disease.")
    >>> truncate_report(r, 5, lambda t: len(t.split()))
    'Heart normal. No acute disease.'
    """
    body = report.body
    if not (report.findings.strip() and report.impression.strip()) or count(body) <= limit:
        return truncate(body, limit, count)
    if count(report.impression) >= limit:
        return truncate(report.impression, limit, count)
    findings = split_sentences(report.findings)
    kept = _longest_prefix(findings, limit, lambda text: count(f"{text} {report.impression}"))
    return " ".join([*findings[:kept], report.impression.strip()])


def _longest_prefix(parts: Sequence[str], limit: int, count: Callable[[str], int], between: str = " ") -> int:
    """How many parts fit, by bisection: the count of a longer prefix is never smaller."""
    low, high = 0, len(parts)
    while low < high:
        middle = (low + high + 1) // 2
        if count(between.join(parts[:middle])) <= limit:
            low = middle
        else:
            high = middle - 1
    return low
