"""The linear heads equal scikit-learn's ridge regression; a block refines where its head's error falls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import drawn
from sklearn.linear_model import Ridge

from skiplab.blocks.block import Join
from skiplab.errors import SkiplabError
from skiplab.evaluators.iterative_refinement import IterativeRefinement
from skiplab.evaluators.streams.linear_head import fit_head, on_grid, read
from small_networks import DATA, small
from tiny_trials import network


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_head_equals_ridge_regression_at_every_position() -> None:
    stream, target, ridge = draw(7, 5, 4, 4), draw(7, 2, 4, 4, seed=1) + 3, 0.3
    features = stream.permute(0, 2, 3, 1).reshape(-1, 5).double().numpy()
    pixels = target.permute(0, 2, 3, 1).reshape(-1, 2).double().numpy()
    # ours is the mean squared error plus ridge, scikit-learn's the sum of squares plus alpha
    expected = Ridge(alpha=ridge * len(features)).fit(features, pixels).predict(features)
    found = read(fit_head(stream, target, ridge), stream, target).permute(0, 2, 3, 1).reshape(-1, 2)
    assert np.allclose(found.numpy(), expected, atol=1e-9)


def test_head_of_a_coarse_stream_reads_the_patch_that_a_position_covers() -> None:
    """Four channels that hold the four pixels of their patch read the target without error."""
    target = draw(6, 1, 8, 8)
    stream = torch.stack([target[:, 0, i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=1)
    assert torch.allclose(read(fit_head(stream, target, 1e-12), stream, target), target.double(), atol=1e-6)
    shuffled = stream.roll(1, dims=2)
    error = (read(fit_head(shuffled, target, 1e-12), shuffled, target) - target).square().mean()
    assert error > 0.5


@pytest.fixture(scope="module")
def deep(trained, compose_tiny):
    """An untrained U-Net of two blocks a stage, with weights of another seed as the trained one."""

    def made(connection: str):
        config = compose_tiny("depth=8", f"connection={connection}").config
        untrained = network(config, trained.data).eval()
        config.seed = 1
        model = network(config, trained.data).eval()
        return replace(trained, model=model, make_untrained=lambda: untrained)

    return made


def refinement() -> IterativeRefinement:
    return IterativeRefinement(num_images=40, num_levels=2, ridge=1e-3)


def test_errors_follow_the_stream_from_block_to_block(deep) -> None:
    trained = deep("identity")
    errors = refinement().read_errors(trained.model, trained)
    assert len(errors) == 8
    for first, second in ((0, 1), (2, 3), (4, 5), (6, 7)):  # two blocks of one stage
        assert errors[first][1] == errors[second][0]
    assert all(0 < error < 1.2 for pair in errors for error in pair)


def test_errors_before_and_after_a_block_equal_a_regression_by_hand(deep) -> None:
    trained = deep("identity")
    join = trained.model.bottom.joins[0]
    sets = {}
    for split in ("train", "val"):
        streams: dict[str, list] = {"before": [], "after": []}

        def keep(module, inputs, output, streams=streams) -> None:
            streams["before"].append(inputs[0])
            streams["after"].append(output)

        handle = join.register_forward_hook(keep)
        targets = []
        with torch.no_grad():
            for *_, noised in refinement().eval_batch.noised(trained.objective, trained.split(split), split):
                trained.model(noised.x_t, noised.time)
                targets.append(noised.target)
        handle.remove()
        target = torch.cat(targets)
        # 4 by 4 positions, each for a patch of 2 by 2 pixels
        pixels = target.reshape(-1, 4, 2, 4, 2).permute(0, 1, 3, 2, 4).reshape(-1, 4).double().numpy()
        sets[split] = {
            name: (torch.cat(found).permute(0, 2, 3, 1).flatten(0, 2).double().numpy(), pixels)
            for name, found in streams.items()
        }
    errors = refinement().read_errors(trained.model, trained)[4]
    for name, error in zip(("before", "after"), errors, strict=True):
        features, pixels = sets["train"][name]
        ridge = Ridge(alpha=1e-3 * len(features)).fit(features, pixels)
        features, pixels = sets["val"][name]
        expected = ((ridge.predict(features) - pixels) ** 2).mean() / (pixels**2).mean()
        assert error == pytest.approx(expected, rel=1e-6)


def test_share_counts_blocks_that_beat_the_untrained_network(deep) -> None:
    trained = deep("identity")
    result = refinement().evaluate(trained)
    errors, untrained = (refinement().read_errors(model, trained) for model in (trained.model, trained.untrained))
    refining = [b - a > max(0, ub - ua) for (b, a), (ub, ua) in zip(errors, untrained, strict=True)]
    assert result.summary["refining_fraction"] == sum(refining) / 8
    assert list(drawn(result, "error_by_block", "trained").values()) == [after for _, after in errors]
    assert list(drawn(result, "error_by_block", "untrained").values()) == [after for _, after in untrained]
    assert list(drawn(result, "gain_by_block").values()) == [before - after for before, after in errors]


def test_blocks_that_pass_their_input_on_refine_nothing(deep) -> None:
    trained = deep("rezero")
    assert sum(isinstance(module, Join) for module in trained.model.modules()) == 8
    result = refinement().evaluate(trained)
    assert result.summary["refining_fraction"] == 0.0


def test_measuring_leaves_no_hook_and_no_gradient(deep) -> None:
    trained = deep("plain")
    refinement().evaluate(trained)
    assert not any(module._forward_pre_hooks for module in trained.model.modules())
    assert not any("memories" in vars(module) for module in trained.model.modules())
    assert all(parameter.grad is None for parameter in trained.model.parameters())


# Streams of patches, of tokens behind one of the noise level, of points; coarse streams behind skips of two kinds.
ELSEWHERE = {
    "dit": {"branch": "mlp", "long_skip": "none", "depth": 3},
    "uvit": {"branch": "mlp", "long_skip": "concat", "depth": 5},
    "mlp": {"branch": "mlp", "long_skip": "none", "depth": 3},
    "ddpm_unet": {"branch": "preact", "long_skip": "concat", "depth": 8},
}


@pytest.fixture
def elsewhere(trained):
    """elsewhere(backbone): a network of two seeds on small data of its kind, with identity connections."""

    def made(backbone: str):
        data = DATA["points" if backbone == "mlp" else "images"]
        config = small(backbone=backbone, **ELSEWHERE[backbone])
        untrained = network(config, data).eval()
        config.seed = 1
        model = network(config, data).eval()
        return replace(trained, data=data, model=model, make_untrained=lambda: untrained, _samples={})

    return made


@pytest.mark.parametrize("backbone", ELSEWHERE)
def test_reads_every_block_of_other_backbones(elsewhere, backbone) -> None:
    result = IterativeRefinement(num_images=20, num_levels=2, ridge=1e-2).evaluate(elsewhere(backbone))
    for line in ("trained", "untrained"):
        errors = drawn(result, "error_by_block", line)
        assert list(errors) == list(range(1, ELSEWHERE[backbone]["depth"] + 1))
        assert all(np.isfinite(error) and error > 0 for error in errors.values())
    assert 0 <= result.summary["refining_fraction"] <= 1


@pytest.mark.parametrize("backbone", ["dit", "uvit", "mlp"])
def test_errors_of_patches_tokens_and_points_equal_a_regression_by_hand(elsewhere, backbone) -> None:
    trained, evaluator = elsewhere(backbone), IterativeRefinement(num_images=20, num_levels=2, ridge=1e-2)
    joins = [module for module in trained.model.modules() if isinstance(module, Join)]
    sets = {}
    for split in ("train", "val"):
        streams: list[list] = [[] for _ in joins]
        handles = [
            join.register_forward_hook(lambda module, inputs, output, kept=kept: kept.append((inputs[0], output)))
            for join, kept in zip(joins, streams, strict=True)
        ]
        targets = []
        with torch.no_grad():
            for *_, noised in evaluator.eval_batch.noised(trained.objective, trained.split(split), split):
                trained.model(noised.x_t, noised.time)
                targets.append(noised.target)
        for handle in handles:
            handle.remove()
        target = torch.cat(targets)
        # 4 by 4 patches of 2 by 2 pixels, or points
        patches = target if backbone == "mlp" else target.reshape(-1, 4, 2, 4, 2).permute(0, 1, 3, 2, 4)
        pixels = patches.reshape(-1, 4 if backbone != "mlp" else 2)
        flat = [[torch.cat(parts) for parts in zip(*kept, strict=True)] for kept in streams]
        flat = [[part.reshape(*part.shape[:2], -1) for part in pair] for pair in flat]
        count = pixels.shape[0] // len(target)
        sets[split] = (
            [[part[:, :, -count:].transpose(1, 2).flatten(0, 1).double().numpy() for part in pair] for pair in flat],
            pixels.double().numpy(),
        )
    errors = evaluator.read_errors(trained.model, trained)
    (train, train_pixels), (val, val_pixels) = sets["train"], sets["val"]
    for index, pair in enumerate(errors):
        for place, error in enumerate(pair):
            ridge = Ridge(alpha=1e-2 * len(train[index][place])).fit(train[index][place], train_pixels)
            expected = ((ridge.predict(val[index][place]) - val_pixels) ** 2).mean() / (val_pixels**2).mean()
            assert error == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("num_extras", [0, 1, 2])
def test_drops_the_extra_tokens_in_front(num_extras: int) -> None:
    images = draw(2, 3, 4, 4)
    tokens = torch.cat([draw(2, 3, num_extras, seed=1), images.flatten(2)], dim=2)
    assert torch.equal(on_grid(tokens, draw(2, 1, 8, 8)), images)


@pytest.mark.parametrize("positions", [(9,), (3, 3), (8, 3), (2, 2, 2)])
def test_refuses_streams_that_are_no_grid_of_patches(positions: tuple[int, ...]) -> None:
    with pytest.raises(
        SkiplabError, match=r"a linear head needs streams whose positions .* divide the image's \(8, 8\)"
    ):
        on_grid(draw(2, 3, *positions), draw(2, 1, 8, 8))


def test_positions_may_cover_patches_that_are_no_squares() -> None:
    target = draw(6, 1, 8, 4)
    stream = torch.stack([target[:, 0, i::4, j::2] for i in range(4) for j in (0, 1)], dim=1)
    assert torch.allclose(read(fit_head(stream, target, 1e-12), stream, target), target.double(), atol=1e-6)


@pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan")])
def test_refuses_a_ridge_that_cannot_regularise(ridge: float) -> None:
    with pytest.raises(SkiplabError, match=r"ridge=.*valid: above 0"):
        IterativeRefinement(num_images=4, num_levels=2, ridge=ridge)
