"""Hydra's grid sweep, less the trials that are finished: checked first, longest first, failures told at the end."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from skiplab.sweeps.job import Job, check, report
from skiplab.sweeps.preview import preview
from skiplab.sweeps.progress import follow
from skiplab.training.record import join_study


class SkiplabSweeper(Sweeper):
    """Composes every trial of the grid, drops those with nothing left to do, and launches the rest.

    Nothing is launched before every trial of the grid was composed and built once; the launcher (in process,
    joblib, submitit, Ray) does the work.

    Args:
        params: swept values of a preset, such as {connection: "plain,identity"}.
    """

    def __init__(self, params: dict[str, Any] | None) -> None:
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        jobs = self._compose([f"{name}={value}" for name, value in self.params.items()] + arguments)
        runs_dir, study = jobs[0].record.runs_dir, jobs[0].config.run.study
        if jobs[0].config.run.dry_run:
            preview(jobs)
            return []
        open_jobs = [job for job in jobs if job.left]
        num_done = len(jobs) - len(open_jobs)
        print(f"study {study}: {len(jobs)} trials, {num_done} already done, {len(open_jobs)} to train")
        check(open_jobs)
        join_study(runs_dir, study, [job.record.key for job in jobs])
        if not open_jobs:
            print(f"nothing left to train; `skiplab table {study}` compares them")
            return []
        open_jobs.sort(key=lambda job: -job.cost)
        with follow(open_jobs):
            returns = self.launcher.launch([job.overrides for job in open_jobs], initial_job_idx=0)
        report(open_jobs, returns)
        return [returns]

    def _compose(self, arguments: list[str]) -> list[Job]:
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        (grid,) = BasicSweeper.split_arguments(parser.parse_overrides(arguments), max_batch_size=None)
        jobs: dict[str, Job] = {}
        for overrides in grid:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
            job = Job.of(overrides, config)
            jobs.setdefault(job.record.key, job)
        return list(jobs.values())
