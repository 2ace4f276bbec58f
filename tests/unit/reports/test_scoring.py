"""Scoring: the counts worked out by hand."""

from pathlib import Path

import pytest

from radalign.reports.scoring import Score, agreement, read_labelled


def test_counts_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "mine.tsv"
    file.write_text(
        "# note\nNo effusion.\t+Pleural Effusion\nNew edema.\t+Edema new; -Mass\nClear bones.\t-Fracture\n"
    )
    result = agreement(read_labelled(file))
    assert result.sentences == 3
    assert result.statuses["present"] == Score(right=1, predicted=1, true=2)
    assert result.statuses["absent"] == Score(right=1, predicted=2, true=2)
    assert result.changes["new"] == Score(right=1, predicted=1, true=1)
    assert result.findings["Pleural Effusion"].f1 == 0.0
    assert [m[0] for m in result.misses] == ["No effusion.", "New edema."]


def test_nothing_predicted_and_nothing_true_is_perfect() -> None:
    empty = Score(0, 0, 0)
    assert (empty.precision, empty.recall, empty.f1) == (1.0, 1.0, 1.0)


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ValueError, match="use development, held_out or a file's path"):
        read_labelled("test")


def test_a_misspelt_finding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.tsv"
    file.write_text("Edema.\t+Edemma new\n")
    with pytest.raises(ValueError, match="'Edemma' is no finding; did you mean 'Edema'"):
        read_labelled(file)


def test_a_label_without_a_sign_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.tsv"
    file.write_text("Edema.\tEdema\n")
    with pytest.raises(ValueError, match="write \\+, - or \\? before each finding"):
        read_labelled(file)


def test_a_name_that_stands_for_two_findings_is_both(tmp_path: Path) -> None:
    file = tmp_path / "mine.tsv"
    file.write_text("Right hydropneumothorax.\t+Hydropneumothorax\n")
    (item,) = read_labelled(file)
    assert {a.finding for a in item.assertions} == {"Pneumothorax", "Pleural Effusion"}
    assert agreement([item]).statuses["present"].f1 == 1.0
