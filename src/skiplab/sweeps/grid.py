"""The trials of a grid, composed once per combination of group choices: composing takes a tenth of a second each."""

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

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
    """
    parser = OverridesParser.create(config_loader=loader)
    spanning = parser.parse_overrides(list(arguments))
    groups = {each.key_or_group for each in spanning if each.package or loader.get_group_options(each.key_or_group)}
    (grid,) = BasicSweeper.split_arguments(spanning, max_batch_size=None)
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
        jobs.setdefault(job.record.key, job)
    return list(jobs.values())
