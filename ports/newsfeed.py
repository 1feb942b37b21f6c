"""Changes as an Atom feed (RFC 4287), for readers that ask again and again and know an entry by its id."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import escape

from ports import moves
from ports.models import Change
from ports.sources.text import clean
from ports.voyages import exact

LONGEST = 1_000
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


class Newsfeed(Atom1Feed):
    def latest_post_date(self) -> datetime:
        """Of a feed without entries, not the present: it would be another one each time it is asked for."""
        return super().latest_post_date() if self.items else NEVER


def newsfeed(changes: Iterable[Change], title: str, page: str, site: str) -> bytes:
    """The ``changes`` at hand; ``page`` is where people find the like.

    It does not name its own address, which is a secret and would go wherever the feed goes.
    """
    told = list(changes)
    sources = sorted({change.port.feed.publisher.attribution for change in told})
    feed = Newsfeed(
        title=clean(title, 300),
        link=site + page,
        description="",
        feed_guid=_urn(f"feed {page}"),
        author_name="iotsite",
        feed_copyright="; ".join(sources) or None,
    )
    for change in told:
        _add(feed, change, site)
    return feed.writeString("utf-8").encode(errors="replace")


def _add(feed: Newsfeed, change: Change, site: str) -> None:
    call, say = change.call, exact(change.port.tzinfo)
    what = clean(moves.sentence(change, say), 400)
    feed.add_item(
        title=f"{clean(call.vessel.name)} at {clean(change.port.name)}: {what}",
        link=site + reverse("ports:vessel", args=[call.vessel_id]),
        description=escape(f"Seen {say(change.seen_at)}. {change.port.feed.publisher.attribution}"),
        unique_id=_urn(f"change {change.pk}"),
        pubdate=change.seen_at,
        updateddate=change.seen_at,
        categories=[change.get_field_display()],
    )


def _urn(what: str) -> str:
    """The same for ever, another one at every site, and nothing follows from it."""
    return uuid.UUID(bytes=salted_hmac("ports.newsfeed", what, algorithm="sha256").digest()[:16], version=4).urn
