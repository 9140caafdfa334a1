"""Layers that several models share."""

import torch

from framecast.models.parts.layers import MapNorm


def test_the_norm_of_a_map_does_not_depend_on_its_layout() -> None:
    torch.manual_seed(0)
    norm = MapNorm([3, 4, 5])
    plain = torch.nn.LayerNorm([3, 4, 5])
    with torch.no_grad():
        for weight in norm.parameters():
            weight.copy_(torch.randn_like(weight))
    plain.load_state_dict(norm.state_dict())
    x = torch.randn(2, 3, 4, 5)
    results = []
    for layer, shown in ((plain, x), (norm, x), (norm, x.contiguous(memory_format=torch.channels_last))):
        leaf = shown.clone(memory_format=torch.preserve_format).requires_grad_()
        y = layer(leaf)
        results.append([y, *torch.autograd.grad((y * x.cos()).sum(), (leaf, layer.weight, layer.bias))])
        assert y.is_contiguous() == leaf.is_contiguous()
    for found in results[1:]:
        for ours, true in zip(found, results[0], strict=True):
            torch.testing.assert_close(ours, true)
