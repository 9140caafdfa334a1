"""Bilinear samples of a map at given coordinates."""

import torch

from framecast.models.motionrnn import deformed_taps
from framecast.models.trajgru import warp
from framecast.ops import bilinear_sample, pixel_coordinates


def test_at_its_own_places_a_map_is_itself() -> None:
    values = torch.rand(2, 3, 5, 7)
    rows, columns = pixel_coordinates(values)
    every = torch.zeros(2, 5, 7)
    torch.testing.assert_close(bilinear_sample(values, rows + every, columns + every), values)


def test_half_way_is_the_mean_and_outside_is_0() -> None:
    values = torch.tensor([[1.0, 3.0], [5.0, 7.0]])[None, None]
    found = bilinear_sample(values, torch.tensor([[[0.5, -5.0]]]), torch.tensor([[[0.0, 0.0]]]))
    torch.testing.assert_close(found.flatten(), torch.tensor([3.0, 0.0]))


def test_a_flow_of_whole_pixels_is_a_shift() -> None:
    values = torch.rand(1, 2, 6, 6)
    flow = torch.stack([torch.full((6, 6), 2.0), torch.full((6, 6), 1.0)])[None]
    torch.testing.assert_close(warp(values, flow)[:, :, 1:, 2:], values[:, :, :-1, :-2])


def test_taps_without_offset_are_those_of_a_3x3_convolution() -> None:
    values, weight = torch.rand(2, 3, 6, 5), torch.rand(4, 3, 3, 3)
    taps = deformed_taps(values, torch.zeros(2, 18, 6, 5))
    convolved = torch.einsum("bqnhw,oqn->bohw", taps, weight.flatten(2))
    torch.testing.assert_close(convolved, torch.nn.functional.conv2d(values, weight, padding=1))


def test_places_are_exact_in_half_precision() -> None:
    values = torch.rand(1, 2, 12, 180).bfloat16()
    rows, columns = pixel_coordinates(values)
    found = bilinear_sample(values, rows.expand(1, 12, 180), columns.expand(1, 12, 180))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, values, rtol=0, atol=0.004)
