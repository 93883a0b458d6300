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
from skiplab.evaluators.results.missing import UnmeasurableError
from skiplab.evaluators.streams.linear_head import common_grid, fit_heads, on_grid, squared_errors
from small_networks import DATA, small
from tiny_trials import network


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_head_equals_ridge_regression_at_every_position() -> None:
    """Of two levels, without the means over images at each position, and with streams of standard deviation 1."""
    ridge, streams, targets = 0.3, 3 * draw(2, 7, 5, 4, 4) + 1, draw(2, 7, 2, 4, 4, seed=1)
    scaled = streams.double() / streams.double().std(correction=0)
    features, pixels = (
        (part - part.mean(dim=1, keepdim=True)).permute(0, 1, 3, 4, 2).flatten(0, 3).numpy()
        for part in (scaled, targets.double())
    )
    # ours is the mean squared error plus ridge, scikit-learn's the sum of squares plus alpha
    expected = Ridge(alpha=ridge * len(features), fit_intercept=False).fit(features, pixels)
    states, outputs = [[stream] for stream in streams], [on_grid(target, (4, 4)) for target in targets]
    heads = fit_heads([states], outputs, (4, 4), ridge)
    (weights,) = heads[0].weights
    assert np.allclose(weights.T.numpy() * streams.double().std(correction=0).item(), expected.coef_, atol=1e-12)
    missed = ((expected.predict(features) - pixels) ** 2).sum()
    assert float(squared_errors(heads, [states], outputs, (4, 4))) == pytest.approx(missed)


