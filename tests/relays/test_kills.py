from pathlib import Path

import pytest

from bench import kills


@pytest.mark.slow
def test_kill_9_of_controller_and_web_under_load_breaks_no_promise(tmp_path: Path, template_database: Path) -> None:
    report = kills.run(tmp_path, template_database, controller_kills=30, web_kills=10)
    assert report.problems == []
    kills_of_all = report.controller_kills + report.web_kills
    assert report.acknowledged > kills_of_all, "else there was little to break"
    assert report.edges > kills_of_all
