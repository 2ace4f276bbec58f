import torch
import torch.nn.functional as F

from radalign.nn.heads import ProjectionHead


def test_the_head_is_linear_gelu_norm_linear():
    torch.manual_seed(0)
    head, x = ProjectionHead(16, 8), torch.randn(3, 5, 16)
    inner = F.layer_norm(F.gelu(x @ head.dense.weight.T + head.dense.bias), (8,), eps=1e-12)
    torch.testing.assert_close(head(x), inner @ head.out.weight.T + head.out.bias)
    assert sum(p.numel() for p in ProjectionHead(768).parameters()) == 115_200
