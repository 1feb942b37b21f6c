"""The admin: what is wired, its rules and its history. It switches and locks through the one door, like a page."""

from relays.admin.board import BoardAdmin
from relays.admin.event import EventAdmin
from relays.admin.interlock import InterlockAdmin
from relays.admin.relay import RelayAdmin
from relays.admin.room import RoomAdmin

__all__ = ["BoardAdmin", "EventAdmin", "InterlockAdmin", "RelayAdmin", "RoomAdmin"]
