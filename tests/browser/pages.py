"""Every kind of page, and who looks at it."""

PAGES = {
    "home": "/",
    "relay": "/relays/porch-lamp/",
    "relay with a fault": "/relays/garden-pump/",
    "relay that is locked": "/relays/heater/",
    "relay that waits": "/relays/cooler/",
    "relay not known": "/relays/shed-outlet-1/",
    "momentary relay": "/relays/gate/",
    "activity": "/activity/",
    "activity filtered": "/activity/?relay=porch-lamp",
    "setup": "/setup/",
    "choose a board": "/relays/add/",
    "add": "/relays/add/?board=1",
    "edit": "/relays/porch-lamp/edit/",
    "edit of a locked one": "/relays/heater/edit/",
    "try": "/relays/porch-lamp/try/",
    "board": "/boards/1/",
    "board that is silent": "/boards/3/",
    "account": "/account/",
    "password": "/account/password/",
    "reset": "/stop/reset",
    "not found": "/nowhere",
    "not allowed": "/relays/add/",
    "sign in": "/account/sign-in/",
    "https": "/https",
    "api": "/api/docs",
    "doctor": "/doctor/",
}
SEEN_BY = {"not allowed": "viola", "sign in": ""}

ADMIN = {
    "admin": "/admin/",
    "admin relays": "/admin/relays/relay/",
    "admin relay": "/admin/relays/relay/1/change/",
    "admin board": "/admin/relays/board/1/change/",
    "admin events": "/admin/relays/event/",
}

EXPECTED = r"status of 40[34]"
"""What the console says of the pages that say no."""


def path_and_who(name: str) -> tuple[str, str]:
    return (PAGES | ADMIN)[name], SEEN_BY.get(name, "bench")
