"""How trials join a study: by its list of keys, with the claims that the study is to be judged by."""

from collections.abc import Iterable
from pathlib import Path

from hydra.utils import get_object
from omegaconf import DictConfig

from skiplab.registered import find_claims
from skiplab.training.record import join_study


def join(config: DictConfig, keys: Iterable[str]) -> None:
    """Add trials to the study that a configuration names, and let it remember the claims file that this one names.

    Raises:
        SkiplabError: where the claims can't be read or ask for a metric that nothing measures, the study's name is
            invalid, or its folder can't be written.
    """
    claims = find_claims(config.run.claims) if config.run.claims is not None else None
    if claims is not None:
        _check(claims, config)
    join_study(Path(config.run.runs_dir), config.run.study, keys, claims)


def _check(path: Path, config: DictConfig) -> None:
    """Refuse, before anything is trained, claims that could be mended only when it is too late."""
    from skiplab.analysis.claims import read_claims
    from skiplab.analysis.unmeasured import check_known

    chosen = [*config.instrument.values(), *config.evaluator.values()]
    own = {name for node in chosen if "_target_" in node for name in get_object(node["_target_"]).metrics}
    check_known(read_claims(path).metrics, sorted(own), "by these trials")
