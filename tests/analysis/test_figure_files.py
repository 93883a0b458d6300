import io
import shutil

import pytest
from rich.console import Console

from skiplab.analysis.figures.figure_files import figures_command
from skiplab.analysis.figures.figures import outcome
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError


def written(runs, **chosen):
    console = Console(width=200, record=True, file=io.StringIO())
    figures_command("s", runs.folder, console=console, **chosen)
    folder = runs.folder / "studies" / "s" / "figures"
    return {path.name: path.read_bytes() for path in folder.iterdir()}, console.export_text()


@pytest.fixture
def study(fill, runs):
    fill(effect=0.1, num_seeds=2, series=True, depths=(4, 8), long_skips=("none",))
    for key in read_study("s", runs.folder).trials["key"]:
        runs.picture(key)
    return runs


FEW = ["forest", "headline", "samples", "training_loss"]  # a test, a metric, pictures, curves


@pytest.mark.parametrize("only", [FEW, pytest.param(None, marks=pytest.mark.slow)], ids=["few", "all"])
def test_a_figure_is_written_in_every_format_the_same_each_time(only, study, claims_file):
    chosen = {"formats": ["pdf", "svg", "png"], "claims_path": claims_file()}
    first, printed = written(study, only=only, **chosen)
    names = {name.rpartition(".")[0] for name in first} - {"figures"}
    every = {*FEW, "interaction", "weight_gradient_norm"}
    assert names == set(FEW) if only else names > every
    for name, content in first.items():
        if name != "figures.md":
            start = {"pdf": b"%PDF", "svg": b"<svg", "png": b"\x89PNG"}[name.rpartition(".")[2]]
            assert content.startswith(start)
            assert name in printed
    assert len(first) == 3 * len(names) + 1
    shutil.rmtree(study.folder / "studies" / "s" / "figures")
    again, _ = written(study, only=["headline", "samples", "training_loss"], **chosen)
    assert len(again) == 3 * 3 + 1
    assert again.items() - {("figures.md", again["figures.md"])} <= first.items()
    assert b"/FontType 42" in first["headline.pdf"] or b"/CIDFontType2" in first["headline.pdf"]


def test_the_index_says_how_to_read_each(study):
    files, _ = written(study, only=["training_loss"], formats=["svg"])
    assert set(files) == {"training_loss.svg", "figures.md"}
    assert "the band runs from the lowest to the highest seed" in files["figures.md"].decode()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"formats": ["jpg"]}, "unknown format 'jpg'; valid: pdf, svg, png"),
        ({"only": ["headlin"]}, "unknown figure 'headlin'; valid: headline, .*did you mean 'headline'"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_written(study, chosen, message):
    with pytest.raises(SkiplabError, match=message):
        written(study, **chosen)
    assert not (study.folder / "studies" / "s" / "figures").exists()


def test_hostile_arms_are_drawn_as_text(runs):
    for arm in ("plain", "_$\\frac$ <script>"):
        for depth in (4, 8):
            key = runs.trial(choices={"connection": arm}, factors={"depth": depth}, summary={"skill_train": 0.5})
            runs.picture(key, mode="RGB")
    files, _ = written(runs, formats=["pdf", "svg", "png"])
    assert b"<script>" not in files["headline.svg"]
    assert b"&lt;script&gt;" in files["samples.svg"]


def test_cells_in_which_a_metric_was_not_measured_have_no_panel(runs):
    for skip, summary in (("none", {"skill_train": 0.5}), ("add", {"skill_train": 0.5, "frechet_distance": 3.0})):
        for depth in (4, 8):
            runs.trial(choices={"long_skip": skip}, factors={"depth": depth}, summary=summary)
    study = read_study("s", runs.folder)
    assert len(outcome(study, "skill_train").axes) == 2
    assert [ax.get_title() for ax in outcome(study, "frechet_distance").axes] == ["long_skip add"]
