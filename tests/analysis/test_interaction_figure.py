import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.figures.interaction_figure import interaction_figure
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError


def test_every_dot_is_a_paired_difference_with_its_interval(fill, runs):
    fill(effect=0.1)
    study = read_study("s", runs.folder)
    (ax,) = interaction_figure(study, "skill_train").axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["4", "8", "16"]
    drawn = {container.get_label(): container for container in ax.containers}
    assert set(drawn) == {"long_skip none", "long_skip concat"}
    for name, container in drawn.items():
        points, _, (bars,) = container
        trials = study.trials[study.trials["long_skip"] == name.split()[1]]
        values = trials.pivot(index="seed", columns=["depth", "connection"], values="skill_train")
        for position, depth in enumerate((4, 8, 16)):
            test = stats.ttest_rel(values[depth, "identity"], values[depth, "plain"])
            assert points.get_ydata()[position] == pytest.approx(
                (values[depth, "identity"] - values[depth, "plain"]).mean()
            )
            assert bars.get_segments()[position][:, 1] == pytest.approx(list(test.confidence_interval()))


def test_a_log_metric_is_drawn_as_ratios(fill, runs):
    fill(effect=0.1)
    (ax,) = interaction_figure(read_study("s", runs.folder), "frechet_distance").axes
    assert ax.get_yscale() == "log"
    assert np.all(ax.containers[0][0].get_ydata() < 1.1)


def test_each_arm_and_each_further_level_has_a_panel(runs):
    for arm in ("plain", "identity", "rezero"):
        for depth in (4, 8):
            for long_skip in ("none", "add"):
                for width in (8, 16):
                    for seed in range(2):
                        runs.trial(
                            seed=seed,
                            choices={"connection": arm, "long_skip": long_skip},
                            factors={"depth": depth, "width": width},
                            summary={"skill_train": 0.5 + 0.01 * seed * (arm == "plain")},
                        )
    figure = interaction_figure(read_study("s", runs.folder), "skill_train")
    assert sorted(ax.get_title() for ax in figure.axes) == [
        f"{arm} over plain, width {width}" for arm in ("identity", "rezero") for width in (16, 8)
    ]


def test_a_study_of_one_cell_has_none(runs):
    for arm in ("plain", "identity"):
        runs.trial(choices={"connection": arm}, summary={"skill_train": 0.5})
    with pytest.raises(SkiplabError, match="only connection varies"):
        interaction_figure(read_study("s", runs.folder), "skill_train")
