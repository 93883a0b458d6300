"""The trials of a sweep with the settings that `skiplab tune` found for them."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from skiplab.configuration.override_text import override_text
from skiplab.configuration.overrides import apply_overrides
from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import TUNED
from skiplab.records.study_list import study_folder
from skiplab.records.tuned import Combination, Tuned, read_tuned
from skiplab.records.writable import explain_unwritable
from skiplab.sweeps.job import Job
from skiplab.tuning.trials import levels_of


def tuned_jobs(jobs: Sequence[Job], path: Path, arguments: Sequence[str]) -> list[Job]:
    """Each trial with the best settings of its combination.

    Args:
        jobs: the trials as they were composed.
        path: tuned.yaml.
        arguments: the overrides of the sweep.

    Raises:
        SkiplabError: a tuned setting is also among the arguments, a combination wasn't tuned, or a seed was used for
            tuning.
    """
    tuned = read_tuned(path)
    parser = OverridesParser.create()
    for each in parser.parse_overrides(list(arguments)):
        if each.key_or_group in tuned.names:
            raise SkiplabError(f"{each.input_line} and hydra.sweeper.tuned={path} set the same; remove one of them")
    if both := sorted({job.config.seed for job in jobs} & set(tuned.seeds)):
        raise SkiplabError(f"seed={','.join(map(str, both))} was used to tune {path}; use other seeds")
    levels = [levels_of(job, tuned.factors) for job in jobs]
    found: list[Job] = []
    for job, own in zip(jobs, levels, strict=True):
        combination = tuned.find(own, {})
        if combination is None:
            words = " ".join(f"{name}={value}" for name, value in own.items())
            raise SkiplabError(
                f"{path} lacks {words}; nothing was trained; tune all combinations together:\n"
                f"  {_command(tuned, levels)}"
            )
        found.append(_tuned(job, combination, parser))
    return found


def copy_tuned(path: Path, runs_dir: Path, study: str) -> None:
    """Copy the file to the folder of the study, where the analysis finds it."""
    content, folder = path.read_bytes(), study_folder(runs_dir, study)
    with explain_unwritable(runs_dir):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / TUNED, content)


def _tuned(job: Job, combination: Combination, parser: OverridesParser) -> Job:
    words = [f"{name}={override_text(value)}" for name, value in combination.best.items()]
    found = job.copy([*job.overrides, *words])
    apply_overrides(parser.parse_overrides(words), found.config)
    return found


def _command(tuned: Tuned, levels: Sequence[dict[str, object]]) -> str:
    """The command that tunes the combinations in the file and the requested ones."""
    wanted = [*(each.factors for each in tuned.combinations), *levels]
    swept = [f"{name}={','.join(dict.fromkeys(override_text(own[name]) for own in wanted))}" for name in tuned.factors]
    others = [word for word in tuned.overrides if word.lstrip("+").split("=")[0] not in tuned.factors]
    return " ".join(["skiplab tune", tuned.preset, *swept, *others])
