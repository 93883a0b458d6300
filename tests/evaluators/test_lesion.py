"""Losses without a block, or with two in the other order, equal those of networks walked through by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from drawn import drawn
from torch import nn
from torch.nn import functional as F

from objectives_by_name import denoising
from option_files import options
from skiplab.blocks.block import Join
from skiplab.errors import SkiplabError
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.lesion import Lesion, counts_joins, removable, removed, swappable, swapped
from skiplab.evaluators.results.missing import UnmeasurableError
from skiplab.objectives.cross_entropy import CrossEntropy
from small_networks import DATA, accepted, small
from tiny_trials import network

SETTINGS = {"num_images": 8, "num_levels": 2}


@pytest.fixture
def made(trained: Trained):
    """made(backbone=..., ...): a small network on random data of its kind, every parameter of it moved off zero."""

    def make(**choices: str | int) -> Trained:
        choices = {"backbone": "isotropic", "branch": "preact", "long_skip": "none", "depth": 4, **choices}
        data = DATA["points" if choices["backbone"] == "mlp" else "images"]
        model = network(small(**choices), data).eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        # min_snr of x0 weighs the levels differently
        objective = denoising("x0", loss_weighting="min_snr", num_classes=data.num_classes)
        return replace(
            trained, model=model, objective=objective, data=data, eval_batch=EvalBatch(**SETTINGS), _samples={}
        )

    return make


def walked(model: nn.Module, order: Sequence[int], x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """The output of a network of one stage, by its blocks in some order."""
    cond = model.embedding(level, None)
    stage = model.stage
    memory = stage.joins[0].connection.open(model.stem(x))
    for index in order:
        for join in stage.blocks[index]:
            update = join.branch(join.connection.read(memory, cond), cond)
            memory = join.connection.write(memory, update, cond, join.branch.activation_after_join)
    return model.head(stage.joins[-1].connection.close(memory))


def walked_loss(trained: Trained, order: Sequence[int]) -> float:
    """The loss on validation images, level by level."""
    objective, eval_batch, found = trained.objective, EvalBatch(**SETTINGS), 0.0
    levels = zip(eval_batch.weights(objective), eval_batch.noised(objective, trained.data.val, "val"), strict=True)
    with torch.no_grad():
        for weight, (*_, noised) in levels:
            output = walked(trained.model, order, noised.x_t, noised.time)
            found += float(weight * (output - noised.target).double().square().mean())
    return found / SETTINGS["num_levels"]


# All whose memory can go without an update; position and index change what some of them do.
CONNECTIONS = (
    "plain",
    "identity",
    "rezero",
    "decayed_identity",
    "stochastic_depth",
    "hyper_connections_dynamic",
    "manifold_hyper_connections",
    "attention_residuals",
)


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_ratios_equal_losses_of_networks_walked_without_the_block(made, connection: str) -> None:
    trained = made(connection=connection)
    result = Lesion(**SETTINGS).evaluate(trained)
    intact = walked_loss(trained, [0, 1, 2, 3])
    orders = {gone + 1: [index for index in range(4) if index != gone] for gone in range(4)}
    without = {number: walked_loss(trained, order) / intact for number, order in orders.items()}
    orders = {1: [1, 0, 2, 3], 2: [0, 2, 1, 3], 3: [0, 1, 3, 2]}
    other_order = {first: walked_loss(trained, order) / intact for first, order in orders.items()}
    assert drawn(result, "lesion_by_block") == pytest.approx(without, rel=1e-6)
    assert drawn(result, "swap_by_pair") == pytest.approx(other_order, rel=1e-6)
    assert result.summary["lesion_ratio"] == pytest.approx(math.prod(without.values()) ** (1 / 4), rel=1e-6)
    assert result.summary["swap_ratio"] == pytest.approx(math.prod(other_order.values()) ** (1 / 3), rel=1e-6)
    assert len({round(ratio, 6) for ratio in (1.0, *without.values(), *other_order.values())}) == 8


@pytest.mark.parametrize(
    ("backbone", "branch", "depth"), [("mlp", "mlp", 3), ("isotropic", "transformer", 3), ("isotropic", "basic", 3)]
)
def test_points_and_blocks_of_two_joins_are_walked_alike(made, backbone: str, branch: str, depth: int) -> None:
    trained = made(backbone=backbone, branch=branch, depth=depth)
    result = Lesion(**SETTINGS).evaluate(trained)
    intact = walked_loss(trained, [0, 1, 2])
    without = {1: [1, 2], 2: [0, 2], 3: [0, 1]}
    other_order = {1: [1, 0, 2], 2: [0, 2, 1]}
    for chart, orders in (("lesion_by_block", without), ("swap_by_pair", other_order)):
        expected = {number: walked_loss(trained, order) / intact for number, order in orders.items()}
        assert drawn(result, chart) == pytest.approx(expected, rel=1e-6)


def test_the_whole_networks_loss_is_that_of_the_denoising_loss(made) -> None:
    trained = made()
    result = Lesion(**SETTINGS).evaluate(trained)
    expected = DenoisingLoss().evaluate(trained).summary["loss_val"]
    assert result.details["loss"] == pytest.approx(expected, rel=1e-12)


def test_a_connection_that_counts_joins_is_told_that_the_removed_update_is_zero(made) -> None:
    """Dense reads all entries at their places: what is left of the stage is its projections of the others."""
    trained = made(connection="dense")
    model, stage = trained.model, trained.model.stage
    x, level = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.full((3,), 0.5)
    with torch.no_grad():
        for gone in range(4):
            cond, entries = model.embedding(level, None), [model.stem(x)]
            stream = entries[0]
            for index, join in enumerate(stage.joins):
                entries.append(torch.zeros_like(stream) if index == gone else join.branch(stream, cond))
                stream = F.conv2d(torch.cat(entries, dim=1), join.connection.weight[:, :, None, None])
            with removed(stage, stage.blocks[gone]):
                assert torch.allclose(model(x, level), model.head(stream), atol=1e-5)
    result = Lesion(**SETTINGS).evaluate(trained)
    assert set(drawn(result, "lesion_by_block")) == {1, 2, 3, 4}
    assert set(result.summary) == {"lesion_ratio"}
    assert result.details["num_pairs_swapped"] == 0


def test_only_dense_memories_count_joins(made) -> None:
    def counts(connection: str) -> bool:
        return counts_joins(made(connection=connection).model.stage)

    data = DATA["images"]
    settings = {"backbone": "isotropic", "branch": "preact", "long_skip": "none"}
    found = [name for name in options("connection") if accepted(data, connection=name, **settings)]
    assert len(found) > 10
    assert [name for name in found if counts(name)] == ["dense"]


@pytest.mark.parametrize(
    ("backbone", "branch", "depth", "stay", "num_pairs"),
    [
        # encoder 1-2, 3-4 (wider), bottom 5-6, decoder 7-8 (reads a concatenation)
        ("unet", "preact", 8, [3, 7], 2),
        # encoder 1-3, middle 4, decoder 5-7, a stage each
        ("uvit", "transformer", 7, [], 2),
        # encoder 1, 2 (wider); middle 3-4; decoder 5, 6, 7, 8, each reads a concatenation
        ("ddpm_unet", "preact", 8, [2, 5, 6, 7, 8], 1),
    ],
)
def test_blocks_that_change_the_stream_stay(
    made, backbone: str, branch: str, depth: int, stay: list[int], num_pairs: int
) -> None:
    long_skip = "concat"
    trained = made(backbone=backbone, branch=branch, depth=depth, long_skip=long_skip)
    result = Lesion(**SETTINGS).evaluate(trained)
    assert result.details["blocks_not_removed"] == stay
    assert set(drawn(result, "lesion_by_block")) == set(range(1, depth + 1)) - set(stay)
    assert result.details["num_pairs_swapped"] == len(drawn(result, "swap_by_pair")) == num_pairs


def test_long_skips_leave_from_where_the_removed_block_stood(made) -> None:
    """U-ViT taps the stream after every block: after a removed one it is what the block would have read."""
    trained = made(backbone="uvit", branch="transformer", depth=7, long_skip="concat")
    model = trained.model
    (encoder,) = model.encoder
    x, level = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.full((3,), 0.5)
    stream = torch.randn(3, 8, 17, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = model(x, level)
        first, _, third = encoder.streams(stream, None)
        with removed(encoder, encoder.blocks[1]):
            taps = encoder.streams(stream, None)
            assert not torch.allclose(model(x, level), before, atol=1e-3)
        assert torch.equal(taps[0], first)
        assert torch.equal(taps[1], first)
        assert not torch.allclose(taps[2], third, atol=1e-3)
        assert torch.equal(model(x, level), before)


def test_a_network_without_neighbors_has_no_swap_ratio(made) -> None:
    result = Lesion(**SETTINGS).evaluate(made(depth=1))
    assert set(result.summary) == {"lesion_ratio"}
    assert result.details["num_pairs_swapped"] == 0


def test_blocks_that_do_nothing_are_not_missed(trained: Trained) -> None:
    """ReZero's gates start at zero."""
    data = DATA["images"]
    model = network(small(backbone="isotropic", long_skip="none", connection="rezero"), data).eval()
    result = Lesion(**SETTINGS).evaluate(replace(trained, model=model, data=data, _samples={}))
    assert result.summary == {"lesion_ratio": pytest.approx(1.0), "swap_ratio": pytest.approx(1.0)}


