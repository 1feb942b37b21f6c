from django.urls import path

from ports.views import index, port, refreshes, turn

app_name = "ports"
urlpatterns = [
    path("", index.index, name="index"),
    path("refreshes/", refreshes.refreshes, name="refreshes"),
    path("<str:locode>/", port.port, name="port"),
    path("<str:locode>/turn-on/", turn.turn_on, name="turn_on"),
    path("<str:locode>/turn-off/", turn.turn_off, name="turn_off"),
    path("<str:locode>/refresh/", turn.refresh, name="refresh"),
    path("<str:locode>/remove/", turn.remove, name="remove"),
    path("<str:locode>/<str:tab>/", port.tab, name="port_tab"),
]
