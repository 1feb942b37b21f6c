import hashlib
import re
from datetime import timedelta
from io import StringIO
from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Token, User


@pytest.fixture
def gustav(db: None) -> User:
    return User.objects.create_user("gustav")


def make(user: User, name: str = "Home Assistant", scope: str = "read", days: int | None = 90) -> tuple[Token, str]:
    return Token.make(user, name, scope, days)


def test_a_token_is_256_random_bits_of_which_only_the_hash_is_kept(gustav: User) -> None:
    token, text = make(gustav)
    assert re.fullmatch(r"iot_[A-Za-z0-9_-]{43}", text)
    assert token.hash == hashlib.sha256(text.encode()).hexdigest()
    assert text not in str(Token.objects.values_list()[0])
    assert text != make(gustav, "another")[1]


def test_no_word_of_a_token_shows_its_text_or_hash(gustav: User) -> None:
    token, text = make(gustav)
    for shown in (str(token), repr(token), repr([token]), f"{token.user}"):
        assert text not in shown
        assert token.hash not in shown


def test_a_token_is_found_with_its_user_in_one_query(
    gustav: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    token, text = make(gustav)
    with django_assert_num_queries(1):
        found = Token.objects.find(text)
        assert found == token
        assert found.user == gustav


@pytest.mark.parametrize("text", ["", "iot_", "x" * 47, "iot_" + "a" * 42, "iot_" + "ä" * 43, "iot_" + "a" * 43 + "\n"])
def test_what_cannot_be_a_token_asks_the_database_nothing(
    db: None, django_assert_num_queries: DjangoAssertNumQueries, text: str
) -> None:
    with django_assert_num_queries(0):
        assert Token.objects.find(text) is None


def test_a_token_that_was_never_made_or_was_revoked_opens_nothing(gustav: User) -> None:
    token, text = make(gustav)
    assert Token.objects.find("iot_" + "a" * 43) is None
    token.delete()
    assert Token.objects.find(text) is None


def test_a_token_ends_when_it_expires(gustav: User) -> None:
    token, text = make(gustav, days=1)
    with patch.object(timezone, "now", return_value=token.created_at + timedelta(hours=23, minutes=59)):
        assert Token.objects.find(text) == token
    with patch.object(timezone, "now", return_value=token.created_at + timedelta(days=1)):
        assert Token.objects.find(text) is None
        assert token.is_expired


def test_a_token_may_last_for_ever(gustav: User) -> None:
    token, text = make(gustav, days=None)
    with patch.object(timezone, "now", return_value=token.created_at + timedelta(days=9999)):
        assert Token.objects.find(text) == token
        assert not token.is_expired


def test_a_token_of_an_inactive_user_opens_nothing(gustav: User) -> None:
    _, text = make(gustav)
    gustav.is_active = False
    gustav.save()
    assert Token.objects.find(text) is None


def test_a_token_outlives_a_change_of_the_password(gustav: User) -> None:
    token, text = make(gustav)
    gustav.set_password("another-long-pass")
    gustav.save()
    assert Token.objects.find(text) == token


def test_only_the_scope_switch_may_switch(gustav: User) -> None:
    assert make(gustav, "one", "switch")[0].may_switch
    assert not make(gustav, "other", "read")[0].may_switch


@pytest.mark.parametrize(
    ("name", "scope", "days", "sentence"),
    [
        ("taken", "read", 90, "There is a token of this name: choose another one, or revoke that one first."),
        ("new", "everything", 90, "Value 'everything' is not a valid choice."),
        ("new", "read", 0, "Let it last 1 to 3650 days."),
        ("new", "read", 3651, "Let it last 1 to 3650 days."),
        (" ", "read", 90, "Give it a name."),
        ("n" * 61, "read", 90, "Ensure this value has at most 60 characters (it has 61)."),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(
    gustav: User, name: str, scope: str, days: int, sentence: str
) -> None:
    make(gustav, "taken")
    with pytest.raises(ValidationError) as refused:
        make(gustav, name, scope, days)
    assert sentence in refused.value.messages
    assert Token.objects.count() == 1


def test_two_users_may_give_one_name(gustav: User, owner: User) -> None:
    make(gustav)
    make(owner)
    assert Token.objects.count() == 2


def test_nobody_has_more_than_fifty_tokens(gustav: User) -> None:
    for number in range(Token.LIMIT):
        make(gustav, f"token {number}")
    with pytest.raises(ValidationError, match="gustav has 50 tokens, and more there cannot be: revoke one first"):
        make(gustav, "one too many")


@pytest.mark.parametrize("field", [{"scope": "all"}, {"expires_at": timezone.now() - timedelta(days=999)}])
def test_the_database_itself_holds_the_rules(gustav: User, field: dict[str, object]) -> None:
    token, _ = make(gustav)
    with pytest.raises(IntegrityError), transaction.atomic():
        Token.objects.filter(pk=token.pk).update(**field)


def test_a_use_is_written_down_once_a_day(gustav: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    _, text = make(gustav)
    token = Token.objects.get()
    token.note_use()
    assert Token.objects.get().last_used_on == timezone.localdate()
    found = Token.objects.find(text)
    assert found is not None
    with django_assert_num_queries(0):
        found.note_use()
        token.note_use()
    with patch.object(timezone, "localdate", return_value=timezone.localdate() + timedelta(days=1)):
        found.note_use()
    assert Token.objects.get().last_used_on == timezone.localdate() + timedelta(days=1)


def test_a_use_is_never_dated_back(gustav: User) -> None:
    make(gustav)
    stale = Token.objects.get()
    tomorrow = timezone.localdate() + timedelta(days=1)
    Token.objects.update(last_used_on=tomorrow)
    stale.note_use()
    assert Token.objects.get().last_used_on == tomorrow


def test_a_database_that_cannot_be_written_to_keeps_nobody_from_reading(
    gustav: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Token, "notes_again_at", 0.0)
    token, text = make(gustav)
    with patch("iotsite.database.check", side_effect=DatabaseError("disk full")) as tried:
        for _ in range(5):
            token.note_use()
    assert token.last_used_on is None
    assert tried.call_count == 1, "the others do not wait for it"
    assert "disk full" in caplog.text
    assert text not in caplog.text
    assert token.hash not in caplog.text


# --- manage.py create_token ------------------------------------------------------------------------------------


def create(*arguments: str) -> str:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_the_token_and_nothing_else(gustav: User) -> None:
    said = create("gustav", "--name", "Home Assistant", "--scope", "switch")
    assert re.fullmatch(r"iot_[A-Za-z0-9_-]{43}\n", said)
    token = Token.objects.find(said.strip())
    assert token is not None
    assert (token.user, token.name, token.may_switch) == (gustav, "Home Assistant", True)
    assert token.expires_at == token.created_at + timedelta(days=90)


@pytest.mark.parametrize(("days", "lasting"), [("7", timedelta(days=7)), ("never", None)])
def test_the_command_takes_how_long_it_lasts(gustav: User, days: str, lasting: timedelta | None) -> None:
    create("gustav", "--name", "N", "--scope", "read", "--days", days)
    token = Token.objects.get()
    assert token.expires_at == (lasting and token.created_at + lasting)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody", "--name", "N", "--scope", "read"], "There is no user “nobody”. Users: gustav."),
        (["ida", "--name", "N", "--scope", "read"], "ida is not active: a token of theirs would open nothing."),
        (["gustav", "--name", "taken", "--scope", "read"], "There is a token of this name"),
        (["gustav", "--name", "N", "--scope", "read", "--days", "0"], "“0” is not how long: give days, 1 to 3650"),
        (["gustav", "--name", "N", "--scope", "read", "--days", "9" * 999], "is not how long"),
        (["gustav", "--name", "N", "--scope", "root"], "invalid choice: 'root'"),
        (["gustav", "--scope", "read"], "the following arguments are required: --name"),
    ],
)
def test_the_command_refuses_in_a_sentence(gustav: User, arguments: list[str], sentence: str) -> None:
    User.objects.create_user("ida", is_active=False)
    make(gustav, "taken")
    with pytest.raises(CommandError, match=re.escape(sentence)) as refused:
        create(*arguments)
    assert refused.value.returncode == 1
    assert Token.objects.count() == 1
