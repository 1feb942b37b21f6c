"""script/update on a machine that lies in a folder: updating.py ROOT FOLDER-OF-THE-MANAGER PATIENCE [options]."""

import os
import sys
from pathlib import Path

root, folder, patience, *options = sys.argv[1:]
deploy = (Path(root) / "opt/iotsite/current/deploy").resolve()
sys.path[:0] = [str(deploy), str(Path(__file__).resolve().parent)]

from manager import StandIn  # noqa: E402

import update  # noqa: E402
from machine import Machine  # noqa: E402

os.environ.pop("VIRTUAL_ENV", None)
sys.exit(update.main(options, Machine(Path(root), StandIn(Path(folder))), float(patience)))
