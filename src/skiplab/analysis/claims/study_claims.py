"""The claims that a study is judged by: the same ones in every command and notebook."""

import contextlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from skiplab.analysis.claims.claims import Claims, read_claims
from skiplab.analysis.claims.unmeasured import check_measured
from skiplab.analysis.study.study import Study
from skiplab.records.file_names import CLAIMS
from skiplab.records.registrations import came_late, register
from skiplab.records.study_list import read_keys

LATE = "exploratory: claims were written after the first trial"


def study_claims(study: Study, given: Path | None = None) -> Claims | None:
    """The claims file that is given, which the study remembers from now on; else the one that it remembers, else None.

    A study remembers the file that it was last judged by, or that its trials were trained with. Claims that it was
    first given when a trial of it had begun carry the mark LATE. Where its folder can't be written, nothing is
    remembered, and the mark is the same.

    Raises:
        SkiplabError: where the file can't be read, or asks for a metric that nothing measures.
    """
    path = Path(given) if given is not None else _remembered(study)
    if path is None:
        return None
    claims = read_claims(path)
    check_measured(study, claims.metrics)
    with contextlib.suppress(OSError):
        if given is not None or path.parent == study.folder:
            register(study.folder, path.absolute(), path.read_bytes())
    late = any(came_late(folder, claims.sha256, _begun(study, folder)) for folder in study.listed_in)
    return replace(claims, marks=(LATE,) if late else ())


def _remembered(study: Study) -> Path | None:
    """The study's own copy; of several studies read as one, the copy that all of them have."""
    own = study.folder / CLAIMS
    if own.exists():
        return own
    copies = [folder / CLAIMS for folder in study.listed_in]
    if all(copy.exists() for copy in copies) and len({copy.read_bytes() for copy in copies}) == 1:
        return copies[0]
    return None


def disagreement(study: Study) -> str:
    """That the studies which are read as one don't remember the same claims; '' where they do, or none of them any."""
    remembered = {folder.name: copy.read_bytes() for folder in study.listed_in if (copy := folder / CLAIMS).exists()}
    names = [folder.name for folder in study.listed_in]
    if not remembered or _remembered(study):
        return ""
    if len(remembered) < len(names):
        others = [name for name in names if name not in remembered]
        verb = "remember" if len(remembered) > 1 else "remembers"
        return f"{' and '.join(remembered)} {verb} claims and {' and '.join(others)} none; give --claims FILE"
    return f"{' and '.join(names)} remember different claims; give --claims FILE"


def _begun(study: Study, folder: Path) -> datetime | None:
    """When the first of the trials that a folder lists was begun; None where no record says."""
    keys = read_keys(folder).keys
    starts = (study.first_starts[key] for key in keys if key in study.first_starts)
    return min(map(datetime.fromisoformat, starts), default=None)
