import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skiplab.blocks.block import BranchJoin, Join, Stage
from skiplab.charts import Chart, Measurement
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.eval_batches.eval_batch_loss import EvalBatchLoss
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective
from skiplab.surgery.foreign_join import ForeignJoin

_Block = Sequence[Join]


class Lesion(Evaluator[Objective]):
    """The factor by which the trained network's loss rises when a block is removed, or swapped with the next one.

        lesion_ratio = (product over blocks l of loss without l / loss)^(1 / number of blocks)
        swap_ratio = (product over pairs of loss with l and l + 1 in the other order / loss)^(1 / number of pairs)

    Removing a block leaves the stream unchanged: its joins are skipped together with their connections, in all arms
    alike. A residual block then keeps its shortcut without the branch; of a plain block nothing is left. A swapped
    block keeps its own connection. Losses are measured on validation images, at fixed noise if the network denoises.

    Blocks that change width or resolution can't be removed. Only neighbors within one stage are swapped. In an external
    network (backbone=external), each joined branch is removed in turn and nothing is swapped. If no block or no pair
    qualifies, there is no ratio. If a connection needs the updates of all earlier joins (dense), a removed block's
    update is set to zero instead, and nothing is swapped.

    Source: Veit et al. 2016, Residual Networks Behave Like Ensembles of Relatively Shallow Networks, arXiv:1605.06431,
        section 4 (removing one layer; of VGG too, and re-ordering, from memory).
    Differs from the source: ratios of losses, not errors; re-ordering is of neighbors, one pair at a time. A loss that
        overflows counts as the largest number of float32, one that underflows as the smallest; of a whole network
        whose loss is no finite number there is no ratio.

    Args:
        num_images: validation images, at every noise level.
        num_levels: noise levels, if the network denoises.

    Raises:
        SkiplabError: if either is below 1.
    """

    measures: ClassVar[type[Objective]] = Objective
    metrics: ClassVar[dict[str, Metric]] = {
        "lesion_ratio": Metric(
            label="rise of the loss without one block (factor)", direction="lower", scale="log", role="mechanism"
        ),
        "swap_ratio": Metric(
            label="rise of the loss with two blocks swapped (factor)", direction="lower", scale="log", role="mechanism"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "lesion_by_block": Chart(
            title="Loss without one block",
            caption="Loss on validation images when one block is removed from the trained network, divided by the "
            "loss of the whole network; at 1, the block isn't needed. Blocks are counted from the input; those that "
            "change width or resolution can't be removed. A network that has learned little has little to lose, so "
            "read it together with the loss.",
            kind="bars",
            x="removed block",
            value="loss without the block / loss",
            log=("value",),
        ),
        "swap_by_pair": Chart(
            title="Loss with two neighboring blocks swapped",
            caption="Loss on validation images when a block of the trained network is swapped with the next one, "
            "divided by the loss of the unchanged network; at 1, their order doesn't matter.",
            kind="bars",
            x="first of the two blocks",
            value="loss with blocks swapped / loss",
            log=("value",),
        ),
        "lesion_ratio": Chart(
            title="What removing one block costs",
            caption="The factor by which the loss rises when one block is removed from the trained network, geometric "
            "mean over blocks; each seed, and each arm's mean with its 95% interval. Lower is more robust; a network "
            "that has learned little has little to lose.",
            kind="outcome",
            log=("value",),
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained[Objective]) -> Result:
        loss = EvalBatchLoss(trained, self.eval_batch, "val")
        intact = loss.trained()

        def ratio(lesion: AbstractContextManager[None]) -> float:
            with lesion:
                return loss(loss.weights) / intact

        blocks, pairs = removable(trained.model), swappable(trained.model)
        ratios = {
            "lesion_by_block": {block[0].block_index + 1: ratio(removed(stage, block)) for stage, block in blocks},
            "swap_by_pair": {first[0].block_index + 1: ratio(swapped(first, second)) for first, second in pairs},
        }
        named = {"lesion_ratio": ratios["lesion_by_block"], "swap_ratio": ratios["swap_by_pair"]}
        every = {join.block_index + 1 for join in trained.model.modules() if isinstance(join, Join)}
        return Result(
            {name: statistics.geometric_mean(found.values()) for name, found in named.items() if found},
            measurements=[
                Measurement(chart, number, value)
                for chart, found in ratios.items()
                for number, value in sorted(found.items())
            ],
            details={
                "loss": intact,
                "num_images": self.eval_batch.count(trained.data.val),
                "blocks_not_removed": sorted(every - ratios["lesion_by_block"].keys()),
                "num_pairs_swapped": len(pairs),
            },
        )


def removable(model: nn.Module) -> list[tuple[Stage | None, _Block]]:
    """The blocks that keep width and resolution, with their stages; joins of an external network have none."""
    return [
        *((stage, block) for stage in _stages(model) for block in _inner_blocks(stage)),
        *((None, [join]) for join in model.modules() if isinstance(join, ForeignJoin)),
    ]


def swappable(model: nn.Module) -> list[tuple[_Block, _Block]]:
    """The pairs of successive blocks of one stage that can be swapped."""
    return [
        pair for stage in _stages(model) if not counts_joins(stage) for pair in itertools.pairwise(_inner_blocks(stage))
    ]


def removed(stage: Stage | None, block: _Block) -> AbstractContextManager[None]:
    """The block's joins pass their memory on, or write an update of zero if later joins need one."""
    counted = stage is not None and counts_joins(stage)
    return _rerouted(block, [_without_update(join) if counted else _pass_on for join in block])


def swapped(first: _Block, second: _Block) -> AbstractContextManager[None]:
    """Two successive blocks in the opposite order, each with its own connection."""
    return _rerouted([*first, *second], [join.forward for join in (*second, *first)])


@torch.no_grad()
def counts_joins(stage: Stage) -> bool:
    """Whether a connection needs the updates of all earlier joins, and can't write without them."""
    for join in itertools.chain.from_iterable(stage.blocks):
        connection, spec = join.connection, join.connection.spec
        device = next(join.parameters()).device
        stream = torch.linspace(1, 2, spec.width, device=device)[None]
        cond = torch.zeros(1, spec.cond_width, device=device) if spec.cond_width else None
        try:
            with torch.random.fork_rng(devices=[]):
                connection.write(connection.open(stream), stream, cond, nn.Identity())
        except (RuntimeError, IndexError):
            return True
    return False


def _stages(model: nn.Module) -> list[Stage]:
    return [module for module in model.modules() if isinstance(module, Stage)]


def _inner_blocks(stage: Stage) -> Sequence[_Block]:
    return stage.blocks if stage.shortcut is None else stage.blocks[1:]


def _pass_on(memory: Any, _: Tensor | None) -> Any:
    return memory


def _without_update(join: Join) -> Callable[[Any, Tensor | None], Any]:
    assert isinstance(join, BranchJoin)  # as all joins of a stage

    def write_zero(memory: Any, cond: Tensor | None) -> Any:
        stream = join.connection.read(memory, cond)
        return join.connection.write(memory, torch.zeros_like(stream), cond, join.branch.activation_after_join)

    return write_zero


@contextmanager
def _rerouted(joins: Sequence[Join], forwards: Sequence[Callable[..., Any]]) -> Iterator[None]:
    """Other functions from memory to memory in place of the joins."""
    try:
        for join, forward in zip(joins, forwards, strict=True):
            join.forward = forward
        yield
    finally:
        for join in joins:
            vars(join).pop("forward", None)
