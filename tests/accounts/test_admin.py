from django.test import Client

from accounts.models import User
from relays.models import Board, Event


def test_an_account_with_a_history_is_kept_with_the_advice_to_make_it_inactive(
    as_owner: Client, owner: User, board: Board
) -> None:
    gustav = User.objects.create_user("gustav")
    Event.objects.create(kind="stopped everything", board=board, by=gustav, who="gustav", via="page")
    path = f"/admin/accounts/user/{gustav.pk}/delete/"
    sentence = "gustav has a history: make the account inactive instead of deleting it."
    assert sentence in as_owner.post(path, {"post": "yes"}).content.decode()
    Event.objects.all().delete()
    as_owner.post(path, {"post": "yes"})
    assert User.objects.get() == owner


def test_accounts_are_added_and_listed(as_owner: Client) -> None:
    form = {"username": "gustav", "usable_password": "true"}
    form |= {"password1": "a-long-enough-pass", "password2": "a-long-enough-pass"}
    as_owner.post("/admin/accounts/user/add/", form)
    assert "gustav" in as_owner.get("/admin/accounts/user/").content.decode()
    assert not User.objects.get(username="gustav").is_staff


def test_who_may_only_look_cannot_give_themselves_rights(as_viewer: Client, viewer: User) -> None:
    path = f"/admin/accounts/user/{viewer.pk}/change/"
    assert as_viewer.get(path).status_code == 200
    assert as_viewer.post(path, {"username": "viola", "is_superuser": "on"}).status_code == 403
    viewer.refresh_from_db()
    assert not viewer.is_superuser
