"""A trial that a worker composes is the one that Hydra composes, which is asked once per combination of options."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from option_files import CONF
from skiplab.sweeps.sweep_loader import SweepLoader
from tiny_trials import TINY

SHARED = ("connection=identity", "experiment=residual_in_diffusion/quick", *TINY)
TRIALS = (
    ["seed=0", "depth=4"],
    ["seed=1", "depth=4"],
    ["connection=plain", "seed=0", "trainer.max_steps=7"],
    ["connection=layerscale", "seed=0", "connection.initial_scale=0.5", "~evaluator.denoising_loss"],
    ["connection=plain", "seed=3", "+data.extra=1", "optimizer.lr=${seed}e-3"],
    ["evaluator=[]", "connection=plain", "seed=3"],
)


class Counted:
    """Hydra's loader, and how often it and its copies composed."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        Counted.times = 0

    def get_group_options(self, *given: Any) -> list[str]:
        return self.loader.get_group_options(*given)

    def load_sweep_config(self, *given: Any) -> DictConfig:
        Counted.times += 1
        return self.loader.load_sweep_config(*given)


@pytest.fixture
def sweep() -> Iterator[tuple[Counted, DictConfig]]:
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield Counted(loader), compose("train", return_hydra_config=True)


def content(config: DictConfig) -> dict[str, Any]:
    found = OmegaConf.to_container(config, resolve=False)
    found["hydra"]["job"].pop("override_dirname")
    return found


def test_trials_are_those_that_hydra_composes(sweep) -> None:
    counted, master = sweep
    loader = SweepLoader(counted)
    for own in TRIALS:
        words = [*SHARED, *own]
        assert content(loader.load_sweep_config(master, words)) == content(
            counted.loader.load_sweep_config(master, words)
        )
    assert Counted.times == 4  # as many as there are combinations of connection and evaluator


def test_a_trial_that_changes_its_configuration_changes_no_other(sweep) -> None:
    loader, master = SweepLoader(sweep[0]), sweep[1]
    loader.load_sweep_config(master, ["seed=1"]).depth = 99
    assert loader.load_sweep_config(master, ["seed=1"]).depth != 99


def test_a_sweep_takes_nothing_from_another(sweep) -> None:
    counted, master = sweep
    SweepLoader(counted).load_sweep_config(master, ["seed=1"])
    master.hydra.overrides.hydra.append("hydra.job.name=another")
    assert SweepLoader(counted).load_sweep_config(master, ["seed=1"]).hydra.job.name == "another"


def test_a_copy_of_the_loader_in_the_same_process_composes_nothing_again(sweep) -> None:
    counted, master = sweep
    loader = SweepLoader(counted)
    loader.load_sweep_config(master, ["seed=1"])
    pickle.loads(pickle.dumps(loader)).load_sweep_config(master, ["seed=2"])
    assert Counted.times == 1


def test_types_that_hydra_has_imported_anew_are_no_hindrance(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, master = sweep

    @dataclass
    class Anew:  # as with those of a launcher's settings, no pickle finds it
        partition: str = "low"

    compose_it = counted.load_sweep_config
    monkeypatch.setattr(
        counted, "load_sweep_config", lambda *given: OmegaConf.merge(compose_it(*given), {"hydra": {"launcher": Anew}})
    )
    assert SweepLoader(counted).load_sweep_config(master, ["seed=1"]).hydra.launcher.partition == "low"


def test_an_override_that_fits_nothing_is_refused_as_hydra_does(sweep) -> None:
    with pytest.raises(HydraException, match="Could not override 'nothing'"):
        SweepLoader(sweep[0]).load_sweep_config(sweep[1], ["nothing=1"])
