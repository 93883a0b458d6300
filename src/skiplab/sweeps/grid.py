"""The trials of a grid, composed once per combination of options: composing takes a tenth of a second each."""

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from skiplab.configuration.overrides import apply_overrides, grid_points
from skiplab.configuration.settings import Settings
from skiplab.errors import SkiplabError
from skiplab.records.key import OBSERVERS
from skiplab.records.plain_config import plain
from skiplab.sweeps.job import Job


def make_jobs(loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]) -> list[Job]:
    """Every trial of the grid that the arguments span, once each, however often or however spelled it appears.

    An option is composed by Hydra; a value is set in a copy of what was composed, with the same result.

    Args:
        loader: Hydra's.
        config: the configuration of the sweep itself.
        arguments: overrides, some with several values.

    Raises:
        HydraException: an override can't be applied.
        SkiplabError: a setting is unknown, the grid is empty, or two trials differ only in how they are observed.
    """
    parser = OverridesParser.create(config_loader=loader)
    spanning = parser.parse_overrides(list(arguments))
    names = {each.key_or_group for each in spanning if each.package}
    groups = names | {each.key_or_group for each in spanning if loader.get_group_options(each.key_or_group, None)}
    points = grid_points(spanning)
    if not points:
        empty = next(each.input_line for each in spanning if _is_empty(each))
        raise SkiplabError(f"{empty} has no values, so there is nothing to train; give at least one value")
    settings, own = Settings(loader), plain(config.hydra.overrides, resolve=False)["hydra"]
    composed: dict[tuple[str, ...], Job] = {}
    jobs: dict[str, Job] = {}
    for point in points:
        parsed = parser.parse_overrides(point)
        options = [word for word, each in zip(point, parsed, strict=True) if each.key_or_group in groups]
        combination = tuple(options)
        if combination not in composed:
            composed[combination] = Job.composed(loader.load_sweep_config(config, options))
        job = composed[combination].copy(point)
        apply_overrides([each for each in parsed if each.key_or_group not in groups], job.config)
        if jobs:
            _check_same_run(next(iter(jobs.values())), job)
        if jobs and job.record.key in jobs:
            _check_same_trial(jobs[job.record.key], job)
            continue
        settings.check(job.config, [*own, *options], None if jobs else config.hydra)
        jobs[job.record.key] = job
    return list(jobs.values())


def _is_empty(override: Override) -> bool:
    return override.is_sweep_override() and not list(override.sweep_string_iterator())


def _check_same_run(first: Job, job: Job) -> None:
    """Refuse a sweep with several values of a setting in run: it is one study, shown and concluded as one."""
    if first.config.run != job.config.run:
        raise SkiplabError(
            f"{_difference(first, job)} differ in a setting of run, which must be the same in a whole sweep; give it "
            "one value, or start a sweep for each"
        )


def _check_same_trial(earlier: Job, job: Job) -> None:
    """Refuse a second trial with the key of an earlier one, unless the configurations are equal."""
    if earlier.config != job.config:
        raise SkiplabError(
            f"{_difference(earlier, job)} are the same trial, because these settings only change how it is measured "
            "or stored; sweep other settings, or give one value (several evaluators are one list, evaluator=[a,b])"
        )


def _difference(one: Job, other: Job) -> str:
    """The overrides that two trials don't share, and of these the ones that only observe a trial if there are any."""
    pairs = [pair for pair in zip(one.overrides, other.overrides, strict=True) if pair[0] != pair[1]]
    observers = [pair for pair in pairs if pair[0].lstrip("+").split("=")[0].split(".")[0] in OBSERVERS]
    return " and ".join(" ".join(words) for words in zip(*(observers or pairs), strict=True))
