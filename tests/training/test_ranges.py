"""Values that a library, or a constructor, would read as 'off' or as nothing wrong are refused in one sentence."""

import pytest

from skiplab.errors import SkiplabError
from skiplab.training.build import build
from tiny_trials import TINY, compose_config

MULTI_STEP, SGD = "scheduler=multi_step", "optimizer=sgd"
DIT = ("backbone=dit", "branch=transformer", "norm=layer", "connection=adaln_zero_gate", "long_skip=none")
WITHOUT_GROUPS = tuple(word for word in TINY if not word.startswith("norm."))

# overrides, of which the last is refused, and the valid values that the message must name
REFUSED = {
    "clipping to nothing": (["trainer.gradient_clip_norm=0"], "a number above 0, or null for no clipping"),
    "clipping below nothing": (["trainer.gradient_clip_norm=-1.0"], "a number above 0, or null for no clipping"),
    "clipping to infinity": (["trainer.gradient_clip_norm=inf"], "a finite number"),
    "clipping in words": (["trainer.gradient_clip_norm=off"], "a number above 0, or null for no clipping"),
    "a rate of zero": (["optimizer.lr=0"], "a number above 0"),
    "an infinite rate": (["optimizer.lr=inf"], "a finite number"),
    "momentum that grows": ([SGD, "optimizer.momentum=1.0"], "a number of at least 0 and below 1"),
    "a third beta": (["optimizer.betas=[0.9,0.99,0.999]"], "two numbers of at least 0 and below 1"),
    "no beta": (["optimizer.betas=[]"], "two numbers of at least 0 and below 1"),
    "negative decay": (["optimizer.weight_decay=-0.1"], "a number of at least 0"),
    "infinite decay": (["optimizer.weight_decay=inf"], "a finite number"),
    "divergence at once": (["divergence_factor=0"], "a number above 0"),
    "divergence never": (["divergence_factor=inf"], "a finite number"),
    "warm-up of the whole trial": (
        ["scheduler.warmup_steps=6"],
        "a whole number of at least 0 and below trainer.max_steps=6",
    ),
    "half a step of warm-up": (["scheduler.warmup_steps=0.5"], "a whole number"),
    "warm-up behind milestones": (
        [MULTI_STEP, "scheduler.warmup_steps=9"],
        "a whole number of at least 0 and below trainer.max_steps=6",
    ),
    "a milestone twice": ([MULTI_STEP, "scheduler.milestones=[0.5,0.5]"], "increasing fractions"),
    "untold noise": (["backbone.cond_multiplier=0"], "a whole number from 1"),
    "untold noise of one stage": (
        ["backbone=isotropic", "long_skip=none", "backbone.cond_multiplier=0"],
        "a whole number from 1",
    ),
    "a wave without its pair": ([*DIT, "norm.affine=false", "backbone.num_frequencies=3"], "an even whole number"),
    "a root of nothing": (["norm.eps=-1.0"], "a number above 0"),
    "an infinite bound of samples": (["sampler.clip=inf"], "a finite number"),
    "an infinite weight": (["loss_weighting=min_snr", "loss_weighting.gamma=inf"], "a finite number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_out_of_range(case: str) -> None:
    overrides, valid = REFUSED[case]
    base = WITHOUT_GROUPS if "norm=layer" in overrides else TINY
    setting, value = overrides[-1].split("=", 1)
    with pytest.raises(SkiplabError) as refused:
        build(compose_config(*base, *overrides).config)
    message = str(refused.value)
    assert message.startswith(f"{setting}={value.replace(',', ', ')}")
    assert f"valid: {valid}" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.gradient_clip_norm=null"],
        ["trainer.gradient_clip_norm=1e-3"],
        [SGD, "optimizer.momentum=0"],
        ["optimizer.betas=[0.0,0.999]"],
        ["scheduler.warmup_steps=5"],
    ],
)
def test_what_lies_at_the_edge_is_taken(overrides: list[str]) -> None:
    build(compose_config(*TINY, *overrides).config)
