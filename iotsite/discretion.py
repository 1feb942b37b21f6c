"""Keeps out of the log what an address lets in: whoever reads a log may not have read what it opens."""

import logging
import re

SECRET = re.compile(r"(/ports/out/)[^/\s?]+")


class DiscretionFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if "/ports/out/" in f"{record.msg} {record.args}":
            record.msg, record.args = SECRET.sub(r"\1…", record.getMessage()), ()
        return True
