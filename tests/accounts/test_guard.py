"""Guessing: what it costs, and that the right person still gets in."""

import threading
from collections.abc import Callable

import pytest
from django.core import signing
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts import guard, known
from accounts.models import User
from tests.accounts.hasher import CountingHasher

SIGN_IN, PASSWORD = "/account/sign-in/", "a-long-enough-pass"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(guard, "attempts", guard.Guard(made))
    return made


@pytest.fixture
def gustav(db: None, settings: Settings) -> User:
    settings.PASSWORD_HASHERS = ["tests.accounts.hasher.CountingHasher"]
    return User.objects.create_user("gustav", password=PASSWORD)


@pytest.fixture
def computed(gustav: User) -> Callable[[], int]:
    before = CountingHasher.computed
    return lambda: CountingHasher.computed - before


def sign_in(client: Client, name: str = "gustav", password: str = "wrong", address: str = "10.0.0.1") -> int:
    form = {"username": name, "password": password}
    return client.post(SIGN_IN, form, REMOTE_ADDR=address, headers={"x-forwarded-for": address}).status_code


# --- the buckets -----------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 30), max_size=200), st.integers(1, 5))
def test_no_minute_ever_sees_more_than_the_bucket_holds(pauses: list[float], size: int) -> None:
    bucket, now, taken = guard.Bucket(size), 0.0, []
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        if wait == 0:
            taken.append(now)
        else:
            assert 0 < wait <= guard.MINUTE + 1e-6
    for first, after in zip(taken, taken[size:], strict=False):
        assert after - first >= guard.MINUTE - 1e-6


def test_who_waits_as_long_as_was_said_is_let_in() -> None:
    bucket = guard.Bucket(2)
    assert [bucket.take(0.0), bucket.take(10.0), bucket.take(15.0), bucket.take(59.0)] == [0, 0, 45.0, 1.0]
    assert bucket.take(60.0) == 0
    assert bucket.take(60.0) == 10.0


def test_what_is_refused_takes_nothing_from_later() -> None:
    bucket = guard.Bucket(1)
    assert bucket.take(0.0) == 0
    assert [bucket.take(float(now)) for now in range(1, 60)] == [60.0 - now for now in range(1, 60)]
    assert bucket.take(60.0) == 0


def test_the_memory_of_buckets_is_bounded(clock: Clock) -> None:
    for number in range(3 * guard.MOST_BUCKETS):
        assert guard.attempts.wait_of(f"browser {number}") == 0
    assert len(guard.attempts._own) == guard.MOST_BUCKETS


