"""The gain of networks whose streams are known, and of a real one by its definition."""

from dataclasses import replace

import pytest
import torch
from drawn import drawn

from skiplab.errors import SkiplabError
from skiplab.evaluators.stream_gain import StreamGain
from small_networks import DATA, small
from tiny_trials import network


def built(**choices: object) -> torch.nn.Module:
    config = small(long_skip="none", backbone="isotropic", branch="preact", **choices)
    return network(config, DATA["images"]).eval()


@pytest.mark.parametrize(("factor", "depth"), [(2.0, 3), (0.5, 4), (1.0, 2)])
def test_streams_that_are_only_scaled_grow_by_the_factors_power(trained, factor: float, depth: int) -> None:
    config = small(long_skip="none", backbone="isotropic", branch="preact", connection="scaled", depth=depth)
    config.connection.stream_factor, config.connection.update_factor = factor, 0.0
    model = network(config, DATA["images"]).eval()
    result = StreamGain(num_images=4, num_levels=2).evaluate(replace(trained, model=model, data=DATA["images"]))
    assert result.summary["stream_gain"] == pytest.approx(factor**depth, rel=1e-6)
    expected = {block: pytest.approx(factor**block, rel=1e-6) for block in range(1, depth + 1)}
    assert drawn(result, "stream_gain_by_block") == expected


def test_equals_the_definition_with_hooks_on_the_stage(trained) -> None:
    model, data = built(connection="identity", depth=3), DATA["images"]
    trained = replace(trained, model=model, data=data)
    evaluator = StreamGain(num_images=4, num_levels=2)
    found = evaluator.evaluate(trained).summary["stream_gain"]
    gains = []
    for *_, noised in evaluator.eval_batch.noised(trained.objective, data.val, "val"):
        sizes = []
        hook = model.stage.register_forward_hook(
            lambda _, inputs, output, sizes=sizes: sizes.append([inputs[0].square().mean(), output.square().mean()])
        )
        with torch.no_grad():
            trained.objective.predict(model, noised.x_t, noised.time, noised.labels)
        hook.remove()
        ((before, after),) = sizes
        gains.append(0.5 * torch.log(after / before))
    assert found == pytest.approx(float(torch.stack(gains).mean().exp()), rel=1e-4)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(SkiplabError, match="num_images=0"):
        StreamGain(num_images=0, num_levels=1)
