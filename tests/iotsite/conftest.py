from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.iotsite.shelf import Shelf, made_shelf


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[Shelf]:
    with made_shelf(tmp_path_factory.mktemp("s"), template_database) as shelf:
        yield shelf


@pytest.fixture
def shelf(made: Shelf) -> Shelf:
    """A site to back up and restore, with a backup at hand."""
    made.fresh()
    return made
