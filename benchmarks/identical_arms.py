"""A/A: the same arm against itself. Trials of one arm are split at random into two, and judged as if they differed.

    skiplab train -m experiment=residual_in_diffusion/quick sampler=ddim hydra.sweeper.params=null \\
        connection=identity depth=4 long_skip=none "seed=range(101,141)" run.study=identical_arms \\
        run.claims=null
    python benchmarks/identical_arms.py [RUNS_DIR]

Every claim supported here is a false one: at most 5% of the splits may have any. The same splits are judged again
with an effect planted into one half, which must be found. The last row climbs declared looks, as `skiplab decide` does.
Prints what stands in docs/statistics.md.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from skiplab.analysis.claims.claims import Claim, Claims, Test
from skiplab.analysis.claims.contrasts import Contrast
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.study import Study, read_study

STUDY, NUM_SPLITS = "identical_arms", 1000
# What is claimed of the second half, with no smallest effect that would shield from false claims.
METRICS = {
    "skill_train": "higher",
    "skill_val": "higher",
    "frechet_distance": "lower",
    "kernel_distance": "lower",
    "update_ratio_first_block": "higher",
    "refining_fraction": "higher",
}
PLANTED = 0.05  # of skill, added to one half


def claims(names: list[str], looks: tuple[int, ...] = ()) -> Claims:
    """A claim for each metric, Holm-adjusted together."""
    found = []
    for name in names:
        contrast = Contrast(
            metric=name,
            kind="difference",
            factor="connection",
            control="first half",
            treatment="second half",
            direction=METRICS[name],
        )
        test = Test(contrast=contrast, smallest_effect=None)
        found.append(Claim(name=name, text="", source="", tested_part=None, parts=(test,), cells={}, evidence=()))
    return Claims(question="", tuned=False, claims=tuple(found), looks=looks, sha256="")


def split(study: Study, num_seeds: int, generator: np.random.Generator) -> Study:
    """So many pairs of trials drawn at random, a trial of each half; a pair bears one seed."""
    drawn = study.trials.iloc[generator.permutation(len(study.trials))[: 2 * num_seeds]].reset_index(drop=True)
    drawn["connection"] = np.repeat(["first half", "second half"], num_seeds)
    drawn["connection"] = pd.Categorical(drawn["connection"], categories=["first half", "second half"], ordered=True)
    drawn["seed"] = np.tile(np.arange(num_seeds), 2)
    return replace(study, trials=drawn, factors=("connection",))


def supported(study: Study, asked: Claims) -> set[str]:
    return {verdict.claim.name for verdict in judge(study, asked) if verdict.conclusion.startswith("supported")}


def main(runs_dir: Path) -> None:
    study = read_study(STUDY, runs_dir)
    names = [name for name in METRICS if name in study.metrics]
    print(f"{len(study.trials)} trials of one arm, {NUM_SPLITS:,} random splits, {len(names)} claims with a smallest")
    print(f"effect of 0: {', '.join(names)}.\n")
    print("| pairs | splits with any supported claim | splits with a planted effect found |")
    print("| --- | --- | --- |")
    most = len(study.trials) // 2
    looks = tuple(n for n in (5, 10, 20, 40) if n <= most)
    for num_seeds, looked in ((3, ()), (5, ()), (10, ()), (most, ()), (looks[-1], looks)):
        asked = claims(names, looked)
        generator, wrong, found = np.random.default_rng(0), 0, 0
        for _ in range(NUM_SPLITS):
            halves = split(study, num_seeds, generator)
            wrong += bool(supported(halves, asked))
            planted = halves.trials.copy()
            planted.loc[planted["connection"] == "second half", "skill_train"] += PLANTED
            found += "skill_train" in supported(replace(halves, trials=planted), asked)
        interval = binomtest(wrong, NUM_SPLITS).proportion_ci(method="exact")
        share = f"{100 * wrong / NUM_SPLITS:.1f}% [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
        pairs = f"looks at {', '.join(map(str, looked))}" if looked else f"{num_seeds}"
        print(f"| {pairs} | {share} | {100 * found / NUM_SPLITS:.1f}% |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs"))
