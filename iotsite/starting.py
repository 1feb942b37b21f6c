"""What people type to start a program of the site that does not run: installed for good, they are units of systemd."""

from django.conf import settings


def controller(board: int) -> list[str]:
    """For the controller of the board of this number; any of them does."""
    if settings.IS_INSTALLED:
        return [f"sudo systemctl enable --now iotsite-controller@{board}"]
    return ["script/server", "manage.py run_relays"]


def refresh() -> str:
    """For what keeps the ports fresh."""
    return "sudo systemctl start iotsite-refresh" if settings.IS_INSTALLED else "manage.py refresh_ships --watch"
