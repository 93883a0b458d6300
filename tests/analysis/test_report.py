import io
import itertools
import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from example_charts import CHARTS
from example_claims import CLAIMS
from PIL import Image
from rich.console import Console

from hostile_records import change_record
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.figures import figures
from skiplab.analysis.figures.palette import arm_colors, to_png, to_svg
from skiplab.analysis.page import report
from skiplab.analysis.page.report import report_command, write_report
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.parity import unequal_arms
from skiplab.analysis.tables.table_command import table_command
from skiplab.analysis.text import interval_text, level_text, markdown, number, ratio, ratio_interval_text
from skiplab.printable import printable

HOSTILE = "<script>alert(1)</script>[red]x[/red] $\\frac$ |a| \x1b[31mred\x07"


class Page(HTMLParser):
    """Collects what a browser would act on: tags, attributes, addresses, text, scripts; tags are closed in order."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.words, self.alts, self._open = [], [], [], [], []
        self.attributes, self.headings, self.raw = [], [], {"script": "", "style": ""}
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.attributes.append(values)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        self.addresses += [values[name] for name in ("src", "href") if name in values]
        if tag == "img":
            self.alts.append(values["alt"])
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.attributes.append(dict(attrs))
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if self._open and self._open[-1] in self.raw:
            self.raw[self._open[-1]] += data
        else:
            self.words.append(data)

    def values(self, name):
        """Every value of an attribute."""
        return [attributes[name] for attributes in self.attributes if name in attributes]


def trial_rows(html):
    """How many trials the page lists."""
    return html.split('<table class="sortable">')[1].split("</table>")[0].count('<th scope="row">')


def page_of(runs, claims=None):
    return write_report(read_study("s", runs.folder), claims).read_text()


@pytest.fixture(scope="module")
def html(whole_page) -> str:
    return whole_page.read_text()


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_holds_everything_and_asks_for_nothing(html, page):
    records = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert len(records) == trial_rows(html)
    assert all(re.fullmatch(r"\.\./\.\./[0-9a-f]{16}/", address) for address in records)  # beside the page's own folder
    assert page.tags.count("figure") == len(["headline", "loss curves", "forest", "interaction"]) + len(CHARTS)
    assert len(page.alts) == 2 * 2 * 2  # a grid for each arm of each cell
    assert all(page.alts)
    text = " ".join(page.words)
    for words in (
        "supported in 2 of 2 cells",
        "The verdict: preliminary, at shared settings.",
        "All arms cost as much as the control",
        "ValueError: no good",
    ):
        assert words in text
    assert len(html) < 3_000_000


def test_only_the_pages_own_script_and_style_are_allowed(page):
    (policy,) = (each["content"] for each in page.attributes if "http-equiv" in each)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for name, text in (("script-src", page.raw["script"]), ("style-src", page.raw["style"])):
        assert rules.pop(name) == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
    assert rules == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert not [name for each in page.attributes for name in each if name == "style" or name.startswith("on")]


def test_headings_come_in_order_and_columns_have_a_scope(page):
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(page.headings))
    assert page.tags.count("th") == sum(scope in ("col", "row") for scope in page.values("scope"))
    assert page.tags.count("main") == page.tags.count("header") == 1


def test_names_are_unique_and_what_is_referred_to_is_there(page):
    names = page.values("id")
    assert len(names) == len(set(names))
    inside = {address.removeprefix("#") for address in page.addresses if address.startswith("#")}
    clips = {value.removeprefix("url(#").removesuffix(")") for value in page.values("clip-path")}
    assert clips
    assert inside | clips <= set(names)


def test_whatever_belongs_to_a_cell_or_an_arm_can_be_hidden(page):
    boxes = {(each["name"], each["data-level"]): each["value"] for each in page.attributes if "data-level" in each}
    factors = {"long_skip": ["none", "concat"], "depth": ["4", "16"], "arm": ["plain", "identity"]}
    assert set(boxes) == {(name, level) for name, levels in factors.items() for level in levels}
    used = [set(tags.split()) for tags in page.values("data-in")]
    assert set().union(*used) == set(boxes.values())
    (cells,) = page.values("data-cells")
    products = itertools.product(factors["depth"], factors["long_skip"])
    expected = {frozenset({boxes["depth", depth], boxes["long_skip", skip]}) for depth, skip in products}
    assert {frozenset(tags.split()) for tags in cells.split(";")} == expected


def test_a_study_of_one_cell_and_one_arm_has_no_filters(runs):
    runs.trial(summary={"skill_train": 0.5})
    assert "form" not in Page(page_of(runs)).tags


@pytest.mark.usefixtures("undrawn")
def test_the_better_mean_is_bold_where_nothing_went_wrong(fill):
    html = page_of(fill(effect=0.3, num_seeds=4))
    assert "Every trial that was read" in html
    table = html.split("<h3>skill_train</h3>")[1].split("</table>")[0]
    rows = [row for row in table.split("<tr")[2:] if ">none</" in row or ">concat</" in row]
    assert len(rows) == 6
    for row in rows:
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        depth, plain, identity = cells[1:4]
        if depth != "4":  # where shortcuts do nothing
            assert identity.startswith("<b>")
            assert not plain.startswith("<b>")


def test_figures_are_grouped_by_who_measured_them_instruments_first(html, page):
    groups = ["Training", "Gradient flow", "Update ratio", "Denoising loss", "Noise levels", "Scales", "Landscape"]
    assert re.findall(r"<summary><h3>(.*?)</h3>", html) == groups
    assert page.addresses.count("#figures-6") == 1
    assert "measured after training by evaluator=noise_levels" in " ".join(page.words)


def test_a_chart_without_values_is_left_out(fill):
    runs = fill(effect=0.1, num_seeds=1, depths=(4,))
    for key in read_study("s", runs.folder).trials["key"]:
        change_record(runs.folder / key, charts=CHARTS)
    assert re.findall(r"<summary><h3>(.*?)</h3>", page_of(runs)) == ["Denoising loss"]


def test_of_many_trials_those_of_the_lowest_seeds_are_drawn(fill, monkeypatch):
    runs = fill(effect=0.1, num_seeds=3, depths=(4,))
    study = read_study("s", runs.folder)
    assert report.drawable(study) == (study, "")
    count = len(study.trials)
    monkeypatch.setattr(report, "_MOST_DRAWN", 2 * count // 3)
    drawn, left_out = report.drawable(read_study("s", runs.folder))
    assert drawn.trials["seed"].value_counts().to_dict() == {0: count // 3, 1: count // 3}
    assert list(drawn.records) == list(drawn.trials["key"])
    assert set(drawn.measurements["key"]) <= set(drawn.records)
    assert left_out.startswith(
        f"The study has {count} trials: charts, the comparison at equal cost and the list of trials show the "
        f"{2 * count // 3} "
    )
    html = page_of(runs)
    assert left_out in html
    assert trial_rows(html) == 2 * count // 3


def test_real_images_stand_beside_the_samples_of_networks_that_saw_them(runs):
    keys = [runs.trial(choices={"connection": arm}, summary={"skill_train": 0.5}) for arm in ("plain", "identity")]
    for key in keys:
        runs.picture(key)
    assert len(Page(page_of(runs)).alts) == 2
    runs.picture(keys[1], name="real_images.png")
    alts = Page(page_of(runs)).alts
    assert (len(alts), alts[0]) == (3, "Grid of real images of the training set")
    runs.trial(factors={"data.size": 5}, seed=1)
    runs.trial(factors={"data.size": 6}, seed=2)
    assert "Grid of real images of the training set" not in Page(page_of(runs)).alts  # which are those of one data set


@pytest.mark.usefixtures("undrawn")
def test_what_went_wrong_is_on_the_page(fill):
    runs = fill(effect=0.1, num_seeds=1)
    runs.trial(seed=5, choices={"long_skip": "none"}, status="failed")
    runs.trial(seed=6, choices={"long_skip": "none"}, status="diverged")
    runs.trial(seed=7, choices={"long_skip": "none"}, status="running")
    runs.trial(
        seed=8, choices={"long_skip": "none"}, status="interrupted", error="SIGTERM; the same command resumes it"
    )
    runs.list_key("s", "eeeeeeeeeeeeeeee")
    broken = read_study("s", runs.folder).trials["key"][0]
    runs.write(broken, "samples.png", "no picture")
    runs.write(broken, "history.csv", "no,table\n1,2\n")
    text = " ".join(Page(page_of(runs)).words)
    for words in (
        "ValueError: no good",
        "diverged at step 7",
        "running, or killed before its end",
        "stopped: SIGTERM; the same command resumes it",
        "plain: 1 diverged, counted as 0; plain: 1 failed; plain: 1 running; plain: 1 interrupted",
        "trial eeeeeeeeeeeeeeee: its folder is missing",
        f"{broken}/samples.png",
        f"{broken}/history.csv",
    ):
        assert words in text


def test_a_study_with_nothing_to_show_still_has_a_page(runs):
    runs.trial(status="running")
    text = " ".join(Page(page_of(runs)).words)
    assert "No trial has been measured yet" in text
    assert "Nothing has been logged yet" in text


def test_a_study_that_lists_nothing_readable_has_a_page(runs):
    runs.list_key("s", "eeeeeeeeeeeeeeee")
    assert "its folder is missing" in " ".join(Page(page_of(runs)).words)


def test_hostile_names_are_shown_as_text_everywhere(runs, claims_file, tmp_path, capsys):
    for seed in range(3):
        for arm in ("plain", HOSTILE):
            key = runs.trial(
                seed=seed,
                choices={"connection": arm, "long_skip": HOSTILE},
                summary={"skill_train": 0.5 + seed / 10, HOSTILE: 1.0 + seed},
            )
            runs.write(key, "history.csv", "step,metric,value\n0,loss,1.0\n1,loss,0.5\n")
    runs.trial(seed=9, status="failed", error=HOSTILE)
    study = read_study("s", runs.folder)
    text = CLAIMS.replace("treatment: identity", f"treatment: {json.dumps(HOSTILE)}")
    text = text.replace(
        "contrast: interaction\n    over: depth\n    cells: {long_skip: [none, concat]}", "contrast: difference"
    )
    claims = read_claims(claims_file(text.replace("text: Plain", "text: <script>[bold]Plain")))
    assert claims.claims[0].parts[0].contrast.treatment == HOSTILE
    html = write_report(study, claims).read_text()
    page = Page(html)
    assert page.tags.count("script") == 1
    assert not [sign for sign in "\x1b\x07" if sign in html]
    assert "<script>alert(1)</script>[red]x[/red] $\\frac$ |a| \\x1b[31mred\\x07" in " ".join(page.words)
    console = Console(width=400, color_system=None)
    console.print(render_verdicts(judge(study, claims)))
    table_command("s", runs.folder, metrics=["skill_train", HOSTILE], console=console)
    report_command("s", runs.folder, console=console)
    out = capsys.readouterr().out
    assert out.count("<script>alert(1)") == out.count("<script>alert(1)</script>[red]x[/red]") > 10
    assert "[bold]Plain" in out
    assert "\x1b" not in out
    assert "\x07" not in out
    table = (study.folder / "table.md").read_text()
    assert "<script>" not in table
    assert "\x1b" not in table
    assert len({line.count(" | ") for line in table.splitlines() if line.startswith("| ")}) == 1
    tex, html = ((study.folder / f"table.{ending}").read_text() for ending in ("tex", "html"))
    assert r"\$\textbackslash{}frac\$ \textbar{}a\textbar{} \textbackslash{}x1b" in tex
    assert len({line.count(" & ") for line in tex.splitlines() if line.endswith(r"\\")}) == 1
    assert "script" not in Page(html).tags


def test_unequal_arms_are_named(runs):
    for arm, parameters in (("plain", 100), ("identity", 100), ("dense", 150)):
        runs.trial(
            choices={"connection": arm},
            factors={"lr": 0.1 if arm == "dense" else 0.2},
            parity={"num_parameters": parameters},
        )
    found = unequal_arms(read_study("s", runs.folder), "plain")
    assert found == ["dense was run at other levels of lr than plain: 0.1 against 0.2"]
    runs.trial(choices={"connection": "dense"}, factors={"lr": 0.2}, parity={"num_parameters": 150})
    found = unequal_arms(read_study("s", runs.folder), "plain")
    assert "lr 0.2: dense has 1.5 times the parameters of plain" in found


def test_long_names_stay_inside_a_figure(runs):
    for arm in ("plain", "identity", "scaled, update_factor 0.5 " * 9):
        for depth in (4, 8):
            runs.trial(choices={"connection": arm}, factors={"depth": depth}, summary={"skill_train": 0.5})
    figure = figures.headline_figure(read_study("s", runs.folder))
    to_svg(figure)
    (legend,) = figure.legends
    assert legend.get_window_extent().width < figure.bbox.width


def test_arms_keep_their_colors():
    assert arm_colors(["plain", "identity"]).items() <= arm_colors(["dense", "identity", "plain", "gated"]).items()
    colors = arm_colors(["dense", "identity", "plain", "gated"])
    assert len(set(colors.values())) == 4


@pytest.mark.parametrize("draw", [figures.loss_curves, figures.headline_figure])
def test_figures_draw_each_arm_in_each_panel(draw, with_series, tmp_path):
    figure = draw(read_study("s", with_series))
    svg = to_svg(figure)
    assert svg == to_svg(draw(read_study("s", with_series)))  # nothing random, no date
    for color in arm_colors(["plain", "identity"]).values():
        assert color.lower() in svg
    for words in ("long_skip none", "long_skip concat", "currentColor"):
        assert words in svg
    to_png(figure, tmp_path / "figure.png", dpi=40)
    with Image.open(tmp_path / "figure.png") as image:
        assert image.format == "PNG"


def test_a_notebook_shows_a_figure_by_itself_on_a_white_ground(fill):
    figure = figures.headline_figure(read_study("s", fill(effect=0.1, num_seeds=2).folder))
    png, size = figure._repr_png_()
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == pytest.approx((2 * size["width"], 2 * size["height"]), abs=2)
        assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_a_figure_of_skill_shows_the_strongest_simple_baseline(fill):
    study = read_study("s", fill(effect=0.1, num_seeds=4).folder)
    ax = figures.outcome(study, "skill_train").axes[0]
    (line,) = [line for line in ax.get_lines() if line.get_label() == "best affine predictor, validation images"]
    trials = study.trials
    affine = 1 - trials["loss_affine"].mean() / trials["loss_zero"].mean()
    assert list(line.get_ydata()) == pytest.approx([affine, affine])


def test_an_outcome_figure_shows_its_baselines_and_every_seed(fill):
    study = read_study("s", fill(effect=0.1, num_seeds=4).folder)
    figure = figures.outcome(study, "loss_val")
    ax = figure.axes[0]
    labels = [line.get_label() for line in ax.get_lines()]
    of_validation = {f"{name} predictor, validation images" for name in ("zero", "best affine")}
    assert of_validation <= set(labels)
    dots = [line for line in ax.get_lines() if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in dots) == 2 * 3 * 4


def test_without_depths_arms_are_rows_from_the_best_down(runs):
    for arm, skills in {"plain": (0.1, 0.3), "identity": (0.7, 0.9), "dense": (0.5, 0.5)}.items():
        for seed, skill in enumerate(skills):
            runs.trial(seed=seed, choices={"connection": arm}, summary={"skill_train": skill})
    figure = figures.headline_figure(read_study("s", runs.folder))
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["plain", "dense", "identity"]  # upwards
    dots = [line for line in ax.get_lines() if line.get_marker() == "." and len(line.get_xdata())]
    assert sorted(value for line in dots for value in line.get_xdata()) == [0.1, 0.3, 0.5, 0.5, 0.7, 0.9]


def test_numbers_under_a_row_of_arms_stand_apart(runs):
    for arm, skill in {"plain": 0.8782, "hyper_connections_dynamic": 0.8805}.items():
        for seed in range(5):
            summary = {"skill_train": skill + 0.0003 * seed, "loss_zero": 1.0, "loss_affine": 0.1313}
            runs.trial(seed=seed, choices={"connection": arm}, summary=summary)
    figure = figures.outcome(read_study("s", runs.folder), "skill_train")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = sorted((tick.label1.get_window_extent() for tick in ax.xaxis.get_major_ticks()), key=lambda box: box.x0)
    assert all(left.x1 + left.width / 4 < right.x0 for left, right in pairwise(boxes))


def test_lower_bounds_and_diverged_trials_have_marks_of_their_own(runs):
    states = [("done", 1.0), ("done", 0.0), ("diverged", 1.0)]
    for depth in (4, 8):
        for seed, (status, reached) in enumerate(states):
            summary = {"steps_to_threshold": 10.0 + seed, "threshold_reached": reached}
            runs.trial("by_depth", seed=seed, factors={"depth": depth}, summary=summary, status=status)
            runs.trial(f"only_{depth}", seed=seed, factors={"depth": depth}, summary=summary, status=status)
    for study, marks in (("by_depth", [".", "^", "x"]), ("only_4", [".", ">", "x"])):
        (ax,) = figures.outcome(read_study(study, runs.folder), "steps_to_threshold", "connection").axes
        found = [line.get_marker() for line in ax.get_lines() if line.get_marker() in ".^>x" and len(line.get_xdata())]
        assert sorted(found) == sorted(marks)


def test_a_loss_curve_is_the_geometric_mean(runs):
    for seed, losses in enumerate(((1.0, 0.25), (4.0, 1.0))):
        key = runs.trial(seed=seed)
        rows = "\n".join(f"{step},loss,{loss}" for step, loss in enumerate(losses))
        runs.write(key, "history.csv", f"step,metric,value\n{rows}\n")
    (line, *_) = figures.loss_curves(read_study("s", runs.folder)).axes[0].get_lines()
    assert line.get_ydata() == pytest.approx([2.0, 0.5])


def test_text():
    assert printable("a\x1b[31m\u202eb\n") == "a\\x1b[31m\\u202eb\n"
    assert markdown("a|b <i> [x](y) _z_ snake_case") == "a\\|b &lt;i&gt; \\[x\\](y) \\_z\\_ snake_case"
    assert number(0.123456, 0.01) == "0.123"
    assert number(12345.6, 300) == "12350"
    assert number(-1e-9, 0.1) == "0.00"
    assert ratio(1.2345, 1.1, 1.4) == "1.23"
    assert ratio_interval_text(0.00123, 456.0) == "[0.00123, 460]"
    assert ratio_interval_text(0.0, 2.0) == "[0, 2.00]"
    assert ratio_interval_text(0.0, float("inf")) == interval_text(float("-inf"), float("inf")) == "–"
    assert [level_text(value) for value in (8, 8.0, 1e-3, True, None, "none")] == [
        "8",
        "8",
        "0.001",
        "true",
        "null",
        "none",
    ]
