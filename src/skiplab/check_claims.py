"""Checks of the claims that run.claims names, before anything is trained."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.key import OBSERVERS, factors
from skiplab.records.registrations import find_claims

if TYPE_CHECKING:
    from skiplab.analysis.claims.claims import Claims
    from skiplab.metrics import Metric


def check_claims(config: DictConfig) -> None:
    """Check that trials of a configuration can be judged by the claims that it names, if it names any.

    Raises:
        SkiplabError: if the file can't be read, or it names a metric that nothing measures, an unknown factor or an
            unknown arm.
    """
    if config.run.claims is None:
        return
    from skiplab.analysis.claims.claims_file import read_claims
    from skiplab.analysis.claims.unmeasured import check_known

    path = find_claims(config.run.claims)
    claims = read_claims(path)
    check_known(claims.metrics, sorted(measured_metrics(config)), "by these trials")
    try:
        _check_factors(claims, config)
    except SkiplabError as error:
        raise SkiplabError(f"{path}: {error}") from None


def measured_metrics(config: DictConfig) -> dict[str, "Metric"]:
    """What the instruments and evaluators of a configuration measure."""
    enabled = [*config.instrument.values(), *config.evaluator.values()]
    targets = [get_object(node["_target_"]) for node in enabled if "_target_" in node]
    return {name: metric for target in targets for name, metric in target.metrics.items()}


def _check_factors(claims: "Claims", config: DictConfig) -> None:
    """Check that factors exist, and that arms are options of their axis; a setting may have any value."""
    from skiplab.analysis.text import unknown_name
    from skiplab.configuration.suggestions import nearest_names

    axes = [str(name) for name, node in config.items() if OmegaConf.is_dict(node) and name not in OBSERVERS]
    names = [name for name in (*axes, *factors(config)) if name != "seed"]
    loader = _loader()
    for name, levels in _named(claims):
        axis, _, setting = name.partition(".")
        if name not in names and not (setting and axis in axes and _may_have(axis, setting, loader)):
            near = " or ".join(nearest_names(name, names))
            hint = f"did you mean {near}?" if near else "valid: such as connection, depth or optimizer.lr"
            raise SkiplabError(
                f"the claims name the factor {printable(name)!r}, and these trials have no axis or setting of that "
                f"name; {hint}"
            )
        options = loader.get_group_options(name) if loader and name in axes else []
        for level in levels if options else ():
            option = level.split(", ")[0]  # an arm may name settings below its option
            if option not in options:
                raise SkiplabError(unknown_name(f"arm of {name}", option, options))


def _named(claims: "Claims") -> Iterator[tuple[str, Sequence[str]]]:
    """Each factor in the claims, with its levels there."""
    for claim in claims.claims:
        for contrast in (test.contrast for test in claim.tests):
            control = () if contrast.of_one_arm else (contrast.control,)
            yield contrast.factor, (*control, contrast.treatment)
            if contrast.over is not None:
                yield contrast.over, ()
        yield from claim.cells.items()


def _loader() -> Any:
    """Hydra's loader, which knows all options, also the user's own; None outside Hydra."""
    from hydra.core.global_hydra import GlobalHydra

    return GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None


def _may_have(axis: str, setting: str, loader: Any) -> bool:
    """Whether any option of the axis has a setting; other trials of the study may choose that option."""
    from skiplab.configuration.settings import takes

    if loader is None:
        return True
    nodes = (loader.repository.load_config(f"{axis}/{option}").config for option in loader.get_group_options(axis))
    return any(takes(node.get("_target_"), setting.partition(".")[0]) for node in nodes)
