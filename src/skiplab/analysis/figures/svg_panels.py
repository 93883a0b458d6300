"""A figure cut into inline SVGs, one a panel, so that a page can hide panels and arms."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox

from skiplab.analysis.figures.marks import Mark, mark_of
from skiplab.analysis.figures.palette import POINTS_PER_INCH, svg_text
from skiplab.analysis.figures.svg_definitions import Definitions
from skiplab.printable import printable

Element = ElementTree.Element
Tags = Callable[[Mark], str]

_PIXELS_PER_POINT = 96 / POINTS_PER_INCH  # on a page
_NARROWER = 0.83  # so that three panels with labels of their own fit a row of the page
_MARGINS = (0.6, 0.1, 0.45, 0.3)  # inches beside a panel that has neighbors: left, right, below, above
_PAD = 3.0  # points around a panel: other fonts are wider
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_NUMBERS = ("d", "x", "y", "width", "height", "transform", "points")


class Panel(NamedTuple):
    """kind: 'panel', or 'scale' of a scale of colors; tags: the levels and the arm that it shows; width: in pixels."""

    svg: Markup
    kind: str
    tags: str
    width: float


class LegendEntry(NamedTuple):
    """A line or a patch of the legend, with its words."""

    svg: Markup
    text: str
    tags: str


class Pieces(NamedTuple):
    """A figure in pieces, each of which may be hidden."""

    panels: list[Panel]
    legend: list[LegendEntry]


def cut(figure: Figure, title: str, tags: Tags, definitions: Definitions) -> Pieces:
    """The figure's panels and legend as SVGs that a page holds in itself.

    What they share (markers, clip paths, styles) goes to the page's definitions, which are never hidden.

    Args:
        figure: its layout is settled here, and each panel gets axis labels of its own.
        title: what the figure shows, for those who don't see it.
        tags: names what a mark stands for.
        definitions: the page's own.
    """
    figure.set_dpi(POINTS_PER_INCH)
    figure.set_figwidth(_NARROWER * figure.get_figwidth())
    _lay_out(figure)
    _let_panels_stand_alone(figure.axes)
    marks = _name_artists(figure)
    root = _parsed(svg_text(figure, settled=True))
    definitions.take(root)
    groups = {group.get("id"): group for group in root.iter("g")}
    for name, shown in marks.items():
        if name in groups:
            _say(groups[name], shown, tags)
    panels = [_panel(ax, groups[ax.get_gid()], title, tags) for ax in figure.axes]
    legend = [entry for each in figure.legends for entry in _entries(each, groups[each.get_gid()], tags)]
    return Pieces(panels, legend)


def _lay_out(figure: Figure) -> None:
    """Settle where the panels stand; they may overlap, since they are shown apart.

    Panels of one row have one size, whatever their labels need, which would take matplotlib a quarter of a page's time
    to find out. One that is alone in its row, or beside a scale of colors, shares the width with its labels.
    """
    engine, specs = figure.get_layout_engine(), [ax.get_subplotspec() for ax in figure.axes]
    is_row = all(spec and spec.get_gridspec().ncols > 1 for spec in specs) and not any(map(_is_scale, figure.axes))
    if engine and not is_row:
        engine.execute(figure)
    figure.set_layout_engine("none")
    if is_row:
        _set_sizes(figure)


def _set_sizes(figure: Figure) -> None:
    """Give each panel its part of what the legend leaves, less `_MARGINS`."""
    left, right, bottom, top = _MARGINS
    width, height = figure.get_size_inches()
    legend = sum(each.get_window_extent().height for each in figure.legends) / figure.dpi
    for ax in figure.axes:
        spec = ax.get_subplotspec()
        assert spec is not None  # of a panel in a row
        grid = spec.get_gridspec()
        own_width, own_height = width / grid.ncols, (height - legend) / grid.nrows
        x, y = spec.colspan.start * own_width + left, height - spec.rowspan.stop * own_height + bottom
        size = (own_width - left - right, own_height - bottom - top)
        ax.set_position((x / width, y / height, size[0] / width, size[1] / height))


def _let_panels_stand_alone(axes: Sequence[Axes]) -> None:
    """What a grid says once a row, each panel says for itself; a scale of colors is as high as one panel."""
    panels = [ax for ax in axes if not _is_scale(ax)]
    words = next((ax.get_ylabel() for ax in panels if ax.get_ylabel()), "")
    for ax in panels:
        ax.tick_params(labelleft=True)
        ax.yaxis.label.set_visible(True)
        ax.set_ylabel(words)
    for scale in filter(_is_scale, axes):
        one, own = panels[0].get_position(), scale.get_position()
        scale.set_position((own.x0, one.y0, own.width, one.height))


def _name_artists(figure: Figure) -> Mapping[str, Mark]:
    """Give panels, legends and whatever is marked an id in the SVG."""
    marks = {}
    for position, artist in enumerate(figure.findobj()):
        shown = mark_of(artist)
        if shown or isinstance(artist, Axes | Legend):
            artist.set_gid(f"part-{position}")
        if shown and not isinstance(artist, Axes):
            marks[f"part-{position}"] = shown
    return marks


def _parsed(svg: str) -> Element:
    """The SVG without namespaces and with short numbers, as HTML holds it."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None
        for name in list(element.attrib):
            short, value = name.rpartition("}")[2], element.attrib.pop(name)
            if short == "transform" and value.startswith("rotate(-0 "):
                continue
            element.set(short, _shorter(value) if short in _NUMBERS else value)
        if element.tag not in ("text", "tspan", "title"):
            element.text = None
    return root


