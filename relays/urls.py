from django.urls import path

from relays.views import activity, board, edit, home, relay, setup

app_name = "relays"
urlpatterns = [
    path("", home.home, name="home"),
    path("setup/", setup.setup, name="setup"),
    path("boards/add", setup.add_board, name="add_board"),
    path("boards/<int:pk>/", board.board, name="board"),
    path("relays/<slug:slug>/try/", setup.try_it, name="try"),
    path("relays/<slug:slug>/polarity", setup.swap_polarity, name="swap_polarity"),
    # Before the relays: no slug of theirs may be one of these words (models.relay.RESERVED_SLUGS).
    path("relays/add/", setup.add, name="add"),
    path("relays/<slug:slug>/", relay.detail, name="detail"),
    path("relays/<slug:slug>/edit/", edit.edit, name="edit"),
    path("relays/<slug:slug>/lock", edit.lock, name="lock"),
    path("relays/<slug:slug>/unlock", edit.unlock, name="unlock"),
    path("relays/<slug:slug>/switch", home.switch, name="switch"),
    path("relays/<slug:slug>/press", home.press, name="press"),
    path("activity/", activity.activity, name="activity"),
    path("activity.csv", activity.activity_csv, name="activity_csv"),
    path("rooms/off", home.room_off, name="room_off"),
    path("stop", home.stop, name="stop"),
    path("stop/reset", home.reset_stop, name="reset_stop"),
]
