"""Runs commands of manage.py, each in a fork of its own, and kills it with -9 at a line of our code or at a moment.

One JSON object a line: {"command": [...], "line": N} dies before the Nth line that it carries out of the modules
below; "after": seconds, at that moment. Answers with "killed", or with the exit status and what was said.
"""

import io
import json
import os
import signal
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from types import FrameType
from typing import Any

import django

django.setup()

from django.core.management import CommandError, call_command  # noqa: E402

from iotsite import backup, database, inplace, restore  # noqa: E402

MODULES = {module.__file__ for module in (backup, database, inplace, restore)}


def die_at(line: int) -> None:
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in MODULES:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def run(job: dict[str, Any]) -> dict[str, Any]:
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            if "line" in job:
                die_at(job["line"])
            if "after" in job:
                threading.Timer(job["after"], os.kill, [os.getpid(), signal.SIGKILL]).start()
            call_command(*job["command"])
    except CommandError as error:
        return {"status": 1, "said": str(error)}
    return {"status": 0, "said": said.getvalue()}


def main() -> None:
    for text in sys.stdin:
        ours, theirs = os.pipe()
        if (child := os.fork()) == 0:
            os.write(theirs, json.dumps(run(json.loads(text))).encode())
            os._exit(0)
        os.close(theirs)
        _, status = os.waitpid(child, 0)
        with os.fdopen(ours) as answer:
            print("killed" if os.WIFSIGNALED(status) else answer.read(), flush=True)


main()
