"""Our invertible and stacked adapters in BERT, against adapter-hub's MAD-X with the same weights."""

import pytest
import torch
from torch import nn

from radalign.nn.adapters import InvertibleAdapter, StackedAdapter
from radalign.weights.hub import load_text

adapters = pytest.importorskip(
    "adapters", reason="the adapters library is not installed; pip install adapters"
)
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # importing that library is slow
WIDTH, HIDDEN = 32, 8


def their_model(folder):
    """A BERT with MAD-X's language adapter (invertible) and a task adapter stacked on it."""
    config = transformers.BertConfig(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=60
    )
    model = transformers.BertModel(config, add_pooling_layer=False)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, 1.0 if "LayerNorm" in name else 0.0, 0.2)
    model.eval().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    adapters.init(model)
    model.add_adapter("language", config=adapters.SeqBnInvConfig(reduction_factor=WIDTH // HIDDEN))
    model.add_adapter("task", config=adapters.SeqBnConfig(reduction_factor=WIDTH // HIDDEN))
    model.set_active_adapters(adapters.composition.Stack("language", "task"))
    for name, parameter in model.named_parameters():
        if "adapter" in name:
            nn.init.normal_(parameter, 0.0, 0.3)
    return model.eval()


def copy_linear(ours, theirs):
    ours.load_state_dict(theirs.state_dict())


def with_their_weights(model, folder, language=True, task=True):
    encoder, _ = load_text(str(folder))
    if language:
        invertible = encoder.embedding_adapter = InvertibleAdapter(WIDTH)
        theirs = model.invertible_adapters["language"]
        for ours, subnet in ((invertible.f, theirs.F), (invertible.g, theirs.G)):
            copy_linear(ours.down, subnet[0])
            copy_linear(ours.up, subnet[2])
    for block, layer in zip(encoder.transformer.blocks, model.encoder.layer, strict=True):
        block.output_adapter = StackedAdapter(WIDTH, HIDDEN, language, task)
        for name, ours in (("language", block.output_adapter.language), ("task", block.output_adapter.task)):
            if ours is not None:
                copy_linear(ours.down, layer.output.adapters[name].adapter_down[0])
                copy_linear(ours.up, layer.output.adapters[name].adapter_up)
    return encoder


@pytest.mark.parametrize("name", ["language", "task"])
def test_a_whole_encoder_with_one_adapter_per_layer_gives_the_same_numbers(tmp_path, name):
    """With the language adapter comes the invertible one; h, r, residual and norm are wired alike."""
    model = their_model(tmp_path)
    model.set_active_adapters(name)
    encoder = with_their_weights(model, tmp_path, name == "language", name == "task")
    mask = torch.arange(9) < torch.tensor([9, 4, 6])[:, None]
    ids = torch.randint(5, 60, (3, 9))
    with torch.no_grad():
        theirs = model(ids, attention_mask=mask.long()).last_hidden_state * mask[..., None]
        torch.testing.assert_close(encoder(ids, mask), theirs, rtol=1e-5, atol=1e-5)


def test_a_stack_of_their_modules_as_in_the_paper_gives_the_same_numbers(tmp_path):
    """MAD-X (equation 4): TA = U' relu(D' LA) + r.

    The library's own `Stack` departs from the paper: it normalises LA before the task adapter and adds LA, not r.
    """
    model = their_model(tmp_path)
    stack = with_their_weights(model, tmp_path).transformer.blocks[1].output_adapter
    their = model.encoder.layer[1].output.adapters
    h, r = torch.randn(2, 5, WIDTH), torch.randn(2, 5, WIDTH)
    with torch.no_grad():
        language = their["language"](h, residual_input=r)[0]
        torch.testing.assert_close(stack(h, r), their["task"](language, residual_input=r)[0])


def test_the_invertible_adapter_is_the_same_both_ways(tmp_path):
    model = their_model(tmp_path)
    ours, theirs = (
        with_their_weights(model, tmp_path).embedding_adapter,
        model.invertible_adapters["language"],
    )
    x = torch.randn(2, 5, WIDTH)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.inverse(x), theirs(x, rev=True), rtol=1e-5, atol=1e-5)


class TheirStack(nn.Module):
    """The library's composition, with our parts: n = LN2(LA + a); TA = U' relu(D' n) + LA."""

    def __init__(self, block):
        super().__init__()
        self.ours, self.norm, self.seen = block.output_adapter, block.norm2, {}
        block.norm1.register_forward_hook(lambda _, __, out: self.seen.update(a=out))

    def forward(self, h, r):
        language = self.ours.language(h) + r
        return self.ours.task(self.norm(language + self.seen["a"])) + language


def test_the_librarys_stack_is_the_formula_that_the_docs_state_and_not_the_papers(tmp_path):
    model = their_model(tmp_path)
    encoder = with_their_weights(model, tmp_path)
    mask = torch.arange(9) < torch.tensor([9, 4, 6])[:, None]
    ids = torch.randint(5, 60, (3, 9))
    with torch.no_grad():
        theirs = model(ids, attention_mask=mask.long()).last_hidden_state * mask[..., None]
        assert (encoder(ids, mask) - theirs).abs().max() > 1e-2
        for block in encoder.transformer.blocks:
            block.output_adapter = TheirStack(block)
        torch.testing.assert_close(encoder(ids, mask), theirs, rtol=1e-5, atol=1e-5)
