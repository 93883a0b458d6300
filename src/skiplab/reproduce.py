"""The experiments that come with skiplab: a question, claims, and profiles that say how much of it is run.

An experiment is a folder experiments/NAME/ with a claims.yaml, and with an expected.csv where papers printed values.
Its profiles are the studies NAME_PROFILE of the presets conf/experiment/NAME/*.yaml. A preset names the claims that
judge its study.

The tables of a published profile lie in experiments/NAME/PROFILE/, beside result.json. That folder also holds a
claims.yaml where the profile has claims of its own, and a tuned.yaml where its trials take over what `skiplab tune`
found.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import yaml
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.published import Published, against_study, read_published, render_published
from skiplab.analysis.claims.verdict_files import VERDICTS
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.page.report import report_command
from skiplab.analysis.study.study import read_study
from skiplab.analysis.text import unknown_name
from skiplab.deciding.limits import Limits
from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.printable import printable
from skiplab.records.file_names import CLAIMS, TUNED
from skiplab.records.registrations import find_claims

DEMO = ("residual_in_diffusion", "quick")  # the experiment and profile of `skiplab demo`
DEMO_SEEDS = 5  # of a cell at most, so that it takes three minutes


class TrainedPart(TypedDict):
    """Trials that were published before a ladder went on from them: when, where and at what cost they were trained."""

    date: str
    trials: int
    seconds: float
    hardware: list[str]
    versions: dict[str, str]


class PublishedResult(TypedDict):
    """The content of result.json: when, where and at what cost a published profile ran, and what it said.

    versions: those that trained the last trials.
    went_on_from: the trials that were published before, oldest first; they are among the trials and the seconds.
    verdicts: the headline of each claim.
    published: for each value that a paper printed, ours and whether it agrees.
    """

    date: str
    trials: int
    seeds: int
    seconds: float
    each_on: str
    hardware: list[str]
    versions: dict[str, str]
    went_on_from: NotRequired[list[TrainedPart]]
    claims_sha256: str
    verdicts: dict[str, str]
    published: dict[str, str]


class PublishedConclusion(NamedTuple):
    """What a published profile concluded about a claim, and the most seeds that one of its cells took."""

    conclusion: str
    seeds: int


class Experiment(NamedTuple):
    """A question with its claims and profiles.

    folder: experiments/NAME.
    profiles: the presets of each profile; the first has the profile's name, others are further sweeps.
    """

    name: str
    folder: Path
    profiles: dict[str, list[str]]

    @property
    def question(self) -> str:
        return read_claims(self.folder / CLAIMS).question

    @property
    def published(self) -> list[Published]:
        """What papers printed; none where the question is of our own."""
        path = self.folder / "expected.csv"
        return read_published(path) if path.exists() else []

    def claims(self, profile: str) -> Path:
        """The claims that judge a profile: `run.claims` of its first preset."""
        return find_claims(_run_settings(self.profiles[profile][0])["claims"])

    def settings(self, profile: str) -> list[str]:
        """The override that gives a profile's trials their tuned settings; none where nothing was tuned."""
        tuned = self.folder / profile / TUNED
        return [f"hydra.sweeper.tuned={tuned}"] if tuned.exists() else []

    def description(self, profile: str) -> str:
        """What a profile trains, in one sentence: `run.description` of its first preset."""
        return _run_settings(self.profiles[profile][0])["description"]

    def result(self, profile: str) -> PublishedResult | None:
        """The result of the last published run; None where the profile was never published."""
        path = self.folder / profile / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def conclusions(self, profile: str) -> dict[str, PublishedConclusion]:
        """What the last published run of a profile concluded about each claim."""
        return _published_conclusions(self.folder / profile / VERDICTS)


def experiments() -> dict[str, Experiment]:
    """All experiments by name."""
    folders = [claims.parent for claims in sorted(project_dir("experiments").glob("*/claims.yaml"))]
    return {folder.name: Experiment(folder.name, folder, _profiles(folder.name)) for folder in folders}


def _published_conclusions(path: Path) -> dict[str, PublishedConclusion]:
    """What a published verdicts.csv says of each claim."""
    found: dict[str, PublishedConclusion] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["role"] == "part":
                before = found.get(row["claim"])
                seeds = max(int(row["n"]), before.seeds if before else 0)
                found[row["claim"]] = PublishedConclusion(row["claim_conclusion"], seeds)
    return found


def _profiles(name: str) -> dict[str, list[str]]:
    """The presets of each profile of an experiment."""
    profiles: dict[str, list[str]] = {}
    for path in sorted((project_dir("conf") / "experiment" / name).glob("*.yaml"), key=lambda path: path.stem):
        preset = f"{name}/{path.stem}"
        study = _run_settings(preset)["study"]
        profiles.setdefault(study.removeprefix(f"{name}_"), []).append(preset)
    return profiles


