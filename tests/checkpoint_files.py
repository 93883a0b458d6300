"""Files with functions that return a small network with shortcuts, as `skiplab ablate module:function` calls them."""

from pathlib import Path

import pytest

from command_line import as_newcomer

_NETWORK = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.layer(x).tanh()
"""


def write_checkpoints(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, functions: str) -> Path:
    """Write an importable module of such functions, which use `Block`, and work in its folder; returns the folder."""
    as_newcomer(monkeypatch, folder)
    (folder / f"{module}.py").write_text(_NETWORK + functions)
    monkeypatch.syspath_prepend(folder)
    return folder
