"""Composes trials from overrides, once per combination of options: composing takes a tenth of a second each."""

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig

from skiplab.configuration.overrides import apply_overrides
from skiplab.configuration.settings import Settings
from skiplab.records.plain_config import plain
from skiplab.sweeps.job import Job
from skiplab.sweeps.override_kinds import OverrideKinds


class Composer:
    """An option is composed by Hydra; a value is set in a copy of what was composed, with the same result.

    Trials that differ in their seed alone are checked once.

    Args:
        loader: Hydra's.
        config: the configuration of the sweep itself.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self.loader, self.config = loader, config
        self._kinds = OverrideKinds(loader)
        self._settings = Settings(loader)
        self._own = plain(config.hydra.overrides, resolve=False)["hydra"]
        self._composed: dict[tuple[str, ...], Job] = {}  # by options
        self._unseeded: dict[tuple[str, ...], Job] = {}  # by overrides, without that of the seed

    def parse(self, words: Sequence[str]) -> list[Override]:
        """The overrides that the words are.

        Raises:
            HydraException: a word is none.
        """
        return self._kinds.parse(words)

    def job(self, words: Sequence[str]) -> Job:
        """The trial of these overrides, each with one value.

        Raises:
            HydraException: an override can't be applied.
            SkiplabError: a setting is unknown.
        """
        parsed = self.parse(words)
        seeds = [seed for each in parsed if (seed := _seed(each)) is not None]
        if len(seeds) != 1:
            return self._checked(words, parsed)
        others = [(word, each) for word, each in zip(words, parsed, strict=True) if _seed(each) is None]
        unseeded = tuple(word for word, _ in others)
        if unseeded not in self._unseeded:
            self._unseeded[unseeded] = self._checked(unseeded, [each for _, each in others])
        return self._unseeded[unseeded].at_seed(seeds[0], words)

    def _checked(self, words: Sequence[str], parsed: Sequence[Override]) -> Job:
        is_first = not self._composed
        options, values = self._kinds.sort(parsed)
        if options not in self._composed:
            self._composed[options] = Job.composed(self.loader.load_sweep_config(self.config, list(options)))
        job = self._composed[options].copy(words)
        apply_overrides(values, job.config)
        self._settings.check(job.config, [*self._own, *options], self.config.hydra if is_first else None)
        return job


def _seed(override: Override) -> int | None:
    """The seed, which can be set after anything else; None for an override that does something else, or more."""
    is_plain = override.type is OverrideType.CHANGE and override.package is None
    value = override.value() if override.key_or_group == "seed" and is_plain else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
