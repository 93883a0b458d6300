"""The trials of a grid, composed once per combination of group choices: composing takes a tenth of a second each."""

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
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
    (grid,) = BasicSweeper.split_arguments(parser.parse_overrides(list(arguments)), max_batch_size=None)
    composed: dict[tuple[str, ...], Job] = {}
    jobs: dict[str, Job] = {}
    for overrides in grid:
        parsed = parser.parse_overrides(overrides)
        groups = tuple(override.input_line for override in parsed if _is_group(override, loader))
        if groups not in composed:
            composed[groups] = Job.composed(loader.load_sweep_config(config, list(groups)))
        job = composed[groups].copy(overrides)
        values = [override for override in parsed if not _is_group(override, loader)]
        ConfigLoaderImpl._apply_overrides_to_config(values, job.config)
        jobs.setdefault(job.record.key, job)
    return list(jobs.values())


def _is_group(override: Override, loader: ConfigLoader) -> bool:
    return override.package is not None or bool(loader.get_group_options(override.key_or_group))
