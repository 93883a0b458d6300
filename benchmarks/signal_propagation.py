"""What mean field theory predicts of untrained networks, beside what is measured: docs/signal_propagation.md's table.

    python benchmarks/signal_propagation.py [SEEDS [OVERRIDE ...]]

For each connection, norm and initialization, at 16 blocks of one width on noised digits: geometric means over seeds of
the growth of the stream's variance and of the gradient from the first stream to the last, means of the correlation of
two inputs at the last block; the spread of the measured values over seeds behind them; the largest factor between
predicted and measured variance in any block, after geometric means over seeds. The last column counts the seeds whose
network the initialization accepts. Looks-linear networks have 2 groups: in the default groups, of one pair of channels
at width 16, they are all but chaotic, and the initialization refuses some.
"""

import math
import statistics
import sys
from functools import partial
from itertools import product

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Result, Trained
from skiplab.paths import project_dir
from skiplab.training.build import build

NETWORK = ("backbone=isotropic", "long_skip=none", "depth=16", "instrument=[]", "evaluator=[signal_propagation]")
CELLS = list(product(("plain", "identity"), ("group", "none"), ("default", "he", "looks_linear")))


def overrides_of(connection: str, norm: str, init: str) -> list[str]:
    groups = ["norm.num_groups=2"] if (norm, init) == ("group", "looks_linear") else []
    return [f"connection={connection}", f"norm={norm}", f"init={init}", *groups]


def result(*overrides: str) -> Result | None:
    """What the evaluator finds, or None if the network is refused."""
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        config = compose("train", [*NETWORK, *overrides])
    try:
        parts = build(config)
    except SkiplabError:
        return None
    evaluator = instantiate(config.evaluator.signal_propagation)
    extractor = partial(instantiate, config.feature_extractor)
    trained = Trained(
        model=parts.model,
        make_untrained=lambda: parts.model.eval(),
        objective=parts.objective,
        data=parts.data,
        sampler=parts.sampler,
        make_extractor=extractor,
        eval_batch=parts.eval_batch,
        seed=config.seed,
        device=torch.device("cpu"),
    )
    return evaluator.evaluate(trained)


def curve(found: list[Result], chart: str, how: str) -> list[list[float]]:
    """The chart's values block by block, one list for each seed."""
    return [[each.value for each in own.measurements if (each.chart, each.line) == (chart, how)] for own in found]


def factor(values: list[float]) -> str:
    middle = statistics.fmean(map(math.log10, values))
    return f"{10**middle:.3g}"


def spread_of(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else math.nan


def row(cell: tuple[str, str, str], found: list[Result]) -> str:
    columns = list(cell)
    for name, shown in (("signal_variance", factor), ("signal_correlation", None), ("signal_gradient", factor)):
        for how in ("predicted", "measured"):
            curves = curve(found, name, how)
            if shown is None:
                values = [each[-1] for each in curves]
                text = f"{statistics.fmean(values):.3f}"
                spread = f" ± {spread_of(values):.3f}"
            else:
                first, last = (0, -1) if name == "signal_variance" else (-1, 0)
                values = [each[last] / each[first] for each in curves]
                text = shown(values)
                spread = f" ×/÷ {10 ** spread_of(list(map(math.log10, values))):.2g}"
            columns.append(text + (spread if how == "measured" else ""))
    logs = [
        [statistics.fmean(map(math.log, block)) for block in zip(*curve(found, "signal_variance", how), strict=True)]
        for how in ("predicted", "measured")
    ]
    columns.append(f"{math.exp(max(abs(p - m) for p, m in zip(*logs, strict=True))):.2f}")
    columns.append(str(len(found)))
    return f"| {' | '.join(columns)} |"


def main(num_seeds: int, overrides: list[str]) -> None:
    torch.set_num_threads(1)
    heads = ["connection", "norm", "init", "variance, predicted", "measured", "correlation, predicted", "measured"]
    heads += ["gradient, predicted", "measured", "largest factor", "seeds"]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for cell in CELLS:
        found = [result(*overrides_of(*cell), f"seed={seed}", *overrides) for seed in range(num_seeds)]
        accepted = [each for each in found if each is not None]
        print(row(cell, accepted) if accepted else f"| {' | '.join(cell)} | refused |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2:])
