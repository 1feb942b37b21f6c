#!/usr/bin/env python3
"""Switch off the relays of a controller that is lost: failsafe.py RUN_DIR/board-1.plan [more]

For the moment when Django, its virtual environment or the database may be broken: standard library only, any
Python 3.9. Reads the plan file that the controller kept, and drives each relay whose on_lost is off to its off
level, by the ioctls of linux/gpio.h (version 2). Does nothing while a controller holds the board's lock.
"""

import fcntl
import json
import os
import struct
import sys
import time
from pathlib import Path

GPIO_V2_GET_LINE_IOCTL = 0xC250B407
GPIO_V2_LINE_FLAG_OUTPUT = 1 << 3
GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES = 2
# struct gpio_v2_line_request: offsets[64], consumer[32], config { flags, num_attrs, padding[5],
# attrs[10] { id, padding, value, mask } }, num_lines, event_buffer_size, padding[5], fd
LINE_REQUEST = struct.Struct("=64I32sQI20x" + 10 * "IIQQ" + "II20xi")


def drive(chip, number, level):
    """Take a line of a chip at ``level`` and let it go. The kernel keeps it there, or lets the board's pull decide."""
    attribute = [GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES, 0, level, 1]
    offsets = [number] + [0] * 63
    request = LINE_REQUEST.pack(
        *offsets, b"iotsite-failsafe", GPIO_V2_LINE_FLAG_OUTPUT, 1, *attribute, *([0] * 36), 1, 0, 0
    )
    device = os.open("/dev/gpiochip%d" % chip, os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = bytearray(request)
        fcntl.ioctl(device, GPIO_V2_GET_LINE_IOCTL, answer)
        os.close(LINE_REQUEST.unpack(answer)[-1])
    finally:
        os.close(device)


def drive_simulated(plan_file, line, level):
    """The same for a line of a simulated board, which is a row in a file (see boards/simulated.py)."""
    row = "%.6f %d %s %d failsafe\n" % (time.clock_gettime(time.CLOCK_BOOTTIME), os.getpid(), line, level)
    with plan_file.with_suffix(".lines").open("a") as file:
        file.write(row)


def switch_off(plan_file, plan):
    """Switch off what shall not stay on; the sentences of what could not be done."""
    problems = []
    for relay in plan["lines"].values():
        if relay["on_lost"] != "off":
            continue
        level = 1 if relay["active_low"] else 0
        try:
            if plan["driver"] == "simulated":
                drive_simulated(plan_file, relay["line"], level)
            else:
                drive(plan["chip"], int(relay["line"].replace("GPIO", "")), level)
        except OSError as error:
            problems.append("%s (%s) could not be switched off: %s" % (relay["name"], relay["line"], error.strerror))
            continue
        relay.update(level=False, moving_to=None, is_over=True)
        print("failsafe: %s (%s) is switched off" % (relay["name"], relay["line"]))
    return problems


def main(plan_file):
    lock = os.open(plan_file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ["its controller runs: nothing was switched"]
    try:
        plan = json.loads(plan_file.read_text())
        problems = switch_off(plan_file, plan)
        draft = plan_file.with_suffix(".failsafe")
        draft.write_text(json.dumps(plan))
        draft.replace(plan_file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return ["%s cannot be used: %r" % (plan_file, error)]
    finally:
        os.close(lock)
    return problems


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    found = [problem for name in sys.argv[1:] for problem in main(Path(name))]
    for problem in found:
        print("failsafe: %s" % problem, file=sys.stderr)
    sys.exit(1 if found else 0)
