"""The verdicts of a study, as Python and notebooks show them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import pandas as pd
from markupsafe import escape

from skiplab.analysis import terminal
from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.study_claims import disagreement, study_claims
from skiplab.analysis.claims.verdict_files import verdicts_table
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdict_text import headline
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import unknown_name
from skiplab.errors import SkiplabError
from skiplab.printable import printable


class Verdicts(Sequence[Verdict]):
    """The verdicts on some claims, in the order of their file.

    One is had by its position or by the name of its claim, some by a slice or a list of names. Printed, they read as in
    the terminal; a notebook shows each in a line that unfolds.
    """

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        self._verdicts = tuple(verdicts)

    @overload
    def __getitem__(self, which: int | str) -> Verdict: ...
    @overload
    def __getitem__(self, which: slice | list[str]) -> "Verdicts": ...
    def __getitem__(self, which: int | str | slice | list[str]) -> "Verdict | Verdicts":
        if isinstance(which, slice):
            return Verdicts(self._verdicts[which])
        if isinstance(which, list):
            return Verdicts([self[name] for name in which])
        if isinstance(which, int):
            return self._verdicts[which]
        by_name = {verdict.claim.name: verdict for verdict in self._verdicts}
        if which not in by_name:
            raise SkiplabError(unknown_name("claim", which, list(by_name)))
        return by_name[which]

    def __len__(self) -> int:
        return len(self._verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._verdicts)

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each test in each cell, as in verdicts.csv."""
        return verdicts_table(self._verdicts)

    def __repr__(self) -> str:
        return _text(self._verdicts)

    def _repr_html_(self) -> str:
        lines = [
            f"<details><summary>{_shown(verdict.claim.text)} <b>{_shown(headline(verdict))}</b></summary>"
            f"<pre>{_shown(_text([replace(verdict, question='', claims_sha256='')]))}</pre></details>"
            for verdict in self._verdicts
        ]
        question = self._verdicts[0].question if self._verdicts else ""
        return f"<b>{_shown(question)}</b>{''.join(lines)}"


def claims_of_study(study: Study, given: str | Path | None) -> Claims:
    """The claims of a file, or those that the study remembers.

    Raises:
        SkiplabError: it remembers none, or the file can't be read.
    """
    claims = study_claims(study, None if given is None else Path(given))
    if claims is None:
        reason = disagreement(study) or f"study {printable(study.name)} remembers no claims"
        raise SkiplabError(
            f"{reason}; in Python, .verdicts('claims.yaml') judges by a file, and .compare('METRIC') asks one question "
            "without"
        )
    return claims


def judged(study: Study, claims: Claims) -> Verdicts:
    """The verdicts on all claims."""
    return Verdicts(judge(study, claims))


def _text(verdicts: Sequence[Verdict]) -> str:
    return terminal.plain_text(lambda console: console.print(render_verdicts(verdicts)))


def _shown(text: str) -> str:
    return str(escape(printable(text)))
