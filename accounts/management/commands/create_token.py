"""manage.py create_token USER --name N --scope read|switch [--days 90]"""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from accounts.models import Token, User
from relays.management.line import LineCommand


class Command(LineCommand):
    help = "Make an API token for USER and print it, and nothing else. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="whose rights it has")
        parser.add_argument("--name", required=True, help="what uses it: “Home Assistant”")
        parser.add_argument("--scope", required=True, choices=Token.Scope.values, help="what it may do")
        parser.add_argument(
            "--days", default=str(Token.DEFAULT_DAYS), help=f"how long it lasts, or never ({Token.DEFAULT_DAYS})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        days = _days(options["days"])
        try:
            user = User.objects.get(username=options["user"])
        except User.DoesNotExist as error:
            raise CommandError(f"There is no user “{options['user']}”. Users: {_known()}.") from error
        if not user.is_active:
            raise CommandError(f"{user} is not active: a token of theirs would open nothing.")
        try:
            _, text = Token.make(user, options["name"], options["scope"], days)
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from error
        self.stdout.write(text)


def _days(text: str) -> int | None:
    if text == "never":
        return None
    if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= Token.MOST_DAYS:
        return int(text)
    raise CommandError(f"“{text}” is not how long: give days, 1 to {Token.MOST_DAYS}, or never.")


def _known() -> str:
    names = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    return ", ".join(names[:20]) or "none yet; run script/server"
