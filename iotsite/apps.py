from django.apps import AppConfig
from django.db.backends.signals import connection_created


class IotsiteConfig(AppConfig):
    name = "iotsite"

    def ready(self) -> None:
        from iotsite import database

        connection_created.connect(database.refuse_another_file)
