"""How much of the spread between seeds is noise of the evaluation: trained networks measured again with other draws.

    python benchmarks/evaluation_noise.py STUDY [RUNS_DIR] [DRAWS]

Every trained network of the study is measured DRAWS times (5 by default), each time with other images of the evaluation
batch, other noise and other samples; both arms and all seeds get the same draw. d is the difference between the arms of
a seed, on the metric's scale. Its variance over seeds at one draw is that of training and that of evaluation; its
variance over draws at one seed, less what all seeds share, is that of evaluation alone. Prints the share of the latter.
"""

import itertools
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir

from skiplab.analysis.study.arms import Cell, cells, in_cell, with_arms
from skiplab.analysis.study.study import read_study
from skiplab.analysis.text import cell_text
from skiplab.data.dataset import Split
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Trained
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising, Noised
from skiplab.paths import project_dir
from skiplab.records.file_names import WEIGHTS
from skiplab.records.record import read_record
from skiplab.seeding import keyed_generator
from skiplab.training.build import build
from skiplab.training.trust import record_config
from skiplab.training.weights import load_weights

MEASURED = ("denoising_loss", "iterative_refinement", "linear_probe", "frechet_distance", "kernel_distance")
SEED = 10_000  # of the first draw, far from those of trials


class OtherBatch(EvalBatch):
    """As many images and levels, other images and other noise."""

    def __init__(self, like: EvalBatch, draw: int) -> None:
        super().__init__(num_images=like.num_images, num_levels=like.num_levels)
        self.draw = draw

    def noised(self, objective: Denoising, split: Split, name: str) -> list[tuple[Any, Any, Noised]]:
        chosen = torch.randperm(len(split), generator=keyed_generator(SEED + self.draw, name))[: self.count(split)]
        x0, labels = split.at(chosen)
        found = []
        for index, time in enumerate(objective.noise_schedule.levels(self.num_levels)):
            noise = torch.randn(x0.shape, generator=keyed_generator(SEED + self.draw, name, index))
            found.append((x0, noise, objective.noised(x0, noise, time.expand(len(x0)), labels)))
        return found


def measure(folder: Path, num_draws: int) -> list[dict[str, float]]:
    """The metrics of a trained network at each draw."""
    torch.set_num_threads(1)
    record = read_record(folder)
    config = record_config(folder, record, trust=False)
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        config.run = compose("train").run  # how a trial is kept, which its record leaves out
    components = build(config)
    load_weights(components.model, folder / WEIGHTS, record)
    found = []
    for draw in range(num_draws):
        trained = Trained(
            model=components.model.eval(),
            make_untrained=components.make_untrained,
            objective=components.objective,
            data=components.data,
            sampler=components.sampler,
            make_extractor=components.make_extractor,
            eval_batch=OtherBatch(components.eval_batch, draw),
            seed=SEED + draw,
            device=torch.device("cpu"),
        )
        summary: dict[str, float] = {}
        for name in MEASURED:
            if name in components.evaluators:
                summary |= components.evaluators[name].evaluate(trained).summary
        found.append(summary)
    return found


def shares(differences: np.ndarray) -> tuple[float, float]:
    """Of differences (seed, draw): the share of evaluation in the variance over seeds, and the sd of what all share.

        d = mean + seed + draw + rest,   share = var(rest) / (var(seed) + var(rest))

    Estimated by the mean squares of the two-way layout without repetition.
    """
    num_seeds, num_draws = differences.shape
    seeds, draws = differences.mean(axis=1), differences.mean(axis=0)
    rest = differences - seeds[:, None] - draws[None, :] + differences.mean()
    of_rest = (rest**2).sum() / ((num_seeds - 1) * (num_draws - 1))
    of_seeds = max(0.0, seeds.var(ddof=1) - of_rest / num_draws)
    of_draws = max(0.0, draws.var(ddof=1) - of_rest / num_seeds)
    total = of_seeds + of_rest
    return (float(of_rest / total) if total > 0 else float("nan")), float(np.sqrt(of_draws))


def main() -> None:
    name, runs_dir = sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else "runs")
    num_draws = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    study = read_study(name, runs_dir)
    trials = with_arms(study, "connection")
    done = trials.loc[trials["status"] == "done"]
    with ProcessPoolExecutor() as pool:
        measured = dict(
            zip(
                done["key"],
                pool.map(measure, [runs_dir / key for key in done["key"]], itertools.repeat(num_draws)),
                strict=True,
            )
        )
    print(f"{len(done)} trained networks, {num_draws} draws")
    print("| metric | cell | seeds | sd over seeds | share that is evaluation | sd that all seeds share |")
    print("| --- | --- | --- | --- | --- | --- |")
    for metric in sorted({metric for found in measured.values() for each in found for metric in each}):
        for cell in cells(study, "connection"):
            print_shares(study.metrics.get(metric), metric, cell, in_cell(study, done, cell), measured, num_draws)


def print_shares(
    declared: Metric | None,
    metric: str,
    cell: Cell,
    trials: pd.DataFrame,
    measured: Mapping[str, Sequence[Mapping[str, float]]],
    num_draws: int,
) -> None:
    if declared is None or declared.direction is None:
        return
    by_arm = {}
    for arm in ("plain", "identity"):
        own = trials.loc[trials["arm"] == arm].set_index("seed")["key"]
        values = [[measured[key][draw].get(metric, np.nan) for draw in range(num_draws)] for key in own]
        frame = pd.DataFrame(values, index=own.index)
        by_arm[arm] = np.log(frame) if declared.scale == "log" else frame
    differences = (by_arm["identity"] - by_arm["plain"]).dropna()
    if len(differences) < 3:
        return
    share, shared = shares(differences.to_numpy())
    spread = float(differences.std(ddof=1).mean())
    print(
        f"| {metric} | {cell_text(cell)} | {len(differences)} | {spread:.3g} | {share:.0%} | {shared:.2g} |", flush=True
    )


if __name__ == "__main__":
    main()
