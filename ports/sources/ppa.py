from ports.sources import Source

SOURCES: list[Source] = []
