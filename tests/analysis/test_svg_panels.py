import re
from xml.etree import ElementTree

import pytest

from skiplab.analysis.figures import figures
from skiplab.analysis.figures.chart_figures import chart_figure
from skiplab.analysis.figures.marks import mark_of
from skiplab.analysis.figures.palette import to_svg
from skiplab.analysis.figures.svg_definitions import Definitions
from skiplab.analysis.figures.svg_panels import cut
from skiplab.analysis.study.study import read_study
from skiplab.analysis.text import level_text


def tags(shown):
    """The tags of a mark as these tests read them: its levels and its arm."""
    levels = [f"{name}={level_text(level)}" for name, level in shown.cell.items()]
    return " ".join([*levels, *([shown.arm] if shown.arm else [])])


def pieces_of(figure, definitions=None):
    return cut(figure, "Title", tags, definitions or Definitions())


def tagged(panel):
    """The tags inside a panel, and how often each is there."""
    found = re.findall(r'data-in="([^"]*)"', panel.svg)
    return {each: found.count(each) for each in found}


@pytest.fixture(scope="module")
def study(with_series):
    return read_study("s", with_series)


def test_each_panel_says_which_cell_it_shows(study):
    pieces = pieces_of(chart_figure(study, "error_by_noise"))
    cells = {f"depth={depth} long_skip={skip}" for depth in (4, 16) for skip in ("none", "concat")}
    assert {" ".join(sorted(panel.tags.split())) for panel in pieces.panels} == cells
    for panel in pieces.panels:
        assert panel.kind == "panel"
        assert set(tagged(panel)) == {"plain", "identity"}
        assert "Title: " in panel.svg


def test_each_panel_has_labels_of_its_own(study):
    for panel in pieces_of(chart_figure(study, "error_by_noise")).panels:
        texts = [text.text for text in ElementTree.fromstring(panel.svg).iter("text")]
        assert {"place", "size"} <= set(texts)
        assert sum(re.fullmatch(r"[\d.]+(e-?\d+)?", text) is not None for text in texts) >= 4  # of both axes


def test_panels_of_a_row_have_one_size_whatever_their_labels_need(study):
    """Only the first of a row says its numbers where it is drawn in one piece."""
    figure = chart_figure(study, "error_by_noise")
    pieces_of(figure)
    sizes = {tuple(ax.get_position().size.round(6)) for ax in figure.axes}
    assert len(figure.axes) > len(sizes) == 1


def test_a_line_of_one_depth_belongs_to_it(study):
    pieces = pieces_of(figures.loss_curves(study))
    expected = {f"depth={depth} {arm}" for depth in (4, 16) for arm in ("plain", "identity")}
    for panel in pieces.panels:
        assert set(tagged(panel)) == expected
    assert {entry.tags: entry.text for entry in pieces.legend} == {
        f"depth={depth} {arm}": f"{arm}, depth {depth}" for depth in (4, 16) for arm in ("plain", "identity")
    }


def test_a_map_belongs_to_its_arm_and_a_scale_of_colors_to_none(study):
    pieces = pieces_of(chart_figure(study, "landscape"))
    assert [panel.kind for panel in pieces.panels] == ["panel"] * 4 + ["scale"]
    found = {panel.tags for panel in pieces.panels[:4]}
    assert all("depth=16" in each for each in found)
    assert {each.split()[-1] for each in found} == {"plain", "identity"}
    assert pieces.panels[-1].tags == ""


def test_whatever_has_the_color_of_an_arm_can_be_hidden(study):
    """What is left of a panel without its tagged groups holds no arm's color."""
    definitions = Definitions()
    drawn = [figures.loss_curves(study), *(chart_figure(study, name) for name in study.charts)]
    panels = [panel for figure in drawn for panel in pieces_of(figure, definitions).panels]
    colors = ("d55e00", "0072b2")
    own = {name for name, style in re.findall(r"\.(s\d+)\{(.*)\}", definitions.css) if any(c in style for c in colors)}
    assert own
    for panel in panels:
        root = ElementTree.fromstring(panel.svg)
        for parent in list(root.iter()):
            for child in [child for child in parent if child.get("data-in")]:
                parent.remove(child)
        assert not own & {element.get("class") for element in root.iter()}


