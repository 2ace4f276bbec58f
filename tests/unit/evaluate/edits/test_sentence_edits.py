"""Rule-made edits, sentence by sentence, as a radiologist would write them down by hand."""

from __future__ import annotations

import pytest

from radalign.evaluate.edits.sentence import KINDS, edit_sentence, edits_of
from radalign.reports.assertions import assert_sentence

BY_HAND = [
    ("side", "Small left pleural effusion.", "Small right pleural effusion."),
    ("side", "Right middle lobe consolidation.", "Lingula consolidation."),
    ("side", "There is a left-sided pacemaker.", "There is a right-sided pacemaker."),
    ("side", "LLL CONSOLIDATION.", "RLL CONSOLIDATION."),
    ("severity", "There is a small effusion.", "There is a large effusion."),
    ("severity", "A minimal effusion is seen.", "An extensive effusion is seen."),
    ("severity", "The heart is mildly enlarged.", "The heart is severely enlarged."),
    ("severity", "Trace right effusion.", "Large right effusion."),
    ("negation", "No pleural effusion.", "Pleural effusion."),
    ("negation", "There is no pleural effusion.", "There is a pleural effusion."),
    ("negation", "There is no evidence of pulmonary edema.", "There is pulmonary edema."),
    ("negation", "No pneumothorax is seen.", "A pneumothorax is seen."),
    ("negation", "No pneumothorax or pleural effusion.", "Pneumothorax but no pleural effusion."),
    (
        "negation", "No consolidation, pneumothorax, or pleural effusion.",
        "Consolidation but no pneumothorax or pleural effusion.",
    ),
    ("negation", "A small right effusion is present.", "No right effusion is present."),
    ("negation", "There are small bilateral pleural effusions.", "There are no bilateral pleural effusions."),
    ("negation", "5 mm nodule in the left upper lobe.", "No nodule in the left upper lobe."),
    ("negation", "Heart size is normal.", "Heart size is enlarged."),
    ("negation", "The cardiac silhouette is mildly enlarged.", "The cardiac silhouette is normal in size."),
    ("negation", "The lungs are clear without effusion.", "The lungs are clear with effusion."),
    ("negation", "Decreasing right pleural effusion.", "No right pleural effusion."),
    ("size", "There is an 8 mm nodule.", "There is a 16 mm nodule."),
    ("size", "5 mm nodule in the left apex.", "10 mm nodule in the left apex."),
    ("size", "A 1.2 x 0.8 cm nodule.", "A 2.4 x 1.6 cm nodule."),
    ("device", "Endotracheal tube tip 4 cm above the carina.", "Endotracheal tube has been removed."),
    ("device", "There is no pacemaker.", "There is a pacemaker."),
    ("device", "The left PICC has been removed.", "The left PICC is in place."),
    ("device", "Two left-sided chest tubes again noted.", "Two left-sided chest tubes have been removed."),
    ("device", "Interval placement of an enteric tube.", "Interval removal of an enteric tube."),
    ("change", "The effusion has increased.", "The effusion has decreased."),
    ("change", "Worsening pulmonary edema.", "Improving pulmonary edema."),
    ("change", "Interval improvement in the left effusion.", "Interval worsening of the left effusion."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "before", "after"), BY_HAND)
def test_an_edit_is_the_one_made_by_hand(kind, before, after):
    edit = edit_sentence(before, kind)
    assert edit is not None
    assert edit.after == after


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("side", "No left pleural effusion."),  # absent on either side
        ("side", "Left greater than right effusion."),  # two sides: which one turns?
        ("side", "The left ventricle is enlarged."),  # the side is the organ's own
        ("side", "The trachea deviates to the left."),  # asserts nothing known
        ("severity", "Mild improvement of the edema."),  # how much it changed is no degree
        ("severity", "Small to moderate effusion."),
        ("severity", "Small effusion and mild edema."),  # two facts
        ("side", "The feeding tube passes below the left hemidiaphragm."),  # where that lies
        ("severity", "The heart is large, with mild pulmonary edema."),  # a small heart is no mild one
        ("severity", "Dilated small bowel."),
        ("negation", "No acute cardiopulmonary process."),  # not one finding
        ("negation", "Possible pneumonia."),  # neither present nor absent
        ("negation", "There is no pacemaker."),  # a device
        ("negation", "Interval decrease in the effusion."),
        ("negation", "Stable position of the nodule."),
        ("size", "Endotracheal tube tip 4 cm above the carina."),  # a place, no size
        ("size", "Nodules of 4 mm and 9 mm."),
        ("device", "No pleural effusion."),
        ("device", "Endotracheal and enteric tubes are in place."),  # two devices
        ("change", "Increased interstitial markings."),  # how it looks, not how it moved
        ("change", "The nodule is better seen on the prior study."),
    ],
)
def test_what_is_not_one_clear_fact_is_left_alone(kind, sentence):
    assert edit_sentence(sentence, kind) is None


@pytest.mark.parametrize(("kind", "before", "after"), BY_HAND)
def test_exactly_one_fact_turns(kind, before, after):
    old, new = ({a.finding: a for a in assert_sentence(s)} for s in (before, after))
    moved = [name for name in old if old[name] != new[name]]
    assert old.keys() == new.keys()
    assert len(moved) == (1 if kind in {"negation", "device", "change"} else 0)
    edit = edit_sentence(before, kind)
    assert edit.finding in old
    assert edit in edits_of(before)


def test_kinds_are_those_of_the_counterfactual_images():
    from radalign.data.phantom.counterfactual import FACTORS

    assert set(KINDS) == set(FACTORS)
