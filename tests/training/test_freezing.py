"""The first blocks keep their initial weights, and everything else is trained."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from skiplab.errors import SkiplabError
from skiplab.layers import blocks
from skiplab.training.freezing import frozen, num_frozen
from tiny_trials import network


def test_the_first_third_of_the_blocks_is_not_trained(run, tmp_path) -> None:
    trial = run(tmp_path, "depth=8", "frozen_fraction=0.3333")
    trained = load_file(trial.record.weights)
    start = network(trial.composed.config)
    first = {id(parameter) for block in blocks(start)[:3] for parameter in block.parameters}
    assert len(first) > 20
    for path, parameter in start.named_parameters():
        assert torch.equal(trained[path], parameter) == (id(parameter) in first), path


def test_a_frozen_trial_is_another_trial(run, tmp_path) -> None:
    whole, part = (run(tmp_path, f"frozen_fraction={share}").record for share in (0.0, 0.25))
    assert whole.key != part.key
    readings = pd.read_csv(part.folder / "layers.csv")
    ratios = readings[readings["quantity"] == "block_update_ratio"].groupby("path")["value"].max()
    assert (ratios == 0).to_dict() == {"block.0": True, "block.1": False, "block.2": False, "block.3": False}


def test_freezing_ends_with_the_training(compose_tiny) -> None:
    model = network(compose_tiny().config)
    with frozen(model, 0.5):
        assert [all(p.requires_grad for p in block.parameters) for block in blocks(model)] == [False, False, True, True]
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("share", [-0.5, 1.0, 7, 0.01])
def test_refuses_a_share_that_freezes_none_or_all(share: float) -> None:
    with pytest.raises(SkiplabError, match=rf"frozen_fraction={share} of 8 blocks.*0\.125 to 0\.875"):
        num_frozen(8, share)


def test_is_refused_before_anything_is_trained(run, tmp_path) -> None:
    with pytest.raises(SkiplabError, match="frozen_fraction=2"):
        run(tmp_path, "frozen_fraction=2")
    assert not list(tmp_path.iterdir())
