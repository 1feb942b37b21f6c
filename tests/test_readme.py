"""What README.md and docs/api.md tell people to type does what they say, on a real site."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from jinja2 import Template

from iotsite import apidocs
from tests.site import ROOT, Site, make_site, wait_for

README = (ROOT / "README.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
CURLS = re.findall(r"^curl .+$", README + API, re.MULTILINE)
OPTIONS = {"platform", "name", "unique_id", "resource", "method", "headers", "scan_interval"}
OPTIONS |= {"body_on", "body_off", "is_on_template"}
"""Of those that Home Assistant's documentation of the RESTful switch names."""
PI = "http://raspberrypi.local:8000"

pytestmark = pytest.mark.slow


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class House:
    """A site as its first run makes it, a web process, a controller and a token that may switch."""

    def __init__(self, site: Site) -> None:
        self.site = site
        assert site.manage("first_run").returncode == 0
        site.start_controller()
        self.address = site.start_web()[1]
        made = site.manage("create_token", "admin", "--name", "README", "--scope", "switch", "--days", "90")
        self.token = made.stdout.strip()

    def run(self, line: str) -> tuple[int, str]:
        """A curl line as it stands: the status and what came."""
        seconds = 10 if "/api/stream" in line else 30
        asked = line.replace("curl ", f"curl --silent --max-time {seconds} --write-out '\n%{{http_code}}' ", 1)
        env = os.environ | {"SITE": self.address, "TOKEN": self.token}
        done = subprocess.run(["bash", "-c", asked], env=env, capture_output=True, text=True, timeout=60)
        content, _, status = done.stdout.rpartition("\n")
        return int(status), content


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[House]:
    site = make_site(tmp_path_factory.mktemp("readme"), template_database)
    yield House(site)
    site.end()


def test_there_are_curl_lines_for_every_call() -> None:
    assert len(CURLS) >= 12
    said = "\n".join(CURLS)
    for path in ("relays", "all-off", "relays/gate/press", "stop", "events", "stream", "ports", "changes", "vessels/1"):
        assert f"/api/{path}" in said


@pytest.mark.xdist_group("readme")
@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("line", CURLS)
def test_every_curl_line_does_what_it_says(house: House, line: str) -> None:
    status, content = house.run(line)
    assert status in ((200, 202) if '"wait": 0' in line else (200,)), content
    if "/api/stream" in line:
        assert "event: relay\n" in content
        assert "event: stop\n" in content
    else:
        assert json.loads(content)


@pytest.mark.xdist_group("readme")
def test_the_relay_that_is_shown_has_the_fields_of_a_relay(house: House) -> None:
    shown, problem = (json.loads(block) for block in blocks(API, "json"))
    headers = {"Authorization": f"Bearer {house.token}"}
    relay = requests.get(f"{house.address}/api/relays/porch-lamp", headers=headers, timeout=5).json()
    assert list(shown) == list(relay)
    refused = requests.put(f"{house.address}/api/relays/gate", json={"on": True}, headers=headers, timeout=5)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert list(problem) == list(refused.json())


def test_every_code_is_in_the_table() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", API, re.MULTILINE)
    assert [(int(status), code, about) for status, code, about in rows] == apidocs.CODES


# --- Home Assistant -----------------------------------------------------------------------------------------------


class Loader(yaml.SafeLoader):
    """Knows Home Assistant's !secret: the name of what stands in secrets.yaml."""


Loader.add_constructor("!secret", lambda loader, node: {"secret": loader.construct_scalar(node)})


