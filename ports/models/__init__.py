from ports.models.call import Change, PortCall, Stay
from ports.models.feed import Feed, Refresh
from ports.models.port import Berth, BerthName, Port
from ports.models.subscription import Subscription
from ports.models.vessel import Follow, Identifier, Vessel, VesselName

__all__ = [
    "Berth",
    "BerthName",
    "Change",
    "Feed",
    "Follow",
    "Identifier",
    "Port",
    "PortCall",
    "Refresh",
    "Stay",
    "Subscription",
    "Vessel",
    "VesselName",
]
