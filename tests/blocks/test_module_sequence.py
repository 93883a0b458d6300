"""A ModuleSequence stores and runs as the nn.ModuleList that it types."""

import copy

import torch
from torch import nn

from skiplab.blocks.module_sequence import ModuleSequence


def layers() -> list[nn.Linear]:
    return [nn.Linear(2, 3), nn.Linear(3, 1)]


def test_keys_and_order_are_those_of_a_module_list() -> None:
    sequence, reference = ModuleSequence(layers()), nn.ModuleList(layers())
    assert list(sequence.state_dict()) == list(reference.state_dict())
    reference.load_state_dict(sequence.state_dict())
    assert all(torch.equal(own.weight, other.weight) for own, other in zip(sequence, reference, strict=True))


def test_slices_and_copies_keep_the_type() -> None:
    sequence = ModuleSequence(layers())
    assert type(sequence[:1]) is ModuleSequence
    assert sequence[:1][0] is sequence[0]
    assert type(copy.deepcopy(sequence)) is ModuleSequence