def test_threads_that_ask_at_once_get_no_more_than_there_is(clock: Clock) -> None:
    let_in: list[int] = []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        let_in.extend(guard.attempts.wait_of_stranger() == 0 for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(let_in) == guard.STRANGERS


# --- strangers -------------------------------------------------------------------------------------------------

GUESSES: dict[str, Callable[[int], tuple[str, str]]] = {
    "from one address": lambda number: ("gustav", "10.0.0.1"),
    "from many addresses": lambda number: ("gustav", f"10.0.1.{number}"),
    "at many accounts": lambda number: (f"user{number}", "10.0.0.1"),
    "at accounts that are not there": lambda number: (f"nobody{number}", "10.0.0.1"),
    "at many accounts from many addresses": lambda number: (f"user{number}", f"10.0.1.{number}"),
}


@pytest.mark.parametrize("how", GUESSES)
def test_strangers_get_twenty_hashes_a_minute_in_all(
    clock: Clock, gustav: User, computed: Callable[[], int], how: str
) -> None:
    User.objects.bulk_create(User(username=f"user{number}", password=gustav.password) for number in range(100))
    answers = [sign_in(Client(), name, address=address) for name, address in map(GUESSES[how], range(100))]
    assert answers == [200] * 20 + [429] * 80
    assert computed() == 20


def test_the_bucket_of_strangers_fills_again(clock: Clock, computed: Callable[[], int]) -> None:
    for _ in range(30):
        sign_in(Client())
    clock.now += 59.9
    assert sign_in(Client(), password=PASSWORD) == 429
    clock.now += 0.2
    assert sign_in(Client(), password=PASSWORD) == 302
    assert computed() == 21


def test_a_refusal_says_when_to_try_again_and_repeats_no_password(clock: Clock, gustav: User) -> None:
    for _ in range(20):
        sign_in(Client())
    clock.now += 48.0
    response = Client().post(SIGN_IN, {"username": "gustav", "password": "my-secret-guess"})
    assert (response.status_code, response["Retry-After"]) == (429, "12")
    assert "Too many attempts. Try again in 12 s." in response.content.decode()
    assert b"my-secret-guess" not in response.content


@pytest.mark.parametrize(
    "form", [{}, {"username": "gustav"}, {"password": "x"}, {"username": "g\x00", "password": "x"}]
)
def test_a_form_that_costs_no_hash_takes_no_token(
    clock: Clock, computed: Callable[[], int], form: dict[str, str]
) -> None:
    for _ in range(40):
        assert Client().post(SIGN_IN, form).status_code == 200
    assert computed() == 0
    assert sign_in(Client(), password=PASSWORD) == 302


def test_the_admin_computes_no_hash_for_anybody(clock: Clock, client: Client, computed: Callable[[], int]) -> None:
    form = {"username": "gustav", "password": PASSWORD, "old_password": PASSWORD}
    for path in ("/admin/login/", "/admin/", "/admin/password_change/", "/admin/accounts/user/", "/admin/logout/"):
        assert client.post(path, form).status_code in (302, 405)
    client.get("/healthz", headers={"authorization": "Basic Z3VzdGF2OnNlY3JldA=="})
    assert computed() == 0


# --- the right person ------------------------------------------------------------------------------------------


@pytest.fixture
def laptop(gustav: User, clock: Clock) -> Client:
    """A browser that signed in as gustav once, and out again."""
    client = Client()
    assert sign_in(client, password=PASSWORD) == 302
    client.post("/account/sign-out/")
    clock.now += 61
    return client


def attack() -> None:
    while sign_in(Client()) != 429:
        pass


def test_the_right_person_gets_in_while_strangers_guess(laptop: Client) -> None:
    attack()
    assert sign_in(laptop, password=PASSWORD) == 302
    assert sign_in(Client(), password=PASSWORD) == 429, "on a browser never seen before they wait"


def test_a_known_browser_has_five_attempts_a_minute_of_its_own(
    laptop: Client, clock: Clock, computed: Callable[[], int]
) -> None:
    before = computed()
    assert [sign_in(laptop) for _ in range(8)] == [200] * 5 + [429] * 3
    assert computed() - before == 5
    assert [sign_in(Client()) for _ in range(21)] == [200] * 20 + [429], "it takes none from strangers"
    clock.now += 61
    assert sign_in(laptop, password=PASSWORD) == 302


def test_two_known_browsers_do_not_take_from_each_other(laptop: Client, clock: Clock) -> None:
    phone = Client()
    assert sign_in(phone, password=PASSWORD) == 302
    phone.post("/account/sign-out/")
    while sign_in(phone) != 429:
        pass
    assert sign_in(laptop, password=PASSWORD) == 302


def test_signing_in_again_makes_no_second_bucket(laptop: Client) -> None:
    first = laptop.cookies[known.COOKIE].value
    assert [sign_in(laptop, password=PASSWORD) for _ in range(8)] == [302] * 5 + [429] * 3
    assert laptop.cookies[known.COOKIE].value.split(":")[0] == first.split(":")[0]


def test_the_cookie_of_one_account_opens_nothing_at_another(
    laptop: Client, owner: User, computed: Callable[[], int]
) -> None:
    attack()
    before = computed()
    assert sign_in(laptop, "anna") == 429
    assert sign_in(laptop, "Gustav") == 429
    assert sign_in(laptop, "nobody") == 429
    assert computed() == before


def test_a_forged_cookie_opens_nothing(laptop: Client, gustav: User, clock: Clock) -> None:
    real = laptop.cookies[known.COOKIE].value
    mark = f"{gustav.pk}-abc"
    forged = [
        "",
        mark,
        f"{mark}:1abcde:{'a' * 43}",
        real[:-2] + ("aa" if real[-2:] != "aa" else "bb"),
        real.replace(f"{gustav.pk}-", "99-", 1),
        signing.get_cookie_signer(salt="another").sign(mark),
        signing.TimestampSigner(key="another key", salt=known.COOKIE + known.SALT).sign(mark),
    ]
    attack()
    for value in forged:
        client = Client()
        client.cookies[known.COOKIE] = value
        assert sign_in(client, password=PASSWORD) == 429, value
    client = Client()
    client.cookies[known.COOKIE] = real
    assert sign_in(client, password=PASSWORD) == 302, "the real one does"


def test_the_cookie_stays_on_the_sign_in_page_for_a_year(laptop: Client) -> None:
    cookie = laptop.cookies[known.COOKIE]
    assert (cookie["path"], cookie["max-age"]) == (SIGN_IN, 365 * 24 * 3600)
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert "gustav" not in cookie.value


def test_a_wrong_password_makes_no_browser_known(gustav: User) -> None:
    client = Client()
    sign_in(client)
    assert known.COOKIE not in client.cookies


# --- one's own password ----------------------------------------------------------------------------------------


def change(client: Client, old: str) -> int:
    new = {"new_password1": "another-long-pass", "new_password2": "another-long-pass"}
    return client.post("/account/password/", new | {"old_password": old}).status_code


def test_the_old_password_is_asked_for_five_times_a_minute(
    gustav: User, clock: Clock, computed: Callable[[], int]
) -> None:
    for _ in range(2):  # as many windows as somebody opens
        client = Client()
        client.force_login(gustav)
        last = [change(client, "wrong") for _ in range(8)]
    assert last == [429] * 8
    assert computed() == 5
    assert change(client, PASSWORD) == 429
    clock.now += 61
    assert change(client, PASSWORD) == 302


def test_who_signs_in_is_not_hindered_by_who_changes_a_password(gustav: User, owner: User, clock: Clock) -> None:
    client = Client()
    client.force_login(gustav)
    for _ in range(8):
        change(client, "wrong")
    assert sign_in(Client(), password=PASSWORD) == 302


def test_the_admin_leads_to_the_page_of_passwords(as_owner: Client) -> None:
    for method in (as_owner.get, as_owner.post):
        assert method("/admin/password_change/")["Location"] == "/account/password/"
