"""A released ALTA checkpoint's names -> those of `systems/alta.py`, and its sizes.

The encoders inside it carry timm's and BERT's names (`vit.py`, `bert.py`); the rest is mapped here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, stack

from radalign.weights import bert, extras, vit
from radalign.weights.names import CheckpointError, Published, block_count

TEXT = "bert_encoder."
_HEADS = {
    "image_global_head": "projection_head.",
    "image_local_head": "local_projection_head.",
    "text_global_head": f"{TEXT}cls_projection_head.",
    "text_local_head": f"{TEXT}local_projection_head.",
}
_ADAPTER = {
    f"{slot}.bottleneck.{ours}": f"{published}.{theirs}"
    for slot, published in {"attention_adapter": "attn_adapter", "parallel_adapter": "mlp_adapter"}.items()
    for ours, theirs in {"down": "D_fc1", "up": "D_fc2"}.items()
}  # fmt: skip
_SINGLE = {
    "view_embedding": "view_embedding",
    "time_embedding": "temporal_embedding",
    "missing_token": "missing_token",
    "image_to_text.weight": "bert_embed.weight",
    "image_to_text.bias": "bert_embed.bias",
}
_SCALES = ("logit_scale", "logit_scale_local1", "logit_scale_local2", "logit_scale_local3")


def table(depth_v: int, depth_t: int, depth_d: int) -> dict[str, str | tuple[str, ...]]:
    """Our name in the system -> the published name(s), for towers and decoder of the given depths."""
    names: dict[str, str | tuple[str, ...]] = dict(_SINGLE)
    for head, start in _HEADS.items():
        names |= {f"{head}.{o}": start + t for o, t in extras.projection_names().items()}
    names |= {f"word_head.{o}": f"{TEXT}{extras.WORDS}{t}" for o, t in extras.word_head_names().items()}
    names |= {f"decoder.{o}": t for o, t in extras.decoder_names(depth_d).items()}
    for i in range(depth_v):
        names |= _both(f"vision.transformer.blocks.{i}.", _ADAPTER, f"blocks.{i}.")
    for i in range(depth_t):
        names |= _both(f"text.transformer.blocks.{i}.", _ADAPTER, f"{TEXT}bert.encoder.layer.{i}.")
    names |= {f"vision.{ours}": theirs for ours, theirs in vit.TIMM.table(depth_v).items()}
    for ours, theirs_t in bert.HF.table(depth_t).items():
        names[f"text.{ours}"] = tuple(f"{TEXT}bert.{name}" for name in theirs_t)
    return names


def tensors(published: Published) -> dict[str, Tensor]:
    """Published tensors under the system's names; what the system does not have is left out.

    Raises:
        CheckpointError: This is not an ALTA checkpoint.
    """
    source = bert.tidy(published)
    depths = (block_count(published, "blocks."), block_count(published, f"{TEXT}bert.encoder.layer."))
    if not all(depths) or any(name not in published for name in _SCALES):
        raise CheckpointError(
            "This is not an ALTA checkpoint: it lacks vision or text blocks, or scales; check the file."
        )
    found: dict[str, Tensor] = {
        "log_scales": stack([published[name].float().reshape(()) for name in _SCALES])
    }
    for ours, theirs in table(*depths, block_count(published, "decoder_blocks.")).items():
        parts = [
            source[name].float()
            for name in ((theirs,) if isinstance(theirs, str) else theirs)
            if name in source
        ]
        if parts:
            whole = stack_rows(parts)
            found[ours] = whole.flatten(1) if whole.ndim == 4 else _without_leading_ones(whole, ours)
    return found


def sizes(published: Published, config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that fit a checkpoint: sizes from its tensors, the rest from `config` or as published.

    Args:
        published: The checkpoint.
        config: May name `image_size`, `vision_heads`, `text_heads`; the published values are 224, 12 and 12.

    Returns:
        Tables `vision` and `text` for random encoders of the right shape, `size_px`, `embedding_width`,
        `adapter_ratio`, `decoder_depth`, and `grid_px`, the image side that the positions were made for.
    """
    patch = published["patch_embed.proj.weight"]
    width_v, patch_px = patch.shape[0], patch.shape[-1]
    words = published[f"{TEXT}bert.embeddings.word_embeddings.weight"]
    positions = published[f"{TEXT}bert.embeddings.position_embeddings.weight"].shape[0]
    grid = round((published["pos_embed"].shape[1] - 1) ** 0.5)
    image_px = int(config.get("image_size", grid * patch_px))
    vision = {
        "width": width_v, "depth": block_count(published, "blocks."), "heads": config.get("vision_heads", 12),
        "mlp_width": published["blocks.0.mlp.fc1.weight"].shape[0], "patch_px": patch_px,
        "image_px": image_px, "norm_eps": config.get("norm_eps_vision", 1e-6),
    }  # fmt: skip
    text = {
        "width": words.shape[1], "depth": block_count(published, f"{TEXT}bert.encoder.layer."),
        "heads": config.get("text_heads", 12), "vocabulary": words.shape[0], "max_tokens": positions,
        "mlp_width": published[f"{TEXT}bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "norm_eps": config.get("norm_eps_text", 1e-12),
        "segments": len(published.get(f"{TEXT}bert.embeddings.token_type_embeddings.weight", ())),
    }  # fmt: skip
    return {
        "vision": vision, "text": text, "image_px": image_px, "grid_px": grid * patch_px,
        "embedding_width": published["projection_head.dense_to_output.weight"].shape[0],
        "adapter_ratio": published["blocks.0.attn_adapter.D_fc1.weight"].shape[0] / width_v,
        "decoder_depth": block_count(published, "decoder_blocks."),
    }  # fmt: skip


def sources(published: Published) -> dict[str, tuple[str, ...]]:
    """Our name in the system -> the published name(s) it is made of."""
    depths = block_count(published, "blocks."), block_count(published, f"{TEXT}bert.encoder.layer.")
    names = table(*depths, block_count(published, "decoder_blocks."))
    return {
        "log_scales": _SCALES,
        **{ours: (theirs,) if isinstance(theirs, str) else theirs for ours, theirs in names.items()},
    }


def sizes_by_key(sizes: Mapping[str, Any]) -> dict[str, float]:
    """What `sizes` read from shapes, by the keys of a `--config` file."""
    vision, text = sizes["vision"], sizes["text"]
    return {
        "patch_size": vision["patch_px"], "vision_dim": vision["width"], "vision_depth": vision["depth"],
        "text_dim": text["width"], "text_depth": text["depth"], "vocab_size": text["vocabulary"],
        "projection_dim": sizes["embedding_width"], "adapter_ratio": sizes["adapter_ratio"],
        "image_size": sizes["grid_px"],
    }  # fmt: skip


def stack_rows(parts: list[Tensor]) -> Tensor:
    """Query, key and value one under the other: 3 of [D, D] -> [3 D, D]."""
    from torch import cat

    return cat(parts) if len(parts) > 1 else parts[0]


def _both(ours: str, layers: Mapping[str, str], theirs: str) -> dict[str, str]:
    """Weight and bias of several layers."""
    return {
        f"{ours}{mine}.{part}": f"{theirs}{published}.{part}"
        for mine, published in layers.items()
        for part in ("weight", "bias")
    }


def _without_leading_ones(tensor: Tensor, ours: str) -> Tensor:
    """[1, 1, D] -> [D] for tokens, [1, N, D] -> [N, D] for tables."""
    if ours in ("vision.cls", "decoder.mask_token"):
        return tensor.reshape(-1)
    return tensor[0] if tensor.ndim == 3 else tensor
