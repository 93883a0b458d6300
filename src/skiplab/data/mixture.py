"""A mixture of Gaussians: samples, density under noise, and the optimal denoiser."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skiplab.data.dataset import Split


class Mixture:
    """x0 ~ mean over k of N(m_k, S_k), with S_k = U_k diag(v_k) U_k^T + s_k^2 I of low rank besides its floor.

    With x_t = alpha x0 + sigma noise, r_k = x_t - alpha m_k and C_k = alpha^2 S_k + sigma^2 I,

        E[x0 | x_t] = sum over k of p(k | x_t) (m_k + alpha S_k C_k^-1 r_k),  p(k | x_t) ~ N(x_t; alpha m_k, C_k).

    Everything is computed in float64, on the device of what it is given.

    Args:
        means: m, (mode, dimension).
        spreads: s, (mode,), above 0.
        axes: U, (mode, dimension, rank), orthonormal columns.
        variances: v, (mode, rank), from 0.
    """

    def __init__(
        self,
        means: Float[Tensor, "mode dimension"],
        spreads: Float[Tensor, " mode"],
        axes: Float[Tensor, "mode dimension rank"],
        variances: Float[Tensor, "mode rank"],
    ) -> None:
        self.means, self.spreads = means.double(), spreads.double()
        self.axes, self.variances = axes.double(), variances.double()

    def draw(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> Split:
        """Samples of a shape, labeled with their modes."""
        modes: Int[Tensor, " sample"] = torch.randint(len(self.means), (count,), generator=generator)
        isotropic = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        along = torch.randn(count, self.variances.shape[1], 1, generator=generator, dtype=torch.float64)
        scaled = self.variances[modes].sqrt()[:, :, None] * along
        samples = self.means[modes] + self.spreads[modes, None] * isotropic + (self.axes[modes] @ scaled).squeeze(2)
        return Split(samples.float().view(count, *shape), modes)

    def log_density(
        self, x_t: Float[Tensor, " batch *shape"], alpha: Float[Tensor, "..."], sigma: Float[Tensor, "..."]
    ) -> Float[Tensor, " batch"]:
        """log p(x_t), in float64."""
        log_joint, _ = self._modes(x_t, alpha, sigma)
        return log_joint.logsumexp(dim=1)

    def exact_denoiser(
        self, x_t: Float[Tensor, " batch *shape"], alpha: Float[Tensor, "..."], sigma: Float[Tensor, "..."]
    ) -> Float[Tensor, " batch *shape"]:
        """E[x0 | x_t], in x_t's type; alpha and sigma are one value a sample, (batch, 1, ...), or one for all."""
        log_joint, means = self._modes(x_t, alpha, sigma)
        posterior = log_joint.softmax(dim=1)
        return (posterior[:, :, None] * means).sum(dim=1).view(x_t.shape).to(x_t.dtype)

    def _modes(
        self, x_t: Tensor, alpha: Tensor, sigma: Tensor
    ) -> tuple[Float[Tensor, "batch mode"], Float[Tensor, "batch mode dimension"]]:
        """log p(x_t, k) and E[x0 | x_t, k]."""
        parts = (self.means, self.spreads.square(), self.axes, self.variances)
        m, floor, axes, v = (part.to(x_t.device) for part in parts)
        x = x_t.flatten(1).double()
        alpha, sigma = (part.to(x).reshape(-1, 1) for part in (alpha, sigma))
        # variances of x0 and of x_t along each mode's axes and, last, in all other directions
        own = torch.cat([v + floor[:, None], floor[:, None]], dim=1)
        noisy = alpha[:, :, None].square() * own + sigma[:, :, None].square()
        gains = alpha[:, :, None] * own / noisy

        r = x[:, None] - alpha[:, :, None] * m
        along = torch.einsum("bkd,kdr->bkr", r, axes)
        rest = r - torch.einsum("bkr,kdr->bkd", along, axes)
        means = m + gains[:, :, -1:] * rest + torch.einsum("bkr,kdr->bkd", gains[:, :, :-1] * along, axes)

        num_rest = x.shape[1] - axes.shape[2]
        distance = (along.square() / noisy[:, :, :-1]).sum(dim=2) + rest.square().sum(dim=2) / noisy[:, :, -1]
        log_volume = noisy[:, :, :-1].log().sum(dim=2) + num_rest * noisy[:, :, -1].log()
        constant = x.shape[1] * math.log(2 * math.pi) / 2 + math.log(len(m))
        return -(distance + log_volume) / 2 - constant, means
