"""How the layers of a network change the moments of a signal: one map for each kind of layer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.evaluators.mean_field.dual_activation import activated
from skiplab.evaluators.mean_field.signal import Part, Signal


def linear_map(signal: Signal, layer: nn.Linear | nn.Conv2d) -> Signal:
    """A convolution or a linear map, whose weights are independent of the signal and of mean zero,

        cov'(p, q) = sum_d s_d moment(p + d, q + d) + mean of b^2,   s_d = fan_in per tap * mean of W_d^2,

    d over the taps of the kernel, with zeros outside the image as in the convolution itself. Weights whose columns come
    in pairs W, -W read the difference of two channels; rows in such pairs write a channel and its negative.

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3 and 5; convolutions: Xiao et al. 2018, arXiv:1806.05393,
        section 2.1.
    Differs from the source: the weights' mean squares are those of the layer, one for each tap, not those of a
        distribution; zeros outside the image, where the source's are circular.
    """
    weight = layer.weight.detach().double()
    weight = weight if weight.ndim == 4 else weight[:, :, None, None]
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    taps = weight.square().mean(dim=(0, 1)) * weight.shape[1]
    depthwise = isinstance(layer, nn.Conv2d) and layer.groups == signal.width > 1
    if depthwise:
        paired = len(weight) % 2 == 0 and torch.equal(weight[0::2], weight[1::2])
    else:
        paired = _mirrored(weight, 0) and (not bias.any() or _mirrored(bias, 0))

    def through(kernel: Tensor) -> Tensor:
        return _convolved(kernel, signal, taps, layer)

    constant = bias.square().mean().to(signal.parts[0].cov)
    if depthwise:
        parts = tuple(
            _written(
                each.width,
                through(each.moment) + constant,
                through(each.odd) if paired and each.odd is not None else None,
            )
            for each in signal.parts
        )
    else:
        if _mirrored(weight, 1):
            kernel = signal.weighted(lambda each: 2 * each.odd if each.odd is not None else each.cov)
        else:
            kernel = signal.moment()
        cov = through(kernel) + constant
        parts = (_written(len(weight), cov, cov if paired else None),)
    return Signal(signal.num_inputs, _sides(signal, layer), parts)


def _written(width: int, cov: Tensor, odd: Tensor | None) -> Part:
    return Part(width, cov, torch.zeros_like(cov[0]), odd)


def _mirrored(values: Tensor, dim: int) -> bool:
    """Whether each odd slice is the negative of the one before."""
    pairs = values.movedim(dim, 0)
    return len(pairs) % 2 == 0 and torch.equal(pairs[0::2], -pairs[1::2])


def _sides(signal: Signal, layer: nn.Module) -> tuple[int, ...]:
    if not isinstance(layer, nn.Conv2d):
        return signal.sides
    return tuple(-(-side // stride) for side, stride in zip(signal.sides, layer.stride, strict=True))


def _convolved(kernel: Tensor, signal: Signal, taps: Tensor, layer: nn.Module) -> Tensor:
    taps = taps.to(kernel)
    if taps.numel() == 1 and not isinstance(layer, nn.Conv2d):
        return kernel * taps[0, 0]
    count, (height, width) = signal.num_inputs, signal.sides
    assert isinstance(layer, nn.Conv2d)
    assert not isinstance(layer.padding, str)
    (down, across), (y, x) = layer.stride, layer.padding
    grid = F.pad(kernel.view(count, height, width, -1), (0, 0, x, x, y, y))
    grid = grid.view(count, height + 2 * y, width + 2 * x, count, height, width)
    grid = F.pad(grid, (x, x, y, y))
    rows, columns = (-(-height // down), -(-width // across))
    total = torch.zeros((), dtype=kernel.dtype, device=kernel.device)
    for i in range(taps.shape[0]):
        for j in range(taps.shape[1]):
            if taps[i, j] != 0:
                vertical, horizontal = slice(i, i + height, down), slice(j, j + width, across)
                total = total + taps[i, j] * grid[:, vertical, horizontal][:, :, :, :, vertical, horizontal]
    size = count * rows * columns
    return total.reshape(size, size) if total.ndim else kernel.new_zeros(size, size)


def activation_map(signal: Signal, activation: Callable[[Tensor], Tensor]) -> Signal:
    """An elementwise activation of normal numbers; see `activated`."""

    def part(each: Part) -> Part:
        return Part(each.width, *activated(activation, each.cov, each.mean, each.odd))

    return replace(signal, parts=tuple(map(part, signal.parts)))


def shift_map(signal: Signal, weight: Tensor, bias: Tensor, read: Float[Tensor, "input feature"]) -> Signal:
    """A term per channel, W a_i + b, the same at every position: cov' = cov + sum(W^2) <a_i, a_j> / features + b^2."""
    weight, bias, read = weight.detach().double(), bias.detach().double(), read.detach().double()
    terms = weight.square().mean() * (read @ read.T) + bias.square().mean()
    num_positions = signal.parts[0].cov.shape[0] // signal.num_inputs
    terms = terms.repeat_interleave(num_positions, 0).repeat_interleave(num_positions, 1)
    paired = _mirrored(weight, 0) and (not bias.any() or _mirrored(bias, 0))
    parts = tuple(
        replace(each, cov=each.cov + terms, odd=each.odd + terms if paired and each.odd is not None else None)
        for each in signal.parts
    )
    return replace(signal, parts=parts)


