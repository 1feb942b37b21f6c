"""What can be said of the real header where there is none; tests/hardware shows the rest."""

from pathlib import Path

import pytest

from relays.boards import BoardError, gpio, open_board
from relays.runfiles import BoardFiles

no_header = pytest.mark.skipif(any(Path("/dev").glob("gpiochip*")), reason="this machine has GPIO")


@no_header
def test_a_machine_without_a_header_says_so(tmp_path: Path) -> None:
    assert gpio.find_chip() is None
    with pytest.raises(BoardError) as refused:
        open_board("gpio", BoardFiles(tmp_path, 1))
    sentence = "This machine has no GPIO header: use a simulated board, or run this on a Raspberry Pi."
    assert str(refused.value) == sentence