def _shorter(numbers: str) -> str:
    return " ".join(_LONG_NUMBER.sub(_rounded, numbers).split())


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _say(group: Element, shown: Mark, tags: Tags) -> None:
    """Write what a group belongs to, and what its points say where each has been drawn."""
    if found := tags(shown):
        group.set("data-in", found)
    parents = [parent for parent in group.iter("g") if parent.find("use") is not None]
    points = [(parent, use) for parent in parents for use in parent.findall("use")]
    if len(shown.texts) == 1 and not points:
        _title(group, shown.texts[0])
    elif len(shown.texts) == len(points):
        for text, (parent, use) in zip(shown.texts, points, strict=True):
            point = Element("g")
            _title(point, text)
            point.append(use)
            parent[list(parent).index(use)] = point


def _title(group: Element, text: str) -> None:
    title = Element("title")
    title.text = printable(text)
    group.insert(0, title)


def _panel(ax: Axes, group: Element, title: str, tags: Tags) -> Panel:
    shown = mark_of(ax)
    own = ax.get_ylabel() if _is_scale(ax) else ax.get_title()
    label = ": ".join(part for part in (title, " ".join(own.split())) if part)
    box = ax.get_tightbbox()
    assert box is not None  # of a panel that is visible
    svg = _svg([group], _downwards(box, ax), {"role": "img", "aria-label": _shown(label)})
    kind = "scale" if _is_scale(ax) else "panel"
    return Panel(svg, kind, tags(shown) if shown else "", box.width * _PIXELS_PER_POINT)


def _is_scale(ax: Axes) -> bool:
    return ax.get_label() == "<colorbar>"


def _entries(legend: Legend, group: Element, tags: Tags) -> list[LegendEntry]:
    """matplotlib draws each entry's line or patch, then its text."""
    entries, handles = [], []
    texts = iter(legend.get_texts())
    for child in group:
        if child.find(".//text") is None:
            handles.append(child)
            continue
        text = next(texts)
        size, place = float(text.get_fontsize()), _downwards(text.get_window_extent(), legend)
        right = place.x0 - legend.handletextpad * size
        place = Bbox.from_extents(right - legend.handlelength * size, place.y0, right, place.y1)
        shown = mark_of(text)
        svg = _svg(handles, place, {"aria-hidden": "true"})
        entries.append(LegendEntry(svg, _shown(text.get_text()).strip(), tags(shown) if shown else ""))
        handles = []
    return entries


def _shown(label: str) -> str:
    """A label as a figure shows it, where `\\$` is a dollar sign."""
    return label.replace(r"\$", "$")


def _downwards(box: Bbox, drawn: Artist) -> Bbox:
    """A box of a figure, where y goes upwards, in the SVG, where it goes downwards."""
    figure = drawn.get_figure()
    assert figure is not None  # of what was drawn
    height = figure.bbox.height
    return Bbox.from_extents(box.x0, height - box.y1, box.x1, height - box.y0)


def _svg(groups: Sequence[Element], box: Bbox, attributes: Mapping[str, str]) -> Markup:
    x, y, width, height = box.x0 - _PAD, box.y0 - _PAD, box.width + 2 * _PAD, box.height + 2 * _PAD
    svg = Element(
        "svg",
        {
            "viewBox": f"{x:.1f} {y:.1f} {width:.1f} {height:.1f}",
            "width": f"{width * _PIXELS_PER_POINT:.0f}",
            "height": f"{height * _PIXELS_PER_POINT:.0f}",
            **attributes,
        },
    )
    svg.extend(groups)
    _tidy(svg)
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def _tidy(element: Element) -> None:
    """Drop the names of groups, and groups that say nothing."""
    for child in list(element):
        child.attrib.pop("id", None)
        _tidy(child)
        if child.tag == "g" and not child.attrib and child.find("title") is None:
            position = list(element).index(child)
            element[position : position + 1] = list(child)