class HomeAssistant:
    """What Home Assistant's RESTful switch does with its configuration (homeassistant/components/rest/switch.py).

    It sends ``body_on`` or ``body_off`` by ``method`` to ``resource``, takes any 2xx for success (older ones 200
    only), gets ``resource`` with the same headers, and reads the state off ``is_on_template``, in lower case: true,
    false, or unknown. In the template ``value_json`` is the answer.
    """

    def __init__(self, house: House) -> None:
        (text,) = blocks(README, "yaml")
        (self.switch,) = yaml.load(text, Loader)["switch"]
        assert self.switch["platform"] == "rest"
        secret = re.search(r"`iotsite: (Bearer) iot_…` in `secrets.yaml`", README)
        assert secret
        secrets = {"iotsite": f"{secret[1]} {house.token}"}
        self.headers = {
            name: secrets[value["secret"]] if isinstance(value, dict) else value
            for name, value in self.switch["headers"].items()
        }
        self.resource = self.switch["resource"].replace(PI, house.address)

    def turn(self, word: str) -> requests.Response:
        body = Template(self.switch[f"body_{word}"]).render().encode()
        return requests.request(self.switch["method"], self.resource, data=body, headers=self.headers, timeout=10)

    def is_on(self) -> bool | None:
        answer = requests.get(self.resource, headers=self.headers, timeout=10)
        assert answer.status_code == 200
        text = Template(self.switch["is_on_template"]).render(value=answer.text, value_json=answer.json())
        return {"true": True, "false": False}.get(text.lower())


@pytest.mark.xdist_group("readme")
def test_home_assistant_switches_and_shows_what_is_so(house: House) -> None:
    assistant = HomeAssistant(house)
    before = house.site.levels("GPIO17")
    for word, is_on in (("on", True), ("off", False), ("on", True), ("off", False)):
        answer = assistant.turn(word)
        assert (answer.status_code, assistant.is_on()) == (200, is_on), answer.text
    assert house.site.levels("GPIO17")[len(before) :] == [0, 1, 0, 1], "active-low"


@pytest.mark.xdist_group("readme")
def test_home_assistant_shows_unknown_while_no_controller_answers_and_no_hope(house: House) -> None:
    assistant = HomeAssistant(house)
    controller = house.site.processes[0]
    controller.kill()
    controller.wait()
    wait_for(lambda: assistant.is_on() is None, what="unknown")
    refused = assistant.turn("on")
    assert (refused.status_code, refused.json()["code"]) == (503, "no_controller")
    assert assistant.is_on() is None
    house.site.start_controller()
    wait_for(lambda: assistant.is_on() is False, what="off again")


def test_the_recipe_has_options_that_home_assistant_knows() -> None:
    (text,) = blocks(README, "yaml")
    assert set(yaml.load(text, Loader)["switch"][0]) <= OPTIONS


# --- the rest of README.md -----------------------------------------------------------------------------------------


def test_it_stays_short() -> None:
    assert README.count("\n") < 200


def test_what_it_links_to_is_there() -> None:
    places = re.findall(r"\]\((?!http)([^)#]+)\)|src(?:set)?=\"([^\"]+)\"", README)
    for place in (first or second for first, second in places):
        assert (ROOT / place).exists(), place


def test_the_pictures_are_small() -> None:
    for picture in ("home-light.png", "home-dark.png", "ports-light.png", "ports-dark.png"):
        assert (ROOT / "docs" / picture).stat().st_size < 120_000


def test_the_commands_of_its_steps_are_understood(site: Site) -> None:
    assert site.manage("add_board", "Raspberry Pi", "--driver", "simulated").returncode == 0
    line = next(line for line in README.splitlines() if "manage.py add_relay" in line)
    done = subprocess.run(
        ["bash", "-c", line.replace(".venv/bin/python", sys.executable)],
        cwd=ROOT,
        env=site.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert site.relay("porch-lamp")["line"] == "GPIO5"


def test_the_recorded_answers_are_read_as_it_says(site: Site) -> None:
    found = re.search(r"`(refresh_ships HKHKG [^`]+)`", README)
    assert found
    done = site.manage(*found[1].split())
    assert done.returncode == 0, done.stderr
    assert re.match(r"HKHKG mardep: \d+ calls: \d{3} new", done.stdout)


def test_its_line_for_https_closes_the_open_port_wherever_that_stands(tmp_path: Path) -> None:
    found = re.search(r"sudo (sed .+) /etc/iotsite\.env", README)
    assert found
    for before in ("DATA_DIR=/d\nLISTEN=0.0.0.0:8000\n", "LISTEN=0.0.0.0:8000\nDATA_DIR=/d\n", "DATA_DIR=/d\n"):
        (tmp_path / "env").write_text(before)
        subprocess.run(["bash", "-c", f"{found[1]} {tmp_path / 'env'}"], check=True)
        assert (tmp_path / "env").read_text() == "DATA_DIR=/d\nHTTPS=on\n"
