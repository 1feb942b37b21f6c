from django.urls import path

from ports.views import follow, index, out, port, refreshes, turn, vessel

app_name = "ports"
urlpatterns = [
    path("", index.index, name="index"),
    path("refreshes/", refreshes.refreshes, name="refreshes"),
    path("vessels/<int:id>/", vessel.vessel, name="vessel"),
    path("vessels/<int:id>/follow/", follow.follow, name="follow"),
    path("followed/", follow.followed, name="followed"),
    path("subscription/", out.subscription, name="subscription"),
    path("out/<str:secret>/followed.ics", out.followed_calendar, name="followed_calendar"),
    path("out/<str:secret>/followed.atom", out.followed_newsfeed, name="followed_newsfeed"),
    path("out/<str:secret>/<str:locode>/expected.ics", out.port_calendar, name="port_calendar"),
    path("out/<str:secret>/<str:locode>/changes.atom", out.port_newsfeed, name="port_newsfeed"),
    path("<str:locode>/", port.port, name="port"),
    path("<str:locode>/turn-on/", turn.turn_on, name="turn_on"),
    path("<str:locode>/turn-off/", turn.turn_off, name="turn_off"),
    path("<str:locode>/refresh/", turn.refresh, name="refresh"),
    path("<str:locode>/remove/", turn.remove, name="remove"),
    path("<str:locode>/<str:tab>.csv", out.port_csv, name="port_csv"),
    path("<str:locode>/<str:tab>/", port.tab, name="port_tab"),
]
