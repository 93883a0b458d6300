"""The trials of a sweep with the settings that were tuned for them."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from skiplab.configuration.overrides import apply_overrides
from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.record import explain_unwritable, study_folder
from skiplab.records.tuned import Combination, Tuned, read_tuned
from skiplab.sweeps.job import Job
from skiplab.tuning.trials import levels_of


def tuned_jobs(jobs: Sequence[Job], path: Path, arguments: Sequence[str]) -> list[Job]:
    """Each trial with what was chosen for its combination.

    Args:
        jobs: the trials as they were composed.
        path: tuned.yaml.
        arguments: the overrides that the sweep was asked for.

    Raises:
        SkiplabError: where a tuned setting is also among the arguments, a combination wasn't tuned, or a seed was
            used for tuning.
    """
    tuned = read_tuned(path)
    parser = OverridesParser.create()
    for each in parser.parse_overrides(list(arguments)):
        if each.key_or_group in tuned.names:
            raise SkiplabError(f"{each.input_line} and hydra.sweeper.tuned={path} both set it; leave one of them out")
    if both := sorted({job.config.seed for job in jobs} & set(tuned.seeds)):
        raise SkiplabError(f"seed={','.join(map(str, both))} was used to tune {path}; compare with others")
    levels = [levels_of(job, tuned.factors) for job in jobs]
    found = [tuned.find(own, {}) for own in levels]
    if lacking := next((own for own, combination in zip(levels, found, strict=True) if combination is None), None):
        words = " ".join(f"{name}={value}" for name, value in lacking.items())
        raise SkiplabError(
            f"{path} lacks {words}; tune them all alike, nothing was trained:\n  {_command(tuned, levels)}"
        )
    return [_tuned(job, combination, parser) for job, combination in zip(jobs, found, strict=True)]


def keep_tuned(path: Path, runs_dir: Path, study: str) -> None:
    """Copy the file to the study that follows it, where the analysis looks for it."""
    content, folder = path.read_bytes(), study_folder(runs_dir, study)
    with explain_unwritable(runs_dir):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "tuned.yaml", content)


def _tuned(job: Job, combination: Combination, parser: OverridesParser) -> Job:
    words = [f"{name}={_text(value)}" for name, value in combination.best.items()]
    found = job.copy([*job.overrides, *words])
    apply_overrides(parser.parse_overrides(words), found.config)
    return found


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _command(tuned: Tuned, levels: Sequence[dict[str, object]]) -> str:
    """How everything is tuned that was, and that is asked for."""
    wanted = [*(each.factors for each in tuned.combinations), *levels]
    swept = [f"{name}={','.join(dict.fromkeys(_text(own[name]) for own in wanted))}" for name in tuned.factors]
    others = [word for word in tuned.overrides if word.lstrip("+").split("=")[0] not in tuned.factors]
    return " ".join(["skiplab tune", tuned.preset, *swept, *others])
