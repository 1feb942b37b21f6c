import re
from pathlib import Path

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import CommandError, call_command

from accounts.models import User
from relays.boards import BoardError, gpio
from relays.models import Board, Relay
from tests.site import Site


def first_run(site: Site) -> str:
    done = site.manage("first_run")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_makes_a_person_and_says_the_password_once(site: Site) -> None:
    said = first_run(site)
    assert "User: admin\n" in said
    password = re.search(r"^Password: (\S{16,})$", said, re.MULTILINE)
    assert password
    with site.database() as connection:
        row = connection.execute("SELECT username, password, is_superuser FROM accounts_user").fetchone()
    assert (row["username"], row["is_superuser"]) == ("admin", 1)
    assert PBKDF2PasswordHasher().verify(password[1], row["password"])
    assert "Password" not in first_run(site)
    assert site.count("accounts_user") == 1


def test_passwords_differ_and_have_no_lookalikes(site: Site, tmp_path: Path) -> None:
    said = first_run(site)
    with site.database() as connection:
        connection.execute("DELETE FROM accounts_user")
    again = first_run(site)
    passwords = [re.search(r"^Password: (.*)$", text, re.MULTILINE)[1] for text in (said, again)]  # type: ignore[index]
    assert passwords[0] != passwords[1]
    assert not set("".join(passwords)) & set("l1o0IO")


def test_without_gpio_it_says_so_and_makes_examples_on_a_simulated_board(site: Site) -> None:
    said = first_run(site)
    assert "No GPIO header found: using a simulated board. Nothing is switched for real.\n" in said
    with site.database() as connection:
        rows = connection.execute(
            "SELECT room.name, relay.name FROM relays_relay relay JOIN relays_room room ON room.id = relay.room_id"
            " ORDER BY room.position, relay.position"
        )
        assert [tuple(row) for row in rows] == [
            ("Living room", "Porch lamp"),
            ("Living room", "Attic fan"),
            ("Garden", "Garden pump"),
            ("Garden", "Gate"),
            ("Garden", "Awning out"),
            ("Garden", "Awning in"),
        ]
    assert site.relay("awning-out")["interlock_id"] == site.relay("awning-in")["interlock_id"] is not None
    assert site.relay("gate")["mode"] == "momentary"
    assert not any(site.relay(slug)["wanted"] for slug in ("porch-lamp", "garden-pump"))


def test_without_examples_it_makes_a_user_and_nothing_else(site: Site) -> None:
    done = site.manage("first_run", "--without-examples")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No GPIO header found, and so no board made.\nUser: admin\nPassword: ")
    counts = [site.count(rows) for rows in ("relays_board", "ports_port WHERE is_example", "accounts_user")]
    assert counts == [0, 0, 1]


def test_a_second_run_changes_nothing_and_still_says_that_the_board_is_simulated(site: Site) -> None:
    first_run(site)
    with site.database() as connection:
        connection.execute("DELETE FROM relays_relay WHERE slug = 'gate'")
    assert first_run(site) == "“Simulated board” is simulated: nothing is switched for real.\n"
    assert (site.count("relays_board"), site.count("relays_relay"), site.count("relays_room")) == (1, 5, 2)


def test_it_makes_the_database_where_there_is_none(site: Site) -> None:
    database = site.data_dir / "db.sqlite3"
    database.unlink()
    first_run(site)
    assert database.stat().st_mode & 0o777 == 0o600
    assert site.count("relays_relay") == 6


def test_data_of_a_newer_iotsite_are_left_alone(site: Site) -> None:
    with site.database() as connection:
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('relays', '9999_later', '2030-01-01')"
        )
    done = site.manage("first_run")
    assert done.returncode == 1
    assert done.stderr == (
        f"CommandError: The data in {site.data_dir} were written by a newer iotsite (relays.9999_later): install "
        "that one, or name another folder with DATA_DIR. Nothing was changed.\n"
    )
    assert site.count("accounts_user") == 0


def test_a_file_that_is_no_database_is_said(site: Site) -> None:
    (site.data_dir / "db.sqlite3").write_text("What is this?" * 100)
    done = site.manage("first_run")
    assert done.returncode == 1
    assert f"The database {site.data_dir}/db.sqlite3 cannot be used: file is not a database." in done.stderr


@pytest.mark.django_db
def test_on_a_pi_it_makes_the_board_of_its_header_and_no_relay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpio, "find_chip", lambda: 0)
    monkeypatch.setattr(gpio, "find_header", lambda folder: "P1")
    call_command("first_run")
    board = Board.objects.get()
    assert (board.name, board.driver, board.header) == ("Raspberry Pi", "gpio", "P1")
    assert not Relay.objects.exists()
    said = capsys.readouterr().out
    assert "GPIO header P1 found. It has no relay yet: the page /setup/ leads to the first.\n" in said


@pytest.mark.django_db
def test_a_header_that_may_not_be_opened_stops_it_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed() -> int:
        raise BoardError("/dev/gpiochip0 may not be opened by this user: run “sudo usermod -aG gpio $USER”.")

    monkeypatch.setattr(gpio, "find_chip", closed)
    with pytest.raises(CommandError, match="may not be opened by this user"):
        call_command("first_run")
    assert not Board.objects.exists()
    assert not User.objects.exists(), "the password would be said above the error, and never again"
