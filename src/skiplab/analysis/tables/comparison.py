"""What a table or page compares: what a reader selects, else what the claims are about, else what the study varies."""

from collections.abc import Sequence
from typing import NamedTuple

from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.study.arms import arm_names, control_arm, factor_under_test
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import unknown_name
from skiplab.errors import SkiplabError

DEFAULT_METRICS = (
    "loss_val",
    "skill_train",
    "accuracy_val",
    "excess_loss",
    "frechet_distance",
    "update_ratio_first_block",
    "gradient_first_to_last",
    "refining_fraction",
)
BASELINES = ("loss_zero", "loss_affine")
# Axes that decide what a loss means.
_OBJECTIVE_AXES = ("objective", "prediction", "loss_weighting", "noise_schedule")


class Selection(NamedTuple):
    """What a reader selects; None leaves it open."""

    factor: str | None = None
    control: str | None = None
    metrics: Sequence[str] | None = None


NO_SELECTION = Selection()


class Comparison(NamedTuple):
    """The factor under test, its arms, the control ('' without any arm), and the metrics in order."""

    factor: str
    arms: list[str]
    control: str
    metrics: list[str]


def find_comparison(study: Study, claims: Claims | None, selection: Selection) -> Comparison:
    """What is compared in a study.

    Raises:
        SkiplabError: where the factor, the control or a metric is unknown.
    """
    factor = factor_under_test(study, selection.factor or (claims.factor if claims else None))
    arms = arm_names(study, factor)
    of_claims = claims.control if claims and claims.control in arms else None
    control = of_claims if selection.control is None else selection.control
    metrics = selection.metrics or (metrics_of_claims(study, claims) if claims else None) or None
    return Comparison(
        factor=factor,
        arms=arms,
        control=control_arm(arms, control) if arms else "",
        metrics=select_metrics(study, metrics),
    )


def select_metrics(study: Study, metrics: Sequence[str] | None) -> list[str]:
    """These metrics; None: those of DEFAULT_METRICS that the study has, else all. All of a table of results.

    Raises:
        SkiplabError: where one is unknown.
    """
    if metrics is None:
        measured = [name for name in study.metrics if name not in BASELINES]
        usual = [name for name in DEFAULT_METRICS if name in study.metrics] if study.records else list(study.metrics)
        return usual or measured
    for name in metrics:
        if name not in study.metrics:
            raise SkiplabError(unknown_name("metric", name, list(study.metrics)))
    return list(metrics)


def metrics_of_claims(study: Study, claims: Claims) -> list[str]:
    """Skill and loss, then the metrics of the claims, as far as they were measured.

    Where the claims compare objectives, each arm has skill and loss in units of its own: only the claims' metrics.
    """
    always = [] if claims.factor.partition(".")[0] in _OBJECTIVE_AXES else ["skill_train", "loss_val"]
    return [name for name in dict.fromkeys([*always, *claims.metrics]) if name in study.metrics]
