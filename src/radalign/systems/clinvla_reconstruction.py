"""ClinVLA's optional reconstruction: pixels and words rebuilt after the inverse of the invertible adapter.

    embeddings ─ A ─ layers ─ A^-1 ─┬─ image decoder ─ dropped patches at target_scale      (vision tower)
                                    └─ word head, tied to the word embeddings ─ hidden words  (text tower)

The paper names masked modelling and an inverse adapter, but no loss that uses either (I4); here is where both
belong. MAD-X puts the inverse before the output embedding, so that the word head, whose matrix is the input
embedding's, reads tokens of the space that the embeddings live in before A. The decoder is treated alike.
References: MAD-X (Pfeiffer et al., EMNLP 2020), section 4.3; ClinVLA (R14, R15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from radalign.data.batches import TextBatch
from radalign.nn.adapters import InvertibleAdapter
from radalign.nn.decoder import ImageDecoder
from radalign.nn.heads import WordHead
from radalign.systems.masked_record import MaskedRecordSettings, hide_words, pixel_error, word_error

if TYPE_CHECKING:
    from radalign.systems.clinvla import ClinVLA


def undone(tokens: Tensor, adapter: nn.Module | None) -> Tensor:
    """Tokens [..., D] after the inverse of the tower's invertible adapter; unchanged without one."""
    return adapter.inverse(tokens) if isinstance(adapter, InvertibleAdapter) else tokens


class ClinVLAReconstruction(nn.Module):
    """The heads of `image_reconstruction` and `masked_language`, each built only when its weight is not 0.

    Args:
        system: Gives both towers and the weights.
        settings: Sizes, and how words are hidden.
        grid: Patches along each side of the encoder's image.
    """

    def __init__(self, system: ClinVLA, settings: MaskedRecordSettings, grid: int) -> None:
        super().__init__()
        self.settings = settings
        self.target_px = system.vision.patch_px * settings.target_scale
        self.decoder: ImageDecoder | None = None
        self.image_to_text: nn.Linear | None = None
        self.word_head: WordHead | None = None
        if system.weight("image_reconstruction"):
            sizes = (grid, self.target_px, settings.decoder_depth, settings.decoder_heads)
            self.decoder = ImageDecoder(system.vision.width, *sizes)
        if system.weight("masked_language"):
            self.image_to_text = nn.Linear(system.vision.width, system.text.width)
            self.word_head = WordHead(system.text.width, system.text.config.vocabulary)

    def terms(
        self, system: ClinVLA, tokens: Tensor, keep: Tensor, views: Tensor, texts: TextBatch, seen: Tensor
    ) -> dict[str, Tensor]:
        """The terms that are on.

        Args:
            system: Its towers.
            tokens: [N, 1 + K, D] of the present views.
            keep: [N, K], the patches they are.
            views: [N, H, W], the present views at the targets' size; every one is rebuilt.
            texts: The reports; their words are hidden here.
            seen: [B, D], one vector per study, added to all tokens of its report.
        """
        terms: dict[str, Tensor] = {}
        if self.decoder is not None:
            plain = undone(tokens, system.vision.embedding_adapter)
            error = pixel_error(self.decoder, plain, keep, views, self.target_px, system.vision)
            terms["image_reconstruction"] = error
        if self.word_head is not None and self.image_to_text is not None:
            s = self.settings
            ids, labels = hide_words(system, texts, s.word_mask, s.word_replace)
            read = system.text(ids, texts.attention_mask, self.image_to_text(seen))  # [B, L, D]
            plain = undone(read, system.text.embedding_adapter)
            terms["masked_language"] = word_error(self.word_head, plain, labels, system.text.word.weight)
        return terms
