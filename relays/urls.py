from django.urls import path

from relays.views import home

app_name = "relays"
urlpatterns = [
    path("", home.home, name="home"),
    path("relays/<slug:slug>/switch", home.switch, name="switch"),
    path("relays/<slug:slug>/press", home.press, name="press"),
    path("rooms/off", home.room_off, name="room_off"),
    path("stop", home.stop, name="stop"),
    path("stop/reset", home.reset_stop, name="reset_stop"),
]
