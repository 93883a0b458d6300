"""Which files of the repository make the documentation site: each at its own path, so that links work as they are.

MkDocs calls these functions (mkdocs.yml names this file under `hooks`).
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "docs/**/*.md",
    "experiments/*/README.md",
)
_OWN = ("website/*.css", "website/*.js")
_TARGET = re.compile(r"\]\((?!https?:)([^)#]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the experiments, of which there is one a folder."""
    experiments = sorted(ROOT.glob("experiments/*/README.md"))
    for section in config.nav or []:
        if "Experiments" in section:
            section["Experiments"] = [{path.parent.name: str(path.relative_to(ROOT))} for path in experiments]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages, what they link to, and the theme's own files."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    paths = [*pages(), *linked_files(), *(path for pattern in _OWN for path in ROOT.glob(pattern))]
    own = [
        File(str(path.relative_to(ROOT)), str(ROOT), config.site_dir, config.use_directory_urls)
        for path in dict.fromkeys(paths)
    ]
    return Files([*own, *theme])


def on_page_markdown(markdown: str, page: Page, **_: object) -> None:
    """The front page stands alone in its list."""
    if page.file.src_uri == "README.md":
        page.meta["hide"] = ["navigation"]


def pages() -> list[Path]:
    """Every page of the site."""
    return sorted(path for pattern in _PAGES for path in ROOT.glob(pattern))


def linked_files() -> list[Path]:
    """Pictures, tables, programs and notebooks that pages show or link to; they are copied as they are."""
    targets = (
        (page.parent / target).resolve() for page in pages() for target in _TARGET.findall(page.read_text("utf-8"))
    )
    return sorted({path for path in targets if path.is_file() and path.suffix != ".md"})
