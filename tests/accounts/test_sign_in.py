from typing import Any

import pytest
from django.test import Client

from accounts.models import User

SIGN_IN, PASSWORD = "/account/sign-in/", "a-long-enough-pass"


@pytest.fixture
def gustav(db: None) -> User:
    return User.objects.create_user("gustav", password=PASSWORD)


def errors(response: Any) -> list[str]:
    return [sentence for found in response.context["form"].errors.values() for sentence in found]


def test_signing_in_leads_to_the_relays(client: Client, gustav: User) -> None:
    response = client.post(SIGN_IN, {"username": "gustav", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/").status_code == 200


def test_signing_in_leads_back_to_where_one_came_from(client: Client, gustav: User) -> None:
    assert 'name="next" value="/stop/reset"' in client.get(f"{SIGN_IN}?next=/stop/reset").content.decode()
    response = client.post(SIGN_IN, {"username": "gustav", "password": PASSWORD, "next": "/stop/reset"})
    assert response["Location"] == "/stop/reset"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil"])
def test_signing_in_never_leads_to_another_site(client: Client, gustav: User, elsewhere: str) -> None:
    response = client.post(SIGN_IN, {"username": "gustav", "password": PASSWORD, "next": elsewhere})
    assert response["Location"] == "/"


@pytest.mark.parametrize(("name", "password"), [("gustav", "wrong"), ("nobody", PASSWORD), ("gustav", "")])
def test_a_wrong_name_or_password_lets_nobody_in_and_tells_nothing(
    client: Client, gustav: User, name: str, password: str
) -> None:
    response = client.post(SIGN_IN, {"username": name, "password": password})
    assert response.status_code == 200
    assert len(errors(response)) == 1
    assert client.get("/").status_code == 302


def test_a_wrong_name_and_a_wrong_password_read_the_same(client: Client, gustav: User) -> None:
    answers = [errors(client.post(SIGN_IN, {"username": name, "password": "wrong"})) for name in ("gustav", "nobody")]
    assert answers[0] == answers[1]


def test_an_inactive_account_cannot_sign_in(client: Client, gustav: User) -> None:
    gustav.is_active = False
    gustav.save()
    assert client.post(SIGN_IN, {"username": "gustav", "password": PASSWORD}).status_code == 200


def test_the_sign_in_form_is_defended_against_other_sites(gustav: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(SIGN_IN, {"username": "gustav", "password": PASSWORD}).status_code == 403


def test_signing_out_takes_a_button_not_a_link(client: Client, gustav: User) -> None:
    client.force_login(gustav)
    assert client.get("/account/sign-out/").status_code == 405
    assert client.get("/").status_code == 200
    client.post("/account/sign-out/")
    assert client.get("/").status_code == 302


def test_a_password_is_changed_by_who_knows_the_old_one(client: Client, gustav: User) -> None:
    client.force_login(gustav)
    new = {"new_password1": "another-long-pass", "new_password2": "another-long-pass"}
    refused = client.post("/account/password/", new | {"old_password": "wrong"})
    assert errors(refused) == ["Your old password was entered incorrectly. Please enter it again."]
    client.post("/account/password/", new | {"old_password": PASSWORD})
    gustav.refresh_from_db()
    assert gustav.check_password("another-long-pass")
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("password", ["short", "gustavgust", "password123"])
def test_a_weak_password_is_refused(client: Client, gustav: User, password: str) -> None:
    client.force_login(gustav)
    form = {"old_password": PASSWORD, "new_password1": password, "new_password2": password}
    assert errors(client.post("/account/password/", form))
    assert User.objects.get().check_password(PASSWORD)
