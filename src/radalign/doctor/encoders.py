"""The packaged encoders: whether they are there and give the numbers that they should."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from radalign.doctor.check import Check
from radalign.weights.hub import load_text, load_vision
from radalign.weights.names import CheckpointError

SENTENCE = "Small left pleural effusion. No pneumothorax."
EXPECTED: dict[str, Sequence[float]] = {
    "dinov2-s-derived": (-0.01368, 0.04486, 0.03494, -0.05098, -0.00168, -0.01566, 0.00522, 0.04353),
    "minilm-l6": (0.07529, 0.10616, -0.00235, 0.01184, 0.07956, 0.00326, -0.10018, 0.07843),
}
"""The first numbers of a ramp image's and of the sentence's embedding, of length 1, in fp32."""
_SAME = 1e-4


def check_encoders() -> Iterator[Check]:
    """Both packaged encoders on an image and a sentence."""
    for name, embed in EMBED.items():
        yield check_encoder(name, embed)


def check_encoder(name: str, embed: Callable[[], Tensor]) -> Check:
    """One encoder: absent (a note), off its numbers (broken), or fine."""
    try:
        found = embed()
    except CheckpointError as error:
        return Check(name, "note", str(error), "own encoders work without it")
    wanted = torch.tensor(EXPECTED[name])
    off = float((found[: len(wanted)] - wanted).abs().max())
    if not off <= _SAME:
        how = f"its numbers are {off:.1g} off those that it should give"
        return Check(name, "broken", how, "see whether torch or tokenizers came with a fault")
    return Check(name, "fine", "it gives the numbers that it should")


@torch.no_grad()
def _ramp() -> Tensor:
    rows = torch.linspace(0, 1, 56).repeat(56, 1)[None, None]  # [1, 1, 56, 56]
    return normalize(load_vision("dinov2-s-derived").float()(rows)[0, 0], dim=0)  # [D]


@torch.no_grad()
def _sentence() -> Tensor:
    encoder, tokenizer = load_text("minilm-l6")
    ids, mask = tokenizer([SENTENCE])
    return normalize(encoder.float()(ids, mask)[mask].mean(0), dim=0)  # [D]


EMBED: dict[str, Callable[[], Tensor]] = {"dinov2-s-derived": _ramp, "minilm-l6": _sentence}
