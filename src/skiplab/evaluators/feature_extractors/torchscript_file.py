"""Networks saved as TorchScript, which run without their source code."""

import warnings
from pathlib import Path

import torch
from torch import nn


def load_torchscript(path: Path) -> nn.Module:
    """The network in a file, on the CPU."""
    with warnings.catch_warnings():
        # torch advises its users to save in another format; these files are others'
        warnings.filterwarnings("ignore", message="`torch.jit.load` is", category=DeprecationWarning)
        return torch.jit.load(path, map_location="cpu")
