from django.test import Client
from pytest_django import Settings

from relays.models import Board
from tests.relays.reading import text


def test_where_it_is_installed_pages_name_the_units(as_owner: Client, board: Board, settings: Settings) -> None:
    settings.IS_INSTALLED = True
    page = text(as_owner.get(f"/boards/{board.pk}/"))
    assert f"Start it with sudo systemctl enable --now iotsite-controller@{board.pk} ." in page
    said = as_owner.get("/readyz").json()["problems"]
    assert said == [
        f"The controller of Shed does not run: start it with sudo systemctl enable --now iotsite-controller@{board.pk}."
    ]


def test_elsewhere_pages_name_script_server(as_owner: Client, board: Board) -> None:
    page = text(as_owner.get(f"/boards/{board.pk}/"))
    assert "Start it with script/server or manage.py run_relays ." in page
