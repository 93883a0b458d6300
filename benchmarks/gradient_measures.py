"""Holds measures of 'the first block learns' against networks where the truth is known, and against freezing.

    python benchmarks/gradient_measures.py [PART ...]

Prints the tables of docs/gradient_flow.md, or those of some parts: known_truth, early_and_late, learning_rates,
against_freezing. Trainings of 120 steps of 32 digits, width 16, no long skips, on one thread; means over two seeds.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from gradient_candidates import Run, components, measures, train
from scipy.stats import spearmanr
from torch import Tensor, nn

from skiplab.layers import blocks, joins

COLUMNS = {
    "skill_from_first_block": "skill from the first block",
    "skill_from_first_block_relative": "over an average block's",
    "undone": "skill lost if its update is undone",
    "signal_to_noise": "signal to noise, over the blocks' mean",
    "update_ratio_first_block": "update ratio",
}


def gate(factor: float, model: nn.Module) -> None:
    """Multiply the first block's update by a constant."""
    _first_branch(model).register_forward_hook(lambda _, inputs, update: factor * update)


def saturate(model: nn.Module) -> None:
    """Pass the first block's update through the flat end of a sigmoid, whose slope is about 2e-9."""
    _first_branch(model).register_forward_hook(lambda _, inputs, update: torch.sigmoid(update + 20))


def freeze_others(model: nn.Module) -> None:
    """Leave only the first block to be trained."""
    own = set(blocks(model)[0].parameters)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in own)


def freeze_first(count: int, model: nn.Module) -> None:
    """Keep the first blocks at their initial weights."""
    for block in blocks(model)[:count]:
        for parameter in block.parameters:
            parameter.requires_grad_(False)


class DiesHalfway:
    """From step 60 on, the first block's update is multiplied by 0."""

    alive = True

    def prepare(self, model: nn.Module) -> None:
        _first_branch(model).register_forward_hook(self._after)

    def _after(self, _: nn.Module, inputs: tuple[Tensor, ...], update: Tensor) -> Tensor:
        return update if self.alive else 0 * update

    def before_step(self, model: nn.Module, step: int) -> None:
        self.alive = step < 60


def _first_branch(model: nn.Module) -> nn.Module:
    return joins(model)[0].module.branch


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [head, ["---"] * len(head), *rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), flush=True)


def mean_of(runs: Sequence[Run], name: str) -> str:
    """The mean over seeds, and their standard deviation."""
    values = [run.skill if name == "skill" else run.summary[name] for run in runs]
    spread = f" ± {np.std(values, ddof=1):.2g}" if len(values) > 1 and np.std(values) > 0 else ""
    return f"{np.mean(values):.3g}{spread}"


def known_truth(seeds: range) -> None:
    """Networks of which one knows what the first block's learning brings."""
    nothing: Callable[[nn.Module], None] = lambda model: None  # noqa: E731
    networks = {
        "residual, as it is": ("", nothing),
        "its first block behind a gate of 0, AdamW": ("0", partial(gate, 0.0)),
        "behind a gate of 1e-6": ("0", partial(gate, 1e-6)),
        "behind a saturated sigmoid": ("0", saturate),
        "all but the first block frozen": ("4", freeze_others),
    }
    rows = []
    for name, (truth, prepare) in networks.items():
        optimizer = ("optimizer=adamw",) if "AdamW" in name else ()
        runs = [
            train(components("depth=4", *optimizer, "optimizer.lr=2e-3", f"seed={seed}"), measures(), prepare=prepare)
            for seed in seeds
        ]
        rows.append([name, mean_of(runs, "skill"), *(mean_of(runs, column) for column in COLUMNS), truth])
    table(["network, 4 blocks", "skill", *COLUMNS.values(), "truth, over an average block's"], rows)


def early_and_late(seeds: range) -> None:
    """Deaths of the first block: what it brings in the first and second half of training."""
    rows = []
    for name in ("residual, 4 blocks", "its first block cut off from step 60", "plain, 16 blocks", "plain, 128 blocks"):
        connection = "plain" if "plain" in name else "identity"
        depth = name.split()[1] if "plain" in name else "4"
        halves = []
        for seed in seeds:
            death = DiesHalfway()
            hooks = {"prepare": death.prepare, "before_step": death.before_step} if "cut" in name else {}
            made = components(f"connection={connection}", f"depth={depth}", "optimizer.lr=2e-3", f"seed={seed}")
            gains = train(made, measures()[:1], **hooks).gains()
            halves.append([gains[:6, 0].sum(), gains[6:, 0].sum(), gains[:6].sum(), gains[6:].sum()])
        rows.append([name, *(f"{value:.3g}" for value in np.mean(halves, axis=0))])
    table(["network", "first block, steps 0 to 59", "60 to 119", "all blocks, 0 to 59", "60 to 119"], rows)


def learning_rates(seeds: range) -> None:
    """The same network at rates tenfold apart, at all of which it learns."""
    rows = []
    for connection in ("plain", "identity"):
        for rate in (1e-3, 3e-3, 1e-2):
            overrides = (f"connection={connection}", "depth=4", f"optimizer.lr={rate}")
            runs = [train(components(*overrides, f"seed={seed}"), measures()) for seed in seeds]
            rows.append([f"{connection}, rate {rate:g}", mean_of(runs, "skill"), *(mean_of(runs, c) for c in COLUMNS)])
    table(["network, 4 blocks", "skill", *COLUMNS.values()], rows)


def against_freezing(seeds: range) -> None:
    """Each measure beside the skill lost if the first block, or the first half of the blocks, stays as it was."""
    rows, found = [], []
    for connection in ("plain", "identity"):
        for depth in (4, 16):
            for init in ("default", "looks_linear"):
                overrides = (f"connection={connection}", f"depth={depth}", f"init={init}", "optimizer.lr=2e-3")
                make = lambda seed, overrides=overrides: components(*overrides, f"seed={seed}")  # noqa: E731
                free = [train(make(seed), measures()) for seed in seeds]
                costs = []
                for count in (1, depth // 2):
                    frozen = [train(make(seed), [], prepare=partial(freeze_first, count)) for seed in seeds]
                    costs.append(np.mean([a.skill - b.skill for a, b in zip(free, frozen, strict=True)]))
                name = f"{connection}, {depth} blocks, {init}"
                rows.append(
                    [
                        name,
                        mean_of(free, "skill"),
                        *(f"{cost:.3f}" for cost in costs),
                        *(mean_of(free, c) for c in COLUMNS),
                    ]
                )
                print(rows[-1], file=sys.stderr, flush=True)
                found.append([*costs, *(np.mean([run.summary[column] for run in free]) for column in COLUMNS)])
    table(
        ["network", "skill", "lost if its first block is frozen", "its first half", *COLUMNS.values()],
        rows,
    )
    values = np.array(found)
    print()
    ranks = [
        [name, *(f"{spearmanr(values[:, cost], values[:, 2 + at])[0]:.2f}" for cost in (0, 1))]
        for at, name in enumerate(COLUMNS.values())
    ]
    table([f"rank correlation over {len(values)} networks", "first block frozen", "first half frozen"], ranks)


PARTS = {each.__name__: each for each in (known_truth, early_and_late, learning_rates, against_freezing)}


def main(names: Sequence[str]) -> None:
    torch.set_num_threads(1)
    for name in names:
        print(f"\n{PARTS[name].__doc__}\n", flush=True)
        PARTS[name](range(71, 73))


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
