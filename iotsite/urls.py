from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, include, path
from django.views.generic import RedirectView

from iotsite import errors, health, https, live, metrics
from iotsite.admin import change_password, sign_in
from iotsite.api import api, call
from iotsite.doctor.page import doctor
from ports.api import router as ports_router
from relays.api import router

admin.autodiscover()
api.add_router("", router)
api.add_router("", ports_router)
programs = api.urls
for pattern in programs[0]:
    # Its calls ask for tokens themselves; its documentation is a page like others, for people who are signed in.
    if isinstance(pattern, URLPattern) and pattern.name not in ("openapi-json", "openapi-view"):
        pattern.callback = login_not_required(call(pattern.callback))

urlpatterns = [
    path("api/", RedirectView.as_view(pattern_name="api:openapi-view")),
    path("api/", programs),
    path("", include("relays.urls")),
    path("ports/", include("ports.urls")),
    path("account/", include("accounts.urls")),
    path("admin/login/", sign_in),
    path("admin/password_change/", change_password),
    path("admin/", admin.site.urls),
    path("https", https.page, name="https"),
    path("https/name", https.name, name="https_name"),
    path("doctor/", doctor, name="doctor"),
    path("live", live.live, name="live"),
    path("metrics", login_not_required(call(metrics.metrics)), name="metrics"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
