"""Composes the trials of a sweep in its workers, once per combination of options."""

import copy
import uuid
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, read_write

from skiplab.configuration.overrides import apply_overrides
from skiplab.sweeps.override_kinds import OverrideKinds


class SweepLoader:
    """Takes the place of Hydra's loader in a launcher, which asks it for the configuration of each trial.

    An option is composed by Hydra; a value is set in a copy of what was composed, with the same result but for
    hydra.job.override_dirname, which names the options alone. A worker of SLURM or Ray gets this loader anew with each
    trial, so what was composed belongs to the process.

    Args:
        loader: Hydra's.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader, self._sweep = loader, uuid.uuid4().hex

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """The configuration of a trial, from that of the sweep and the trial's own overrides.

        Raises:
            HydraException: an override can't be applied.
        """
        if self._sweep not in _sweeps:
            _sweeps.clear()  # a worker that is used again is done with those before
            _sweeps[self._sweep] = _Composed(self._loader)
        return _sweeps[self._sweep].trial(master_config, sweep_overrides)


class _Composed:
    """What was composed for a sweep in this process."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader, self._kinds = loader, OverrideKinds(loader)
        self._by_options: dict[tuple[str, ...], DictConfig] = {}

    def trial(self, sweep: DictConfig, words: Sequence[str]) -> DictConfig:
        options, values = self._kinds.sort(self._kinds.parse(words))
        if options not in self._by_options:
            self._by_options[options] = self._loader.load_sweep_config(sweep, list(options))
        # no pickle: in a job of SLURM, Hydra has imported its types anew
        config = copy.deepcopy(self._by_options[options])
        apply_overrides(values, config)
        with read_write(config):
            config.hydra.overrides.task = list(words)
        return config


_sweeps: dict[str, _Composed] = {}
