"""CheXpert 8x200 and 5x200 on fixtures in the benchmark's format, with values counted by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.protocols import chexpert_5x200, chexpert_8x200, find_protocol
from radalign.evaluate.protocols.chexpert import LABELS
from radalign.evaluate.protocols.gloria_text import gloria_clean
from radalign.evaluate.protocols.protocol import Options

HEAD = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *LABELS]


def image(patient: int, name: str = "view1_frontal.jpg") -> str:
    return f"CheXpert-v1.0-small/train/patient{patient:05d}/study1/{name}"


def row(path: str, label: str) -> list[str]:
    return [path, "Female", "60", "Frontal", "AP", *("1.0" if name == label else "0.0" for name in LABELS)]


def write(path: Path, lines: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)


@pytest.fixture
def eight(tmp_path, write_image):
    """Two image and two text queries; candidates: Edema at 10, 20, 50; Fracture at 0, 40, 90 degrees."""
    placed = {
        1: ("Edema", 10),
        2: ("Edema", 20),
        3: ("Edema", 50),
        4: ("Fracture", 0),
        5: ("Fracture", 40),
        6: ("Fracture", 90),
    }
    for patient, (_, angle) in placed.items():
        write_image(tmp_path / image(patient), angle)
    write_image(tmp_path / image(1, "view2_frontal.jpg"), 12)
    write_image(tmp_path / image(9), 85)
    write(
        tmp_path / "image-retrieval" / "candidate.csv",
        [HEAD, *(row(image(p), label) for p, (label, _) in placed.items())],
    )
    write(
        tmp_path / "image-retrieval" / "query.csv",
        [["Variable", "Path"], ["Edema", image(1, "view2_frontal.jpg")], ["Fracture", image(9)]],
    )
    write(
        tmp_path / "text-retrieval" / "query.csv",
        [["Variable", "Text"], ["Edema", "Mild EDEMA."], ["Fracture", "rib, broken"]],
    )
    return tmp_path


def values(result, task):
    return {m.metric: m.value for m in result.measures if m.task == task and not m.group}


def test_8x200_in_both_modes(eight, angles):
    system = angles({"Mild EDEMA.": 15, "rib, broken": 90})
    paper = chexpert_8x200.run({"fake": system}, eight, Options(mode="paper", resamples=10))
    strict = chexpert_8x200.run({"fake": system}, eight, Options(mode="strict", resamples=10))
    # Edema at 12: 10E 20E 0F 40F 50E -> 3 of 5. Fracture at 85: 90F 50E 40F 20E 10E -> 2 of 5.
    assert values(paper, "image to image")["P@5"] == pytest.approx((3 / 5 + 2 / 5) / 2)
    # Strict: patient 1's own candidate (10E) is hidden: 20E 0F 40F 50E 90F -> 2 of 5.
    assert values(strict, "image to image")["P@5"] == pytest.approx((2 / 5 + 2 / 5) / 2)
    # Text at 15: 10E 20E 0F 40F 50E -> 3 of 5; text at 90: 90F 50E 40F 20E 10E -> 2 of 5.
    assert values(paper, "text to image")["P@5"] == pytest.approx((3 / 5 + 2 / 5) / 2)
    assert values(paper, "text to image")["P@10"] == pytest.approx(3 / 10)
    assert paper.measures[0].chance == pytest.approx(0.5)
    assert paper.mode == "paper"
    assert system.texts[:2] == ["Mild EDEMA.", "rib, broken"]


def test_8x200_refuses_a_candidate_with_two_labels(eight, angles):
    lines = [HEAD, row(image(1), "Edema"), row(image(4), "Fracture")]
    lines[1][HEAD.index("Pneumonia")] = "1.0"
    write(eight / "image-retrieval" / "candidate.csv", lines)
    with pytest.raises(EvaluationError, match="2 positive labels"):
        chexpert_8x200.run({"fake": angles({})}, eight, Options())


def test_8x200_names_the_row_of_a_label_that_is_none(eight, angles):
    lines = [HEAD, row(image(1), "Edema"), row(image(4), "Fracture")]
    for wrong in ("nan", "0.7", "yes"):
        lines[2][HEAD.index("Pneumonia")] = wrong
        write(eight / "image-retrieval" / "candidate.csv", lines)
        with pytest.raises(
            EvaluationError, match=rf"candidate\.csv, row 3: the label Pneumonia is '{wrong}'; "
        ):
            chexpert_8x200.run({"fake": angles({})}, eight, Options())


@pytest.mark.parametrize(
    "name", ["image-retrieval/query.csv", "image-retrieval/candidate.csv", "text-retrieval/query.csv"]
)
def test_8x200_names_an_empty_list(eight, angles, name):
    path = eight / name
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(EvaluationError, match=rf"{name} has a header and no row; use the benchmark's own"):
        chexpert_8x200.run({"fake": angles({})}, eight, Options())


def test_8x200_names_the_first_missing_image(eight, angles):
    (eight / image(5)).unlink()
    with pytest.raises(EvaluationError, match="patient00005"):
        chexpert_8x200.run({"fake": angles({})}, eight, Options())


FIVE = {
    "Atelectasis": (10, 20),
    "Cardiomegaly": (50, 60),
    "Consolidation": (90, 100),
    "Edema": (130, 140),
    "Pleural Effusion": (170, 15),
}


@pytest.fixture
def five(tmp_path, write_image):
    """Ten rows, two per class, in the published block order; a report stands two degrees from its image."""
    lines, texts = [["", *HEAD, "Report Impression"]], {}
    for c, (label, pair) in enumerate(FIVE.items()):
        for j, angle in enumerate(pair):
            patient = 2 * c + j
            write_image(tmp_path / image(patient), angle)
            report = f"1. {label}\n{('first', 'second')[j]}. Gone."
            texts[gloria_clean(report)] = angle + 2
            lines.append([str(patient), *row(image(patient), label), report])
    write(tmp_path / "chexpert_5x200.csv", lines)
    return tmp_path, texts, lines


def test_5x200_image_to_text(five, angles):
    folder, texts, _ = five
    prompts = {"mild pulmonary edema": 135, "edema": 135}
    found = chexpert_5x200.run({"fake": angles(texts | prompts)}, folder, Options(mode="paper", resamples=10))
    # Images 10 and 20 (Atelectasis): reports at 12 A, 17 P, 22 A, 52 C, 62 C -> 2 of 5.
    # Image 15 (Pleural Effusion): the same five -> 1 of 5. Image 170: 172 P, 142, 132, 102, 92 -> 1.
    # Images 50, 60: both C within five; 90, 100: both; 130, 140: both.
    assert values(found, "image to text")["P@5"] == pytest.approx((2 * 8 + 1 * 2) / (5 * 10))
    assert values(found, "image to text")["P@100"] == pytest.approx(2 / 100)
    strict = chexpert_5x200.run({"fake": angles(texts)}, folder, Options(mode="strict", resamples=10))
    # Without the own report, one right one is left for eight images; the outliers have none near.
    assert values(strict, "image to text")["P@5"] == pytest.approx(8 / (5 * 10))


def test_5x200_paper_mode_counts_by_row_order_and_says_so(five, angles):
    folder, texts, lines = five
    moved = [
        lines[0],
        *lines[2:],
        lines[1],
    ]  # every row one place up: every second row falls in another block
    write(folder / "chexpert_5x200.csv", moved)
    paper = chexpert_5x200.run({"fake": angles(texts)}, folder, Options(mode="paper", resamples=10))
    assert any("5 rows are not in the block" in note for note in paper.notes)


def test_5x200_zero_shot_takes_the_best_class(five, angles):
    folder, texts, _ = five
    prompts = chexpert_5x200.load_prompts("gloria-classes").classes
    middle = {
        "Atelectasis": 15,
        "Cardiomegaly": 55,
        "Consolidation": 95,
        "Edema": 135,
        "Pleural Effusion": 175,
    }
    table = {gloria_clean(p): middle[name] for name, sentences in prompts.items() for p in sentences}
    found = chexpert_5x200.run({"fake": angles(texts | table)}, folder, Options(mode="strict", resamples=10))
    # The Pleural Effusion image at 15 degrees is taken for Atelectasis; the other nine are right.
    assert values(found, "zero-shot, 5 classes")["accuracy"] == pytest.approx(0.9)
    assert found["fake", "zero-shot, 5 classes", "accuracy"].chance == 0.2


def test_5x200_names_an_empty_list(five, angles):
    folder, _, lines = five
    write(folder / "chexpert_5x200.csv", lines[:1])
    with pytest.raises(EvaluationError, match=r"chexpert_5x200\.csv has a header and no row"):
        chexpert_5x200.run({"fake": angles({})}, folder, Options())


def test_5x200_refuses_rows_without_exactly_one_of_the_five(five, angles):
    folder, _, lines = five
    lines[3][lines[0].index("Edema")] = "1.0"
    write(folder / "chexpert_5x200.csv", lines)
    with pytest.raises(EvaluationError, match="has 2 of the five labels"):
        chexpert_5x200.run({"fake": angles({})}, folder, Options())


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("1. Small effusion.\n2. Unchanged.", "small effusion"),
        ("Heart, enlarged; no edema", "heart enlarged no edema"),
        ("T9 fracture 10. Old rib fracture", "t9 fracture old rib fracture"),
        ("", ""),
    ],
)
def test_gloria_cleaning(text, clean):
    assert gloria_clean(text) == clean


def test_an_unknown_protocol_is_answered_with_the_known_ones():
    with pytest.raises(EvaluationError, match="chexpert-8x200"):
        find_protocol("imagenet")
