"""PUT /api/relays/{slug}."""

import os
import select
import socket
import threading
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import path
from ninja import NinjaAPI, Schema
from ninja.security import HttpBearer

from bench.plain.models import Event, Relay, Token

writing = threading.Lock()


class Bearer(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> Any:
        return Token.objects.filter(digest=sha256(token.encode()).hexdigest()).first()


class Switch(Schema):
    on: bool
    wait: float = 2.0


api = NinjaAPI(auth=Bearer(), docs_url=None, openapi_url=None)


@api.put("/relays/{slug}")
def switch(request: HttpRequest, slug: str, body: Switch) -> Any:
    with writing, transaction.atomic():
        relay = Relay.objects.get(slug=slug)
        event = Event.objects.create(relay=relay, outcome="accepted")
        relay.wanted, relay.command = body.on, event.pk
        relay.save(update_fields=["wanted", "command"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("")
        ear.sendto(b"{}", os.fspath(settings.RUN_DIR / "controller"))
        if body.wait and select.select([ear], [], [], body.wait)[0]:
            relay.refresh_from_db()
    is_applied = Event.objects.filter(of=event, outcome="applied").exists()
    told = {"id": relay.pk, "slug": slug, "wanted": relay.wanted, "actual": relay.actual, "command": event.pk}
    return api.create_response(request, told, status=200 if is_applied else 202)


urlpatterns = [path("api/", api.urls)]
