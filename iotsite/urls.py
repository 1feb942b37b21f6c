from django.contrib import admin
from django.urls import include, path

from iotsite import errors, health
from iotsite.admin import sign_in

admin.autodiscover()

urlpatterns = [
    path("", include("relays.urls")),
    path("account/", include("accounts.urls")),
    path("admin/login/", sign_in),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
