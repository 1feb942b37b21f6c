from pathlib import Path

import pytest

from bench import kills


@pytest.mark.slow
def test_kill_9_of_controller_and_web_under_load_breaks_no_promise(tmp_path: Path, template_database: Path) -> None:
    report = kills.run(tmp_path, template_database, controller_kills=30, web_kills=10)
    assert report.problems == []
    assert report.acknowledged > 100
    assert report.edges > 50
