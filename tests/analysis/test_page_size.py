"""How large the page of a large study is."""

import itertools

import numpy as np
import pytest
from example_charts import CHARTS
from PIL import Image

from skiplab.analysis.page.report import write_report
from skiplab.analysis.study.study import read_study


@pytest.mark.slow
def test_the_page_of_500_trials_is_below_6_mb(runs, add_series):
    generator = np.random.default_rng(0)
    arms = ("plain", "identity", "dense", "rezero", "scaled")
    for seed, skip, depth, arm in itertools.product(range(10), ("none", "concat"), (4, 8, 16, 32, 64), arms):
        key = runs.trial(
            seed=seed,
            choices={"connection": arm, "long_skip": skip},
            factors={"depth": depth},
            summary={"skill_train": generator.random(), "loss_val": generator.random()},
            charts=CHARTS,
        )
        add_series(key, depth, generator)
        noise = generator.integers(0, 256, (240, 240, 3), dtype=np.uint8)  # no PNG is larger
        Image.fromarray(noise).save(runs.folder / key / "samples.png")
    study = read_study("s", runs.folder)
    assert len(study.trials) == 500
    page = write_report(study)
    assert 1_000_000 < page.stat().st_size < 6_000_000
