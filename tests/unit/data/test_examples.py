"""Classes of studies, their halves, and the shots that are drawn."""

from __future__ import annotations

import random

import pytest

from radalign.data.examples import (
    ExampleError,
    all_classes,
    chosen_classes,
    class_of,
    draw_shots,
    few_of_each,
    list_sha256,
)
from radalign.study import Study


def study(number: int, *present: str, **extra: str) -> Study:
    return Study(f"s{number}", f"p{number}", labels=dict.fromkeys(present, 1) | {"Hernia": 0}, extra=extra)


def test_only_a_study_with_exactly_one_of_the_listed_classes_is_an_example() -> None:
    listed = ["b", "a"]
    assert [class_of(study(0, *names), listed) for names in (("a",), ("a", "x"), ("a", "b"), ("x",), ())] == [
        1, 1, None, None, None,
    ]  # fmt: skip


def test_classes_follow_the_numbers_of_a_split_file_and_else_the_alphabet() -> None:
    assert all_classes([study(0, "c"), study(1, "a", "b")]) == ("a", "b", "c")
    numbered = [
        study(i, name, class_number=str(n)) for i, (name, n) in enumerate([("a", 10), ("c", 2), ("b", 0)])
    ]
    assert all_classes(numbered) == ("b", "c", "a")


def test_a_class_that_no_study_shows_is_refused() -> None:
    with pytest.raises(ExampleError, match=r"No study shows z; set data.labels to some of a, b"):
        chosen_classes([study(0, "a"), study(1, "b")], ["a", "z"])
    for labels in ([], ["a", "a"]):
        with pytest.raises(ExampleError, match="at least two"):
            chosen_classes([study(0, "a")], labels)


def test_shots_are_drawn_class_by_class_with_pythons_sample() -> None:
    labels = [0] * 5 + [1] * 3 + [0] * 2
    generator = random.Random(3)
    want = [*generator.sample([0, 1, 2, 3, 4, 8, 9], 4), 5, 6, 7]
    assert draw_shots(labels, 4, seed=3) == want  # class 1 has only three and gives them all


def test_another_seed_draws_other_studies_and_the_same_seed_the_same() -> None:
    studies = [study(i, "ab"[i % 2]) for i in range(40)]
    lists = [[s.id for s in few_of_each(studies, ["a", "b"], 4, seed)] for seed in (1, 1, 2)]
    assert lists[0] == lists[1] != lists[2]
    assert list_sha256(lists[0]) == list_sha256(lists[1]) != list_sha256(lists[2])
    assert len(few_of_each(studies, ["a", "b"], 0, 1)) == 40
