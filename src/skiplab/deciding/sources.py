"""What the ladder trains: the sweeps of presets, or those of a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.study.study import Study, read_study
from skiplab.analysis.text import unknown_name
from skiplab.configuration.config_files import ConfigFiles
from skiplab.configuration.override_text import override_text
from skiplab.deciding.ladder_sweep import LadderSweep, Point
from skiplab.deciding.rebuilt_sweep import rebuilt_sweep
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.file_names import CLAIMS, STUDIES, TUNED
from skiplab.records.registrations import find_claims
from skiplab.records.study_list import read_keys, study_names
from skiplab.tuning.preset_sweep import PresetSweep, preset_names


@dataclass(frozen=True, eq=False)
class Source:
    """What is trained, and by which claims it is judged.

    study: the name of the study that all trials join.
    claims: the claims file.
    sweeps: the arms and cells.
    lowest_seed: the first of the ladder's seeds.
    origin: where the arms and cells come from, as text.
    tuned: the file of tuned settings; None for none.
    others: finds further presets of the same study, which aren't among the sweeps, in the files of all presets.
    """

    study: str
    runs_dir: Path
    claims: Path
    sweeps: tuple[LadderSweep, ...]
    lowest_seed: int
    origin: str
    tuned: Path | None
    others: Callable[[], Sequence[str]] = tuple


def find_source(loader: ConfigLoader, name: str, overrides: Sequence[str], claims: Path | None) -> Source:
    """The source of a preset's or a study's name.

    Raises:
        SkiplabError: there is neither, it has no claims, or its trials can't be composed.
    """
    presets = preset_names(loader, overrides)
    files = ConfigFiles(loader)

    def of_study(study: str) -> list[str]:
        """The presets whose own file names a study."""
        runs = {preset: files.read(f"experiment/{preset}").settings.get("run") or {} for preset in presets}
        return [preset for preset, run in runs.items() if run.get("study") == study]

    if name in presets:
        source = of_presets(loader, [name], overrides, claims)
        return replace(source, others=lambda: [preset for preset in of_study(source.study) if preset != name])
    config = loader.load_configuration("train", list(overrides), run_mode=RunMode.MULTIRUN)
    if not isinstance(config.run.runs_dir, str):
        raise SkiplabError(f"run.runs_dir={printable(config.run.runs_dir)} is invalid; valid: a folder, as text")
    runs_dir = Path(config.run.runs_dir)
    own = of_study(name)
    studies = study_names(runs_dir)
    if name in studies:
        given = claims or (find_claims(config.run.claims) if config.run.claims is not None else None)
        return _of_study(loader, name, runs_dir, own, overrides, given)
    if own:
        return of_presets(loader, own, overrides, claims)
    raise SkiplabError(unknown_name(f"preset, or study in {runs_dir},", name, [*studies, *presets]))


def of_presets(loader: ConfigLoader, presets: Sequence[str], overrides: Sequence[str], claims: Path | None) -> Source:
    """The source of presets whose trials join one study.

    Raises:
        SkiplabError: a preset is unknown, their lowest seeds differ, or their trials can't be composed.
    """
    words = [*overrides, *([f"run.claims={override_text(str(claims.absolute()))}"] if claims else [])]
    read = [PresetSweep.read(loader, preset, words) for preset in presets]
    config = read[0].jobs[0].config
    folder = Path(config.run.runs_dir) / STUDIES / config.run.study
    tuned = _tuned(read[0], overrides, folder)
    lowest = {preset: min(job.config.seed for job in sweep.jobs) for preset, sweep in zip(presets, read, strict=True)}
    if len(set(lowest.values())) > 1:
        found = ", ".join(f"{preset} from {seed}" for preset, seed in lowest.items())
        raise SkiplabError(f"the presets of a study must start at one seed ({found}); give it, seed=NUMBER")
    return Source(
        study=config.run.study,
        runs_dir=Path(config.run.runs_dir),
        claims=_claims(claims, config.run.claims, config.run.study),
        sweeps=tuple(LadderSweep.of(each.jobs, each.composer, each.hydra_overrides, tuned) for each in read),
        lowest_seed=lowest[presets[0]],
        origin=f"as {' and '.join(presets)} sweep{'s' if len(presets) == 1 else ''} them",
        tuned=tuned,
    )


def _of_study(
    loader: ConfigLoader,
    name: str,
    runs_dir: Path,
    presets: Sequence[str],
    overrides: Sequence[str],
    claims: Path | None,
) -> Source:
    """The arms and cells of a study: those of its presets that it lists; if it lists none, those of its records."""
    study, folder = read_study(name, runs_dir), runs_dir / STUDIES / name
    claims = claims or (folder / CLAIMS if (folder / CLAIMS).exists() else None)
    if presets:
        source = of_presets(loader, presets, [*overrides, f"run.study={override_text(name)}"], claims)
        if not study.records:
            return source
        listed = _listed(source, study)
        if any(sweep.points for sweep in listed):
            return replace(
                source, sweeps=listed, lowest_seed=_lowest(study), origin=f"those of study {name}, {source.origin}"
            )
    if not study.records:
        raise SkiplabError(f"study {name!r} has no record to take its trials from; give the preset that sweeps them")
    if not study.is_of_commands:
        raise SkiplabError(
            f"study {name!r} is of a LightningModule, which Python trains: give skiplab.study more seeds"
        )
    tuned = folder / TUNED if (folder / TUNED).exists() else None
    path = _claims(claims, None, name)
    sweep = rebuilt_sweep(loader, study, path, overrides, tuned)
    _check_complete(sweep, study, most_seeds=max(read_claims(path).looks, default=0))
    return Source(
        study=name,
        runs_dir=runs_dir,
        claims=path,
        sweeps=(sweep,),
        lowest_seed=_lowest(study),
        origin=f"as the records of study {name} have them",
        tuned=tuned,
    )


def _listed(source: Source, study: Study) -> tuple[LadderSweep, ...]:
    """The sweeps with the points of which the study lists a trial."""
    keys, seeds = {*read_keys(study.folder).keys, *study.trials["key"]}, set(study.trials["seed"])

    def is_listed(point: Point) -> bool:
        return any(point.job(seed).record.key in keys for seed in seeds)

    return tuple(replace(sweep, points=tuple(filter(is_listed, sweep.points))) for sweep in source.sweeps)


def _check_complete(sweep: LadderSweep, study: Study, most_seeds: int) -> None:
    """Refuse a study that lists trials which were never started and aren't among those that its records show.

    Raises:
        SkiplabError: says how many.
    """
    seeds = {*study.trials["seed"], *range(_lowest(study), _lowest(study) + most_seeds)}
    known = {point.job(seed).record.key for point in sweep.points for seed in seeds} | set(study.records)
    if unknown := [key for key in read_keys(study.folder).keys if key not in known]:
        raise SkiplabError(
            f"{len(unknown)} trials of study {study.name!r} were never started, so its records may not show all of its "
            "arms and cells; finish its sweep first, by the command that began it"
        )


def _lowest(study: Study) -> int:
    return int(min(study.trials["seed"].tolist()))


def _tuned(sweep: PresetSweep, overrides: Sequence[str], folder: Path) -> Path | None:
    """The file of tuned settings: the one that is given, else the study's own."""
    given = sweep.composer.config.hydra.sweeper.tuned
    if given is not None:
        return Path(given)
    is_given = any(word.lstrip("+").startswith("hydra.sweeper.tuned=") for word in overrides)
    return folder / TUNED if not is_given and (folder / TUNED).exists() else None


def _claims(given: Path | None, of_preset: str | None, study: str) -> Path:
    if given is not None:
        return given.absolute()
    if of_preset is None:
        raise SkiplabError(
            f"study {study!r} has no claims that could be decided; give a claims file by --claims FILE, with its looks"
        )
    return find_claims(of_preset)
