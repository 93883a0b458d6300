"""Going on from published trials: what was published needs no training, if it is what would be trained now."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from skiplab.analysis.study.published_trials import COPIED, RESULT, SETTINGS, TRIALS, read_trials
from skiplab.deciding.ladder import Ladder
from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import PUBLISHED
from skiplab.records.key import factors
from skiplab.records.record_schema import TrialSettings
from skiplab.records.study_list import join_study, study_folder
from skiplab.records.writable import explain_unwritable
from skiplab.tuning.tuned_jobs import copy_tuned


def go_on_from(published: Path, ladder: Ladder) -> None:
    """Let a study count the trials that were published in a folder among its own.

    A key is a hash of everything that can change a trial's outcome. So a published trial that has the key of one of the
    ladder's trials has its options and settings, and they are kept beside the tables.

    Raises:
        SkiplabError: nothing was published, or by other claims, or trials that the ladder doesn't have.
    """
    source, name = ladder.source, f"{published.parent.name} {published.name}"
    if not (published / RESULT).exists():
        raise SkiplabError(f"{name} was never published, so there is nothing to go on from; leave out --continue")
    if json.loads((published / RESULT).read_text(encoding="utf-8"))["claims_sha256"] != ladder.claims.sha256:
        raise SkiplabError(
            f"{name} was published by other claims than {source.claims}, and a ladder goes on only by the claims that "
            "it began with; leave out --continue to begin a new one"
        )
    settings = _settings(published, name, ladder)
    folder = study_folder(source.runs_dir, source.study)
    join_study(source.runs_dir, source.study, keys=(), claims=source.claims)
    if source.tuned:
        copy_tuned(source.tuned, source.runs_dir, source.study)
    with explain_unwritable(source.runs_dir):
        (folder / PUBLISHED).mkdir(exist_ok=True)
        for each in COPIED:
            shutil.copyfile(published / each, folder / PUBLISHED / each)
        write_atomically(folder / PUBLISHED / SETTINGS, json.dumps(settings).encode())


def _settings(published: Path, name: str, ladder: Ladder) -> Mapping[str, TrialSettings]:
    """The options and settings of each published trial, by key."""
    trials = read_trials((published / TRIALS).read_text(encoding="utf-8"))
    seeds = sorted(set(trials["seed"]))
    jobs = {job.record.key: job for point in ladder.points for job in map(point.job, seeds)}
    if others := [key for key in trials["key"] if key not in jobs]:
        raise SkiplabError(
            f"{len(others)} of the {len(trials)} published trials of {name}, such as {others[0]} at seed "
            f"{trials['seed'][others[0]]}, have other options or settings than those that would be trained now; leave "
            "out the overrides that change them, or --continue"
        )
    return {key: {"choices": jobs[key].choices, "factors": factors(jobs[key].config)} for key in trials["key"]}
