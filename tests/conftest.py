from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site, make_site, migrated_database


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_database(tmp_path_factory.mktemp("template"))


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[Site]:
    """An empty site of real processes."""
    made = make_site(tmp_path_factory.mktemp("s"), template_database)
    yield made
    made.end()