def test_classifiers_are_measured_by_their_cross_entropy(made) -> None:
    data = DATA["images"]
    config = small(backbone="resnet", branch="preact", long_skip="none", objective="cross_entropy", depth=6)
    model = network(config, data).eval()
    trained = replace(made(), model=model, objective=CrossEntropy(10, label_smoothing=0.0))
    result = Lesion(**SETTINGS).evaluate(trained)
    images, labels = data.val.first(SETTINGS["num_images"])
    with torch.no_grad():
        stream = model.stem(images)
        for number, stage in enumerate(model.stages):
            # without block 4: the second of the second stage
            stream = stage.joins[0](stream, None) if number == 0 else stage.streams(stream, None)[0]
            stream = stage.joins[1](stream, None) if number != 1 else stream
        expected = F.cross_entropy(model.head(stream), labels) / F.cross_entropy(model(images), labels)
    assert drawn(result, "lesion_by_block")[4] == pytest.approx(float(expected), rel=1e-5)
    assert result.details["blocks_not_removed"] == [3, 5]


def test_a_loss_that_overflows_counts_as_the_largest_number_beside_one_that_does_not(made) -> None:
    """Of two blocks that write the same update, with opposite signs and large, either alone overflows."""
    trained = made(norm="none")
    joins = trained.model.stage.joins
    with torch.no_grad():
        for join in joins:
            for parameter in join.parameters():
                parameter.zero_()
        for join, sign in zip(joins[:2], (-1, 1), strict=True):
            join.branch.last.bias.fill_(sign * 1e25)
    result = Lesion(**SETTINGS).evaluate(trained)
    assert drawn(result, "lesion_by_block")[1] == torch.finfo(torch.float32).max / result.details["loss"]
    assert all(math.isfinite(value) for value in result.summary.values())


