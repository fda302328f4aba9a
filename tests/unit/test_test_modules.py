"""Modules of the tests: each that another one imports exists, and each test module has a marker."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "tests").rglob("*.py"))


def _imported(tree: ast.Module) -> list[tuple[str, str]]:
    """Return the names that a module imports from modules of the tests, with those modules."""
    return [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "tests"
        for alias in node.names
    ]


def _exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_imported_modules_exist() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in MODULES
        for module, name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if not _exists(module) and not _exists(f"{module}.{name}")
    ]
    assert not missing


def test_each_test_module_has_a_marker_of_its_folder() -> None:
    wrong = []
    for path in MODULES:
        if not path.name.startswith("test_"):
            continue
        text = path.read_text(encoding="utf-8")
        wanted = ("unit",) if "unit" in path.relative_to(ROOT).parts else ("sip", "process")
        if not any(re.search(rf"pytestmark = .*pytest\.mark\.{each}\b", text) for each in wanted):
            wrong.append(str(path.relative_to(ROOT)))
    assert not wrong
