"""Protocols by the similarity of patches and words: equal to plain loops over a small random system."""

from __future__ import annotations

import csv
from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from radalign.data.read_slots import read_slots
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.plan import TAKES
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols import chexpert_5x200, chexpert_8x200, ms_cxr_t, report_to_report
from radalign.evaluate.protocols.chexpert import FIVE, LABELS
from radalign.evaluate.protocols.gloria_text import gloria_clean
from radalign.evaluate.protocols.protocol import Options, frontal_studies
from radalign.study import Manifest, Report, Study
from radalign.systems.base import create

TINY = "width=16, depth=1, heads=2, mlp_width=16"
SETTINGS = (
    f"backbones.vision={{random={{{TINY}, patch_px=16, image_px=32}}}}",
    f"backbones.text={{random={{{TINY}, vocabulary=300, max_tokens=64}}}}",
    "backbones.max_tokens=48",
    "data.size_px=32",
)
WAYS = ("global", "local", "both")


@pytest.fixture(scope="module")
def system():
    torch.manual_seed(0)
    return create("clinvla-heads", [*SETTINGS, 'data.slots=["current_frontal"]']).eval()


def paths(count):
    return [f"train/patient{i:05d}/study1/view1_frontal.jpg" for i in range(count)]


def draw(folder, names):
    random = np.random.default_rng(1)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (32, 32)).astype(np.uint8)).save(folder / name, format="PNG")


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@torch.inference_mode()
def patches(system, folder, names):
    """Local embeddings of single images, one at a time."""
    manifest = Manifest(frontal_studies(names), folder)
    found = [system.see(read_slots([manifest[n]], manifest, system.recipe.data)) for n in names]
    return [f.local[0][f.mask[0]] if f.mask is not None else f.local[0] for f in found]


@torch.inference_mode()
def words(system, texts):
    found = [system.read(system.tokenize([text])) for text in texts]
    return [f.local[0][f.mask[0]] for f in found]


def loop(left, right):
    """Score of every `left` (rows) for every text of `right`: GLoRIA's formula, word by word.

    With the scales that ClinVLA's local objective starts from.
    """
    scale = 1 / 0.07
    rows = []
    for p in left:
        row = []
        for w in right:
            u = p @ w.T  # [patches, words]
            attention = (scale * u.softmax(1)).softmax(0)
            cosines = [torch.cosine_similarity(w[j], attention[:, j] @ p, dim=0) for j in range(len(w))]
            row.append(float(torch.stack([(scale * c).exp() for c in cosines]).mean().log()) / scale)
        rows.append(row)
    return np.array(rows)


def mean_of(similarity, vectors, local):
    return {"global": vectors, "local": local, "both": (vectors + local) / 2}[similarity]


