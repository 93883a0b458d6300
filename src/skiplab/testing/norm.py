"""The contract of a normalization."""

from collections.abc import Callable

import torch
from torch import nn

from skiplab.testing.rules import BATCH, POSITIONS, check_initialization, check_passes, draw, named, require

_WIDTH = 24  # several channels in each of up to eight groups


def check_norm(make: Callable[[int], nn.Module]) -> None:
    """Check the contract of a normalization on streams of images, tokens and points.

    It keeps the shape, stays finite, of a constant stream too and in training; in evaluation mode it is
    deterministic and treats each sample by itself; its input isn't overwritten; gradients reach its input and every
    parameter; its initial weights depend on (seed, path) alone.

    Args:
        make: builds the normalization for a number of channels, such as `lambda width: Layer(width, eps=1e-5,
            affine=True)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    for kind, positions in POSITIONS.items():
        with named(f"on {kind}"):
            norm = make(_WIDTH)
            require(isinstance(norm, nn.Module), f"{type(norm).__name__} is no module")
            check_initialization(lambda: make(_WIDTH))
            x = draw("stream", BATCH, _WIDTH, *positions)
            answer = check_passes(norm, [x], expected=tuple(x.shape))
            with torch.no_grad():
                alone = torch.cat([norm(sample[None]) for sample in x])
                apart = torch.allclose(answer, alone, atol=1e-5)
                require(apart, "in evaluation mode what it gives for a sample depends on the others")
                require(bool(norm(torch.ones_like(x)).isfinite().all()), "a constant stream isn't finite behind it")
                trained = norm.train()(x)
            require(trained.shape == x.shape, f"gives {tuple(trained.shape)} in training, not {tuple(x.shape)}")
            require(bool(trained.isfinite().all()), "what it gives in training isn't finite")
