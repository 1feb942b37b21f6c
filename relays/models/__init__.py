from relays.models.board import Board
from relays.models.event import Event
from relays.models.interlock import Interlock
from relays.models.relay import Relay
from relays.models.room import Room

__all__ = ["Board", "Event", "Interlock", "Relay", "Room"]
