"""Batches made in threads with a published tokenizer are those made without."""

from __future__ import annotations

from radalign.data.batches import TextBatch
from radalign.train.loop import train
from radalign.train.record import read_log
from radalign.weights.tokenizer import read_tokenizer
from tests.training_toy import PLACES, ToySystem, toy_manifest, toy_recipe

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "opacity",
    "lesion",
    "at",
    "heart",
    "normal",
    ".",
    *PLACES,
]


class Reader(ToySystem):
    """The toy with a real tokenizer; it counts each text before the cut, as grouping by length does."""

    def tokenize(self, texts) -> TextBatch:
        assert all(self.tokenizer.count(text) > 3 for text in texts)
        return TextBatch(*self.tokenizer(list(texts), 8))


def test_a_run_with_two_workers_takes_the_steps_of_a_run_without(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n", "utf-8")
    manifest = toy_manifest(tmp_path / "images")

    def losses(workers):
        system = Reader(toy_recipe(train={"workers": workers, "epochs": 4}))
        system.tokenizer = read_tokenizer(tmp_path, 12)
        run = train(system, manifest, tmp_path / f"run{workers}", tmp_path / "pixels", device="cpu")
        return [line["total"] for line in read_log(run.folder / "log.jsonl") if line["kind"] == "step"]

    assert losses(2) == losses(0)
