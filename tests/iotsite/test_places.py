"""Files that several processes and threads write."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from iotsite.places import read_whole, write_whole


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    """Two people press Stop everything at once."""
    place = tmp_path / "stop"

    def write(number: int) -> None:
        for _ in range(500):
            write_whole(place, {"who": number})

    with ThreadPoolExecutor() as people:
        for done in [people.submit(write, number) for number in range(4)]:
            done.result()
    assert (read_whole(place) or {}).get("who") in range(4)
    assert list(tmp_path.iterdir()) == [place]
