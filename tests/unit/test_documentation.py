"""Statements of the documentation that can be checked: names of metrics, links, the form of decisions."""

import re
from pathlib import Path

import pytest

import b2bua.web.metrics

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_metrics_it_names_exist(page: Path) -> None:
    source = Path(b2bua.web.metrics.__file__).read_text()
    for name in re.findall(r"`b2bua_([a-z_]+)[`{]", page.read_text()):
        assert f'"{name.removesuffix("_total")}"' in source or f'"b2bua_{name}"' in source, name


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        found = (page.parent / target) if target else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings]


@pytest.mark.parametrize("page", DECISIONS, ids=names(DECISIONS))
def test_a_decision_has_the_form_of_all(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert lines[0].startswith(f"# {int(page.name[:4])}. ") and lines[2].startswith("Accepted, ")
    headings = [line for line in lines if line.startswith("## ")]
    assert headings == ["## Context", "## Decision", "## Consequences"]


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