def test_head_of_a_coarse_stream_reads_the_patch_that_a_position_covers() -> None:
    """Four channels that hold the four pixels of their patch read the target without error."""
    target = draw(6, 1, 8, 8)
    stream = torch.stack([target[:, 0, i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=1)
    assert relative_error(stream, target) < 1e-9
    assert relative_error(stream.roll(1, dims=2), target) > 0.5


def relative_error(stream: torch.Tensor, target: torch.Tensor) -> float:
    grid = common_grid([stream], target.shape[2:])
    outputs = [on_grid(target, grid)]
    error = squared_errors(fit_heads([[[stream]]], outputs, grid, 1e-12), [[[stream]]], outputs, grid)
    return float(error / target.square().sum())


def test_a_finer_stream_is_read_as_the_pixels_of_each_patch() -> None:
    coarse, fine = draw(6, 3, 4, 4), draw(6, 2, 8, 8, seed=1)
    grid = common_grid([coarse, fine], (8, 8))
    assert grid == (4, 4)
    assert torch.equal(on_grid(coarse, grid).unflatten(2, grid).transpose(0, 1).float(), coarse)
    read = on_grid(fine, grid).unflatten(2, grid).transpose(0, 1).float()
    patches = [fine[:, channel, i::2, j::2] for channel in (0, 1) for i in (0, 1) for j in (0, 1)]
    assert torch.equal(read, torch.stack(patches, dim=1))


@pytest.mark.parametrize("ridge", [1e-9, 0.3])
def test_places_that_share_a_stream_are_fitted_as_if_alone(ridge: float) -> None:
    """Each place's head equals scikit-learn's, of its own streams side by side at two levels."""
    streams, others, skips, targets = (
        draw(2, 9, width, 4, 4, seed=seed).double() for seed, width in enumerate((3, 4, 2, 2))
    )
    places = [list(map(list, zip(*parts, strict=True))) for parts in ((streams, skips), (others, skips), (streams,))]
    outputs = [on_grid(target, (4, 4)) for target in targets]
    heads = fit_heads(places, outputs, (4, 4), ridge)
    found = squared_errors(heads, places, outputs, (4, 4))

    def features(parts: torch.Tensor) -> np.ndarray:
        return (parts - parts.mean(dim=1, keepdim=True)).permute(0, 1, 3, 4, 2).flatten(0, 3).numpy()

    pixels = features(targets)
    for error, parts in zip(found, ((streams, skips), (others, skips), (streams,)), strict=True):
        inputs = np.concatenate([features(part / part.std(correction=0)) for part in parts], axis=1)
        expected = Ridge(alpha=ridge * len(inputs), fit_intercept=False).fit(inputs, pixels)
        assert float(error) == pytest.approx(((expected.predict(inputs) - pixels) ** 2).sum())


def test_means_are_those_of_training_images_at_each_position() -> None:
    (stream, target), (others, other_target) = (
        (draw(n, 2, 4, 4, seed=n), draw(n, 1, 4, 4, seed=n + 1)) for n in (6, 4)
    )
    outputs, other_outputs = on_grid(target, (4, 4)), on_grid(other_target, (4, 4))
    heads = fit_heads([[[stream]]], [outputs], (4, 4), 1e-3)
    inputs = on_grid(others, (4, 4)) - stream.double().mean(dim=0).flatten(1)[:, None]
    predicted = (
        torch.einsum("io,isp->osp", heads[0].weights[0], inputs) + target.double().mean(dim=0).flatten(1)[:, None]
    )
    expected = (predicted - other_outputs).square().sum()
    found = squared_errors(heads, [[[others]]], [other_outputs], (4, 4))
    assert float(found) == pytest.approx(float(expected))


@pytest.mark.parametrize("value", [0.0, 0.1, 3.0])
def test_a_constant_stream_reads_nothing(value: float) -> None:
    assert relative_error(torch.full((6, 3, 4, 4), value), draw(6, 1, 8, 8)) > 0.5


def test_too_few_positions_for_the_inputs_are_no_fit() -> None:
    outputs = [on_grid(draw(2, 1, 4, 4), (2, 2))] * 2
    with pytest.raises(UnmeasurableError, match=r"of 9 inputs needs 18 positions of training images, and has 16"):
        fit_heads([[[draw(2, 5, 2, 2), draw(2, 1, 4, 4)]] * 2], outputs, (2, 2), 1e-3)
    fit_heads([[[draw(2, 8, 2, 2)]] * 2], outputs, (2, 2), 1e-3)


@pytest.fixture(scope="module")
def deep(trained, compose_tiny):
    """An untrained U-Net of two blocks a stage, with weights of another seed as the trained one."""

    def made(connection: str, long_skip: str = "concat"):
        config = compose_tiny("depth=8", f"connection={connection}", f"long_skip={long_skip}").config
        untrained = network(config, trained.data).eval()
        config.seed = 1
        model = network(config, trained.data).eval()
        return replace(trained, model=model, make_untrained=lambda: untrained)

    return made


def refinement(margin: float = 0.0) -> IterativeRefinement:
    return IterativeRefinement(num_images=40, num_levels=2, ridge=1e-3, margin=margin)


def test_errors_follow_the_stream_from_block_to_block(deep) -> None:
    trained = deep("identity")
    errors = refinement().read_errors(trained.model, trained)
    assert len(errors) == 8
    for first, second in ((0, 1), (2, 3), (4, 5), (6, 7)):  # two blocks of one stage
        assert errors[first][1] == errors[second][0]
    assert all(0 < error < 1.2 for pair in errors for error in pair)


def errors_by_hand(sets: dict[str, tuple[list[np.ndarray], np.ndarray]], ridge: float, num_levels: int) -> list[float]:
    """For each place, the error of scikit-learn's ridge regression; images by level, position and channel."""

    def by_level(numbers: np.ndarray) -> np.ndarray:
        return numbers.reshape(num_levels, -1, *numbers.shape[1:])

    (places, pixels), (val_places, val_pixels) = sets["train"], sets["val"]
    errors = []
    for inputs, val_inputs in zip(places, val_places, strict=True):
        fitted = []
        for train, val in ((inputs, val_inputs), (pixels, val_pixels)):
            mean = by_level(train).mean(axis=1, keepdims=True)
            fitted.append([(by_level(part) - mean).reshape(-1, part.shape[-1]) for part in (train, val)])
        (features, val_features), (wanted, val_wanted) = fitted
        head = Ridge(alpha=ridge * len(features), fit_intercept=False).fit(features, wanted)
        errors.append(((head.predict(val_features) - val_wanted) ** 2).mean() / (val_wanted**2).mean())
    return errors


def test_errors_before_and_after_a_block_equal_a_regression_by_hand(deep) -> None:
    """On 4 by 4 positions, each for 2 by 2 pixels; the long skip around the block has as many places for each."""
    trained = deep("identity")
    join, encoder = trained.model.bottom.joins[0], trained.model.encoder[0].joins[-1]
    seen: dict[str, dict[str, list]] = {}
    for split in ("train", "val"):
        seen[split] = {"before": [], "after": [], "skip": [], "target": []}

        def keep(module, inputs, output, kept=seen[split]) -> None:
            kept["before"].append(inputs[0])
            kept["after"].append(output)

        def keep_skip(module, inputs, output, kept=seen[split]) -> None:
            kept["skip"].append(output)

        handles = [join.register_forward_hook(keep), encoder.register_forward_hook(keep_skip)]
        with torch.no_grad():
            for *_, noised in refinement().eval_batch.noised(trained.objective, trained.split(split), split):
                trained.model(noised.x_t, noised.time)
                seen[split]["target"].append(noised.target)
        for handle in handles:
            handle.remove()
    sets = {}
    for split, kept in seen.items():
        found = {name: torch.cat(parts).double() for name, parts in kept.items()}
        scales = {name: torch.cat(parts).double().std(correction=0) for name, parts in seen["train"].items()}
        skip = (found["skip"] / scales["skip"]).reshape(-1, 8, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).flatten(3)
        streams = [(found[name] / scales[name]).permute(0, 2, 3, 1) for name in ("before", "after")]
        pixels = found["target"].reshape(-1, 4, 2, 4, 2).permute(0, 1, 3, 2, 4).reshape(-1, 4, 4, 4)
        sets[split] = ([torch.cat([stream, skip], dim=3).numpy() for stream in streams], pixels.numpy())
    assert refinement().read_errors(trained.model, trained)[4] == pytest.approx(errors_by_hand(sets, 1e-3, 2), rel=1e-5)


@pytest.mark.parametrize("long_skip", ["concat", "none"])
def test_blocks_that_drop_what_a_long_skip_carries_lose_nothing(deep, long_skip: str) -> None:
    trained = deep("plain", long_skip)
    last = trained.model.encoder[-1].joins[-1].branch
    handle = last.register_forward_hook(lambda module, inputs, update: torch.zeros_like(update))
    errors = refinement().read_errors(trained.model, trained)
    handle.remove()
    before, after = errors[1][1], errors[3][1]  # the encoder's first stage; the block that drops all
    assert after < 1.05 * before if long_skip == "concat" else after > 0.95


@pytest.mark.parametrize("long_skip", ["concat", "none"])
def test_what_is_alike_for_all_images_predicts_nothing_and_a_trace_of_them_hardly_more(deep, long_skip: str) -> None:
    """Errors after a block that writes zeros, the mean over the images of a level, and 0.3% of what differs from it."""
    trained, errors = deep("plain", long_skip), []
    join = trained.model.bottom.joins[-1]
    for mean, trace in ((0, 0), (1, 0), (1, 0.003)):

        def write(module, inputs, update, mean=mean, trace=trace):
            constant = update.mean(dim=0, keepdim=True)
            return mean * constant.expand_as(update) + trace * (update - constant)

        handle = join.branch.register_forward_hook(write)
        errors.append(refinement().read_errors(trained.model, trained)[5][1])
        handle.remove()
    assert errors[1] == pytest.approx(errors[0], rel=1e-6)
    assert errors[2] > errors[0] - 1e-3


@pytest.mark.parametrize("margin", [0.0, 0.01])
def test_share_counts_blocks_that_beat_the_untrained_network(deep, margin: float) -> None:
    trained = deep("identity")
    result = refinement(margin).evaluate(trained)
    errors, untrained = (refinement().read_errors(model, trained) for model in (trained.model, trained.untrained))
    refining = [b - a > max(0, ub - ua) + margin for (b, a), (ub, ua) in zip(errors, untrained, strict=True)]
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
    result = IterativeRefinement(num_images=20, num_levels=2, ridge=1e-2, margin=0.0).evaluate(elsewhere(backbone))
    for line in ("trained", "untrained"):
        errors = drawn(result, "error_by_block", line)
        assert list(errors) == list(range(1, ELSEWHERE[backbone]["depth"] + 1))
        assert all(np.isfinite(error) and error > 0 for error in errors.values())
    assert 0 <= result.summary["refining_fraction"] <= 1


@pytest.mark.parametrize("backbone", ["dit", "mlp"])
def test_errors_of_tokens_and_points_equal_a_regression_by_hand(elsewhere, backbone) -> None:
    trained, evaluator = elsewhere(backbone), IterativeRefinement(num_images=20, num_levels=2, ridge=1e-2, margin=0.0)
    joins = [module for module in trained.model.modules() if isinstance(module, Join)]
    seen = {}
    for split in ("train", "val"):
        streams: list[list] = [[] for _ in range(2 * len(joins))]

        def keep(module, inputs, output, places=streams) -> None:
            index = 2 * joins.index(module)
            places[index].append(inputs[0])
            places[index + 1].append(output)

        handles = [join.register_forward_hook(keep) for join in joins]
        targets = []
        with torch.no_grad():
            for *_, noised in evaluator.eval_batch.noised(trained.objective, trained.split(split), split):
                trained.model(noised.x_t, noised.time)
                targets.append(noised.target)
        for handle in handles:
            handle.remove()
        seen[split] = ([torch.cat(parts).double() for parts in streams], torch.cat(targets).double())
    scales = [stream.std(correction=0) for stream in seen["train"][0]]
    sets = {}
    for split, (streams, target) in seen.items():
        # 4 by 4 patches of 2 by 2 pixels, or points
        patches = target if backbone == "mlp" else target.reshape(-1, 4, 2, 4, 2).permute(0, 1, 3, 2, 4)
        pixels = patches.reshape(len(target), -1, 2 if backbone == "mlp" else 4)
        flat = [(stream / scale).reshape(*stream.shape[:2], -1) for stream, scale in zip(streams, scales, strict=True)]
        places = [each[:, :, -pixels.shape[1] :].transpose(1, 2).numpy() for each in flat]
        sets[split] = (places, pixels.numpy())
    found = [error for pair in evaluator.read_errors(trained.model, trained) for error in pair]
    assert found == pytest.approx(errors_by_hand(sets, 1e-2, 2), rel=1e-5)


@pytest.mark.parametrize("num_extras", [0, 1, 2])
def test_drops_the_extra_tokens_in_front(num_extras: int) -> None:
    images = draw(2, 3, 4, 4)
    tokens = torch.cat([draw(2, 3, num_extras, seed=1), images.flatten(2)], dim=2)
    grid = common_grid([tokens], (8, 8))
    assert grid == (4, 4)
    assert torch.equal(on_grid(tokens, grid), images.flatten(2).transpose(0, 1).double())


@pytest.mark.parametrize("positions", [(9,), (3, 3), (8, 3), (2, 2, 2)])
def test_refuses_streams_that_are_no_grid_of_patches(positions: tuple[int, ...]) -> None:
    with pytest.raises(SkiplabError, match=r"divide the image's \(8, 8\).* and found \(.*evaluator=\[\.\.\.\]"):
        common_grid([draw(2, 3, *positions)], (8, 8))


def test_refuses_streams_of_which_no_grid_is_part_of_the_other() -> None:
    with pytest.raises(SkiplabError, match=r"and each other, into grids of patches, and found \(6, 6\) and \(4, 4\)"):
        common_grid([draw(2, 3, 6, 6), draw(2, 3, 4, 4)], (12, 12))


def test_positions_may_cover_patches_that_are_no_squares() -> None:
    target = draw(6, 1, 8, 4)
    stream = torch.stack([target[:, 0, i::4, j::2] for i in range(4) for j in (0, 1)], dim=1)
    assert relative_error(stream, target) < 1e-9


@pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan")])
def test_refuses_a_ridge_that_cannot_regularise(ridge: float) -> None:
    with pytest.raises(SkiplabError, match=r"ridge=.*valid: above 0"):
        IterativeRefinement(num_images=4, num_levels=2, ridge=ridge, margin=0.0)


@pytest.mark.parametrize("margin", [-0.1, 1.0, float("nan")])
def test_refuses_a_margin_that_is_no_fall_of_an_error(margin: float) -> None:
    with pytest.raises(SkiplabError, match=r"margin=.*valid: from 0 to below 1"):
        refinement(margin)


def test_blocks_that_ran_on_one_split_alone_do_not_vanish(deep, monkeypatch) -> None:
    trained, evaluator = deep("identity"), IterativeRefinement(num_images=8, num_levels=1, ridge=1e-3, margin=0.0)
    read = evaluator._stages

    def without_a_stage(model, trained, split):
        stages, targets = read(model, trained, split)
        return ([[], *stages[1:]] if split == "val" else stages), targets

    monkeypatch.setattr(evaluator, "_stages", without_a_stage)
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter"):
        evaluator.read_errors(trained.model, trained)
