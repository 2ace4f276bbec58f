"""How fast is one training step of ALTA, with all four objectives, against a straightforward one?

    python benchmarks/alta_step.py [--batch 24] [--rounds 2] [--threads 1] [--out alta_step.json]

ViT-B/16 and BERT-base with random weights, four slots of which two are empty on average, 75 % masked, 448 px
targets, reports of 69 tokens on average. The plain step does what one would write first, over `transformers`
modules with hooks for the adapters: it embeds every patch of all four slots, pads every report to 128, runs
the word head over every position, and loops over captions in the local objective. Both train the same
parameters on the same batches and take turns: in bf16, then (unless --no-fp32) in fp32. Goals: 1.7 times as
fast in the same precision, a further 1.5 by bf16, no more memory. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

GOALS = {"against_the_plain_step": 1.7, "bf16_against_fp32": 1.5, "memory": "no higher"}
SIZES = "width=768, depth=12, heads=12, mlp_width=3072"
DROPOUT = "dropout=0.1, attention_dropout=0.1"
SETTINGS = [
    f"backbones.vision={{random={{{SIZES}, patch_px=16, image_px=224, position='sincos'}}}}",
    f"backbones.text={{random={{{SIZES}, vocabulary=30522, max_tokens=512, {DROPOUT}}}}}",
    "model.text_pool=cls",
]
EMPTY = 2 / 3  # of the three slots beside the current frontal: two of four are empty on average


def batches(count: int, size: int) -> list:
    """Random studies."""
    import torch
    from openi_mix import texts

    from radalign.data.batches import ImageBatch, StudyBatch, TextBatch

    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(count):
        images = torch.randint(0, 256, (size, 4, 448, 448), dtype=torch.uint8, generator=generator)
        present = torch.rand(size, 4, generator=generator) >= EMPTY
        present[:, 0] = True
        lengths = (69 + 28 * torch.randn(size, generator=generator)).round().long().clamp(12, 128)
        report = TextBatch(*texts(lengths, 30522, generator))
        made.append(StudyBatch(ImageBatch(images, present), report))
    return made


def our_step(precision: str, given: list) -> Callable[[int], object]:
    """A step of this package: what `radalign train` does with a batch."""
    from radalign.systems.base import create
    from radalign.train.device import Processes
    from radalign.train.step import Stepper

    system = create("alta", [*SETTINGS, f"train.precision={precision}"])
    stepper = Stepper(system, Processes(system.recipe.train, "cpu", Path()), 1000)
    system.train()
    return lambda number: stepper.take([given[number % len(given)]], 1, number)


def plain_step(precision: str, given: list) -> Callable[[int], object]:
    """The straightforward step."""
    import torch

    system = plain().train()
    optimizer = torch.optim.AdamW(
        [p for p in system.parameters() if p.requires_grad], 1e-4, (0.9, 0.95), weight_decay=0.05, fused=True
    )

    def step(number: int) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = system(given[number % len(given)])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def plain():
    """ALTA over `transformers` modules, every slot, every pad, caption by caption."""
    import math

    import torch
    import torch.nn.functional as F
    from local_objective import masked_loop
    from torch import nn
    from transformers import BertConfig, BertModel, ViTConfig, ViTModel
    from transformers.models.bert.modeling_bert import BertLMPredictionHead
    from transformers.models.vit.modeling_vit import ViTLayer

    from radalign.nn.heads import ProjectionHead
    from radalign.objectives.contrastive import global_contrastive
    from radalign.objectives.masked import masked_patch_error, patch_targets

    class Adapter(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(768, 192), nn.GELU(), nn.Linear(192, 768))
            nn.init.zeros_(self[2].weight)

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vision = ViTModel(ViTConfig(), add_pooling_layer=False)
            config = BertConfig()
            self.text = BertModel(config, add_pooling_layer=False)
            self.requires_grad_(False)
            self.adapters = nn.ModuleList()
            newer = hasattr(self.vision, "layers")  # transformers 5.23 took away the encoder around them
            self.seeing = self.vision.layers if newer else self.vision.encoder.layer
            for layer in self.seeing:
                self._adapt_vision(layer)
            for layer in self.text.encoder.layer:
                self._adapt_text(layer)
            self.heads = nn.ModuleList(ProjectionHead(768, 128) for _ in range(4))
            self.log_scales = nn.Parameter(torch.full((4,), math.log(1 / 0.07)))
            self.view, self.time = nn.Parameter(torch.zeros(2, 768)), nn.Parameter(torch.zeros(2, 768))
            self.image_to_text = nn.Linear(768, 768)
            self.words = BertLMPredictionHead(config)
            self.words.decoder.weight = self.text.embeddings.word_embeddings.weight
            blocks = ViTConfig(num_attention_heads=6, attn_implementation="sdpa")
            self.decoder_in, self.mask_token = nn.Linear(768, 768), nn.Parameter(torch.zeros(768))
            self.decoder = nn.ModuleList(ViTLayer(blocks) for _ in range(4))
            self.decoder_norm, self.predict = nn.LayerNorm(768), nn.Linear(768, 3072)
            for module in self.modules():
                if isinstance(module, nn.LayerNorm):
                    module.requires_grad_(True)
            self.vision.embeddings.cls_token.requires_grad_(True)

        def _new(self) -> Adapter:
            self.adapters.append(Adapter())
            return self.adapters[-1]

        def _adapt_vision(self, layer: nn.Module) -> None:
            attention, beside, seen = self._new(), self._new(), {}
            projection = getattr(layer.attention, "o_proj", None) or layer.attention.output
            projection.register_forward_hook(lambda m, i, out: out + attention(out))
            layer.layernorm_after.register_forward_hook(lambda m, i, out: seen.update(n=out))
            layer.register_forward_hook(
                lambda m, i, out: (
                    (out[0] + 0.5 * beside(seen.pop("n")), *out[1:])
                    if isinstance(out, tuple)
                    else out + 0.5 * beside(seen.pop("n"))
                )
            )

        def _adapt_text(self, layer: nn.Module) -> None:
            attention, beside = self._new(), self._new()
            layer.attention.output.register_forward_hook(lambda m, i, out: out + attention(out))
            layer.output.register_forward_hook(lambda m, inputs, out: out + 0.5 * beside(inputs[1]))

        def see(self, images):
            small = F.interpolate(
                images.flatten(0, 1)[:, None].float(), (224, 224), mode="bilinear", antialias=True
            )
            pixels = ((small / 255 - 0.4785) / 0.2834).expand(-1, 3, -1, -1)
            tokens = self.vision.embeddings(pixels)  # [B * 4, 197, D]
            keep = torch.rand(len(tokens), 196).argsort(1)[:, :49]
            index = torch.cat([torch.zeros(len(keep), 1, dtype=torch.long), keep + 1], 1)
            tokens = tokens.gather(1, index[..., None].expand(-1, -1, 768)).unflatten(0, (-1, 4))
            slots = self.view[[0, 1, 0, 1]] + self.time[[0, 0, 1, 1]]  # [4, D]
            tokens = (tokens + slots[:, None]).flatten(0, 1)
            tokens = self.vision.layernorm(self._through(self.seeing, tokens))
            return tokens.unflatten(0, (-1, 4)), keep.unflatten(0, (-1, 4))  # [B, 4, 50, D], [B, 4, 49]

        @staticmethod
        def _through(layers, x):
            for layer in layers:
                out = layer(x)
                x = out[0] if isinstance(out, tuple) else out
            return x

        def rebuild(self, tokens, keep, images):
            x = self.decoder_in(tokens)
            full = self.mask_token.to(x.dtype).expand(len(x), 196, -1)
            full = full.scatter(1, keep[..., None].expand(-1, -1, 768), x[:, 1:])
            x = torch.cat([x[:, :1], full], 1)
            x = self._through(self.decoder, x)
            predicted = self.predict(self.decoder_norm(x))[:, 1:]
            return masked_patch_error(predicted, patch_targets(images, 32), keep)

        def read(self, texts, image):
            missing = 128 - texts.input_ids.shape[1]
            ids = F.pad(texts.input_ids, (0, missing))
            mask = F.pad(texts.attention_mask, (0, missing))
            hide = mask & (torch.rand(ids.shape) < 0.5)
            labels = ids.masked_fill(~hide, -100)
            embedded = self.text.embeddings(torch.cat([ids, ids.masked_fill(hide, 103)]))
            added = torch.cat([torch.zeros_like(image), self.image_to_text(image)])
            seen = mask.repeat(2, 1)[:, None, None]  # [2 B, 1, 1, 128] bool, as torch's attention takes it
            tokens = self.text.encoder(embedded + added[:, None], attention_mask=seen).last_hidden_state
            whole, hidden = tokens.chunk(2)
            logits = self.words(hidden).float()  # [B, 128, 30522]
            return whole, mask, F.cross_entropy(logits.flatten(0, 1), labels.flatten())

        def forward(self, batch):
            present = batch.images.view_mask
            tokens, keep = self.see(batch.images.images)
            cls = (tokens[:, :, 0] * present[..., None]).sum(1) / present.sum(1, keepdim=True)
            patches = self.heads[1](tokens[:, :, 1:]).flatten(1, 2).float()
            whole, mask, word_error = self.read(batch.texts, cls)
            z_img = F.normalize(self.heads[0](cls).float(), dim=-1)
            z_txt = F.normalize(self.heads[2](whole[:, 0]).float(), dim=-1)
            words = self.heads[3](whole[:, 1:]).float()
            local = masked_loop(patches, present.repeat_interleave(49, 1), words, mask[:, 1:])
            pixels = self.rebuild(tokens[:, 0], keep[:, 0], batch.images.images[:, 0])
            return global_contrastive(z_img, z_txt, self.log_scales[0]) + local + pixels + word_error

    return Plain()


def speed(rounds: int, size: int, fp32: bool) -> dict[str, object]:
    """The ways in turn."""
    from interleaved import interleave, ratio

    given = batches(2, size)
    plans = {"ours_bf16": our_step("bf16", given), "plain_bf16": plain_step("bf16", given)}
    if fp32:
        plans |= {"ours_fp32": our_step("fp32", given), "plain_fp32": plain_step("fp32", given)}
    times = interleave(plans, rounds)
    found: dict[str, object] = {
        "times": {name: t.medians() for name, t in times.items()},
        "against_the_plain_step_bf16": ratio(times["plain_bf16"], times["ours_bf16"]),
    }
    if fp32:
        found["against_the_plain_step_fp32"] = ratio(times["plain_fp32"], times["ours_fp32"])
        found["bf16_against_fp32"] = ratio(times["ours_fp32"], times["ours_bf16"])
    return found


def memory_of(side: str, size: int) -> None:
    """Two steps in this process, and its peak."""
    from radalign.train.memory import prepare_memory

    prepare_memory()
    import torch

    from radalign.data.provenance import peak_memory_bytes

    torch.set_num_threads(1)
    given = batches(1, size)
    step = our_step("bf16", given) if side == "ours" else plain_step("bf16", given)
    for number in range(2):
        step(number)
    print(peak_memory_bytes() / 2**30)


def memory(size: int) -> dict[str, float]:
    """Peak GiB of processes that train in bf16."""
    found = {}
    for side in ("ours", "plain"):
        command = [sys.executable, __file__, "--memory-of", side, "--batch", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found[side] = round(float(done.stdout.splitlines()[-1]), 2)
    return found


def main() -> None:
    """Run, print ratios against their goals, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-fp32", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--memory-of", choices=("ours", "plain"))
    parser.add_argument("--out", type=Path, default=Path("alta_step.json"))
    asked = parser.parse_args()
    if asked.memory_of:
        memory_of(asked.memory_of, asked.batch)
        return
    from radalign.train.memory import prepare_memory

    prepare_memory()
    import torch

    from radalign.data.provenance import provenance

    torch.set_num_threads(asked.threads)
    # Memory first: while the four steps below are held, another process may not find room beside them.
    found: dict[str, object] = {"peak_gib": {} if asked.no_memory else memory(asked.batch)}
    found |= speed(asked.rounds, asked.batch, not asked.no_fp32)
    found |= {"batch": asked.batch, "threads": asked.threads, "goals": GOALS}
    asked.out.write_text(json.dumps({**found, "made_by": provenance()}, indent=1) + "\n")
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
