"""The documentation site: it builds strictly, holds every page, and needs nothing from the network."""

import json
import logging
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

import skiplab
from shell_lines import ROOT

WEBSITE = ROOT / "website"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site that `make docs` builds; a page in no list, a dead link or a wrong anchor ends the build."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


@pytest.fixture(scope="module")
def hooks() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(WEBSITE / "pages.py")))


@pytest.fixture(scope="module")
def reference() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(WEBSITE / "reference_pages.py")))


def test_every_page_is_there_and_can_be_searched(site: Path, hooks: SimpleNamespace) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    searched = {entry["location"].split("#")[0] for entry in index["docs"]}
    for page in hooks.pages():
        path = page.relative_to(ROOT).with_name("index.html" if page.name == "README.md" else f"{page.stem}.html")
        assert (site / path).is_file()
        assert str(path) in searched


def test_nothing_comes_from_the_network(site: Path) -> None:
    """Scripts, styles, fonts and pictures; links that a reader follows may lead there."""
    loaded = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//|<link(?![^>]*rel="?canonical)[^>]*//"""
    )
    pages = list(site.rglob("*.html"))
    assert pages
    assert [str(page) for page in pages if loaded.search(page.read_text(encoding="utf-8"))] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", styles)


def test_search_works_from_disk(site: Path) -> None:
    """The index is a script, and the frame stands in for the worker that a page from disk may not start."""
    assert (site / "search" / "search_index.js").is_file()
    assert '<script src="website/iframe-worker.js">' in (site / "index.html").read_text(encoding="utf-8")


def test_the_page_of_python_shows_every_public_name(site: Path) -> None:
    page = (site / "docs" / "api.html").read_text(encoding="utf-8")
    shown = re.findall(r'<h\d id="skiplab\.(\w+)"', page)
    assert sorted(shown) == sorted(skiplab.__all__)


def test_a_page_in_no_list_ends_the_build(hooks: SimpleNamespace) -> None:
    config = load_config(str(ROOT / "mkdocs.yml"))
    listed = set(re.findall(r"[\w/]+\.md", json.dumps(hooks.on_config(config).nav)))
    assert {str(page.relative_to(ROOT)) for page in hooks.pages()} == listed
    assert config.validation.nav.omitted_files == logging.WARNING  # with strict=True, an error


def test_reference_pages_are_up_to_date(reference: SimpleNamespace) -> None:
    for name, page in reference.PAGES.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == page(), f"docs/{name}: run `make docs`"


def test_the_changelog_begins_with_this_version() -> None:
    changes = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert changes[0] == skiplab.__version__