def test_the_whole_networks_loss_that_overflows_leaves_no_ratio(made) -> None:
    trained = made(norm="none")
    with torch.no_grad():
        for parameter in trained.model.stage.joins[1].parameters():
            parameter *= 1e30
    with pytest.raises(UnmeasurableError, match=r"the trained network's loss is (inf|nan)"):
        Lesion(**SETTINGS).evaluate(trained)


@pytest.mark.parametrize("lesion", ["removed", "swapped"])
def test_the_network_is_whole_again_after_an_error(made, lesion: str) -> None:
    model = made().model
    stage, (first, second) = model.stage, model.stage.blocks[:2]

    def fail_within() -> None:
        with removed(stage, first) if lesion == "removed" else swapped(first, second):
            assert "forward" in vars(stage.joins[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert not any("forward" in vars(module) for module in model.modules() if isinstance(module, Join))


def test_every_block_and_pair_of_one_plain_stage_can_be_lesioned(made) -> None:
    model = made(depth=4).model
    assert [block[0].block_index for _, block in removable(model)] == [0, 1, 2, 3]
    assert [(first[0].block_index, second[0].block_index) for first, second in swappable(model)] == [
        (0, 1),
        (1, 2),
        (2, 3),
    ]


@pytest.mark.parametrize("name", ["num_images", "num_levels"])
def test_refuses_counts_below_one(name: str) -> None:
    with pytest.raises(SkiplabError, match=f"{name}=0"):
        Lesion(**(SETTINGS | {name: 0}))
