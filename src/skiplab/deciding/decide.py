"""`skiplab decide`: train what the next declared look needs, judge, and go on only where a test is still open."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.claims.study_claims import study_claims
from skiplab.analysis.claims.verdicts import Verdict, judge
from skiplab.analysis.page.report import report_command
from skiplab.check_claims import check_claims
from skiplab.deciding.cost import Pace, is_left
from skiplab.deciding.coverage import coverage_notes
from skiplab.deciding.going_on import go_on_from
from skiplab.deciding.ladder import Ladder, Needed, NextLook
from skiplab.deciding.limits import Limits
from skiplab.deciding.outlook import Outlook
from skiplab.deciding.progress_lines import (
    after_look,
    closing,
    expected,
    look_name,
    next_look,
    opening,
    stopped,
    test_name,
)
from skiplab.deciding.sources import Source, find_source, of_presets
from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.records.fingerprint import looked_at_once
from skiplab.sweeps.preview import costs_of, training_flops
from skiplab.sweeps.status import duration

Train = Callable[[list[str]], None]


def decide(
    name: str,
    overrides: Sequence[str],
    claims: Path | None,
    limits: Limits,
    train: Train,
    config_dir: Path | None = None,
    console: Console | None = None,
) -> list[Verdict]:
    """Climb the ladder of a preset's or a study's claims.

    Args:
        name: of a preset, or of a study.
        overrides: the user's.
        claims: a claims file with looks; None for the study's or the preset's own.
        limits: how far to go.
        train: runs the Hydra application with a command line.
        config_dir: the folder of the user's own options; None for none.
        console: receives what is said; None: the terminal.

    Returns:
        The verdicts; none after a dry run.

    Raises:
        SkiplabError: something given is invalid, before anything is trained; or trials failed.
    """
    search_path = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    with _loader(config_dir) as loader:
        source = find_source(loader, name, [*search_path, *overrides], claims)
        ladder = _checked(source, limits)
    return _Climb(ladder, limits, train, console or terminal.console()).run()


def decide_presets(
    presets: Sequence[str],
    overrides: Sequence[str],
    limits: Limits,
    train: Train,
    console: Console,
    published: Path | None = None,
) -> list[Verdict]:
    """The same for presets whose trials join one study.

    Args:
        published: the folder of a published result to go on from; None to go on from records alone.

    Raises:
        SkiplabError: as above.
    """
    with _loader() as loader:
        ladder = _checked(of_presets(loader, presets, overrides, None), limits)
        if published is not None:
            go_on_from(published, ladder)
    return _Climb(ladder, limits, train, console).run()


@contextmanager
def _loader(config_dir: Path | None = None) -> Iterator[ConfigLoader]:
    """Hydra's loader, which knows the options of a folder of the user's own too, as behind `train --config-dir`."""
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        loader: Any = GlobalHydra.instance().config_loader()
        if config_dir is not None:
            folders = loader.get_search_path()
            folders.prepend("skiplab", f"file://{config_dir.resolve()}", "schema")  # which must be last
            loader.repository.initialize_sources(folders)
        yield loader


def _checked(source: Source, limits: Limits) -> Ladder:
    """The ladder, once its claims are known to suit its trials."""
    ladder = Ladder.of(source, limits)
    config = ladder.points[0].template.copy([]).config
    config.run.claims = str(source.claims)
    check_claims(config)
    return ladder


class _Climb:
    """One run of the command; whatever was done before it is on disk, an interrupted look too."""

    def __init__(self, ladder: Ladder, limits: Limits, train: Train, console: Console) -> None:
        self.ladder, self.limits, self.train, self.console = ladder, limits, train, console
        self._started = time.monotonic()
        self._noted: set[str] = set()  # caveats that were said
        self._stopped: set[str] = set()  # tests of which it was said that they stop

    def run(self) -> list[Verdict]:
        """The verdicts at the end; none after a dry run, or before the first look."""
        self._say(*opening(self.ladder))
        self._say(*coverage_notes(self.ladder.source, self.ladder.claims, self.ladder.points))
        self._register()
        while True:
            plan = self._next_look()
            if plan is None or self.limits.dry_run or not self._fits(plan):
                break
            self._train(plan)
            self._register()
        return [] if self.limits.dry_run else self._conclude()

    def _register(self) -> None:
        """Let the study be judged by these claims from now on, and say once what limits its verdicts."""
        study = None if self.limits.dry_run else self.ladder.study()
        found = study_claims(study, self.ladder.source.claims) if study is not None else None
        new = [caveat for caveat in (found.caveats if found else ()) if caveat not in self._noted]
        self._say(*(f"note: {caveat}" for caveat in new))
        self._noted |= set(new)

    @looked_at_once()
    def _next_look(self) -> NextLook | None:
        """Say how things stand and what comes next; None if nothing does."""
        ladder = self.ladder
        pace = self._pace = Pace(ladder.points, ladder.seeds(ladder.looks[-1]), ladder.taken_over)
        if not ladder.first_is_done:
            everything = ladder.everything(ladder.looks[-1])
            plan = NextLook(ladder.looks[0], ladder.everything(ladder.looks[0]))
            self._say_expected(pace, everything, None)
        else:
            study = ladder.study()
            assert study is not None  # its trials are done
            outlooks = ladder.outlooks(study)
            self._say(*after_look(ladder, judge(study, ladder.claims), outlooks))
            self._say_stopped(outlooks, pace)
            plan = ladder.next_look(outlooks)
            if plan is not None:
                self._say_expected(pace, ladder.at_most(outlooks), ladder.likely(outlooks))
        if plan is None:
            self._say("nothing is left to train: every test is decided, was stopped, or had its last look")
        else:
            self._say(*next_look(ladder, plan, pace.cost(plan.needed)))
        return plan

    def _say_expected(self, pace: Pace, at_most: Needed, likely: Needed | None) -> None:
        self._say(expected(pace.cost(at_most), None if likely is None else pace.cost(likely)))
        if self.limits.dry_run:
            published = self.ladder.taken_over
            flops = sum(
                training_flops(point.template, costs_of(point.template))
                * sum(is_left(point.job(seed), published) for seed in seeds)
                for point, seeds in at_most.items()
            )
            self._say(f"at most {flops:.2g} FLOPs to train them, without instruments and evaluation")

    def _say_stopped(self, outlooks: Sequence[Outlook], pace: Pace) -> None:
        """Say of each test that stops now why it does."""
        at_most, seeds = self.ladder.at_most(outlooks), self.ladder.seeds(self.ladder.claims.looks[-1])
        for each in outlooks:
            if each.stops and test_name(each, self.ladder.claims) not in self._stopped:
                needed = dict.fromkeys(each.points, seeds)
                alone = {point: [seed for seed in seeds if seed not in at_most.get(point, ())] for point in needed}
                self._say(stopped(self.ladder, each, pace.cost(needed), pace.cost(alone)))
        self._stopped = {test_name(each, self.ladder.claims) for each in outlooks if each.stops}

    def _fits(self, plan: NextLook) -> bool:
        """Whether the budget has the time for a look; if it isn't known, the look is trained."""
        budget = self.limits.budget
        if budget is None:
            return True
        seconds = self._pace.cost(plan.needed).seconds
        left = max(0.0, budget - (time.monotonic() - self._started))
        if seconds is None:
            self._say("the budget can't be compared with this look, because no trial is done that would tell its time")
            return True
        if seconds <= left:
            return True
        self._say(
            f"stopped before {look_name(self.ladder, plan.num_seeds)}: it takes about {duration(seconds)}, more than "
            f"the {duration(left)} that are left of the budget; to go on, run the command again"
            + (" with a larger --budget" if seconds > budget else "")
        )
        return False

    def _train(self, plan: NextLook) -> None:
        for sweep in self.ladder.source.sweeps:
            own = {point: seeds for point, seeds in plan.needed.items() if point in sweep.points}
            if self.ladder.lacks(own):
                self.train(sweep.train_words(self.ladder.without_published(own)))
            if self.ladder.lacks(own):  # else it would be trained again and again
                raise SkiplabError(
                    f"{look_name(self.ladder, plan.num_seeds)} lacks trials although its sweep has ended; run the "
                    "command again, and give other overrides if that doesn't help"
                )

    def _conclude(self) -> list[Verdict]:
        if not self.ladder.first_is_done:
            return []
        source = self.ladder.source
        self.console.print()
        verdicts = report_command(source.study, source.runs_dir, source.claims, self.console)
        self._say(closing(self.ladder, verdicts))
        return verdicts

    def _say(self, *lines: str) -> None:
        for line in lines:
            terminal.say(self.console, line)
