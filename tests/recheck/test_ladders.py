"""Two computations of verdicts agree on studies whose cells have climbed to different looks, and partly collapsed."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from judging import Trials, read_tests
from judging import judge as judge_again

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.looks import judge_looks
from skiplab.analysis.study.study import Study
from skiplab.metrics import Metric

CLAIMS = """\
factor: connection
control: plain
treatment: identity
looks: [3, 6, 9]
claims:
  - {{name: a, text: t, metric: {metric}, contrast: difference, direction: higher, smallest_effect: 0.3}}
  - {{name: b, text: t, metric: {metric}, contrast: slope, over: depth, direction: not_lower, smallest_effect: 0.3}}
  - name: c
    text: t
    metric: {metric}
    contrast: difference
    mean_over: [depth, long_skip]
    direction: higher
    smallest_effect: 0.3
"""
METRIC = Metric(label="score", direction="higher", if_diverged=0.0)


def ragged_trials(generator, metric):
    """Two cells by two depths, each with a number of seeds and an effect of its own; some trials have not ended."""
    rows = []
    for long_skip in ("concat", "none"):
        seeds = generator.choice([3, 4, 6, 9])
        for depth in (4, 16):
            effect, own = generator.choice([0.0, 0.3, 1.0, 3.0]), seeds if generator.random() < 0.8 else 3
            for seed in range(own):
                for connection in ("plain", "identity"):
                    status = generator.choice(["done", "diverged", "pending"], p=[0.97, 0.01, 0.02])
                    score = generator.normal(effect * (connection == "identity"), 0.5)
                    rows.append(
                        {
                            "status": status,
                            "connection": connection,
                            "long_skip": long_skip,
                            "depth": depth,
                            "seed": seed,
                            metric: score if status == "done" else np.nan,
                        }
                    )
    return pd.DataFrame(rows)


def as_study(trials, metric):
    factors = ("connection", "long_skip", "depth")
    own = trials.assign(key=[f"{number:016x}" for number in range(len(trials))])
    return Study(
        name="s",
        runs_dir=Path(),
        folder=Path(),
        listed_in=(),
        trials=own,
        missing={},
        factors=factors,
        constants={},
        metrics={metric: METRIC},
        charts={},
        measured_by={},
        first_starts={},
        records={},
        tuned=None,
        problems=(),
        files={},
    )


@pytest.mark.parametrize(
    ("metric", "seed"), [*(("score", seed) for seed in range(8)), ("skill_train", 0), ("skill_train", 1)]
)
def test_ladders_agree(tmp_path, seed, metric):
    """Of a skill, seeds below 0.05 have collapsed; of a score, none."""
    text = CLAIMS.format(metric=metric)
    (tmp_path / "claims.yaml").write_text(text)
    claims, tests = read_claims(tmp_path / "claims.yaml"), read_tests(yaml.safe_load(text))
    generator = np.random.default_rng(seed)
    conclusions, by_rate = set(), set()
    for _ in range(5 if metric == "score" else 2):  # exact intervals of rates take their time
        trials = ragged_trials(generator, metric)
        found = judge_looks(as_study(trials, metric), claims)
        rows = trials.astype(object).where(trials.notna(), "").to_dict("records")
        again, _ = judge_again(Trials(rows, {metric: asdict(METRIC)}), tests, [3, 6, 9])
        assert {tuple(key): (each.conclusion, each.interval.n) for key, each in found.items()} == {
            key: (each["conclusion"], each["n"]) for key, each in again.items()
        }
        for key, each in found.items():
            p = each.p.supported, each.p.contradicted
            assert p == pytest.approx(again[tuple(key)]["p"], rel=1e-9)
        by_rate |= {each.test is not each.claimed for each in found.values()}
        conclusions |= {each.conclusion for each in found.values()}
    assert len(conclusions) > 1 if metric == "score" else True in by_rate
