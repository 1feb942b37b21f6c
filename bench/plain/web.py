"""The server: python -m uvicorn bench.plain.web:application."""

import os

from django.core.wsgi import get_wsgi_application

from iotsite.bridge import Bridge

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.plain.settings"
application = Bridge(get_wsgi_application(), threads=48, longest_body=10_000, body_within=10.0)
