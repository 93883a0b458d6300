"""The claims by which a study is judged, the same in every command and notebook."""

import contextlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.unmeasured import check_measured
from skiplab.analysis.study.study import Study
from skiplab.records.file_names import CLAIMS
from skiplab.records.registrations import came_late, register
from skiplab.records.study_list import read_keys

LATE = "exploratory: claims were written after the first trial"
UNDATED = "exploratory: nothing says when these runs were started"


def study_claims(study: Study, given: Path | None = None) -> Claims | None:
    """The claims in the given file, else those registered for the study, else None.

    A given file is registered: the study is judged by it from then on. Claims that were registered after a trial of the
    study had begun have the caveat LATE. Where the study's folder can't be written, nothing is registered, and the
    caveat is the same. Nothing is registered for a file of results, whose verdicts have the caveat UNDATED.

    Raises:
        SkiplabError: where the file can't be read, or asks for a metric that nothing measures.
    """
    path = Path(given) if given is not None else _registered(study)
    if path is None:
        return None
    claims = read_claims(path)
    check_measured(study, claims.metrics)
    if study.arm_column is not None:
        return replace(claims, caveats=(UNDATED,))
    starts = {folder: _first_start(study, folder) for folder in study.listed_in}
    with contextlib.suppress(OSError):
        if given is not None or path.parent == study.folder:
            first = min(filter(None, starts.values()), default=None)
            register(study.folder, path.absolute(), path.read_bytes(), first)
    late = any(came_late(folder, claims.sha256, start) for folder, start in starts.items())
    return replace(claims, caveats=(LATE,) if late else ())


def _registered(study: Study) -> Path | None:
    """The study's own copy; for several studies read as one, the copy that all of them share."""
    own = study.folder / CLAIMS
    if own.exists():
        return own
    copies = [folder / CLAIMS for folder in study.listed_in]
    if all(copy.exists() for copy in copies) and len({copy.read_bytes() for copy in copies}) == 1:
        return copies[0]
    return None


def disagreement(study: Study) -> str:
    """A sentence where the studies that are read as one have different claims; '' where they agree, or have none."""
    registered = {folder.name: copy.read_bytes() for folder in study.listed_in if (copy := folder / CLAIMS).exists()}
    names = [folder.name for folder in study.listed_in]
    if not registered or _registered(study):
        return ""
    if len(registered) < len(names):
        others = [name for name in names if name not in registered]
        verb = "have" if len(registered) > 1 else "has"
        return f"{' and '.join(registered)} {verb} claims and {' and '.join(others)} none; give --claims FILE"
    return f"{' and '.join(names)} have different claims; give --claims FILE"


def _first_start(study: Study, folder: Path) -> datetime | None:
    """When the first trial that a folder lists was started; None where no record says so."""
    keys = read_keys(folder).keys
    starts = (study.first_starts[key] for key in keys if key in study.first_starts)
    return min(map(datetime.fromisoformat, starts), default=None)
