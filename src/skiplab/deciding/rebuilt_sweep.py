"""The sweep of a study that no preset describes, composed again from the records of its trials."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from hydra.types import RunMode

from skiplab.analysis.study.study import Study
from skiplab.configuration.override_text import override_text
from skiplab.configuration.suggestions import leaves
from skiplab.deciding.ladder_sweep import LadderSweep
from skiplab.errors import SkiplabError
from skiplab.records.file_names import CONFIG
from skiplab.records.foreign_files import parse_yaml, read_own
from skiplab.records.key import OBSERVERS
from skiplab.records.plain_config import plain
from skiplab.records.read_records import Records
from skiplab.records.record_schema import RecordContent
from skiplab.sweeps.composer import Composer
from skiplab.sweeps.job import Job

_LISTS = ("instrument", "evaluator")
# Settings of run that a trial gets from the command; the others are taken over from the records.
_OF_THE_COMMAND = ("study", "description", "claims", "runs_dir", "rerun", "retry_failed", "dry_run")


def rebuilt_sweep(
    loader: ConfigLoader, study: Study, claims: Path, overrides: Sequence[str], tuned: Path | None
) -> LadderSweep:
    """The arms and cells of a study's records, each composed of its options and the settings that differ from theirs.

    Args:
        loader: Hydra's.
        study: the study.
        claims: the file by which it is judged.
        overrides: the user's, of Hydra and of what only observes trials.
        tuned: the study's file of tuned settings; None for none.

    Raises:
        SkiplabError: an override would change the trials, or a record doesn't give its own trial again.
    """
    config = loader.load_configuration("train", list(overrides), run_mode=RunMode.MULTIRUN)
    composer = Composer(loader, config)
    given = list(config.hydra.overrides.task)
    names = {_name(word) for word in given}
    if changing := [word for word in given if _name(word).split(".")[0] not in OBSERVERS]:
        raise SkiplabError(
            f"{changing[0]} would change the trials of study {study.name!r}, which its records define; valid here: "
            "settings of Hydra, run and logger; or give a preset with this override"
        )
    own = {"study": study.name, "runs_dir": str(study.runs_dir), "claims": str(claims)}
    fixed = [f"run.{name}={override_text(value)}" for name, value in own.items()]
    jobs = []
    for record in _unlike(study.records):
        words = [word for word in _words(composer, study.runs_dir, record) if _name(word) not in names]
        jobs.append(_same_trial(composer, [*words, *given, *fixed], record, study.name))
    hydra = [word for word in config.hydra.overrides.hydra if not word.startswith("hydra.mode=")]
    return LadderSweep.of(jobs, composer, hydra, tuned, has_settings=True)


def _unlike(records: Records) -> list[RecordContent]:
    """One record for each set of trials that differ in their seed alone."""
    found: dict[Any, RecordContent] = {}
    for record in records.values():
        factors = {name: value for name, value in record["factors"].items() if name != "seed"}
        found.setdefault(repr((sorted(record["choices"].items()), sorted(factors.items()))), record)
    return list(found.values())


def _words(composer: Composer, runs_dir: Path, record: RecordContent) -> list[str]:
    """The options of a trial, and its settings that are not the options' own."""
    recorded = parse_yaml(read_own(runs_dir / record["key"] / CONFIG))
    options = [f"{axis}={override_text(option)}" for axis, option in record["choices"].items()]
    options += [f"{axis}={override_text(list(recorded[axis]))}" for axis in _LISTS]
    composed = dict(leaves(plain(composer.job(options).config)))
    return [*options, *_settings(dict(leaves(recorded)), composed)]


def _settings(recorded: Mapping[str, Any], composed: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in recorded.items():
        node, _, rest = name.partition(".")
        if "_target_" in name or (node == "run" and rest in _OF_THE_COMMAND):
            continue
        if name not in composed:
            found.append(f"+{name}={override_text(value)}")
        elif composed[name] != value:
            found.append(f"{name}={override_text(value)}")
    return found


def _same_trial(composer: Composer, words: Sequence[str], record: RecordContent, study: str) -> Job:
    try:
        job = composer.job(words)
    except (SkiplabError, HydraException) as error:
        raise _unlike_its_record(study, record, str(error)) from None
    if job.record.key != record["key"]:
        raise _unlike_its_record(study, record, "its settings now give another key")
    return job


def _unlike_its_record(study: str, record: RecordContent, reason: str) -> SkiplabError:
    return SkiplabError(
        f"the trials of study {study!r} can't be composed again from their records ({record['key']}: {reason}); give "
        "the preset that sweeps them, or write one of your own, experiment/NAME.yaml in the folder of --config-dir"
    )


def _name(word: str) -> str:
    return word.lstrip("+~").split("=")[0]
