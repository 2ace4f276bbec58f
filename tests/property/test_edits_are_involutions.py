"""An edit applied twice gives the sentence back, wherever the rule reads both ways."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from radalign.evaluate.edits.sentence import edit_sentence
from radalign.reports.assertions import assert_sentence

SIDES = ("left", "right")
DEGREES = ("small", "large", "tiny", "massive", "mild", "severe", "minimal", "extensive", "slight", "marked")
PLACES = ("", " at the lung base", " in the lower lobe", " in the upper lobe")
FINDINGS = ("pleural effusion", "consolidation", "pneumothorax", "nodule", "atelectasis", "pulmonary edema")
MOVES = ("improved", "worsened", "decreased", "increased", "regressed", "progressed")
DEVICES = ("The PICC", "Left internal jugular catheter", "The endotracheal tube", "A right chest tube")
FRAMES = ("{}.", "There is {}.", "{} is seen.", "{}")


@st.composite
def described(draw):
    """A finding with a side and a degree, in one of the ways that reports put it."""
    degree, side = draw(st.sampled_from(DEGREES)), draw(st.sampled_from(SIDES))
    phrase = f"{degree} {side} {draw(st.sampled_from(FINDINGS))}{draw(st.sampled_from(PLACES))}"
    if draw(st.booleans()):
        phrase = f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
    sentence = draw(st.sampled_from(FRAMES)).format(phrase)
    return sentence[0].upper() + sentence[1:]


@settings(max_examples=150, deadline=None)
@given(described(), st.sampled_from(["side", "severity"]))
def test_another_side_or_degree_and_back(sentence, kind):
    once = edit_sentence(sentence, kind)
    assert once is not None
    assert once.after != sentence
    assert edit_sentence(once.after, kind).after == sentence
    assert assert_sentence(once.after) == assert_sentence(sentence)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FINDINGS), st.sampled_from(SIDES), st.sampled_from(MOVES))
def test_better_to_worse_and_back(finding, side, move):
    sentence = f"The {side} {finding} has {move} since the prior study."
    once = edit_sentence(sentence, "change")
    assert {assert_sentence(s)[0].change for s in (sentence, once.after)} == {"better", "worse"}
    assert edit_sentence(once.after, "change").after == sentence


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(FINDINGS), min_size=1, max_size=2, unique=True),
    st.sampled_from(["No {}.", "There is no {}.", "No {} is seen."]),
)
def test_absent_to_present_and_back(findings, frame):
    sentence = frame.format(" or ".join(findings))
    once = edit_sentence(sentence, "negation")
    states = [a.status for a in assert_sentence(once.after)]
    assert states == ["present", "absent"][: len(findings)]
    assert edit_sentence(once.after, "negation").after == sentence


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(DEVICES))
def test_a_device_taken_out_and_put_back(device):
    once = edit_sentence(f"{device} has been removed.", "device")
    assert once.after == f"{device} is in place."
    back = edit_sentence(once.after, "device").after
    assert back.lower().endswith(f"{device.removeprefix('A ').lower()} has been removed.")
