"""The admin: ports turned on and off, vessels put right and merged; what the feeds told is there to be read."""

from ports.admin.call import ChangeAdmin, PortCallAdmin
from ports.admin.feed import FeedAdmin, RefreshAdmin
from ports.admin.port import BerthAdmin, PortAdmin
from ports.admin.vessel import VesselAdmin

__all__ = ["BerthAdmin", "ChangeAdmin", "FeedAdmin", "PortAdmin", "PortCallAdmin", "RefreshAdmin", "VesselAdmin"]
