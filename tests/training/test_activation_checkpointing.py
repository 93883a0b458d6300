"""Recomputed activations change memory, and nothing else."""

import weakref

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from option_files import options
from skiplab.blocks.block import recompute_stages
from skiplab.errors import SkiplabError
from skiplab.training.build import build
from tiny_trials import TINY, compose_config, network, run_composed

ON = "run.activation_checkpointing=true"
CLASSIFIER = ("objective=cross_entropy", "backbone=resnet", "long_skip=none", "evaluator=[]", "depth=6")
NETWORKS = {
    "stages of several blocks": ("depth=12", f"instrument=[{','.join(options('instrument'))}]"),
    "running statistics": (*CLASSIFIER, "norm=batch"),
    "random shortcuts": ("connection=dropout_shortcut", "depth=8"),
    "random depth": ("connection=stochastic_depth", "depth=8"),
    "a memory of all updates": ("connection=dense", "depth=8"),
    "several streams": ("connection=hyper_connections", "depth=8"),
    "streams of every block": ("backbone=ddpm_unet", "depth=14"),
    "hooks of its own": ("init=fixup", "norm=none", "depth=8"),
    "half the precision": ("trainer.precision=bf16-mixed", "depth=8"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_and_everything_measured_are_bit_equal(name: str, tmp_path) -> None:
    tiny = [
        override for override in TINY if "norm=" not in " ".join(NETWORKS[name]) or not override.startswith("norm.")
    ]
    asked = [compose_config(*tiny, "trainer.max_steps=3", *NETWORKS[name], *on) for on in ((), (ON,))]
    kept, again = (run_composed(composed, tmp_path / str(number)) for number, composed in enumerate(asked))
    assert kept.record.folder.name == again.record.folder.name
    weights, others = (load_file(trial.record.folder / "weights.safetensors") for trial in (kept, again))
    assert weights.keys() == others.keys()
    for path, values in weights.items():
        torch.testing.assert_close(others[path], values, rtol=0, atol=0)
    for table in ("history.csv", "layers.csv"):
        first, second = (pd.read_csv(trial.record.folder / table) for trial in (kept, again))
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert again.record.read()["summary"] == kept.record.read()["summary"]
    assert again.record.read()["parity"] == kept.record.read()["parity"]


class Allocated(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make, from when they are made until they are freed.

    peak: the most at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._now, self._known = 0, 0, weakref.WeakSet()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage()) not in self._known:
                self._known.add(storage)
                self._now += storage.nbytes()
                self.peak = max(self.peak, self._now)
                weakref.finalize(storage, self._free, storage.nbytes())
        return made

    def _free(self, num_bytes: int) -> None:
        self._now -= num_bytes


def peak(depth: int, *, recomputes: bool) -> int:
    """The most bytes that a forward and a backward pass hold at once, beside the network and its input."""
    model = network(compose_config("width=8", "norm.num_groups=4", "long_skip=none", f"depth={depth}").config)
    if recomputes:
        recompute_stages(model)
    x, level = torch.randn(64, 1, 8, 8), torch.rand(64)
    with Allocated() as allocated:
        model.train()(x, level).square().mean().backward()
    return allocated.peak


def test_memory_grows_with_the_root_of_depth() -> None:
    """Were it a line, the second increase would be four times the first; with the root it is twice."""
    kept, again = ([peak(depth, recomputes=recomputes) for depth in (4, 16, 64)] for recomputes in (False, True))
    assert kept[2] - kept[1] > 3 * (kept[1] - kept[0])
    assert again[2] - again[1] < 2.7 * (again[1] - again[0])
    assert again[2] - again[0] < (kept[2] - kept[0]) / 6


def test_a_network_without_stages_is_refused() -> None:
    external = ("backbone=external", "backbone.target=diffusers.UNet2DModel")
    arguments = "{sample_size: 8, in_channels: 1, out_channels: 1, block_out_channels: [8, 8], norm_num_groups: 4, "
    arguments += "down_block_types: [DownBlock2D, DownBlock2D], up_block_types: [UpBlock2D, UpBlock2D]}"
    config = compose_config(*TINY, *external, f"+backbone.arguments={arguments}", "long_skip=none", ON).config
    with pytest.raises(SkiplabError, match=r"run\.activation_checkpointing=true .* has none"):
        build(config)


def test_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(SkiplabError, match=r"run\.activation_checkpointing=maybe is invalid; valid: true or false"):
        build(compose_config(*TINY, "run.activation_checkpointing=maybe").config)