def _run_settings(preset: str) -> dict[str, Any]:
    """The node `run` of a preset's own file."""
    path = project_dir("conf") / "experiment" / f"{preset}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["run"]


def reproduce(
    name: str,
    profile: str,
    overrides: Sequence[str],
    train: Callable[[list[str]], None],
    console: Console | None = None,
    limits: Limits | None = None,
    *,
    go_on: bool = False,
) -> None:
    """Train a profile, judge its claims, write the study's page, and compare the results with published ones.

    Args:
        name: of the experiment.
        profile: of its profiles one.
        overrides: Hydra overrides for all trials.
        train: runs `skiplab train` with these words.
        console: receives verdicts and comparisons; None: the terminal.
        limits: how far to go if seeds are added look by look until the claims are decided; None: the profile's seeds.
        go_on: whether the looks go on from the published trials, which then aren't trained again.

    Raises:
        SkiplabError: if there is no such experiment or profile, or an override is none.
    """
    known = experiments()
    if name not in known:
        raise SkiplabError(unknown_name("experiment", name, list(known)))
    experiment = known[name]
    if profile not in experiment.profiles:
        raise SkiplabError(unknown_name(f"profile of {name}", profile, sorted(experiment.profiles)))
    if wrong := [word for word in overrides if "=" not in word and not word.startswith("~")]:
        example = wrong[0] if wrong[0] in experiment.profiles else profile
        raise SkiplabError(
            f"{wrong[0]} is not an override; write an override as NAME=VALUE, and a profile as --profile {example}"
        )
    claims = experiment.claims(profile)
    read_claims(claims)  # an invalid file is refused before anything is trained
    published = experiment.published
    console, presets = console or terminal.console(), experiment.profiles[profile]
    words = [*experiment.settings(profile), *overrides]
    runs_dir = next((o.split("=", 1)[1] for o in overrides if o.startswith("run.runs_dir=")), "runs")
    study, decide = f"{name}_{profile}", f"skiplab reproduce {name} --profile {profile} --decide"
    if limits is not None:
        from skiplab.deciding.decide import decide_presets  # which loads torch

        folder = experiment.folder / profile if go_on else None
        verdicts = decide_presets(presets, words, limits, train, console, folder)
        if not verdicts:  # nothing was judged
            return
    else:
        for preset in presets:
            train(["-m", f"experiment={preset}", *words])
        verdicts = report_command(study, Path(runs_dir), claims, console)
    if published:
        found = against_study(read_study(study, Path(runs_dir)), published, profile)
        console.print(render_published(found))
    if result := experiment.result(profile):
        console.print(_compared_with_published(verdicts, experiment.conclusions(profile), result["date"], decide))


def _compared_with_published(
    verdicts: Sequence[Verdict], published: Mapping[str, PublishedConclusion], date: str, decide: str
) -> Text:
    """How many conclusions equal the published ones, and what was published for the others.

    decide: the command that trains as many seeds as decide the claims.
    """
    others: list[str] = []
    undecided = 0
    for verdict in verdicts:
        name, was = verdict.claim.name, published.get(verdict.claim.name)
        if was is None:
            others.append(f"  {name}: not published")
        elif verdict.conclusion != was.conclusion:
            seeds = max(part.interval.n for cell in verdict.cells for part in cell.parts)
            undecided += seeds < was.seeds
            there = f"published: {was.conclusion} at {was.seeds}"
            others.append(f"  {name}: {verdict.conclusion} at {seeds} seeds; {there}")
    lines = [f"{len(verdicts) - len(others)} of {len(verdicts)} verdicts as published on {date}", *others]
    if undecided:
        lines.append(f"to train as many seeds: {decide}")
    return Text(printable("\n".join(lines)))


def list_experiments(console: Console | None = None) -> None:
    """Print each experiment's question, and the cost and verdicts of each published profile."""
    console = console or terminal.console()
    for experiment in experiments().values():
        console.print(Text(printable(experiment.name), style="bold"))
        console.print(_indented(experiment.question))
        for profile in sorted(experiment.profiles):
            result = experiment.result(profile)
            console.print(_indented(f"{profile}: {experiment.description(profile)}"))
            if result is None:
                console.print(_indented("not run", 4), style="dim")
                continue
            cost = f"{result['trials']} trials, {result['seconds']:.0f} s on {result['each_on']} each"
            console.print(_indented(f"{cost}, {result['date']}, {', '.join(result['hardware'])}", 4), style="dim")
            for claim, words in result["verdicts"].items():
                console.print(_indented(f"{claim}: {words}", 4), style="dim")
        console.print()


def _indented(text: str, by: int = 2) -> Padding:
    return Padding(Text(printable(text)), (0, 0, 0, by), expand=False)
