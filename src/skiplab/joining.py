"""How trials join a study: by its list of keys, with the claims that the study is to be judged by."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.key import OBSERVERS, factors
from skiplab.records.record import join_study
from skiplab.records.registrations import find_claims

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

    from skiplab.analysis.claims.claims import Claims


def join(config: DictConfig, keys: Iterable[str]) -> None:
    """Add trials to the study that a configuration names, and let it remember the claims file that this one names.

    Raises:
        SkiplabError: where the claims can't be read, ask for a metric that nothing measures or name a factor or an arm
            that there is none of, the study's name is invalid, or its folder can't be written.
    """
    claims = find_claims(config.run.claims) if config.run.claims is not None else None
    if claims is not None:
        _check(claims, config)
    join_study(Path(config.run.runs_dir), config.run.study, keys, claims)


def _check(path: Path, config: DictConfig) -> None:
    """Refuse, before anything is trained, claims that could be mended only when it is too late."""
    from skiplab.analysis.claims.claims import read_claims
    from skiplab.analysis.claims.unmeasured import check_known

    chosen = [*config.instrument.values(), *config.evaluator.values()]
    own = {name for node in chosen if "_target_" in node for name in get_object(node["_target_"]).metrics}
    claims = read_claims(path)
    check_known(claims.metrics, sorted(own), "by these trials")
    try:
        _check_factors(claims, config)
    except SkiplabError as error:
        raise SkiplabError(f"{path}: {error}") from None


def _check_factors(claims: "Claims", config: DictConfig) -> None:
    """Refuse factors that no trial has, and arms that their axis has no option of; a setting may get any value."""
    from skiplab.analysis.text import unknown_name
    from skiplab.configuration.suggestions import nearest_names

    axes = [name for name, node in config.items() if OmegaConf.is_dict(node) and name not in OBSERVERS]
    names = [name for name in (*axes, *factors(config)) if name != "seed"]
    loader = _loader()
    for name, levels in _named(claims):
        axis, _, setting = name.partition(".")
        if name not in names and not (setting and axis in axes and _may_have(axis, setting, loader)):
            near = " or ".join(nearest_names(name, names))
            hint = f"did you mean {near}?" if near else "valid: such as connection, depth or optimizer.lr"
            raise SkiplabError(
                f"the claims name the factor {printable(name)!r}, and these trials have no axis or setting of that "
                f"name to compare; {hint}"
            )
        options = loader.get_group_options(name) if loader and name in axes else []
        for level in levels if options else ():
            option = level.split(", ")[0]  # an arm may name settings below its option
            if option not in options:
                raise SkiplabError(unknown_name(f"arm of {name}", option, options))


def _named(claims: "Claims") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each factor that claims name, with the levels of it that they name there."""
    for claim in claims.claims:
        for contrast in (test.contrast for test in (claim.primary, *claim.evidence)):
            control = () if contrast.of_one_arm else (contrast.control,)
            yield contrast.factor, (*control, contrast.treatment)
            if contrast.over is not None:
                yield contrast.over, ()
        yield from claim.cells.items()


def _loader() -> "ConfigLoader | None":
    """What knows all options, those of the user's own folder too; None within a worker, whose sweep has asked it."""
    from hydra.core.global_hydra import GlobalHydra

    return GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None


def _may_have(axis: str, setting: str, loader: "ConfigLoader | None") -> bool:
    """Whether an option of the axis takes a setting, for other trials of the study may choose it."""
    from skiplab.configuration.settings import takes

    def target(option: str) -> Any:
        return loader.repository.load_config(f"{axis}/{option}").config.get("_target_")

    return loader is None or any(
        takes(target(option), setting.partition(".")[0]) for option in loader.get_group_options(axis)
    )
