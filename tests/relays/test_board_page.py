import pytest
from django.test import Client
from django.utils import timezone

from relays import clock
from relays.boards import kernel
from relays.models import Board, Relay
from tests.relays.reading import text


def page(client: Client, board: Board) -> str:
    return text(client.get(f"/boards/{board.pk}/"))


def test_it_says_what_is_wired_where(as_viewer: Client, pump: Relay, served: Board) -> None:
    Relay.objects.create(name="Old", slug="old", board=served, line="GPIO4", polarity="active-high", is_enabled=False)
    shown = page(as_viewer, served)
    assert "Pin 11: GPIO17 Pump active-low" in shown
    assert "Pin 7: GPIO4 Old active-high, disabled" in shown
    assert "Pin 13: GPIO27 free" in shown
    assert "Pin 8: GPIO14 serial port" in shown
    assert "Pin 1: 3.3 V" in shown
    assert "Pin 40: GPIO21 free" in shown


def test_every_poor_line_is_explained_in_a_sentence(as_viewer: Client, board: Board) -> None:
    shown = page(as_viewer, board)
    assert "GPIO14 is the serial port, which toggles while the Pi boots: choose another line if you can." in shown
    assert shown.count("choose another line if you can.") == 11


def test_a_smaller_header_is_drawn_smaller(as_viewer: Client, board: Board) -> None:
    Board.objects.update(header="P1-rev1")
    shown = page(as_viewer, board)
    assert "Pin 13: GPIO21 free" in shown
    assert "Pin 27" not in shown


def test_it_says_how_its_controller_is(as_viewer: Client, board: Board) -> None:
    assert "Its controller does not run. Start it with" in page(as_viewer, board)
    board.files.beat(at=clock.boot_seconds() + 60)
    assert "Its controller answers." in page(as_viewer, board)
    Board.objects.update(is_enabled=False)
    assert "Disabled: it has no controller, and its relays do nothing." in page(as_viewer, board)


def test_a_stop_is_told_with_who_did_it(as_viewer: Client, board: Board) -> None:
    Board.objects.update(stopped_at=timezone.now(), stopped_by="anna")
    assert "Everything is stopped by anna : nothing can be switched on until the stop is reset" in page(
        as_viewer, board
    )


def test_it_has_the_lines_for_config_txt(as_viewer: Client, pump: Relay) -> None:
    assert "gpio=17=op,dh" in page(as_viewer, pump.board)


def test_a_simulated_board_is_said_to_be_one(as_viewer: Client, board: Board) -> None:
    assert "Simulated board : nothing is switched for real." in page(as_viewer, board)
    assert "This kernel" not in page(as_viewer, board)


@pytest.mark.parametrize("keeps", [True, False, None])
def test_a_real_board_tells_what_its_kernel_does(
    as_viewer: Client, board: Board, monkeypatch: pytest.MonkeyPatch, keeps: bool | None
) -> None:
    Board.objects.update(driver="gpio")
    monkeypatch.setattr(kernel, "keeps_outputs", lambda: keeps)
    assert kernel.sentence(keeps) in page(as_viewer, board)


@pytest.mark.parametrize("number", ["2", "9" * 30])
def test_a_board_that_is_not_there_is_not_found(as_viewer: Client, board: Board, number: str) -> None:
    assert as_viewer.get(f"/boards/{number}/").status_code == 404


def test_only_those_who_may_are_led_on(as_viewer: Client, as_owner: Client, client: Client, board: Board) -> None:
    assert "Edit it in the admin" in page(as_viewer, board)
    assert "Add a relay" not in page(as_viewer, board)
    assert "Add a relay" in page(as_owner, board)
