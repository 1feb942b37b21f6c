"""What every page carries along: small, readable as it is served, and from nowhere else."""

import json
import re
from pathlib import Path

import pytest
from django.test import Client

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "static"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def test_styles_and_scripts_of_a_page_stay_small() -> None:
    everywhere = (STATIC / "iotsite.css").stat().st_size
    of_one_page = [
        path.stat().st_size for path in STATIC.glob("*.css") if path.stem not in ("iotsite", "iotsite-admin")
    ]
    assert everywhere + max(of_one_page) < 20 * 1024
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) < 10 * 1024


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_an_inline_script_or_style(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", source)
    assert not re.search(r"(?:src|href)=.?(?:https?:)?//", source)


def test_phones_find_all_they_need_for_their_home_screen(client: Client, db: None) -> None:
    page = client.get("/account/sign-in/").content.decode()
    assert '<link rel="manifest" href="/static/manifest.webmanifest">' in page
    assert "apple-touch-icon.png" in page
    response = client.get("/static/manifest.webmanifest")
    assert response["Content-Type"].startswith("application/manifest+json")
    manifest = json.loads((STATIC / "manifest.webmanifest").read_text())
    assert (manifest["start_url"], manifest["display"]) == ("/", "standalone")
    for icon in manifest["icons"]:
        data = (STATIC / icon["src"]).read_bytes()
        if icon["type"] == "image/png":
            width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
            assert icon["sizes"] == f"{width}x{height}"
