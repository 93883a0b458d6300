"""The contract of a normalization."""

from collections.abc import Callable

import torch
from torch import nn

from skiplab.testing.rules import BATCH, POSITIONS, check_initialization, check_passes, draw, named, require

_WIDTH = 24  # several channels in each of up to eight groups


def check_norm(make: Callable[[int], nn.Module]) -> None:
    """Check the contract of a normalization on streams of images, tokens and points.

    It preserves the shape and stays finite, also in training and on a constant stream. In evaluation mode it is
    deterministic and independent of the other samples of a batch. Its input isn't overwritten. Gradients reach its
    input and every parameter. Its initial weights depend on (seed, path) alone.

    Args:
        make: builds the normalization for a number of channels, such as `lambda width: Layer(width, eps=1e-5,
            affine=True)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    for kind, positions in POSITIONS.items():
        with named(f"on {kind}"):
            norm = make(_WIDTH)
            require(isinstance(norm, nn.Module), f"{type(norm).__name__} is not a module")
            check_initialization(lambda: make(_WIDTH))
            x = draw("stream", BATCH, _WIDTH, *positions)
            output = check_passes(norm, [x], expected=tuple(x.shape))
            with torch.no_grad():
                alone = torch.cat([norm(sample[None]) for sample in x])
                apart = torch.allclose(output, alone, atol=1e-5)
                require(apart, "in evaluation mode its output for a sample depends on the other samples")
                require(
                    bool(norm(torch.ones_like(x)).isfinite().all()), "its output isn't finite for a constant stream"
                )
                trained = norm.train()(x)
            require(trained.shape == x.shape, f"it returns {tuple(trained.shape)} in training, not {tuple(x.shape)}")
            require(bool(trained.isfinite().all()), "its output isn't finite in training")
