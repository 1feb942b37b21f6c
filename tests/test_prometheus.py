"""What docs/operating.md tells Prometheus and deploy/grafana.json tells Grafana fits what /metrics tells."""

import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from relays.models import Relay
from tests.iotsite.test_metrics import PROMETHEUS, Samples, Scraper, openmetrics, port, read, told
from tests.site import ROOT, Site, add_relays, sign_in, wait_for

__all__ = ["port", "told"]

OPERATING = ROOT / "docs" / "operating.md"
OPTIONS = {"job_name", "scrape_interval", "authorization", "static_configs"}
"""Of those that Prometheus's documentation of scrape_config names."""
PI = "raspberrypi.local:8000"


# --- Prometheus ---------------------------------------------------------------------------------------------------


class Prometheus:
    """What Prometheus does with the recipe: GET /metrics at each target, with what stands in the credentials file."""

    def __init__(self, token_file: Path, address: str) -> None:
        [text] = re.findall(r"^```yaml\n(scrape_configs:.*?)^```$", OPERATING.read_text(), re.MULTILINE | re.DOTALL)
        [self.config] = yaml.safe_load(text)["scrape_configs"]
        assert set(self.config) == OPTIONS
        assert self.config["authorization"] == {"credentials_file": "/etc/prometheus/iotsite.token"}
        assert self.config["static_configs"] == [{"targets": [PI]}]
        self.headers = {"Authorization": f"Bearer {token_file.read_text().strip()}", "Accept": PROMETHEUS}
        self.url = f"{address}/metrics"

    def scrape(self) -> Samples:
        answer = requests.get(self.url, headers=self.headers, timeout=10)
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        return read(answer.text, openmetrics)


def token_as_told(site: Site, user: str) -> str:
    """By the command that the recipe names."""
    [line] = re.findall(r"^ +sudo iotsite (create_token .+)$", OPERATING.read_text(), re.MULTILINE)
    words = line.replace("admin", user).split()
    assert words[words.index("--scope") + 1] == "read"
    return site.manage(*words).stdout


@pytest.mark.slow
def test_a_real_site_is_watched_as_the_recipe_says(site: Site, tmp_path: Path) -> None:
    add_relays(site, "Lamp")
    site.add_user()
    (tmp_path / "token").write_text(token_as_told(site, "bench"))
    site.start_controller()
    _, address = site.start_web()
    prometheus, browser = Prometheus(tmp_path / "token", address), sign_in(address)
    prometheus.scrape()
    for word in ("on", "off"):
        assert site.manage("switch", "lamp", word, "--wait", "20").returncode == 0
    with browser.get(f"{address}/live", stream=True, timeout=10) as page:
        news = page.iter_content(1)  # kept: without it the connection is closed
        assert next(news)
        with ThreadPoolExecutor(8) as pool:
            [*pool.map(lambda _: prometheus.scrape(), range(16))]
        samples = wait_for(lambda: (told := prometheus.scrape())["iotsite_streams", "page"] and told)
    switched = {name: samples["iotsite_commands_total", name, "command line"] for name in ("accepted", "applied")}
    assert switched == {"accepted": 2, "applied": 2}
    assert samples["iotsite_command_seconds_count",] == 2
    assert 0 < samples["iotsite_command_seconds_sum",] < 40
    assert samples["iotsite_relay_actual", "1", "Lamp", "lamp"] == 0
    assert samples["iotsite_controller_up", "1", "Test board"] == 1
    assert samples["iotsite_controller_resident_memory_bytes", "1", "Test board"] > 20e6
    assert samples["iotsite_web_resident_memory_bytes",] > 20e6
    assert samples["iotsite_database_bytes",] > 100e3


# --- Grafana ------------------------------------------------------------------------------------------------------

Known = dict[str, dict[str, set[str]]]
"""For each metric its labels, and for each of those the values that were seen."""
DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text())
PANELS = DASHBOARD["panels"]
QUERIES = [(target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
WORDS = {"histogram_quantile", "sum", "max", "count", "vector", "rate", "increase", "by", "or", "h", "__rate_interval"}
"""Of PromQL's, and Grafana's own interval."""
BOUNDED = {"state", "outcome", "via", "kind"}
"""Labels that have the same few values on each site."""


@pytest.fixture
def known(told: Scraper, pump: Relay, served: Any, port: Any) -> Known:
    """All that a site tells that has something of everything."""
    Relay.objects.update(actual=True)
    found: Known = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(told.get().content.decode()):
        assert family.samples, f"{family.name} tells nothing here"
        for sample in family.samples:
            found[sample.name] |= {}
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
    return found


@pytest.mark.parametrize(("query", "legend"), QUERIES)
def test_a_query_names_only_what_there_is(known: Known, query: str, legend: str) -> None:
    plain = re.sub(r'"[^"]*"', "", query)
    names = re.findall(r"iotsite_\w+", plain)
    assert names
    labels = set.intersection(*({*known[name]} for name in names if name in known))
    grouped = {word for by in re.findall(r"by \(([^)]+)\)", plain) for word in by.split(", ")}
    asked = [
        (name, *matcher)
        for name, matchers in re.findall(r"(iotsite_\w+)\{([^}]*)\}", query)
        for matcher in re.findall(r'(\w+)!?="([^"]*)"', matchers)
    ]
    assert {*names} <= {*known}
    assert grouped <= labels
    assert {*re.findall(r"\{\{(\w+)\}\}", legend)} <= (grouped or labels)
    assert all(value in known[name][label] for name, label, value in asked)
    assert {*re.findall(r"[a-z_]+", plain)} <= WORDS | {*names} | labels | {label for _, label, _ in asked}


def test_the_labels_that_may_be_written_into_queries_have_few_values(known: Known) -> None:
    for labels in known.values():
        assert all(len(values) <= 11 for label, values in labels.items() if label in BOUNDED)


def test_the_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) > 10
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        assert 0 <= at["x"] <= at["x"] + at["w"] <= 24
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert own.isdisjoint(taken), panel["title"]
        taken |= own


def test_every_panel_asks_the_prometheus_that_was_chosen() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(part["datasource"] == chosen for panel in PANELS for part in (panel, *panel["targets"]))


def test_every_metric_is_on_the_dashboard_or_explained(known: Known) -> None:
    told = OPERATING.read_text()
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known}
    assert [name for name in sorted(families) if f"`{name}`" not in told] == []