def precision(scores, right, k):
    """P@k by sorting; right is bool [Q, C]."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(right, order, axis=1).sum(axis=1).mean() / k


@pytest.fixture
def five(tmp_path):
    """Ten studies, two of each class, a report of its own each."""
    names = paths(10)
    draw(tmp_path, names)
    reports = [f"The {FIVE[i // 2].lower()} number {i} is {'small' if i % 3 else 'large'}" for i in range(10)]
    rows = [["Path", *LABELS, "Report Impression"]]
    rows += [[n, *(float(c == FIVE[i // 2]) for c in LABELS), reports[i]] for i, n in enumerate(names)]
    write(tmp_path / "chexpert_5x200.csv", rows)
    return tmp_path, names, [gloria_clean(text) for text in reports]


OWN = "\n".join(
    ['name = "own"', 'source = "this test"', 'pooling = "max_of_logits"']
    + [
        f'[[class]]\nname = "{name}"\norder = ["a"]\na = ["{name.lower()} here", "there is {name.lower()}"]'
        for name in FIVE
    ]
)


@pytest.mark.parametrize("similarity", WAYS)
def test_5x200_ranks_and_classifies_by_what_it_is_told(five, system, similarity):
    folder, names, reports = five
    (folder / "own.toml").write_text(OWN)
    options = Options("paper", resamples=5, similarity=similarity, prompts=str(folder / "own.toml"))
    found = chexpert_5x200.run({"s": system}, folder, options)
    assert found.settings["similarity"] == similarity
    studies = frontal_studies(names)
    z = np.asarray(system.embed_studies(studies, Manifest(studies, folder)))
    seen = patches(system, folder, names)
    scores = mean_of(
        similarity, z @ np.asarray(system.embed_texts(reports)).T, loop(seen, words(system, reports))
    )
    classes = np.arange(10) // 2
    want = precision(scores, classes[:, None] == classes[None], 5)
    assert found["s", "image to text", "P@5"].value == pytest.approx(want)

    sentences = [gloria_clean(s) for c in load_prompts(folder / "own.toml").classes.values() for s in c]
    # The largest of each part, then the mean of the two parts: not the largest of the mean.
    parts = {
        "global": z @ np.asarray(system.embed_texts(sentences)).T,
        "local": loop(seen, words(system, sentences)),
    }
    pooled = {n: np.stack([p[:, a : a + 2].max(1) for a in range(0, 10, 2)], 1) for n, p in parts.items()}
    each = mean_of(similarity, pooled["global"], pooled["local"])
    accuracy = (each.argmax(1) == classes).mean()
    assert found["s", "zero-shot, 5 classes", "accuracy"].value == pytest.approx(accuracy)
    pairs = [(a, b) for a in range(10) for b in range(10) if classes[a] == 3 != classes[b]]
    auc = np.mean([float(each[a, 3] > each[b, 3]) for a, b in pairs])
    found_auc = next(m.value for m in found.measures if (m.metric, m.group) == ("AUC", "Edema"))
    assert found_auc == pytest.approx(auc)


@pytest.mark.parametrize("similarity", WAYS)
def test_8x200_compares_words_with_candidates_and_images_as_ever(tmp_path, system, similarity):
    names = paths(12)
    draw(tmp_path, [*names, "q/patient90000/study1/view1_frontal.jpg"])
    classes = [("Edema", "Fracture", "Pneumonia")[i % 3] for i in range(12)]
    rows = [
        ["Path", *LABELS],
        *([n, *(float(c == k) for k in LABELS)] for n, c in zip(names, classes, strict=True)),
    ]
    write(tmp_path / "image-retrieval" / "candidate.csv", rows)
    query = [["Variable", "Path"], ["Edema", "q/patient90000/study1/view1_frontal.jpg"]]
    write(tmp_path / "image-retrieval" / "query.csv", query)
    texts = [
        ("Edema", "Mild EDEMA."),
        ("Fracture", "a broken rib"),
        ("Pneumonia", "patchy opacity at the base"),
    ]
    write(tmp_path / "text-retrieval" / "query.csv", [["Variable", "Text"], *texts])
    found = chexpert_8x200.run({"s": system}, tmp_path, Options(resamples=5, similarity=similarity))
    studies = frontal_studies(names)
    z = np.asarray(system.embed_studies(studies, Manifest(studies, tmp_path)))
    asked = [text for _, text in texts]
    vectors = np.asarray(system.embed_texts(asked)) @ z.T
    scores = mean_of(similarity, vectors, loop(patches(system, tmp_path, names), words(system, asked)).T)
    right = np.array([[c == wanted for c in classes] for wanted, _ in texts])
    assert found["s", "text to image", "P@5"].value == pytest.approx(precision(scores, right, 5))
    assert found.settings["similarity"] == similarity
    plain = chexpert_8x200.run({"s": system}, tmp_path, Options(resamples=5))
    assert found["s", "image to image", "P@5"] == plain["s", "image to image", "P@5"]


@pytest.mark.parametrize("similarity", WAYS)
def test_a_finding_section_may_find_its_impression_word_by_word(tmp_path, system, similarity):
    said = ("lungs are clear", "heart is big", "left effusion", "right base opacity", "old rib fracture")
    studies = [
        Study(
            f"s{i}", f"p{i}", report=Report(findings=f"The {text}.", impression=f"{text} {i}"), split="test"
        )
        for i, text in enumerate(said)
    ]
    Manifest(studies).write(tmp_path / "m.parquet")
    options = Options(resamples=5, similarity=similarity)
    found = report_to_report.run({"s": system}, tmp_path / "m.parquet", options)
    findings, impressions = (
        [getattr(s.report, part) for s in studies] for part in ("findings", "impression")
    )
    vectors = np.asarray(system.embed_texts(findings)) @ np.asarray(system.embed_texts(impressions)).T
    scores = mean_of(similarity, vectors, loop(words(system, findings), words(system, impressions)))
    ranks = (scores > np.diag(scores)[:, None]).sum(1) + 1
    task = "findings to impression"
    assert found["s", task, "MRR"].value == pytest.approx((1 / ranks).mean())
    assert found.settings["similarity"] == similarity


CHANGED = "\n".join(
    ['name = "changed"', 'source = "this test"', 'pooling = "mean_of_logits"']
    + [
        f'[[template]]\nname = "{change}"\nsentences = ["{change} {{}}", "{{}} is {change}", "{change}"]'
        for change in ("improving", "stable", "worsening")
    ]
)


@pytest.mark.parametrize("similarity", WAYS)
def test_changes_are_asked_for_in_other_sentences_and_word_by_word(tmp_path, similarity):
    torch.manual_seed(0)
    slots = 'data.slots=["current_frontal", "prior_frontal"]'
    system = create("clinvla-temporal", [*SETTINGS, slots]).eval()
    lines = ["dicom_id,previous_dicom_id,subject_id,edema_progression"]
    names = []
    for i in range(12):
        names += [f"files/p10/p{i // 2}/s{i}/{age}{i}.jpg" for age in ("new", "old")]
        lines.append(f"new{i},old{i},{i // 2},{('improving', 'stable', 'worsening')[i % 3]}")
    draw(tmp_path, names)
    (tmp_path / "MS_CXR_T_temporal_image_classification_v1.0.0.csv").write_text("\n".join(lines))
    (tmp_path / "changed.toml").write_text(CHANGED)
    options = Options(resamples=5, similarity=similarity, prompts=str(tmp_path / "changed.toml"))
    found = ms_cxr_t.run({"s": system}, tmp_path, options)
    assert found.settings["prompts"] == "changed"
    assert (found.settings["pooling"], found.settings["similarity"]) == ("mean_of_logits", similarity)
    manifest, pairs = ms_cxr_t.read(tmp_path)
    asked = [s.format("edema") for t in load_prompts(tmp_path / "changed.toml").templates.values() for s in t]
    studies = pairs["edema"].studies
    z = np.asarray(system.embed_studies(studies, manifest))
    with torch.inference_mode():
        seen = [system.see(read_slots([s], manifest, system.recipe.data)) for s in studies]
    local = loop(
        [f.local[0] if f.mask is None else f.local[0][f.mask[0]] for f in seen], words(system, asked)
    )
    each = mean_of(similarity, z @ np.asarray(system.embed_texts(asked)).T, local)
    columns = list(pairwise(accumulate((3, 3, 3), initial=0)))
    guess = np.stack([each[:, a:b].mean(1) for a, b in columns], 1).argmax(1)
    truth = pairs["edema"].changes
    want = np.mean([(guess[truth == c] == c).mean() for c in range(3)])
    said = next(m for m in found.measures if (m.task, m.group) == ("change, zero-shot", "edema"))
    assert said.value == pytest.approx(want)


def test_without_prior_slots_nobody_is_asked_in_sentences(tmp_path, system):
    draw(tmp_path, [f"files/{name}.jpg" for name in ("new0", "old0")])
    lines = ["dicom_id,previous_dicom_id,subject_id,edema_progression", "new0,old0,1,stable"]
    (tmp_path / "MS_CXR_T_temporal_image_classification_v1.0.0.csv").write_text("\n".join(lines))
    with pytest.raises(EvaluationError, match="none is asked in sentences; leave --prompts"):
        ms_cxr_t.run({"s": system}, tmp_path, Options(similarity="local"))
    (tmp_path / "own.toml").write_text(OWN)
    with pytest.raises(EvaluationError, match="no \\[\\[template\\]\\] 'improving'"):
        ms_cxr_t.run({"s": system}, tmp_path, Options(prompts=str(tmp_path / "own.toml")))


def test_an_option_that_means_nothing_to_a_protocol_is_not_taken():
    assert {"few-shot", "base-to-novel", "nih", "ms-cxr"}.isdisjoint(TAKES["similarity"])
    assert {"chexpert-8x200", "report-to-report", "nih", "ms-cxr"}.isdisjoint(TAKES["prompts"])
