"""A grid sweep that skips finished trials, checks all others first, starts the longest first and reports failures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_object
from omegaconf import DictConfig

from skiplab.check_claims import check_claims
from skiplab.errors import SkiplabError
from skiplab.records.fingerprint import looked_at_once
from skiplab.records.study_data import data_contents
from skiplab.records.study_list import join
from skiplab.sweeps.composer import Composer
from skiplab.sweeps.grid import make_jobs
from skiplab.sweeps.job import check
from skiplab.sweeps.preview import preview
from skiplab.sweeps.progress import follow
from skiplab.sweeps.rounds import train
from skiplab.sweeps.summary import announce, conclude
from skiplab.sweeps.sweep_loader import SweepLoader
from skiplab.training.factory import check_settings
from skiplab.tuning.tuned_jobs import copy_tuned, tuned_jobs


class SkiplabSweeper(Sweeper):
    """Composes the trials of the grid, drops those with nothing left to do, and launches the others.

    Before the first is launched, one trial of each kind is built as a check. The launcher (in process, on all cores,
    submitit, Ray) runs them.

    Args:
        params: the swept values of a preset, such as {connection: "plain,identity"}.
        grids: several grids in one sweep: for each the overrides that are added to the others, or replace them; None
            for one grid.
        tuned: a file of `skiplab tune`, with the settings of each combination; None for none.

    Raises:
        SkiplabError: params isn't a mapping, or grids aren't lists of texts.
    """

    def __init__(self, params: dict[str, Any] | None, grids: Sequence[Sequence[str]] | None, tuned: str | None) -> None:
        if params is not None and not isinstance(params, Mapping):
            raise SkiplabError(
                f"hydra.sweeper.params={params} is invalid; valid: a mapping of swept values, such as {{depth: '4,8'}}"
            )
        if grids is not None and not _are_grids(grids):
            raise SkiplabError(
                f"hydra.sweeper.grids={grids} is invalid; valid: a list of overrides for each grid, such as "
                "[[connection=plain,'init=default,he'],[connection=identity]] with each override in quotes"
            )
        self.params, self.grids, self.tuned = params or {}, grids or ((),), tuned

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        if config.hydra.launcher is None:
            raise SkiplabError("hydra.launcher=null is invalid; valid: an option, such as hydra/launcher=basic")
        check_settings(get_object(config.hydra.launcher._target_), config.hydra.launcher)
        in_workers = HydraContext(cast(ConfigLoader, SweepLoader(hydra_context.config_loader)), hydra_context.callbacks)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=in_workers, task_function=task_function, config=config
        )

    @looked_at_once()
    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run the sweep; the results are in the records, nothing is returned.

        Raises:
            SkiplabError: a trial is invalid, before any is launched; or trials failed, with their reasons.
            Interrupted: a signal ended the sweep.
        """
        assert self.hydra_context is not None  # setup came first
        assert self.config is not None
        assert self.launcher is not None
        arguments = [f"{name}={value}" for name, value in self.params.items()] + arguments
        composer = Composer(self.hydra_context.config_loader, self.config)
        jobs = make_jobs(composer, arguments, self.grids)
        if self.tuned:
            jobs = tuned_jobs(jobs, composer, Path(self.tuned))
        if jobs[0].config.run.dry_run:
            preview(jobs)
            return []
        failed = [job for job in jobs if job.failed]
        left = [job for job in jobs if job.left and not job.failed]
        announce(jobs, left, failed)
        if left:
            # with the launcher's workers where it can, which thereby import what training needs
            run, elsewhere = getattr(self.launcher, "run", map), getattr(self.launcher, "elsewhere", False)
            check(left, run, elsewhere=elsewhere)
        check_claims(jobs[0].config)
        join(jobs[0].config, [job.record.key for job in jobs], data_contents(job.config for job in jobs))
        if self.tuned:
            copy_tuned(Path(self.tuned), jobs[0].record.runs_dir, jobs[0].config.run.study)
        left.sort(key=lambda job: -job.cost)
        with follow(left):
            failures = train(self.launcher, left)
        conclude(jobs, left, failed, failures)
        return []


def _are_grids(grids: Any) -> bool:
    return _is_list(grids) and all(_is_list(grid) and all(isinstance(word, str) for word in grid) for grid in grids)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
