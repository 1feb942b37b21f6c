"""iotsite: relays on a Raspberry Pi and the ships in a port, with no third party in between."""

__version__ = "0.1.0"
