"""The ports that this site can be told of, from the sources: each lies in the database before it is turned on."""

from ports.models import Feed, Port
from ports.sources import registry


def add_missing() -> None:
    """A row for every feed and port of every source that has none yet. All of them are off."""
    feeds = {(feed.source, feed.name): feed for feed in Feed.objects.all()}
    locodes = set(Port.objects.values_list("locode", flat=True))
    for source in registry().values():
        for name, ports in source.feeds.items():
            feed = feeds.get((source.name, name)) or Feed.objects.create(
                source=source.name, name=name, interval=source.interval
            )
            Port.objects.bulk_create(
                [
                    Port(
                        feed=feed,
                        **{field: getattr(port, field) for field in _FIELDS},
                    )
                    for port in ports
                    if port.locode not in locodes
                ]
            )


_FIELDS = ("locode", "name", "country", "zone", "latitude", "longitude")
