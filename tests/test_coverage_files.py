"""What a killed process leaves of its coverage is not combined."""

from pathlib import Path

import pytest
from coverage import CoverageData

from tests.coverage_files import remove_unreadable

pytestmark = pytest.mark.process


def test_only_whole_files_stay(tmp_path: Path) -> None:
    whole = CoverageData(str(tmp_path / ".coverage.whole"))
    whole.add_arcs({"a.py": [(1, 2)]})
    whole.write()
    whole.close()
    kept = (tmp_path / ".coverage.whole").read_bytes()
    (tmp_path / ".coverage.empty").touch()
    (tmp_path / ".coverage.half").write_bytes(kept[:4096])
    (tmp_path / ".coverage.half-journal").write_bytes(b"")
    (tmp_path / ".coverage.other").write_bytes(b"no database" * 1000)
    assert remove_unreadable(tmp_path) == [".coverage.empty", ".coverage.half", ".coverage.other"]
    assert [path.name for path in tmp_path.iterdir()] == [".coverage.whole"]
