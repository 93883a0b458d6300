import math
from typing import ClassVar

import numpy as np
import torch

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.results.missing import UnmeasurableError
from skiplab.evaluators.streams.path_gradients import PathGradients, paths_of_length
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective

_MOST = 0.95  # of the gradient


class EffectiveDepth(Evaluator[Objective]):
    """The mean length of the paths along which the gradient reaches the input, weighted by the gradient.

        effective_depth = sum_k k g_k / sum_k g_k,   g_k = C(L, k) n_k,   k = 0 ... L,

    where a path passes through the branches of k of the network's L joins and takes the shortcut at the others, C(L, k)
    counts the paths of length k, and n_k is the mean norm of the loss's gradient at the input along one of them. For a
    plain network only the path through all branches carries a gradient, so that effective_depth = L.
    effective_depth_fraction is effective_depth / L, and effective_depth_95 the least length k such that paths of at
    most k carry 95% of sum_k g_k. The network is the trained one; the forward pass is unchanged.

    The shortcut's part of a gradient is the derivative of the join with respect to the stream (all streams, or all
    earlier updates, if the connection keeps them) at a fixed update; a gate's dependence on the stream is part of it.
    A block has one join, or two in a transformer. A network in which a long skip leads around a block has paths of no
    definite length and no effective depth.

    Source: Veit et al. 2016, Residual Networks Behave Like Ensembles of Relatively Shallow Networks,
        arXiv:1605.06431, section 4.3 and figure 6 (norms by path length, and their product with the number of paths).
    Differs from the source: mean, fraction and the 95% length summarize what the source shows as a curve (from memory);
        all paths of a length are taken where there are at most num_paths. In networks of at least num_lengths joins,
        the logarithm of n_k is interpolated between lengths. A norm is of one input; the mean is over inputs too.

    Args:
        num_images: validation images, at every noise level.
        num_levels: noise levels, if the network denoises.
        num_paths: paths of each length, from 1.
        num_lengths: lengths that are measured, from 2: all if the network has fewer joins, else evenly spaced ones.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    measures: ClassVar[type[Objective]] = Objective
    metrics: ClassVar[dict[str, Metric]] = {
        "effective_depth": Metric(
            label="mean path length, weighted by the gradient (joins)", direction=None, role="mechanism"
        ),
        "effective_depth_fraction": Metric(
            label="mean path length, weighted by the gradient (fraction of all joins)",
            direction=None,
            scale="bounded",
            role="mechanism",
        ),
        "effective_depth_95": Metric(
            label="length of the paths below which 95% of the gradient lies (joins)", direction=None, role="mechanism"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "gradient_by_path_length": Chart(
            title="Gradient by path length",
            caption="Share of the gradient at the input that arrives along paths through this many branches, in the "
            "trained network: the number of such paths times the mean norm of the gradient along one of them. In a "
            "plain network, all of it passes through all branches.",
            kind="lines",
            x="path length (branches)",
            value="share of the gradient",
        ),
        "path_gradient_norm": Chart(
            title="Gradient along one path",
            caption="Norm of the gradient at the input along a single path through this many branches, mean over paths "
            "and validation images; paths without any gradient are left out.",
            kind="lines",
            x="path length (branches)",
            value="gradient norm",
            log=("value",),
        ),
        "effective_depth": Chart(
            title="Effective depth",
            caption="Mean length of the paths along which the gradient reaches the input, weighted by the gradient; "
            "each seed, and each arm's mean with its 95% interval.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int, num_paths: int, num_lengths: int) -> None:
        for name, value, least in (("num_paths", num_paths, 1), ("num_lengths", num_lengths, 2)):
            if value < least:
                raise SkiplabError(
                    f"evaluator.effective_depth.{name}={value} is invalid; valid: a whole number from {least}"
                )
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)
        self.num_paths, self.num_lengths = num_paths, num_lengths

    def evaluate(self, trained: Trained[Objective]) -> Result:
        paths = PathGradients(trained, self.eval_batch)
        num_joins = paths.num_joins
        lengths = sorted(set(np.linspace(0, num_joins, min(self.num_lengths, num_joins + 1)).round().astype(int)))
        norms = {}
        for length in map(int, lengths):
            found = [paths.norm(set(path)) for path in paths_of_length(num_joins, length, self.num_paths)]
            norms[length] = sum(found) / len(found)
        share = gradient_shares(num_joins, norms)
        depth = sum(length * part for length, part in enumerate(share))
        return Result(
            {
                "effective_depth": depth,
                "effective_depth_fraction": depth / num_joins,
                "effective_depth_95": float(np.searchsorted(np.cumsum(share), _MOST)),
            },
            measurements=[
                *(Measurement("gradient_by_path_length", length, part) for length, part in enumerate(share)),
                *(Measurement("path_gradient_norm", length, norm) for length, norm in norms.items() if norm > 0),
            ],
            details={"num_joins": num_joins, "num_lengths": len(norms), "num_images": self.eval_batch.num_images},
        )


def gradient_shares(num_joins: int, norms: dict[int, float]) -> list[float]:
    """g_k / sum_k g_k for k = 0 ... num_joins, from the norms at some lengths, the first and last among them.

    Raises:
        UnmeasurableError: if no path carries a gradient, or a norm isn't finite.
    """
    if not all(map(math.isfinite, norms.values())):
        raise UnmeasurableError("the gradients of the trained network's loss aren't finite numbers")
    if not any(norms.values()):
        raise UnmeasurableError("no path carries a gradient from the trained network's loss to its input")
    logs = {length: math.log(norm) if norm > 0 else -math.inf for length, norm in norms.items()}
    counts = [_log_count(num_joins, length) + _interpolated(logs, length) for length in range(num_joins + 1)]
    return torch.tensor(counts, dtype=torch.float64).softmax(dim=0).tolist()


def _log_count(total: int, chosen: int) -> float:
    return math.log(math.comb(total, chosen))


def _interpolated(logs: dict[int, float], length: int) -> float:
    """Linear between the neighboring lengths; 0 has the logarithm -inf, and so has what lies between it and another."""
    if length in logs:
        return logs[length]
    below, above = max(each for each in logs if each < length), min(each for each in logs if each > length)
    fraction = (length - below) / (above - below)
    return (1 - fraction) * logs[below] + fraction * logs[above]
