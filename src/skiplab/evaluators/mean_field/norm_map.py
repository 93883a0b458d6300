"""How a normalization changes the moments of a signal."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor, nn

from skiplab.evaluators.mean_field.signal import Part, Signal

Norm = nn.GroupNorm | nn.LayerNorm | nn.RMSNorm | nn.modules.batchnorm._BatchNorm


def norm_map(signal: Signal, norm: Norm) -> Signal:
    """A normalization: a group's mean is subtracted, then the group is divided by the root of its mean square.

    Over n channels and the rows that are pooled (a position's, an input's, or all), with <.> the mean over these rows,

        cov'(p, q) = (cov(p, q) - (<cov(p, .)> + <cov(., q)> - <<cov>>) / n) / sqrt(v_p v_q),   v = <cov' before> + eps.

    So a group of few channels loses what its positions share. It is exact in the mean over the group; that the root is
    of the group's expected, not its own mean square is an approximation, which many channels or many unlike positions
    justify. A gradient is divided by the group's own root and loses its part along the signal. With the mean square as
    chi-square of k degrees of freedom, this multiplies the gradient's square by

        E[1/s^2] E[s^2] (1 - 1/k) = (k - 1) / (k - 2),   k = (sum of variances)^2 / sum of squared covariances,

    both sums over the group's independent channels. Below k = 3, k = 3 is taken: the expectation ends at k = 2.

    Source: gradients that grow with norms: Yang et al. 2019, A Mean Field Theory of Batch Normalization,
        arXiv:1902.08129; degrees of freedom: Satterthwaite 1946, eq. 17 (from memory).
    Differs from the source: the root of the mean, where the first integrates; groups and layers as well.
    """
    num_rows = signal.parts[0].cov.shape[0]
    centered, per_group = True, 1
    if isinstance(norm, nn.GroupNorm):
        pooled, per_group = num_rows // signal.num_inputs, signal.width // norm.num_groups
    elif isinstance(norm, nn.LayerNorm | nn.RMSNorm):
        pooled, per_group, centered = 1, signal.width, isinstance(norm, nn.LayerNorm)
    else:
        pooled = num_rows
    fixed = isinstance(norm, nn.modules.batchnorm._BatchNorm)  # its statistics are those of a pass before
    eps = norm.eps if norm.eps is not None else torch.finfo(torch.float32).eps
    gain = 1.0 if norm.weight is None else float(norm.weight.detach().square().mean())
    bias = getattr(norm, "bias", None)
    constant = 0.0 if bias is None else float(bias.detach().square().mean())
    known: dict[tuple[tuple[int, int], ...], list[Part]] = {}
    found: list[Part] = []
    for group in _groups(signal, per_group):
        key = tuple((id(part.cov), part.width) for part in group)
        if key not in known:
            normed = _normed(group, per_group, pooled, centered=centered, fixed=fixed, eps=eps)
            known[key] = [
                replace(
                    part,
                    cov=gain * part.cov + constant,
                    mean=gain**0.5 * part.mean,
                    odd=None if part.odd is None or constant else gain * part.odd,
                )
                for part in normed
            ]
        found.extend(known[key])
    merged = []
    for _, alike in groupby(found, key=lambda part: id(part.cov)):
        own = list(alike)
        merged.append(replace(own[0], width=sum(part.width for part in own)))
    return replace(signal, parts=tuple(merged))


def _groups(signal: Signal, size: int) -> Iterator[list[Part]]:
    """The parts of each group of `size` channels, cut where a group ends."""
    group, missing = [], size
    for part in signal.parts:
        left = part.width
        while left:
            taken = min(left, missing)
            group.append(replace(part, width=taken))
            left, missing = left - taken, missing - taken
            if not missing:
                yield group
                group, missing = [], size


def _normed(group: list[Part], n: int, pooled: int, *, centered: bool, fixed: bool, eps: float) -> list[Part]:
    shares = [part.width / n for part in group]

    def pools(kernel: Tensor) -> Tensor:
        return kernel.view(kernel.shape[0] // pooled, pooled, kernel.shape[1] // pooled, pooled)

    def average(values: list[Tensor]) -> Tensor:
        first, *others = (value * share for value, share in zip(values, shares, strict=True))
        return sum(others, first)

    # Channels in pairs of opposite sign have no mean.
    mirrored = n % 2 == 0 and all(part.odd is not None and torch.equal(part.odd, part.cov) for part in group)
    covs, means = [part.cov for part in group], [part.mean for part in group]
    if centered and not mirrored:
        shared = average([pools(cov).mean(dim=(1, 3), keepdim=True) for cov in covs])
        level = average([mean.view(-1, pooled).mean(dim=1, keepdim=True) for mean in means])
        means = [(mean.view(-1, pooled) - level).flatten() for mean in means]
        covs = [_without_mean(pools(cov), shared, n).reshape(cov.shape) for cov in covs]
        if fixed:  # gradients don't pass through the means either
            covs = [part.cov + (cov - part.cov).detach() for part, cov in zip(group, covs, strict=True)]
    squares = [(cov.diagonal() + mean.square()).detach() for cov, mean in zip(covs, means, strict=True)]
    mean_square = average([square.view(-1, pooled).mean(dim=1) for square in squares])
    factor = (mean_square + eps).rsqrt().repeat_interleave(pooled)
    scale = factor[:, None] * factor[None, :]
    if fixed:
        steeper = torch.ones_like(scale)
    else:
        own = torch.eye(len(scale) // pooled, dtype=scale.dtype, device=scale.device)
        gains = _gradient_gain([pools(cov.detach()) for cov in covs], [part.width for part in group], mirrored=mirrored)
        steeper = 1 + (own * (gains - 1)).repeat_interleave(pooled, 0).repeat_interleave(pooled, 1)

    def scaled(kernel: Tensor) -> Tensor:
        known = (kernel * scale).detach()
        return known + steeper * (kernel * scale - known)  # the value is known, the derivative steeper

    return [
        Part(part.width, scaled(cov), mean * factor, None if part.odd is None else scaled(part.odd))
        for part, cov, mean in zip(group, covs, means, strict=True)
    ]


def _gradient_gain(covs: list[Tensor], widths: list[int], *, mirrored: bool) -> Tensor:
    """(k - 1) / (k - 2) of each pool, from the covariances (pool, row, pool, row) of the group's channels."""
    blocks = [cov.diagonal(dim1=0, dim2=2) for cov in covs]  # (row, row, pool)
    pairs = 2 if mirrored else 1  # a channel and its negative are one
    variances = sum(block.diagonal().sum(dim=-1) * width / pairs for block, width in zip(blocks, widths, strict=True))
    squares = sum(block.square().sum(dim=(0, 1)) * width / pairs for block, width in zip(blocks, widths, strict=True))
    assert isinstance(variances, Tensor)
    assert isinstance(squares, Tensor)
    k = (variances.square() / squares.clamp(min=1e-300)).clamp(min=3)
    return (k - 1) / (k - 2)


def _without_mean(cov: Tensor, shared: Tensor, n: int) -> Tensor:
    return cov - (cov.mean(dim=1, keepdim=True) + cov.mean(dim=3, keepdim=True) - shared) / n
