"""The trials of a sweep with the settings that `skiplab tune` found for them."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import TUNED
from skiplab.records.study_list import study_folder
from skiplab.records.tuned import Tuned, read_tuned
from skiplab.records.writable import explain_unwritable
from skiplab.sweeps.composer import Composer
from skiplab.sweeps.job import Job
from skiplab.tuning.levels import level_override, levels_of


def tuned_jobs(jobs: Sequence[Job], composer: Composer, path: Path) -> list[Job]:
    """Each trial with the best options and settings of its combination.

    Args:
        jobs: the trials as they were composed.
        composer: of the sweep.
        path: tuned.yaml.

    Raises:
        SkiplabError: a tuned setting is also an override of the sweep, a combination wasn't tuned, or a seed was used
            for tuning.
    """
    tuned = read_tuned(path)
    words = dict.fromkeys(word for job in jobs for word in job.overrides)
    for each in composer.parse(list(words)):
        if tuned.sets(each.key_or_group):
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
        best = [f"{name}={level_override(value)}" for name, value in combination.best.items()]
        found.append(composer.job([*job.overrides, *best]))
    return found


def copy_tuned(path: Path, runs_dir: Path, study: str) -> None:
    """Copy the file to the folder of the study, where the analysis finds it."""
    content, folder = path.read_bytes(), study_folder(runs_dir, study)
    with explain_unwritable(runs_dir):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / TUNED, content)


def _command(tuned: Tuned, levels: Sequence[dict[str, object]]) -> str:
    """The command that tunes the combinations in the file and the requested ones."""
    wanted = [*(each.factors for each in tuned.combinations), *levels]
    swept = [f"{name}={','.join(dict.fromkeys(level_override(own[name]) for own in wanted))}" for name in tuned.factors]
    others = [word for word in tuned.overrides if word.lstrip("+").split("=")[0] not in tuned.factors]
    also = [part for word in tuned.also for part in ("--also", word)]
    return f"skiplab tune {shlex.join([tuned.preset, *swept, *others, *also])}"
