"""Property tests without time limits, the order of modules among processes, coverage of killed processes."""

from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.coverage_files import remove_unreadable
from tests.effort import examples

# How long an example takes on a busy machine means nothing.
settings.register_profile("b2bua", deadline=None, max_examples=examples(60))
settings.load_profile("b2bua")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes, put the slowest modules first: at the end, short ones keep all of them busy."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ("unit" in item.path.parts, "sip" not in item.path.parts))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Before coverage combines its files, remove those of processes that were killed as they wrote."""
    done = yield
    if not hasattr(session.config, "workerinput") and session.config.pluginmanager.hasplugin("_cov"):
        remove_unreadable(session.config.rootpath)
    return done
