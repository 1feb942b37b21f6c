"""The site's settings. Each variable has a type and a safe default; README.md lists them all."""

import socket
import sys
from pathlib import Path

import environ
from csp.constants import NONE, SELF

from iotsite import network, places, retention

BASE_DIR = Path(__file__).resolve().parent.parent
# By script/install: systemd starts what script/server starts elsewhere.
IS_INSTALLED = BASE_DIR.parent.name == "releases"

env = environ.Env(
    DEBUG=(bool, False),
    SECRET_KEY=(str, ""),
    DATA_DIR=(str, "data"),
    RUN_DIR=(str, ""),
    ALLOWED_HOSTS=(list, []),
    CSRF_TRUSTED_ORIGINS=(list, []),
    LISTEN=(str, "127.0.0.1:8000"),
    HTTPS=(bool, False),
    TRUSTED_PROXIES=(list, []),
    PORTS_PUBLIC=(bool, False),
    KEEP_EVENTS=(str, retention.DEFAULT),
    KEEP_CHANGES=(str, retention.DEFAULT),
    KEEP_REFRESHES=(str, retention.DEFAULT),
    TIME_ZONE=(str, places.this_machines_zone()),
    LOG_LEVEL=(str, "INFO"),
)
environ.Env.read_env(BASE_DIR / ".env")

DEBUG: bool = env("DEBUG")
try:
    DATA_DIR = places.private_folder(BASE_DIR / env("DATA_DIR"))
    RUN_DIR = places.run_folder(BASE_DIR / (env("RUN_DIR") or places.default_run_dir(DATA_DIR)))
    SECRET_KEY: str = env("SECRET_KEY") or places.secret_key(DATA_DIR)
except places.PlaceError as error:
    sys.exit(f"iotsite: {error}")

# iotsite/hosts.py lets in these, and any address in numbers, which Django's own check cannot say.
HOST_NAMES: list[str] = [*places.names_of(socket.gethostname()), *env("ALLOWED_HOSTS")]
ALLOWED_HOSTS = ["*"]
CSRF_TRUSTED_ORIGINS: list[str] = env("CSRF_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "iotsite.errors.csrf_failure"

INSTALLED_APPS = [
    # Not the plain admin: that one imports every app's admin at each start of a command line.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_filters",
    "django_htmx",
    "lucide",
    "iotsite",
    "accounts",
    "relays",
    "ports",
]

MIDDLEWARE = [
    "iotsite.headers.HeadersMiddleware",
    "iotsite.headers.PolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "iotsite.hosts.HostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.SignInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "iotsite.urls"
WSGI_APPLICATION = "iotsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# WAL with synchronous=FULL: an acknowledged command survives a power cut. wal_autocheckpoint=0: SQLite before
# 3.51.3 can corrupt a WAL database when one connection resets the log while another commits, so that only
# iotsite/checkpoint.py ever moves it. mode=rw: a deleted database is an error, never a new empty one.
DATABASES = {
    "default": {
        "ENGINE": "iotsite.sqlite",
        "NAME": f"{(DATA_DIR / 'db.sqlite3').as_uri()}?mode=rw",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 5,
            "transaction_mode": "IMMEDIATE",
            # analysis_limit: ANALYZE (ports/refresh.py) looks at so many rows of an index, however long it is.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
            "PRAGMA analysis_limit=400;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "relays:home"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Whether ships can be read of without signing in; relays never can.
PORTS_PUBLIC: bool = env("PORTS_PUBLIC")

# Days that histories are kept; 0 is for ever.
try:
    KEEP_EVENTS, KEEP_CHANGES, KEEP_REFRESHES = (retention.days(name, env(name)) for name in retention.SETTINGS)
except retention.RetentionError as error:
    sys.exit(f"iotsite: {error}")

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE: str = env("TIME_ZONE")

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_MIMETYPES = {".webmanifest": "application/manifest+json"}

# No inline script or style, nothing from elsewhere, on any page, the admin's too.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
# Not stricter: with no-referrer a browser sends “Origin: null” with our own forms.
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_AGE = 30 * 24 * 3600
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Not in the session: that would be written to the database when a page shows them.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

# Behind a reverse proxy that speaks HTTPS and says so (iotsite/forwarded.py asks only those that are trusted whether a
# request came that way); without it plain HTTP, for a network at home.
HTTPS: bool = env("HTTPS")
try:
    LISTEN = network.listening(env("LISTEN"))
    TRUSTED_PROXIES = network.proxies(env("TRUSTED_PROXIES") or (["127.0.0.1", "::1"] if HTTPS else []))
except network.NetworkError as error:
    sys.exit(f"iotsite: {error}")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^https/name$"]  # asked on this machine, without the proxy
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if HTTPS else 0
# The other names of a domain, and what is built into browsers for years, are not for this site to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"] if HTTPS else []

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"discretion": {"()": "iotsite.discretion.DiscretionFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["discretion"]}},
    "root": {"handlers": ["stderr"], "level": env("LOG_LEVEL")},
}
