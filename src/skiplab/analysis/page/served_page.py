"""The page of a running study: it is drawn again after its records have changed, at a limited rate."""

import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from skiplab.analysis.claims.study_claims import study_claims
from skiplab.analysis.page.page import rendered
from skiplab.analysis.page.report import report_page
from skiplab.analysis.study.study import read_study
from skiplab.analysis.study.study_lists import study_files
from skiplab.analysis.tables.comparison import NO_SELECTION, Selection, find_comparison
from skiplab.printable import printable

_LOOK_EVERY_SECONDS = 5.0
_TIMES_AS_LONG = 4  # as drawing took lies between two drawings, so that training keeps the processor


class Shown(NamedTuple):
    """A page and its version."""

    version: str
    html: str


class ServedPage:
    """Checks a study's records in a thread of its own on each request, and draws their page.

    shown: the page that was drawn last.
    progress: describes the study's progress in one line.

    Raises:
        SkiplabError: if the study or the claims file can't be read, or a name of the selection is unknown.
    """

    def __init__(
        self,
        study_name: str,
        runs_dir: Path,
        claims_path: Path | None,
        progress: Callable[[], str],
        selection: Selection = NO_SELECTION,
        look_every_seconds: float = _LOOK_EVERY_SECONDS,
    ) -> None:
        self._name, self._runs_dir, self._claims_path, self._selection = study_name, runs_dir, claims_path, selection
        self._ask_progress, self._every = progress, look_every_seconds
        self._thread: threading.Thread | None = None
        self._next_look = self._next_drawing = 0.0
        study = read_study(study_name, runs_dir)
        claims = study_claims(study, claims_path)
        if study.records:
            find_comparison(study, claims, selection)
        self.progress = self._describe_progress()
        self.shown = Shown("none", self._message("none", "The page is being drawn; it shows itself when it is ready."))

    def look_soon(self) -> None:
        """Start to check whether the records have changed, unless that was done a moment ago."""
        if time.monotonic() >= self._next_look and not (self._thread and self._thread.is_alive()):
            self._next_look = time.monotonic() + self._every
            self._thread = threading.Thread(target=self._look, daemon=True)  # a drawing isn't waited for at the end
            self._thread.start()

    def _look(self) -> None:
        version = "failed"
        try:
            self.progress = self._describe_progress()
            version = self._records_version()
            if version == self.shown.version or time.monotonic() < self._next_drawing:
                return
            begun = time.monotonic()
            html = self._drawn(version)
            self._next_drawing = time.monotonic() + _TIMES_AS_LONG * (time.monotonic() - begun)
        except Exception as error:  # the server outlives a record or a claims file that is broken for a while
            html = self._message(version, f"The page can't be drawn: {error or type(error).__name__}")
        self.shown = Shown(version, html)

    def _describe_progress(self) -> str:
        try:
            return self._ask_progress()
        except Exception as error:  # a record without what a trial's own holds; the page can be drawn without it
            return f"the study's progress is unknown: {type(error).__name__}: {printable(error)}"

    def _records_version(self) -> str:
        """A version of all files that the page is drawn from, by their times and sizes."""
        paths = [*study_files(self._name, self._runs_dir), *([self._claims_path] if self._claims_path else [])]
        stats = [path.stat() for path in paths]
        return sha256(repr([(each.st_mtime_ns, each.st_size) for each in stats]).encode()).hexdigest()[:16]

    def _drawn(self, version: str) -> str:
        study = read_study(self._name, self._runs_dir)
        if not study.records:
            return self._message(version, "No trial has left a record yet; the page shows itself when one has.")
        return report_page(study, study_claims(study, self._claims_path), version, self._selection)

    def _message(self, version: str, message: str) -> str:
        return rendered("message.html.jinja", version, title=self._name, message=printable(message))
