"""Open-i's mix of present views and report lengths, as summary numbers, and random batches drawn from it.

Counted over the 2,009 training studies of the split with seed 0 that have findings or impression: 89 % have a
frontal and a lateral view, 7 % only a frontal, 4 % only a lateral; findings + impression take 67 WordPiece
tokens on average (median 63; 7 % reach the limit of 128).
"""

from __future__ import annotations

import torch
from torch import Tensor

VIEWS = {(True, True): 1779, (True, False): 145, (False, True): 85}
SHORTEST, STEP = 4, 4
# Reports of 4 to 7 tokens, of 8 to 11, ..., of 124 to 128.
LENGTHS = (
    10, 12, 10, 11, 34, 15, 66, 74, 68, 94, 125, 114, 90, 168, 130, 112,
    102, 141, 69, 67, 54, 54, 48, 40, 39, 29, 24, 30, 21, 22, 136,
)  # fmt: skip


def view_mask(studies: int, generator: torch.Generator) -> Tensor:
    """Present views of some studies: bool [B, 2], frontal and lateral."""
    drawn = torch.multinomial(torch.tensor(list(VIEWS.values())).float(), studies, True, generator=generator)
    return torch.tensor(list(VIEWS))[drawn]


def report_lengths(reports: int, generator: torch.Generator) -> Tensor:
    """Lengths in tokens: int64 [B]; the last bin is the limit itself."""
    drawn = torch.multinomial(torch.tensor(LENGTHS).float(), reports, True, generator=generator)
    within = torch.randint(0, STEP, (reports,), generator=generator)
    lengths = SHORTEST + STEP * drawn + within
    return torch.where(drawn == len(LENGTHS) - 1, 128, lengths)


def texts(lengths: Tensor, vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random token ids [B, L] and mask [B, L] of the given lengths, padded to the longest."""
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    ids = torch.randint(200, vocabulary, mask.shape, generator=generator)
    return ids.masked_fill(~mask, 0), mask
