"""What the web server runs: the site in a pool of threads, each of which keeps its database connection."""

import gc

from django.conf import settings

from iotsite.bridge import Bridge
from iotsite.checkpoint import Checkpointer
from iotsite.forwarded import Forwarded
from iotsite.wsgi import application as site
from relays.wakeup import WAITERS

THREADS = WAITERS + 16
"""However many requests wait for a controller, these are left to everybody else."""

gc.freeze()  # what lives as long as the process need not be looked through for garbage
bridge = Bridge(site, threads=THREADS, longest_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE, body_within=12.0)
application = Forwarded(bridge, settings.TRUSTED_PROXIES)
Checkpointer(keeps_lock=False).start()
