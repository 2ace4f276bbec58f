"""BERT checkpoints in Hugging Face's names: BERT, BioBERT, PubMedBERT, CXR-BERT, MiniLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from radalign.nn.text import TextConfig
from radalign.nn.transformer import TransformerConfig
from radalign.weights.names import CheckpointError, NameMap, block_count

HF = NameMap(
    family="BERT",
    prefixes=("bert.", ""),
    rest={
        "word.weight": "embeddings.word_embeddings.weight",
        "position.weight": "embeddings.position_embeddings.weight",
        "segment": "embeddings.token_type_embeddings.weight",
        "first_norm.weight": "embeddings.LayerNorm.weight",
        "first_norm.bias": "embeddings.LayerNorm.bias",
    },
    optional=frozenset({"segment"}),
    block="encoder.layer.{i}.",
    blocks={
        f"{ours}.{part}": tuple(f"{name}.{part}" for name in theirs)
        for part in ("weight", "bias")
        for ours, theirs in {
            "qkv": tuple(f"attention.self.{name}" for name in ("query", "key", "value")),
            "out": ("attention.output.dense",),
            "norm1": ("attention.output.LayerNorm",),
            "up": ("intermediate.dense",),
            "down": ("output.dense",),
            "norm2": ("output.LayerNorm",),
        }.items()
    },
)


def config(hf: Mapping[str, Any]) -> TextConfig:
    """Our configuration from the `config.json` of a Hugging Face BERT.

    Raises:
        CheckpointError: Positions are relative, or the activation is not GELU.
    """
    if hf.get("position_embedding_type", "absolute") != "absolute" or hf.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(
            "This BERT has relative positions or an activation other than GELU; use a plain BERT."
        )
    blocks = TransformerConfig(
        width=hf.get("hidden_size", 768),
        depth=hf.get("num_hidden_layers", 12),
        heads=hf.get("num_attention_heads", 12),
        mlp_width=hf.get("intermediate_size", 3072),
        norm="post",
        norm_eps=hf.get("layer_norm_eps", 1e-12),
        dropout=hf.get("hidden_dropout_prob", 0.1),
        attention_dropout=hf.get("attention_probs_dropout_prob", 0.1),
    )
    return TextConfig(
        blocks,
        hf.get("vocab_size", 30522),
        hf.get("max_position_embeddings", 512),
        segments=hf.get("type_vocab_size", 2),
    )


def settings_of(shape: TextConfig) -> dict[str, Any]:
    """The `config.json` of a Hugging Face BERT of this shape: `config`, backwards."""
    blocks = shape.transformer
    return {
        "model_type": "bert",
        "hidden_size": blocks.width,
        "num_hidden_layers": blocks.depth,
        "num_attention_heads": blocks.heads,
        "intermediate_size": blocks.mlp_width,
        "layer_norm_eps": blocks.norm_eps,
        "hidden_act": blocks.activation,
        "hidden_dropout_prob": blocks.dropout,
        "attention_probs_dropout_prob": blocks.attention_dropout,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.max_tokens,
        "type_vocab_size": shape.segments,
    }


def config_of_shapes(published: Mapping[str, Tensor], prefix: str, heads: int = 0) -> TextConfig:
    """Our configuration from a checkpoint's shapes alone.

    Args:
        published: The checkpoint.
        prefix: What stands before BERT's names in it.
        heads: The attention heads; 0 means heads of 64, as every published BERT-base has.

    Raises:
        CheckpointError: The checkpoint has no BERT under that prefix.
    """
    try:
        words = published[f"{prefix}embeddings.word_embeddings.weight"]
        places = published[f"{prefix}embeddings.position_embeddings.weight"]
        mlp = published[f"{prefix}encoder.layer.0.intermediate.dense.weight"]
    except KeyError as error:
        raise CheckpointError(f"The checkpoint has no {error.args[0]}; give one that holds a BERT.") from None
    settings = {
        "hidden_size": words.shape[1],
        "num_hidden_layers": block_count(published, f"{prefix}encoder.layer."),
        "num_attention_heads": heads or max(1, words.shape[1] // 64),
        "intermediate_size": mlp.shape[0],
        "vocab_size": words.shape[0],
        "max_position_embeddings": places.shape[0],
        "type_vocab_size": len(published.get(f"{prefix}embeddings.token_type_embeddings.weight", ())),
    }
    return config(settings)


def tidy(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Old TensorFlow names (`gamma`, `beta`) made new.

    >>> list(tidy({"LayerNorm.gamma": Tensor()}))
    ['LayerNorm.weight']
    """
    new = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    tensors = dict(published)
    for name in published:
        for old, better in new.items():
            if name.endswith(old):
                tensors[name.removesuffix(old) + better] = tensors.pop(name)
    return tensors
