"""What the web server runs: the WSGI site in a pool of threads, each of which keeps its database connection."""

from a2wsgi import WSGIMiddleware

from iotsite.checkpoint import Checkpointer
from iotsite.wsgi import application as site

THREADS = 16

application = WSGIMiddleware(site, workers=THREADS)  # type: ignore[arg-type]  # the two disagree on a dict
Checkpointer(keeps_lock=False).start()
