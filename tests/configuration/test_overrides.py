"""Overrides of a composed configuration, and the grid that overrides span, against Hydra's own."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from option_files import CONF
from skiplab.configuration.overrides import apply_overrides, grid_points
from skiplab.errors import SkiplabError

VALUES = (
    ("seed=3",),
    ("+eval_batch.more={a: [1, 2]}",),
    ("eval_batch={num_images: 8}",),
    ("++optimizer.lr=1", "optimizer.lr=2"),
    ("+optimizer.amsgrad=true", "++optimizer.amsgrad=false"),
    ("~optimizer.lr",),
    ("~num_samples=256",),
    ("evaluator={}", "instrument.mine=null"),
    ("dpeth=3",),
    ("optimizer.lrr=3",),
    ("+seed=1",),
    ("~dpeth",),
    ("~seed=7",),
    ("seed.more=1",),
)


@pytest.fixture(scope="module")
def hydra():
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def described(act) -> object:
    """What comes out, or the class of the error."""
    try:
        return act()
    except HydraException as error:
        return type(error)


@pytest.mark.parametrize("words", VALUES, ids=" ".join)
def test_a_composed_configuration_is_changed_as_hydra_composes_it(words, hydra) -> None:
    def changed() -> object:
        config = compose("train")
        apply_overrides(OverridesParser.create(config_loader=hydra).parse_overrides(list(words)), config)
        return OmegaConf.to_container(config)

    def composed() -> object:
        return OmegaConf.to_container(compose("train", overrides=list(words)))

    assert described(changed) == described(composed)


def test_a_package_of_what_is_no_axis_is_refused(hydra) -> None:
    (override,) = OverridesParser.create(config_loader=hydra).parse_overrides(["seed@run=1"])
    with pytest.raises(SkiplabError, match="seed@run=1 names the package run, and seed is no axis; remove @run"):
        apply_overrides([override], compose("train"))


def test_the_last_override_of_a_grid_varies_fastest(hydra) -> None:
    words = ["connection=glob(re*)", "+a='x,y',z", "depth=range(4,9,4)", "~b", "seed=1"]
    points = grid_points(OverridesParser.create(config_loader=hydra).parse_overrides(words))
    assert points == [
        ["connection=rezero", f"+a={text}", f"depth={depth}", "~b=null", "seed=1"]
        for text in ("'x,y'", "z")
        for depth in (4, 8)
    ]
    assert grid_points([]) == [[]]
