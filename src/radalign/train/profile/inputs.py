"""Random studies and reports of a wanted size, for measuring: what is in them does not change the cost."""

from __future__ import annotations

import torch

from radalign.data.batches import ImageBatch, StudyBatch, TextBatch
from radalign.systems.base import System
from radalign.systems.classifier import Classifier
from radalign.systems.recipe import RecipeError

_SENTENCE = "No pleural effusion. "
_CLASSES, _SHOTS = 10, 16


def give_classes(system: System) -> str:
    """Ten classes of 16 studies for a classifier that takes its classes from the data; what to tell of it."""
    if not isinstance(system, Classifier) or system.classes:
        return ""
    system.adopt_classes([f"finding {number}" for number in range(_CLASSES)], _CLASSES * _SHOTS)
    return f"Measured with {_CLASSES} classes of {_SHOTS} studies; training takes its own from the data."


def random_images(system: System, studies: int, views: int, size_px: int = 0) -> ImageBatch:
    """Studies of which the first `views` slots are filled: uint8 [B, V, H, W].

    Args:
        system: Its slots and size.
        studies: B.
        views: Filled slots.
        size_px: Side; 0 = as the encoder sees them.

    Raises:
        RecipeError: The system has fewer slots.
    """
    slots = len(system.recipe.data.slots)
    if not 1 <= views <= slots:
        raise RecipeError(
            f"{system.recipe.name} has {slots} slots, so {views} views cannot be profiled; "
            "choose fewer views, or name more slots in data.slots."
        )
    size = size_px or system.recipe.data.size_px
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (studies, slots, size, size), dtype=torch.uint8, generator=generator)
    present = (torch.arange(slots) < views).expand(studies, -1).contiguous()
    return ImageBatch(images, present).to(system.device)


def result_of(system: System, images: ImageBatch) -> object:
    """What a user gets for studies: a classifier's logits, its texts' passes included, or the embeddings."""
    if isinstance(system, Classifier) and system.learns_from_labels:
        return system.logits(images)
    return system.encode_images(images)


def random_texts(system: System, texts: int, tokens: int) -> TextBatch:
    """Texts of `tokens` tokens: [B, L]; a little shorter where the system reads more than tokens.

    Raises:
        RecipeError: The recipe cuts texts earlier.
    """
    limit = min(system.recipe.backbones.max_tokens, system.text.max_tokens)
    if not 2 <= tokens <= limit:
        raise RecipeError(f"A text here has 2 to {limit} tokens, not {tokens}; choose --tokens within that.")
    if type(system.tokenize([_SENTENCE])) is not TextBatch:
        return _readable_texts(system, texts, tokens)
    vocabulary = system.text.config.vocabulary
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(min(5, vocabulary - 1), vocabulary, (texts, tokens), generator=generator)
    return TextBatch(ids, torch.ones(texts, tokens, dtype=torch.bool)).to(system.device)


def _readable_texts(system: System, texts: int, tokens: int) -> TextBatch:
    """One sentence over and over: up to `tokens` tokens, the special ones included."""
    each = int(system.tokenize([_SENTENCE]).lengths[0]) - 2
    return system.tokenize([_SENTENCE * max(1, (tokens - 2) // each)] * texts).to(system.device)


def random_batch(system: System, studies: int, views: int, tokens: int) -> StudyBatch:
    """Studies with reports, and with labels where the system learns from them: one present class each."""
    images = random_images(system, studies, views, system.loading().size_px)
    texts = random_texts(system, studies, tokens)
    classes = len(getattr(system, "classes", ()))
    labels = None
    if classes:
        labels = torch.zeros(studies, classes, dtype=torch.int8)
        labels[torch.arange(studies), torch.arange(studies) % classes] = 1
    return StudyBatch(images, texts, labels=labels)
