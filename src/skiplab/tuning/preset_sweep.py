"""The sweep of a preset, and the sweep that tunes learning rates for it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from hydra.utils import get_class

from skiplab.configuration.overrides import written
from skiplab.errors import SkiplabError
from skiplab.records.tuned import RATE
from skiplab.sweeps.composer import Composer
from skiplab.sweeps.grid import make_jobs
from skiplab.sweeps.job import Job
from skiplab.tuning.levels import levels_of

_WITHOUT_OWN_SWEEP = ("hydra.sweeper.params=null", "hydra.sweeper.grids=null", "hydra.sweeper.tuned=null")


class PresetSweep(NamedTuple):
    """The trials of a preset.

    composer: of its trials.
    preset: the override that selects the preset.
    overrides: one for each setting of the trials, by the name of the setting.
    hydra_overrides: those of Hydra itself.
    factors: what is swept, without the seed.
    jobs: the trials.
    """

    composer: Composer
    preset: str
    overrides: dict[str, str]
    hydra_overrides: list[str]
    factors: tuple[str, ...]
    jobs: list[Job]

    @classmethod
    def read(cls, loader: ConfigLoader, name: str, overrides: Sequence[str]) -> "PresetSweep":
        """The sweep of a preset; an override of the user replaces that of the preset.

        Raises:
            SkiplabError: there is no such preset, or a trial of it is invalid.
        """
        names = preset_names(loader, overrides)
        if name not in names:
            raise SkiplabError(f"unknown preset {name!r}; valid: {', '.join(names)}")
        preset = f"experiment={name}"
        config = loader.load_configuration("train", [preset, *overrides], run_mode=RunMode.MULTIRUN)
        if config.hydra.sweeper.grids is not None:
            raise SkiplabError(
                f"{preset} sweeps several grids, hydra.sweeper.grids, and this command takes one; give its levels as "
                "overrides, such as connection=plain,identity, and hydra.sweeper.grids=null"
            )
        composer = Composer(loader, config)
        given = composer.parse(list(config.hydra.overrides.task)[1:])  # without the preset itself
        words = {swept: f"{swept}={value}" for swept, value in (config.hydra.sweeper.params or {}).items()}
        words |= {each.key_or_group: written(each) for each in given}
        swept = {each.key_or_group for each in composer.parse(list(words.values())) if each.is_sweep_override()}
        jobs = make_jobs(composer, [preset, *words.values()])
        own_factors = tuple(each for each in words if each in swept - {"seed"})
        levels_of(jobs[0], own_factors)  # refuses factors that define no trial
        of_hydra = [word for word in config.hydra.overrides.hydra if not word.startswith("hydra.mode=")]
        return cls(composer, preset, words, [*_WITHOUT_OWN_SWEEP, *of_hydra], own_factors, jobs)

    @property
    def rate(self) -> float:
        """The learning rate of the preset, the center of the grid.

        Raises:
            SkiplabError: there are several.
        """
        if RATE in self.factors:
            raise SkiplabError(swept_and_tuned(RATE))
        rates = sorted({job.config.optimizer.lr for job in self.jobs})
        if len(rates) > 1:
            raise SkiplabError(
                f"{RATE} is {_joined(rates)} in this sweep, but all trials must share one grid; tune each optimizer "
                "separately, each with its own run.study"
            )
        return rates[0]

    @property
    def objective(self) -> type:
        """The class of the objective."""
        return get_class(self.jobs[0].config.objective._target_)

    def check_seeds(self, seeds: Sequence[int]) -> None:
        """Refuse to tune on seeds of the study.

        Raises:
            SkiplabError: names them.
        """
        used = {job.config.seed for job in self.jobs}
        if both := sorted(used & set(seeds)):
            raise SkiplabError(
                f"the tuning seeds {_joined(seeds)} include {_joined(both)}, which the study uses too; give "
                f"seeds other than {_joined(sorted(used))} by --seeds"
            )

    def tuning_overrides(self, evaluator: str, rates: Sequence[float], seeds: Sequence[int]) -> list[str]:
        """The sweep that tunes, as overrides of the trials."""
        own = {
            "seed": f"seed={_joined(seeds)}",
            "evaluator": f"evaluator=[{evaluator}]",
            "instrument": "instrument=[]",
            "run.study": f"run.study={self.jobs[0].config.run.study}_tuning",
            "run.claims": "run.claims=null",  # claims are about the study that follows
            RATE: f"{RATE}={_joined(rates)}",
        }
        return [self.preset, *{**self.overrides, **own}.values()]


def preset_names(loader: ConfigLoader, overrides: Sequence[str]) -> list[str]:
    """All presets, NAME/PROFILE, those of a folder of one's own among them.

    Args:
        loader: Hydra's.
        overrides: the user's, which may name the folder.
    """
    names = loader.get_group_options("experiment", config_name="train", overrides=list(overrides))
    for folder in loader.list_groups("experiment"):
        group = f"experiment/{folder}"
        sources = [source for source in loader.get_sources() if source.is_group(group)]
        profiles = {profile for source in sources for profile in source.list(group, ObjectType.CONFIG)}
        names += [f"{folder}/{profile}" for profile in sorted(profiles)]
    return names


def swept_and_tuned(name: str) -> str:
    """Why a name can't be among the factors."""
    return f"{name} can't be swept and tuned at once; remove it from the sweep"


def _joined(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))