def test_an_arm_takes_its_row_along(runs):
    for arm in ("plain", "identity"):
        for skip in ("none", "concat"):
            runs.trial(choices={"connection": arm, "long_skip": skip}, summary={"skill_train": 0.5})
    panels = pieces_of(figures.outcome(read_study("s", runs.folder), "skill_train")).panels
    assert len(panels) == 2
    for panel in panels:
        root = ElementTree.fromstring(panel.svg)
        holders = {text.text: parent.get("data-in") for parent in root.iter() for text in parent.findall("text")}
        assert {name: holders[name] for name in ("plain", "identity")} == {"plain": "plain", "identity": "identity"}


def test_means_say_their_value(study):
    panel = pieces_of(figures.outcome(study, "loss_val")).panels[0]
    titles = [title.text for title in ElementTree.fromstring(panel.svg).iter("title")]
    assert len(titles) == 2 * 2
    assert all(re.fullmatch(r"(plain|identity): [\d.]+, 95% \[-?[\d.]+, -?[\d.]+\]", title) for title in titles)
    bars = pieces_of(chart_figure(study, "share_of_scales")).panels[0]
    assert len(list(ElementTree.fromstring(bars.svg).iter("title"))) == 2 * 3


def test_definitions_are_shared_and_named_once(study):
    definitions = Definitions()
    alone = len(pieces_of(figures.outcome(study, "loss_val"), definitions).panels)
    before = definitions.svg
    again = pieces_of(figures.outcome(study, "loss_val"), definitions)
    assert len(again.panels) == alone
    assert definitions.svg == before
    names = re.findall(r' id="([^"]*)"', before)
    assert len(names) == len(set(names)) > 0
    used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', "".join(panel.svg for panel in again.panels))
    assert {name for pair in used for name in pair if name} <= set(names)
    assert " id=" not in "".join(panel.svg for panel in again.panels)


def test_marks_leave_files_of_a_figure_as_they_are(study):
    marked, bare = (figures.outcome(study, "loss_val") for _ in range(2))
    assert any(mark_of(artist) for artist in bare.findobj())
    for artist in bare.findobj():
        vars(artist).pop("skiplab_mark", None)
    assert not any(mark_of(artist) for artist in bare.findobj())
    assert to_svg(marked) == to_svg(bare)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_signs_that_xml_has_not_break_no_drawing(runs):
    for arm in ("plain", "a\uffff\ufffe\x00b"):
        runs.trial(choices={"connection": arm}, summary={"skill_train": 0.5})
    figure = figures.outcome(read_study("s", runs.folder), "skill_train")
    ElementTree.fromstring(to_svg(figure))
    (panel,) = pieces_of(figure).panels
    assert ">a\ufffd\ufffd\\x00b<" in panel.svg


def test_labels_show_what_matplotlib_would_read_as_mathematics(runs):
    for arm in ("plain", "$x$ <b>"):
        runs.trial(choices={"connection": arm}, summary={"skill_train": 0.5})
        runs.trial(choices={"connection": arm}, factors={"depth": 8}, summary={"skill_train": 0.5})
    pieces = pieces_of(figures.outcome(read_study("s", runs.folder), "skill_train"))
    assert [entry.text for entry in pieces.legend] == ["plain", "$x$ <b>"]
    assert [entry.tags for entry in pieces.legend] == ["plain", "$x$ <b>"]
    titles = {title.text for title in ElementTree.fromstring(pieces.panels[0].svg).iter("title")}
    assert {title.split(":")[0] for title in titles} == {"$x$ <b>", "plain"}
