"""Norms of gradients with respect to the streams: measured by backpropagation, and predicted from the moments."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.evaluators.mean_field.signal import Signal


def measured_norms(
    streams: Sequence[Tensor], read_outs: Float[Tensor, "read_out input channel *positions"]
) -> list[float]:
    """Root mean square, over read-outs r and inputs, of |d <r, x_L> / d x_l|, x_L the last stream."""
    squares = torch.zeros(len(streams), dtype=torch.double)
    for read_out in read_outs:
        gradients = torch.autograd.grad((read_out * streams[-1]).sum(), streams, retain_graph=True)
        squares += torch.stack([gradient.double().square().sum() for gradient in gradients])
    return (squares / len(read_outs) / len(streams[0])).sqrt().tolist()


def predicted_norms(signals: Sequence[Signal]) -> list[float]:
    """The same for read-outs of independent normal numbers, over the draw of the weights.

    A disturbance of x_l by independent numbers of variance e changes its covariances by e at equal rows, with the
    variances that activations and norms see as they were. So with J = d x_L / d x_l and C channels

        E |d <r, x_L> / d x_l|^2 = E |J|^2 = sum over rows p of d (C sum over rows q of cov_L(q, q)) / d cov_l(p, p),

    and backpropagation through the maps of the moments is the mean field theory of gradients, shortcuts, long skips and
    zeros outside the image included.

    Source: Schoenholz et al. 2017, arXiv:1611.01232, section 4 (gradients by independent weights in both passes).
    Differs from the source: the adjoint of the maps, where the source has a recursion of its own.
    """
    last = signals[-1]
    total = sum(part.width * part.cov.trace() for part in last.parts)
    # A pair of channels that are disturbed independently changes half their difference by half the variance.
    kernels = [(part.cov, 1.0) for signal in signals for part in signal.parts]
    kernels += [(part.odd, 0.5) for signal in signals for part in signal.parts if part.odd is not None]
    assert isinstance(total, Tensor)
    gradients = torch.autograd.grad(total, [kernel for kernel, _ in kernels], allow_unused=True)
    found = {
        id(kernel): 0.0 if gradient is None else factor * float(gradient.trace())
        for (kernel, factor), gradient in zip(kernels, gradients, strict=True)
    }
    squares = []
    for signal in signals:
        own = [found[id(part.cov)] + found.get(id(part.odd), 0.0) for part in signal.parts]
        squares.append(max(sum(own), 0.0) / signal.num_inputs)
    return [square**0.5 for square in squares]
