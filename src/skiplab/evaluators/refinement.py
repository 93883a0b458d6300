import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.block import Stage
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.probe import Probe, outputs
from skiplab.metrics import Metric


class Refinement(Evaluator):
    """Share of blocks whose output knows the target better than their input does.

    A linear head is fitted (ridge, on probes of training images) to read the target from the stream before and
    after each block, one head for all positions, each position for the patch of pixels that it covers. With
    e the head's squared error on probes of validation images over the zero predictor's,

        block l refines where  e_before(l) - e_after(l) > max(0, the same of the untrained network).

    Without a shortcut a block must write all that the next one needs; with one it can add to it. So 'every block
    refines' is asked of both arms alike, against the same network before training.

    Source: Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes,
        arXiv:1610.01644; iterative refinement: Jastrzebski et al. 2018, arXiv:1710.04773.
    Differs from the source: closed-form regression to the denoising target, pooled over noise levels.

    Args:
        num_images: images of each split, at every noise level.
        num_levels: noise levels.
        ridge: weight of the squared norm of the head over the number of positions, above 0.

    Raises:
        SkiplabError: where an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "refining_share": Metric(
            label="share of blocks that refine", direction="higher", scale="bounded", if_diverged=0.0
        )
    }

    def __init__(self, *, num_images: int, num_levels: int, ridge: float) -> None:
        if not ridge > 0:
            raise SkiplabError(f"evaluator.refinement.ridge={ridge} is invalid; valid: above 0")
        self.ridge = ridge
        self.probe = Probe(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained) -> Result:
        errors = self.read_errors(trained.model, trained)
        untrained = self.read_errors(trained.untrained, trained)
        refining = [
            before - after > max(0.0, start_before - start_after)
            for (before, after), (start_before, start_after) in zip(errors, untrained, strict=True)
        ]
        return Result(
            {"refining_share": sum(refining) / len(refining)},
            {"error_before_after": errors, "untrained_error_before_after": untrained},
        )

    def read_errors(self, model: nn.Module, trained: Trained) -> list[tuple[float, float]]:
        """The head's error before and after each block."""
        splits = [self._streams(model, trained, split) for split in ("train", "val")]
        (train_streams, train_target), (val_streams, val_target) = splits
        zero = val_target.square().mean()
        errors = []
        for places in zip(train_streams, val_streams, strict=True):
            pair = []
            for train_stream, val_stream in zip(*places, strict=True):
                head = fit_head(train_stream, train_target, self.ridge)
                pair.append(float((read(head, val_stream, val_target) - val_target).square().mean() / zero))
            errors.append(tuple(pair))
        return errors

    @torch.no_grad()
    def _streams(self, model: nn.Module, trained: Trained, split: str) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """The stream before and after each block, and the target, all on a grid, on the split's probes."""
        probes = self.probe.noised(trained.objective, trained.split(split), split)
        with ExitStack() as watching:
            stages = [module for module in model.modules() if isinstance(module, Stage)]
            calls = {stage: watching.enter_context(_closed_streams(stage)) for stage in stages}
            for *_, noised in probes:
                outputs(trained.objective, model, noised)
        target = torch.cat([noised.target for *_, noised in probes])
        target = target.view(*target.shape, 1, 1) if target.ndim == 2 else target
        pairs = []
        for stage in sorted(stages, key=lambda stage: stage.joins[0].block_index):
            streams = [on_grid(torch.cat(parts), target) for parts in zip(*calls[stage], strict=True)]
            pairs += itertools.pairwise(streams)
        return pairs, target


@contextmanager
def _closed_streams(stage: Stage) -> Iterator[list[list[Tensor]]]:
    """For each pass through a stage, its input and the closed stream after each block.

    A stage is passed by its forward or by its streams, which no hook sees both; both walk its memories.
    """
    walk, calls = stage.memories, []
    ends = {block[-1] for block in stage.blocks}

    def watched(x: Tensor, cond: Tensor | None) -> Iterator[Any]:
        calls.append([x])
        for join, memory in zip(stage.joins, walk(x, cond), strict=True):
            if join in ends:
                calls[-1].append(join.connection.close(memory))
            yield memory

    stage.memories = watched
    try:
        yield calls
    finally:
        del stage.memories


def on_grid(
    stream: Float[Tensor, "sample channel *positions"], target: Float[Tensor, "sample channel_out height width"]
) -> Float[Tensor, "sample channel rows columns"]:
    """A stream of images, of tokens (a square of patches behind extra tokens) or of points (one position).

    Raises:
        SkiplabError: where the positions are no grid of patches of the target.
    """
    if stream.ndim == 2:
        return stream[:, :, None, None]
    found = tuple(stream.shape[2:])
    if len(found) == 1:
        side = math.isqrt(found[0])
        stream = stream[:, :, found[0] - side**2 :].unflatten(2, (side, side))
    sides = tuple(target.shape[2:])
    if stream.ndim != 4 or any(whole % part for whole, part in zip(sides, stream.shape[2:], strict=True)):
        raise SkiplabError(
            f"evaluator=refinement reads a target of {sides} from streams whose positions are a grid of its patches, "
            f"and here they are {found}; leave refinement out of evaluator=[...]"
        )
    return stream


def fit_head(
    stream: Float[Tensor, "sample channel rows columns"],
    target: Float[Tensor, "sample channel_out height width"],
    ridge: float,
) -> Float[Tensor, "channel_plus_one patch"]:
    """Closed-form ridge regression from a position's channels to the pixels of the patch that it covers."""
    features, patches = _positions(stream), _patches(target, *stream.shape[2:])
    gram = features.T @ features / len(features)
    penalty = ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    penalty[-1, -1] = 0  # the constant isn't shrunk
    return torch.linalg.solve(gram + penalty, features.T @ patches / len(features))


def read(head: Tensor, stream: Tensor, target: Tensor) -> Tensor:
    """The head's prediction, in the target's shape."""
    batch, channels, height, width = target.shape
    rows, columns = stream.shape[2:]
    patches = (_positions(stream) @ head).view(batch, rows, columns, channels, height // rows, width // columns)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(target.shape)


def _positions(stream: Tensor) -> Tensor:
    flat = stream.permute(0, 2, 3, 1).flatten(0, 2).double()
    return torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1)


def _patches(target: Tensor, rows: int, columns: int) -> Tensor:
    batch, channels, height, width = target.shape
    split = target.view(batch, channels, rows, height // rows, columns, width // columns)
    return split.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).flatten(1).double()
