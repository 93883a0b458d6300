"""The report as a browser shows it."""

import json
from pathlib import Path

import pytest
from chromium import PROGRAM, Browser, browser
from example_charts import CHARTS
from served import served

from skiplab.analysis.page.report import write_report
from skiplab.analysis.study.study import read_study

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium is installed")

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)></svg>$x$\x1b[31m\u202e"
HOSTILE_AS_SHOWN = "<script>alert(1)</script><img src=x onerror=alert(2)></svg>$x$\\x1b[31m\\u202e"
HOSTILE_STUDY = "<img src=x onerror=alert(3)>$x$"

VISIBLE = "[...document.querySelectorAll({!r})].filter((e) => e.getClientRects().length && e.checkVisibility()).length"
# The lowest contrast between text and what lies behind it, after WCAG 2.2, and the text that has it.
LOWEST_CONTRAST = """
(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if ((parts(color)[3] ?? 1) > 0) return color;
    }
  };
  const own = (e) => getComputedStyle(e)[e.tagName === "text" ? "fill" : "color"];
  const texts = [...document.querySelectorAll("body *")].filter(
    (e) => e.getClientRects().length && e.checkVisibility()
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()),
  );
  return texts.map((e) => {
    const [low, high] = [luminance(own(e)), luminance(behind(e))].sort((a, b) => a - b);
    return [(high + 0.05) / (low + 0.05), e.textContent.slice(0, 60)];
  }).sort((a, b) => a[0] - b[0])[0];
})()
"""

DRAWN = len(["headline", "loss curves", "interaction"]) + len(CHARTS)  # the forest of a claim is folded


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def tab(chromium: Browser):
    """The browser, which must have nothing to complain about in the end."""
    chromium.complaints.clear()
    chromium.look()
    yield chromium
    assert chromium.complaints == []


@pytest.fixture
def page(whole_page) -> str:
    """Its address."""
    return address(whole_page)


def address(path: Path) -> str:
    return path.resolve().as_uri()


def visible(tab: Browser, selector: str) -> int:
    return tab.run(VISIBLE.format(selector))


def test_everything_is_drawn_and_fits(page, tab):
    tab.open(page)
    assert visible(tab, "figure") == DRAWN
    assert visible(tab, "img") == 2 * 2 * 2
    sizes = """[...document.querySelectorAll(".panel svg, .scale svg, .legend svg")].map((svg) => {
      const [box, drawn] = [svg.getBoundingClientRect(), svg.getBBox()];
      return Math.min(box.width, box.height, Math.max(drawn.width, drawn.height));
    })"""
    found = tab.run(sizes)
    assert len(found) > 20
    assert min(found) > 5
    missing = (
        """[...document.querySelectorAll("use")].filter((use) => !document.querySelector(use.getAttribute("href")))"""
    )
    assert tab.run(f"{missing}.length") == 0
    for scheme in ("light", "dark"):
        for width in (1280, 400):
            tab.look(width=width, scheme=scheme)
            assert tab.run("document.documentElement.scrollWidth") <= width
            contrast, text = tab.run(LOWEST_CONTRAST)
            assert contrast >= 4.5, (scheme, text)
    text_inside = """[...document.querySelectorAll(".panel svg")].every((svg) => {
      const edge = svg.getBoundingClientRect();
      return [...svg.querySelectorAll("text")].every((text) => {
        const box = text.getBoundingClientRect();
        return box.left > edge.left - 3 && box.right < edge.right + 3 && box.bottom < edge.bottom + 3;
      });
    })"""
    assert tab.run(text_inside)


def test_unchecked_levels_and_arms_are_hidden_until_all_is_shown(page, tab):
    tab.open(page)
    tab.click("#filters summary")
    everything = visible(tab, "[data-in]")
    tags = json.loads(
        tab.run(
            "JSON.stringify(Object.fromEntries([...document.querySelectorAll('#filters input')]"
            ".map((box) => [`${box.name} ${box.dataset.level}`, box.value])))"
        )
    )
    depth, skip, plain = tags["depth 4"], tags["long_skip concat"], tags["arm plain"]
    panels = visible(tab, ".panel")
    for tag in (depth, skip, plain):
        assert visible(tab, f'[data-in~="{tag}"]') > 10
    tab.click(f"#filter-{depth}")
    assert visible(tab, f'[data-in~="{depth}"]') == 0
    assert visible(tab, f'[data-in~="{tags["depth 16"]}"]') > 10
    assert 0 < visible(tab, ".panel") < panels
    assert tab.run("shown.textContent").startswith("2 of 4 cells, 2 of 2 arms shown")

    tab.run(f"document.getElementById('filter-{depth}').focus()")
    steps = 0
    while tab.run("document.activeElement.id") != f"filter-{plain}":
        tab.press("Tab")
        steps += 1
        assert steps < len(tags)
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press(" ", " ")
    assert visible(tab, f'[data-in~="{plain}"]') == 0
    assert visible(tab, f'[data-in~="{tags["arm identity"]}"]') > 10
    assert tab.run("shown.textContent").startswith("2 of 4 cells, 1 of 2 arms shown")

    tab.open(page)  # a reload keeps what was hidden
    tab.click("#filters summary")
    assert visible(tab, f'[data-in~="{plain}"]') == visible(tab, f'[data-in~="{depth}"]') == 0
    tab.ask("Emulation.setEmulatedMedia", media="print")
    assert visible(tab, "#filters") == 0
    assert visible(tab, f'[data-in~="{plain}"]') == 0
    assert visible(tab, ".panel") > 0
    tab.look(width=760)  # of a sheet
    tab.ask("Emulation.setEmulatedMedia", media="print")
    assert tab.run("document.documentElement.scrollWidth") <= 760
    tab.ask("Emulation.setEmulatedMedia", media="")
    tab.look()
    tab.click("#show-all")
    assert visible(tab, "[data-in]") == everything
    assert tab.run("document.querySelectorAll('.off').length") == 0
    assert tab.run("shown.textContent") == "4 of 4 cells, 2 of 2 arms shown"


def test_where_nothing_is_left_of_a_figure_its_title_goes_too(page, tab):
    tab.open(page)
    assert tab.run("document.querySelectorAll('#filters input[name=long_skip]').length") == 2
    tab.run("document.querySelectorAll('#filters input[name=long_skip]').forEach((box) => box.click())")
    shown = "[...document.querySelectorAll('figure')].filter((e) => e.checkVisibility()).map((e) => e.innerText)"
    assert tab.run(shown) == []
    tab.click("#claim-1 summary")
    assert [text.split("\n")[0] for text in tab.run(shown)] == ["Effects"]  # what was judged stays
    tab.click("#claim-1 summary")
    assert visible(tab, "#figures-0") == 0
    assert visible(tab, "section#table table") == 0
    assert visible(tab, "h1") == 1
    tab.click("#show-all")
    assert visible(tab, "figure") == DRAWN


def test_a_click_on_a_heading_sorts_the_trials(page, tab):
    tab.open(page)
    column = "[...document.querySelectorAll('.sortable tbody tr')].map((row) => row.cells[{}].textContent)"
    heading = "[...document.querySelectorAll('.sortable thead th')].findIndex((th) => th.innerText.startsWith({!r}))"
    for name, key in (("depth", int), ("skill", float)):
        place = tab.run(heading.format(name))
        for order in ("ascending", "descending"):
            tab.click(f".sortable thead th:nth-child({place + 1}) button")
            found = tab.run(column.format(place))
            values = [key(text) for text in found if text != "–"]
            assert values == sorted(values, reverse=order == "descending")
            assert found[len(values) :] == ["–"] * (len(found) - len(values))  # what has no value comes last
            assert tab.run(f"document.querySelector('[aria-sort={order}]').cellIndex") == place
    assert tab.run("document.querySelectorAll('[aria-sort]').length") == 1


def test_what_is_folded_is_printed(page, tab):
    tab.open(page)
    assert visible(tab, "#claim-1 table") == 0
    tab.run("dispatchEvent(new Event('beforeprint'))")
    assert visible(tab, "#claim-1 table") > 0
    tab.run("dispatchEvent(new Event('afterprint'))")
    assert visible(tab, "#claim-1 table") == 0
    assert visible(tab, "#figures-0 figure") > 0  # what was open stays open


def test_without_scripts_everything_is_shown(page, tab):
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(page)
        assert visible(tab, "#filters") == 0
        assert visible(tab, "figure") == DRAWN
    finally:
        tab.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_hostile_names_run_nothing(runs, tab):
    for arm in ("plain", HOSTILE):
        for depth in (4, 8):
            key = runs.trial(
                HOSTILE_STUDY,
                choices={"connection": arm, "long_skip": HOSTILE if depth == 4 else "none"},
                factors={"depth": depth},
                summary={"skill_train": 0.5 + depth / 100},
            )
            runs.write(key, "history.csv", "step,metric,value\n0,loss,1.0\n1,loss,0.5\n")
            runs.picture(key)
    runs.trial(HOSTILE_STUDY, seed=9, status="failed", error=HOSTILE)
    tab.open(address(write_report(read_study(HOSTILE_STUDY, runs.folder))))
    assert tab.run("document.scripts.length") == 1
    assert tab.run("document.querySelectorAll('img:not([src^=\"data:\"]), [onerror]').length") == 0
    text = tab.run("document.body.innerText")
    assert text.count(HOSTILE_AS_SHOWN) > 5
    assert HOSTILE_STUDY in text
    drawn = tab.run("[...document.querySelectorAll('.legend li')].map((entry) => entry.textContent).join('\\n')")
    assert "<script>alert(1)</script>" in drawn
    tab.click("#filters summary")
    tab.click("#filters label:has(input[data-level^='<script>'])")
    assert tab.run("shown.textContent").startswith("2 of 3 cells")


def test_the_dashboard_reloads_and_keeps_filters_and_place(fill, tab):
    runs = fill(effect=0.15, num_seeds=1)
    with served(runs.folder) as server:
        server.page_after("none")
        tab.look(height=300)
        tab.open(f"http://127.0.0.1:{server.port}/")
        tab.wait_until("progress.textContent === 'half of it is done'")
        tab.click("#filters summary")
        tab.click("#filters input[name=arm]")
        tab.run("scrollTo(0, 500)")
        before = tab.run("[scrollY, document.activeElement.id, document.documentElement.dataset.version]")
        assert before[0] > 300
        runs.trial(seed=1, choices={"long_skip": "none"}, factors={"depth": 16}, summary={"skill_train": 0.4})
        tab.wait_until(f"document.documentElement.dataset.version !== {before[2]!r}")
        tab.wait_until("document.readyState === 'complete' && shown.textContent")
        assert tab.run("shown.textContent").startswith("6 of 6 cells, 1 of 2 arms shown")
        assert tab.run("[scrollY, document.activeElement.id]") == before[:2]
        assert "13 trials" in tab.run("document.body.innerText")
        assert tab.complaints == []
        tab.open("about:blank")
