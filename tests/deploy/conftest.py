import sys

from tests.site import ROOT

sys.path.insert(0, str(ROOT / "deploy"))  # its scripts are run by the system's Python, and find each other there
