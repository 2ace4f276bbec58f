"""How fast is one training step of ClinVLA, and how much of it is multiplication that had to be done?

    python benchmarks/training_step.py [--threads 1] [--rounds 7] [--no-dropout] [--out training_step.json]

ViT-S/14 and BERT-6 of MiniLM's size with random weights, batch 32, two slots, 75 % masked, over Open-i's mix
of present views and report lengths (`openi_mix.py`). In turn, on the same batches: this package's step in
bf16; the same step composed from `transformers` modules with hooks, also in bf16, which encodes every slot
and pads every report to 128; this package's step in fp32. Both sides have the same adapters, heads,
objectives and optimiser. The share of the machine's peak is the FLOPs that had to be done (real tokens of
present views, gradients that are wanted) over processor time, against square matrix products of the same
precision. A profile tells which part of the step is matrix products, and so what that share would be if all
else took no time. Memory is the peak of a process of its own that trains five steps.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PRODUCTS = {f"aten::{name}" for name in ("mm", "bmm", "addmm", "addmm_", "baddbmm")} | {
    "mkldnn::_linear_pointwise"
}
GOALS = {"against_transformers": 1.25, "bf16_against_fp32": 2.0, "share_of_peak": 0.6, "peak_gib": 3.0}
SIZES = "width=384, heads={heads}, depth={depth}, mlp_width=1536"
BACKBONES = [
    "backbones.vision={random={"
    + SIZES.format(heads=6, depth=12)
    + ", patch_px=14, image_px=518, layer_scale=true}}",
    "backbones.text={random={"
    + SIZES.format(heads=12, depth=6)
    + ", vocabulary=30522, max_tokens=512, dropout=0.1, attention_dropout=0.1}}",
]


def batches(count: int, size: int) -> list:
    """Random studies with Open-i's mix."""
    import torch
    from openi_mix import report_lengths, texts, view_mask

    from radalign.data.batches import ImageBatch, StudyBatch, TextBatch

    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(count):
        images = torch.randint(0, 256, (size, 2, 224, 224), dtype=torch.uint8, generator=generator)
        report = TextBatch(*texts(report_lengths(size, generator), 30522, generator))
        made.append(StudyBatch(ImageBatch(images, view_mask(size, generator)), report))
    return made


def our_step(precision: str, given: list, dropout: bool) -> Callable[[int], object]:
    """A step of this package: what `radalign train` does with a batch."""
    from radalign.systems.base import create
    from radalign.train.device import Processes
    from radalign.train.step import Stepper

    dry = [] if dropout else [BACKBONES[1].replace("dropout=0.1", "dropout=0.0")]
    system = create("clinvla", [*BACKBONES, *dry, f"train.precision={precision}"])
    stepper = Stepper(system, Processes(system.recipe.train, "cpu", Path()), 1000)
    system.train()
    return lambda number: stepper.take([given[number % len(given)]], 1, number)


def needed_flops(given: list) -> list[int]:
    """FLOPs that a step on each batch has to do."""
    from radalign.systems.base import create
    from radalign.train.profile.products import MatrixProducts

    system = create("clinvla", BACKBONES).train()
    found = []
    for batch in given:
        with MatrixProducts() as count:
            loss = system.total(system.objectives(batch))
        loss.backward()
        found.append(count.flops)
    return found


def peer_step(given: list, dropout: bool) -> Callable[[int], object]:
    """The same step from `transformers` modules: adapters as hooks, every slot, every report at 128."""
    import torch

    system = peer(dropout).train()
    optimizer = torch.optim.AdamW(
        [p for p in system.parameters() if p.requires_grad], 1e-4, weight_decay=1e-4, fused=True
    )

    def step(number: int) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = system(given[number % len(given)])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            system.log_scales.clamp_(0, 4.605)

    return step


