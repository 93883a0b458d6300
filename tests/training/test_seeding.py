"""Every draw is a function of (seed, purpose, step), every parameter of (seed, path)."""

import pytest
import torch
from torch import nn

from skiplab.blocks.init import Init
from skiplab.blocks.initialization import initialize
from skiplab.blocks.inits.default import Default
from skiplab.seeding import keyed_generator, keyed_seed, seed_globally


def test_seeds_differ_by_each_argument() -> None:
    keys = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (1, "0/a", 0), (10, "a", 0), (0, "a", 10)]
    seeds = {keyed_seed(*key) for key in keys}
    assert len(seeds) == len(keys)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_in_every_process_and_release() -> None:
    """A value on record: one that changes makes every earlier trial another."""
    assert keyed_seed(3, "noise", 7) == 1012311117371834351


def test_generators_of_one_key_draw_alike() -> None:
    one, other = (torch.rand(5, generator=keyed_generator(0, "noise", 2)) for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, torch.rand(5, generator=keyed_generator(0, "noise", 3)))


def test_the_global_generator_draws_as_after_torch_manual_seed() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = torch.rand(5)
        seed_globally(5)
        assert torch.equal(torch.rand(5), expected)
        seed_globally(6)
        assert not torch.equal(torch.rand(5), expected)


def test_a_parameter_depends_on_seed_and_path_and_not_on_its_neighbours() -> None:
    small = nn.ModuleDict({"a": nn.Linear(3, 3)})
    large = nn.ModuleDict({"b": nn.Linear(3, 3), "a": nn.Linear(3, 3), "c": nn.Linear(5, 5)})
    for model in (small, large):
        initialize(model, Default(), seed=0)
    assert torch.equal(small["a"].weight, large["a"].weight)
    assert not torch.equal(large["a"].weight, large["b"].weight)
    initialize(large, Default(), seed=1)
    assert not torch.equal(small["a"].weight, large["a"].weight)


def test_a_module_that_cannot_be_initialised_is_named() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.zeros(1))

    with pytest.raises(TypeError, match="Bare at inner has parameters but no reset_parameters"):
        initialize(nn.ModuleDict({"inner": Bare()}), Default(), seed=0)


def test_an_init_sees_the_network_before_it_draws_and_may_add_to_it() -> None:
    class Adding(Init):
        calls: list[str]

        def prepare(self, model: nn.Module) -> None:
            model.add_module("added", nn.Linear(2, 2))
            torch.rand(3)  # draws of its own change nothing
            self.calls = ["prepare"]

        def __call__(self, module: nn.Module, path: str) -> None:
            module.reset_parameters()
            self.calls.append(path)

    model, init = nn.ModuleDict({"a": nn.Linear(3, 3), "activation": nn.ReLU()}), Adding()
    before = torch.get_rng_state()
    initialize(model, init, seed=0)
    assert init.calls == ["prepare", "a", "added"]
    assert torch.equal(torch.get_rng_state(), before)
    plain = nn.ModuleDict({"a": nn.Linear(3, 3)})
    initialize(plain, Default(), seed=0)
    assert torch.equal(model["a"].weight, plain["a"].weight)


def test_an_init_must_say_how_a_module_starts() -> None:
    with pytest.raises(NotImplementedError, match="Init must define __call__"):
        initialize(nn.Linear(2, 2), Init(), seed=0)
