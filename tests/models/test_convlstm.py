"""ConvLSTM against its equations, written out plainly."""

import pytest
import torch

from framecast.models import ConvLSTM
from framecast.models.convlstm import ConvLSTMCell, State
from framecast.models.parts.flops import multiply_accumulates, parameters
from framecast.types import FrameShape


@pytest.mark.parametrize("peephole", ["none", "hadamard", "conv"])
def test_a_cell_is_its_equations(peephole: str) -> None:
    torch.manual_seed(0)
    cell = ConvLSTMCell(2, 3, 3, (5, 4), peephole=peephole)  # type: ignore[arg-type]
    for weight in cell.parameters():
        torch.nn.init.normal_(weight)
    x, h, c = torch.randn(2, 2, 5, 4), torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4)

    def peep(module: torch.nn.Module, state: torch.Tensor) -> torch.Tensor:
        if peephole == "none":
            return torch.zeros_like(state)
        return module.weight * state if peephole == "hadamard" else module.conv(state)

    i, f, g, o = (cell.conv_x(x) + cell.conv_h(h)).chunk(4, dim=1)
    i, f = (i + peep(cell.peep_i, c)).sigmoid(), (f + peep(cell.peep_f, c)).sigmoid()
    new_c = f * c + i * g.tanh()
    new_h = (o + peep(cell.peep_o, new_c)).sigmoid() * new_c.tanh()

    step = cell(x, State(h, c), None)
    torch.testing.assert_close(step.hidden, new_h)
    torch.testing.assert_close(step.state.cell, new_c)
    assert step.memory is None


def test_a_memory_is_passed_on() -> None:
    cell = ConvLSTMCell(1, 2, 3, (4, 4))
    x, memory = torch.rand(1, 1, 4, 4), torch.rand(1, 2, 4, 4)
    assert cell(x, cell.start(x), memory).memory is memory


def test_convolutional_peepholes_explain_the_motionrnn_table() -> None:
    """4.41M parameters and 31.6G multiply-accumulates (spec/models.md, section 13)."""
    shape = FrameShape(3, 128, 128, 4, 4)
    config = ConvLSTM(hidden=(64,) * 4, peephole="conv")
    assert parameters(config.build(shape)) == 4_406_272
    assert multiply_accumulates(config, shape) == pytest.approx(31.6e9, rel=1e-2)


def test_layers_may_differ_in_width() -> None:
    shape = FrameShape(1, 8, 8, 2, 2)
    assert ConvLSTM(hidden=(4, 6, 2), patch=2).build(shape).forecast(torch.rand(1, 2, 1, 8, 8), 2).shape[1] == 2
