"""The trials of a grid, composed once per combination of group choices: composing takes a tenth of a second each."""

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from skiplab.errors import SkiplabError
from skiplab.records.key import OBSERVERS
from skiplab.settings import Settings
from skiplab.sweeps.job import Job


def make_jobs(loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]) -> list[Job]:
    """Every trial of the grid that the arguments span, each once, however often or in whatever spelling it is there.

    A choice from a group is composed; a value is set in a copy of what was composed, as composing would have done.

    Args:
        loader: Hydra's.
        config: what the sweep itself was composed to.
        arguments: overrides, of which some name several values.

    Raises:
        HydraException: where an override can't be applied.
        SkiplabError: where a setting is unknown, there is no trial, or two differ in nothing that makes a trial.
    """
    parser = OverridesParser.create(config_loader=loader)
    spanning = parser.parse_overrides(list(arguments))
    names = {each.key_or_group for each in spanning if each.package}
    groups = names | {each.key_or_group for each in spanning if loader.get_group_options(each.key_or_group, None)}
    (grid,) = BasicSweeper.split_arguments(spanning, max_batch_size=None)
    if not grid:
        empty = next(each.input_line for each in spanning if _is_empty(each))
        raise SkiplabError(f"{empty} names no value, so there is nothing to train; give at least one")
    settings, own = Settings(loader), OmegaConf.to_container(config.hydra.overrides.hydra)
    composed: dict[tuple[str, ...], Job] = {}
    jobs: dict[str, Job] = {}
    for overrides in grid:
        choices, values = [], []
        for override in parser.parse_overrides(overrides):
            (choices if override.key_or_group in groups else values).append(override)
        combination = tuple(override.input_line for override in choices)
        if combination not in composed:
            composed[combination] = Job.composed(loader.load_sweep_config(config, list(combination)))
        job = composed[combination].copy(overrides)
        ConfigLoaderImpl._apply_overrides_to_config(values, job.config)
        if jobs:
            _check_same_study(next(iter(jobs.values())), job)
        if jobs and job.record.key in jobs:
            _check_same_trial(jobs[job.record.key], job)
            continue
        settings.check(job.config, [*own, *combination], None if jobs else config.hydra)
        jobs[job.record.key] = job
    return list(jobs.values())


def _is_empty(override: Override) -> bool:
    return override.is_sweep_override() and not list(override.sweep_string_iterator())


def _check_same_study(first: Job, job: Job) -> None:
    """Refuse a sweep whose trials would be kept apart: it is listed, shown and concluded as one."""
    if first.config.run != job.config.run:
        raise SkiplabError(
            f"{_told(first, job)} would keep trials of one sweep in different ways; give all the same settings of run, "
            "or start a sweep for each"
        )


def _check_same_trial(kept: Job, job: Job) -> None:
    """Refuse a second trial that has the key of one that is there, unless it says the same in another spelling."""
    if kept.config != job.config:
        raise SkiplabError(
            f"{_told(kept, job)} are one trial: what is swept says how a trial is measured or kept, not what it is; "
            "sweep settings of the trial, or give one value (several evaluators are one list, evaluator=[a,b])"
        )


def _told(one: Job, other: Job) -> str:
    """The words that two trials don't share, of settings that make no trial where there are such."""
    pairs = [pair for pair in zip(one.overrides, other.overrides, strict=True) if pair[0] != pair[1]]
    observers = [pair for pair in pairs if pair[0].lstrip("+").split("=")[0].split(".")[0] in OBSERVERS]
    return " and ".join(" ".join(words) for words in zip(*(observers or pairs), strict=True))
