import copy
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import skiplab
from drawing_module import drawing_module
from skiplab.blocks.connections.fading import Fading
from skiplab.blocks.specification import JoinSpec
from skiplab.errors import SkiplabError
from skiplab.objectives.training_batch import TrainingBatch
from tiny_trials import TINY, compose_config, run_composed

SPEC = JoinSpec(width=1, index=0, num_joins=1, position=0, cond_width=0)


def strength(fraction: float, start: float, end: float) -> float:
    connection = Fading(SPEC, start=start, end=end)
    connection.set_progress(fraction)
    return connection.join(torch.ones(1, 1), torch.zeros(1, 1), None).item()


def test_falls_linearly_from_one_at_the_start_to_zero_at_the_end() -> None:
    assert [strength(each, 0.2, 0.6) for each in (0, 0.2, 0.3, 0.4, 0.6, 1)] == pytest.approx([1, 1, 0.75, 0.5, 0, 0])
    assert [strength(each, 0, 1) for each in (0, 0.25, 1)] == [1, 0.75, 0]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(x).tanh()


def test_a_network_goes_from_its_own_sums_to_plain_ones() -> None:
    torch.manual_seed(0)
    own, x = nn.Sequential(Block(), Block(), Block()), torch.randn(5, 4)
    fading, plain = copy.deepcopy(own), copy.deepcopy(own)
    skiplab.ablate(fading, "fading", skiplab.find_shortcuts(fading, x))
    skiplab.ablate(plain, "plain", skiplab.find_shortcuts(plain, x))
    assert torch.equal(fading(x), own(x))
    skiplab.set_progress(fading, 0.25)
    stream = x
    for block in own:
        stream = 0.5 * stream + block.layer(stream).tanh()
    assert torch.allclose(fading(x), stream)
    skiplab.set_progress(fading, 1)
    assert torch.equal(fading(x), plain(x))
    with pytest.raises(SkiplabError, match=r"fraction=2 is invalid; valid: a number from 0 to 1"):
        skiplab.set_progress(fading, 2)


@pytest.mark.parametrize("end", [0.5, 1.0])
def test_a_trial_ends_without_shortcuts(tmp_path, end: float) -> None:
    overrides = (*TINY, "connection=fading", f"connection.end={end}", "evaluator=[]", "trainer.max_steps=3")
    record = run_composed(compose_config(*overrides), tmp_path).record
    weights = load_file(record.weights)
    found = {name: tensor.item() for name, tensor in weights.items() if name.endswith(".strength")}
    assert found
    assert set(found.values()) == {0.0}


def test_each_draw_of_a_batch_tells_it_how_far_training_is() -> None:
    """A captured step on a GPU draws its batch and replays the rest."""
    network = nn.Sequential(Fading(SPEC, start=0.0, end=1.0))
    objective = SimpleNamespace(draw=lambda images, labels, generator: TrainingBatch(images, labels))
    module = drawing_module(network, objective, max_steps=5, global_rank=0, world_size=1)
    seen = []
    for step in range(5):
        module.draw(step)
        seen.append(network[0].strength.item())
    assert seen == [1.0, 0.75, 0.5, 0.25, 0.0]
