"""The files in which processes leave their coverage: a process that is killed may leave half of one."""

import contextlib
import sqlite3
from pathlib import Path


def remove_unreadable(folder: Path) -> list[str]:
    """Remove the files that coverage could not combine and would warn of; return their names."""
    removed = []
    for path in sorted(folder.glob(".coverage.*")):
        if path.name.endswith("-journal"):
            continue
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as data:
                (version,) = data.execute("SELECT version FROM coverage_schema").fetchone()
                data.execute("SELECT count(*) FROM arc").fetchone()
            assert isinstance(version, int)
        except (sqlite3.Error, TypeError, AssertionError):
            path.unlink()
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
            removed.append(path.name)
    return removed