def peer(dropout: bool):
    """ClinVLA over `transformers` modules."""
    import math

    import torch
    import torch.nn.functional as F
    from torch import nn
    from transformers import BertConfig, BertModel, Dinov2Config, Dinov2Model

    from radalign.nn.adapters import InvertibleAdapter, StackedAdapter
    from radalign.nn.heads import ProjectionHead
    from radalign.nn.masking import random_keep
    from radalign.objectives.contrastive import global_contrastive
    from radalign.objectives.local import LocalScales, local_contrastive

    share = 0.1 if dropout else 0.0

    class Peer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vision = Dinov2Model(Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518))
            self.text = BertModel(
                BertConfig(
                    hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
                    hidden_dropout_prob=share, attention_probs_dropout_prob=share,
                ),
                add_pooling_layer=False,
            )  # fmt: skip
            self.requires_grad_(False)
            self.adapters = nn.ModuleList()
            for layer in self.vision.encoder.layer:
                layer.layer_scale2.register_forward_hook(self._after_mlp())
            for layer in self.text.encoder.layer:
                self._around_output(layer.output)
            self.invert_image, self.invert_text = InvertibleAdapter(384), InvertibleAdapter(384)
            self.text.embeddings.register_forward_hook(lambda m, i, out: self.invert_text(out))
            self.heads = nn.ModuleList(ProjectionHead(384, 128) for _ in range(4))
            self.log_scales = nn.Parameter(torch.full((4,), math.log(1 / 0.07)))

        def _after_mlp(self):
            adapter = StackedAdapter(384, 64)
            self.adapters.append(adapter)
            return lambda module, inputs, out: adapter(out, out)

        def _around_output(self, output: nn.Module) -> None:
            adapter, seen = StackedAdapter(384, 64), {}
            self.adapters.append(adapter)
            output.dropout.register_forward_hook(lambda m, i, out: seen.update(r=out))
            output.register_forward_hook(
                lambda m, inputs, h: m.LayerNorm(adapter(h, seen.pop("r")) + inputs[1])
            )

        def look(self, images, mask):
            pixels = images.images.flatten(0, 1)[:, None].float().div(255).expand(-1, 3, -1, -1)
            mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
            pixels = (pixels - mean) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
            tokens = self.vision.embeddings(pixels)  # [B * V, 257, D]
            keep = random_keep(len(tokens), 256, 0.75) + 1
            keep = torch.cat([torch.zeros(len(tokens), 1, dtype=torch.long), keep], 1)
            tokens = tokens.gather(1, keep[..., None].expand(-1, -1, 384))
            tokens = self.vision.encoder(self.invert_image(tokens)).last_hidden_state
            tokens = self.vision.layernorm(tokens).unflatten(0, mask.shape)  # [B, V, 65, D]
            cls = (tokens[:, :, 0] * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            patches = self.heads[1](tokens[:, :, 1:]).flatten(1, 2)  # [B, V * 64, E]
            return self.heads[0](cls), patches, mask.repeat_interleave(64, 1)

        def read(self, report):
            missing = 128 - report.input_ids.shape[1]
            ids, mask = F.pad(report.input_ids, (0, missing)), F.pad(report.attention_mask, (0, missing))
            tokens = self.text(ids, attention_mask=mask.long()).last_hidden_state
            mean = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            return self.heads[2](mean), self.heads[3](tokens[:, 1:]), mask[:, 1:]

        def forward(self, batch):
            z_img, patches, patch_mask = self.look(batch.images, batch.images.view_mask)
            z_txt, words, word_mask = self.read(batch.texts)
            one, two = F.normalize(z_img.float(), dim=-1), F.normalize(z_txt.float(), dim=-1)
            scales = LocalScales(*self.log_scales[1:].exp())
            local = local_contrastive(patches, patch_mask, words, word_mask, scales, None, "mean")
            return global_contrastive(one, two, self.log_scales[0]) + 0.8 * local

    return Peer()


def speed(rounds: int, dropout: bool, size: int) -> dict[str, object]:
    """All ways in turn, and the share of the peak."""
    import statistics

    import torch
    from interleaved import interleave, matmul_peak, ratio

    given = batches(3, size)
    flops = needed_flops(given)
    peaks: list[float] = []
    ways = {
        "ours_bf16": our_step("bf16", given, dropout),
        "transformers_bf16": peer_step(given, dropout),
        "ours_fp32": our_step("fp32", given, dropout),
        "peak": lambda number: peaks.append(matmul_peak(torch.bfloat16)),
    }
    times = interleave(ways, rounds)
    del times["peak"]
    ours = times["ours_bf16"]
    rates = [flops[n % 3] / s for n, s in enumerate(ours.processor_s)]
    shares = [rate / peak for rate, peak in zip(rates, peaks[1:], strict=True)]
    in_products = products_share(given, dropout)
    return {
        "times": {name: t.medians() for name, t in times.items()},
        "against_transformers": ratio(times["transformers_bf16"], ours),
        "bf16_against_fp32": ratio(times["ours_fp32"], ours),
        "needed_gflop": round(statistics.mean(flops) / 1e9, 1),
        "peak_gflop_per_s": round(statistics.median(peaks) / 1e9),
        "share_of_peak": {
            "median": round(statistics.median(shares), 2),
            "smallest": round(min(shares), 2),
            "largest": round(max(shares), 2),
        },
        "studies_per_processor_s": round(size / statistics.median(ours.processor_s), 1),
        "products_share_of_time": round(in_products, 2),
        "share_of_peak_if_all_else_were_free": round(statistics.median(shares) / in_products, 2),
    }


def products_share(given: list, dropout: bool) -> float:
    """Share of a bf16 step's time that matrix products take, by the profiler."""
    from torch.profiler import ProfilerActivity, profile

    step = our_step("bf16", given, dropout)
    for number in range(2):
        step(number)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for number in range(len(given)):
            step(number)
    spent = {row.key: row.self_cpu_time_total for row in seen.key_averages()}
    return sum(spent.get(name, 0.0) for name in PRODUCTS) / sum(spent.values())


def memory_of(side: str, size: int) -> None:
    """Train five steps in this process and print its peak."""
    from radalign.train.memory import prepare_memory

    prepare_memory()
    import torch

    from radalign.data.provenance import peak_memory_bytes

    torch.set_num_threads(1)
    given = batches(2, size)
    step = peer_step(given, True) if side == "transformers" else our_step(side, given, True)
    before = peak_memory_bytes()
    for number in range(5):
        step(number)
    print(json.dumps({"peak_gib": peak_memory_bytes() / 2**30, "before_gib": before / 2**30}))


def memory(size: int) -> dict[str, dict[str, float]]:
    """Peak memory of processes that train, one after the other."""
    found = {}
    for side in ("bf16", "fp32", "transformers"):
        command = [sys.executable, __file__, "--memory-of", side, "--batch", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found[side] = {k: round(v, 2) for k, v in json.loads(done.stdout.splitlines()[-1]).items()}
    return found


def main() -> None:
    """Run, print ratios against their goals, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--no-dropout", action="store_true", help="Without the text encoder's dropout.")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--memory-of", choices=("bf16", "fp32", "transformers"))
    parser.add_argument("--out", type=Path, default=Path("training_step.json"))
    given = parser.parse_args()
    if given.memory_of:
        memory_of(given.memory_of, given.batch)
        return
    from radalign.train.memory import prepare_memory

    prepare_memory()
    import torch

    from radalign.data.provenance import provenance

    torch.set_num_threads(given.threads)
    found: dict[str, object] = speed(given.rounds, not given.no_dropout, given.batch)
    found |= {"memory": {} if given.no_memory else memory(given.batch)}
    found |= {"threads": given.threads, "batch": given.batch, "dropout": not given.no_dropout, "goals": GOALS}
    given.out.write_text(json.dumps({**found, "made_by": provenance()}, indent=1) + "\n")
    for key in ("against_transformers", "bf16_against_fp32", "share_of_peak"):
        print(f"{key}: {found[key]}, goal {GOALS[key]}")
    print(
        f"matrix products take {found['products_share_of_time']} of the time; if all else were free, "
        f"the share of the peak would be {found['share_of_peak_if_all_else_were_free']}"
    )
    print(f"peak memory: {found['memory']}, goal {GOALS['peak_gib']} GiB")
    print(f"medians: {found['times']}; {found['needed_gflop']} GFLOP had to be done per step")


if __name__ == "__main__":
    main()
