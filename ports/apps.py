from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PortsConfig(AppConfig):
    name = "ports"

    def ready(self) -> None:
        post_migrate.connect(_know_ports, sender=self)


def _know_ports(sender: AppConfig, **_: Any) -> None:
    """Let the ports of every source be known; none is turned on, and none that is there is touched."""
    from ports import known

    known.add_missing()
