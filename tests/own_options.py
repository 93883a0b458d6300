"""A user's own connection and branch: one Python file and a YAML for each, in a folder outside the package."""

from pathlib import Path

MODULE = '''
import torch
from torch import nn
from skiplab.blocks.branch import Branch
from skiplab.blocks.channel_linear import ChannelLinear
from skiplab.blocks.connection import Connection


class Leaky(Connection):
    """x_{l+1} = leak x_l + gain_l f(x_l)."""

    def __init__(self, spec, *, leak):
        super().__init__(spec)
        self.leak = leak
        self.gain = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.ones_(self.gain)

    def join(self, stream, update, cond):
        return self.leak * stream + self.gain * update


class Pointwise(Branch):
    """f(x) = V act(norm(W x) + U c) at each position."""

    position_dims = (0, 1, 2)

    def __init__(self, spec, *, expansion):
        super().__init__(spec)
        width = self.require_constant_width()
        self.inner = ChannelLinear(width, expansion * width)
        self.norm = spec.norm(expansion * width)
        self.told = nn.Linear(spec.cond_width, expansion * width) if spec.cond_width else None
        self.activation = spec.activation()
        self.outer = ChannelLinear(expansion * width, width)

    @property
    def last(self):
        return self.outer

    def forward(self, x, cond):
        hidden = self.norm(self.inner(x))
        if self.told is not None:
            told = self.told(cond)
            hidden = hidden + told.view(*told.shape, *[1] * (x.ndim - 2))
        return self.outer(self.activation(hidden))
'''
# Overrides that choose both; the branch keeps the width, which isotropic asks for nowhere.
CHOSEN = ("connection=leaky", "branch=pointwise", "backbone=isotropic", "long_skip=none")


def write_own_options(folder: Path) -> Path:
    """Write them below a folder, with the configuration folder `conf`; returns the folder."""
    for axis, option, content in (
        ("connection", "leaky", "_target_: my_options.Leaky\nleak: 0.9\n"),
        ("branch", "pointwise", "_target_: my_options.Pointwise\nexpansion: 2\n"),
    ):
        (folder / "conf" / axis).mkdir(parents=True)
        (folder / "conf" / axis / f"{option}.yaml").write_text(content)
    (folder / "my_options.py").write_text(MODULE)
    return folder
