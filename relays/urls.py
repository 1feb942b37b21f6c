from django.urls import path

from relays import views

app_name = "relays"
urlpatterns = [
    path("", views.home, name="home"),
    path("relays/<slug:slug>/switch", views.switch, name="switch"),
    path("relays/<slug:slug>/press", views.press, name="press"),
    path("rooms/off", views.room_off, name="room_off"),
    path("stop", views.stop, name="stop"),
    path("stop/reset", views.reset_stop, name="reset_stop"),
]
