"""/metrics: the site in numbers, for Prometheus. Whoever asks shows a token, as for the API."""

import os
import platform
from collections.abc import Callable, Iterator

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import exposition
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import CollectorRegistry

from iotsite import __version__, database, live
from iotsite.api import ApiError, no_token, reading
from iotsite.procfs import resident_memory
from ports.metrics import ShipMetrics
from relays.metrics import RelayMetrics

AWAY = "The database does not answer: {}."
TEXT = ("text", "plain")
# The library's own choice stumbles over versions that are no numbers.
FORMATS: dict[tuple[str, str], tuple[Callable[[CollectorRegistry], bytes], str]] = {
    TEXT: (exposition.generate_latest, exposition.CONTENT_TYPE_PLAIN_0_0_4),
    ("application", "openmetrics-text"): (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}


class WebMetrics:
    """Of this process, and of the database."""

    def collect(self) -> Iterator[Metric]:
        version = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("iotsite_build", "What runs here.", version)
        about = "What the web server uses."
        yield GaugeMetricFamily("iotsite_web_resident_memory_bytes", about, resident_memory(os.getpid()))
        yield _streams()
        yield GaugeMetricFamily("iotsite_database_bytes", "The database file.", database.size())
        yield GaugeMetricFamily("iotsite_database_log_bytes", "Its write-ahead log.", database.wal_size())


def _streams() -> Metric:
    streams = GaugeMetricFamily("iotsite_streams", "Pages and programs told of changes at once.", labels=["kind"])
    found = live.open_streams()
    for kind in (live.PageStream.kind, live.ApiStream.kind):
        streams.add_metric([kind], found[kind])
    return streams


def new_registry() -> CollectorRegistry:
    """All that is told; it counts from now on. Not the library's own, which tells of Python's insides."""
    made = CollectorRegistry()
    for collector in (WebMetrics(), RelayMetrics(), ShipMetrics()):
        made.register(collector)
    return made


registry = new_registry()


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    try:
        token = reading(request)
        if token is None:
            return no_token()
        request.auth = token  # type: ignore[attr-defined]
        return _told(request)
    except DatabaseError as error:
        return ApiError(503, "database", AWAY.format(error)).response()


def _told(request: HttpRequest) -> HttpResponse:
    """As text, or as OpenMetrics where that is rather wanted."""
    kinds = ((accepted.main_type, accepted.sub_type) for accepted in request.accepted_types)
    generate, content_type = FORMATS[next((kind for kind in kinds if kind in FORMATS), TEXT)]
    return HttpResponse(generate(registry), content_type=content_type, headers={"Vary": "Accept"})
