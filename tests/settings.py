"""The site's settings with folders of their own, so that a test run never touches a real site."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_place = Path(tempfile.mkdtemp(prefix="iotsite-test-"))
atexit.register(shutil.rmtree, _place, ignore_errors=True)
os.environ["DATA_DIR"] = str(_place / "data")
os.environ["RUN_DIR"] = str(_place / "run")

from iotsite.settings import *  # noqa: E402, F403

DATABASES = {  # the tests' own database lives in memory; tests of several processes make a real site (tests/site.py)
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MIDDLEWARE = [
    {"whitenoise.middleware.WhiteNoiseMiddleware": "tests.static_files.StaticFiles"}.get(name, name)
    for name in MIDDLEWARE  # noqa: F405
]
HOST_NAMES = [*HOST_NAMES, "testserver"]  # noqa: F405
