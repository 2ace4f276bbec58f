"""The query decoder: targets from reports, zero-shot by the decoder, and a space made of its answers."""

from __future__ import annotations

import pytest
import torch

from radalign.data.batches import BatchError, StudyBatch, TextBatch
from tests.unit.systems.conftest import frontal_batch, rival

THREE = 'model.entities=["Pleural Effusion", "Nodule", "Cardiomegaly"]'


def three(*overrides):
    return rival("medklip", THREE, *overrides)


def test_reports_become_targets_where_they_are_tokenized():
    texts = three().tokenize(["No effusion. Possible nodule.", "The heart is enlarged.", "Normal."])
    assert texts.asserted[:2].tolist() == [[0, -1, -2], [-2, -2, 1]]
    assert texts.to("cpu").asserted.tolist() == texts.asserted.tolist()


@pytest.mark.parametrize(("silence", "counted"), [("ignore", [[0]]), ("absent", [[0], [2]])])
def test_unsure_findings_never_count_and_silence_as_the_setting_says(silence, counted):
    system = three(f'model.silence="{silence}"').eval()
    b = frontal_batch(system)
    one = StudyBatch(b.images, system.tokenize(["No effusion. Possible nodule."] * 4))
    with torch.no_grad():
        answers = system._answers(b.images, system.questions)
        expected = -answers.log_softmax(-1)[:, [c for [c] in counted], 0].mean()
        torch.testing.assert_close(system.objectives(one)["existence"], expected)


def test_a_sentence_is_the_axis_of_its_finding_so_that_zero_shot_is_the_decoder():
    system = three().eval()
    b = frontal_batch(system)
    texts = system.tokenize(
        ["There is a pleural effusion.", "No pleural effusion.", "Cardiomegaly.", "Hello."]
    )
    z = system.encode_texts(texts).global_
    torch.testing.assert_close(z[:3], torch.tensor([[1.0, 0, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0]]))
    image = system.encode_images(b.images).global_
    assert torch.equal(image @ z[3], torch.zeros(4))  # a text that asserts nothing is at right angles to all
    chance = system.existence(b.images, ["Pleural Effusion"])[:, 0]
    cosine, norm = image @ z[0], (chance.logit() / (image @ z[0]))
    torch.testing.assert_close(cosine * norm, chance.logit(), atol=1e-4, rtol=0)
    assert bool((norm > 0).all())


def test_an_answer_does_not_depend_on_what_else_is_asked():
    system = three().eval()
    b = frontal_batch(system)
    together = system.existence(b.images, ["nodule", "a feeding tube", "scoliosis"])
    torch.testing.assert_close(
        system.existence(b.images, ["a feeding tube"])[:, 0], together[:, 1], atol=1e-6, rtol=0
    )


def test_what_is_usual_is_learned_in_training_and_travels():
    system = three().train()
    b = frontal_batch(system)
    system.objectives(b)
    assert system.usual.abs().sum() > 0
    assert {"usual", "spread", "share"} <= set(system.own_state())
    assert "questions" not in system.own_state()


def test_plain_token_ids_are_refused():
    system = three().eval()
    texts = system.tokenize(["Normal."])
    with pytest.raises(BatchError, match="make the batch with its own tokenize"):
        system.encode_texts(TextBatch(texts.input_ids, texts.attention_mask))
