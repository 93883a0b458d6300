"""What a page compares: what a reader asks for, else what the claims are about, else what the study varies."""

from collections.abc import Sequence
from typing import NamedTuple

from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.study.arms import chosen_control, chosen_factor, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.tables import asked_metrics, chosen_metrics


class Asked(NamedTuple):
    """What a reader asks for; None leaves it open."""

    factor: str | None = None
    control: str | None = None
    metrics: Sequence[str] | None = None


ANY = Asked()


class Compared(NamedTuple):
    """The factor under test, its arms, the one compared against ('' without any), and the metrics in order."""

    factor: str
    arms: list[str]
    control: str
    metrics: list[str]


def compared(study: Study, claims: Claims | None, asked: Asked) -> Compared:
    """What is compared of a study.

    Raises:
        SkiplabError: where the factor, the control or a metric is unknown.
    """
    factor = chosen_factor(study, asked.factor or (claims.factor if claims else None))
    arms = list(with_arms(study, factor)["arm"].cat.categories)
    control = asked.control or (claims.control if claims and claims.control in arms else None)
    metrics = asked.metrics or (asked_metrics(study, claims) if claims else None) or None
    return Compared(
        factor=factor,
        arms=arms,
        control=chosen_control(arms, control) if arms else "",
        metrics=chosen_metrics(study, metrics),
    )