def repeated_map(signal: Signal, factor: int) -> Signal:
    """Each position `factor` times along each axis."""
    index = torch.arange(signal.parts[0].cov.shape[0]).view(signal.num_inputs, *signal.sides)
    for dim in range(1, index.ndim):
        index = index.repeat_interleave(factor, dim)
    return at_rows(signal, index)


def subsampled_map(signal: Signal, stride: int) -> Signal:
    """Every `stride`-th position along each axis."""
    index = torch.arange(signal.parts[0].cov.shape[0]).view(signal.num_inputs, *signal.sides)
    return at_rows(signal, index[(slice(None), *[slice(None, None, stride)] * len(signal.sides))])


def at_rows(signal: Signal, index: Tensor) -> Signal:
    """The signal at these rows (input, *sides)."""
    rows = index.flatten()

    def part(each: Part) -> Part:
        odd = None if each.odd is None else each.odd[rows][:, rows]
        return Part(each.width, each.cov[rows][:, rows], each.mean[rows], odd)

    return Signal(signal.num_inputs, tuple(index.shape[1:]), tuple(map(part, signal.parts)))


def mixed_map(signals: Sequence[Signal], function: Callable[..., Tensor]) -> Signal | None:
    """A function that is linear over channels, the same at every position: y_o = sum_k sum_c A_k[c, o] x_k[c] + base_o.

    A and base are read off the function itself, so that any sum of stream and update is known with its factors as they
    are. The signals are taken as independent up to their means. None if the function isn't linear.
    """
    dims, widths = len(signals[0].sides), [signal.width for signal in signals]

    def at(*rows: Tensor) -> Tensor:
        shaped = [each.view(*each.shape, *[1] * dims) for each in rows]
        return function(*shaped).detach().flatten(1)

    zeros = [torch.zeros(1, width, dtype=torch.double) for width in widths]
    base = at(*zeros)
    matrices = []
    for position, width in enumerate(widths):
        rows = [torch.zeros(width, other, dtype=torch.double) for other in widths]
        rows[position] = torch.eye(width, dtype=torch.double)
        matrices.append(at(*rows) - base)
    drawn = [torch.linspace(-1, 2, 3 * width, dtype=torch.double).view(3, width).sin() for width in widths]
    expected = base + sum(each @ matrix for each, matrix in zip(drawn, matrices, strict=True))
    if not torch.allclose(at(*drawn), expected, rtol=1e-9, atol=1e-12):
        return None
    sources = [part for signal in signals for part in signal.parts]
    pieces = [piece for matrix, signal in zip(matrices, signals, strict=True) for piece in _pieces(matrix, signal)]
    energies = torch.stack([piece.square().sum(dim=0) for piece in pieces])
    sums = torch.stack([piece.sum(dim=0) for piece in pieces])
    parts = []
    # Channels that read the same parts are alike.
    for _, alike in groupby(range(base.shape[1]), key=lambda o: tuple((energies[:, o] != 0).tolist())):
        own = list(alike)
        parts.append(_sum(sources, energies[:, own].mean(1), sums[:, own].mean(1), base[0, own], len(own)))
    return replace(signals[0], parts=tuple(parts))


def _pieces(matrix: Tensor, signal: Signal) -> list[Tensor]:
    """The rows of the matrix that read each part."""
    return list(matrix.split([part.width for part in signal.parts]))


def _sum(sources: list[Part], energies: Tensor, sums: Tensor, base: Tensor, width: int) -> Part:
    read = [(part, e, s) for part, e, s in zip(sources, energies.tolist(), sums.tolist(), strict=True) if e]
    constant = float(base.square().mean())
    cov = sum((e * part.cov for part, e, _ in read), torch.zeros_like(sources[0].cov) + constant)
    mean = sum((s * part.mean for part, _, s in read), torch.zeros_like(sources[0].mean))
    odd = None
    if read and not constant and all(part.odd is not None for part, *_ in read):
        odd = sum((e * part.odd for part, e, _ in read if part.odd is not None), torch.zeros_like(cov))
    return Part(width, cov, mean, odd)
