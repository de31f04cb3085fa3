"""The files of the live page: whole, small, and unable to run or to load what is not among them."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from flow.cells import Retention
from flow.definitions import Definitions
from service.api import build_api
from service.authorisation import TokenCheck
from service.page_files import FOLDER, POLICY, page_routes
from service.reader import StateReader

PAGE = Path(__file__).parents[3] / "service" / "page"
FILES = sorted(PAGE.iterdir())
MODULES = [path for path in FILES if path.suffix == ".js" and path.name != "theme.js"]
INDEX = (PAGE / "index.html").read_text()


def client(hashes=None):
    reader = StateReader(Redis(), Definitions({}), Retention(), 1, lambda: 0)
    app = build_api(reader, TokenCheck(hashes or {}, open_access=not hashes), "1.2.3")
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def by_name(paths):
    return [path.name for path in paths]


async def test_the_page_needs_no_token_and_holds_no_data():
    async with client({"ci": "a" * 64}) as asking:
        page = await asking.get("/")
        assert (page.status_code, page.text) == (200, INDEX)
        assert (await asking.get("/v1/streams")).status_code == 401
        assert (await asking.get("/v1/live")).status_code == 401


async def test_every_file_is_served_with_the_policy_and_its_type():
    assert {route.path for route in page_routes()} == {"/"} | {f"{FOLDER}/{name}" for name in by_name(FILES)} - {
        f"{FOLDER}/index.html"
    }
    async with client() as asking:
        for route in page_routes():
            answer = await asking.get(route.path)
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "charset" in answer.headers["content-type"] or "svg" in answer.headers["content-type"]


async def test_a_browser_that_has_a_file_is_told_so():
    async with client() as asking:
        tag = (await asking.get("/")).headers["etag"]
        again = await asking.get("/", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["content-security-policy"] == POLICY
        assert (await asking.get("/", headers={"If-None-Match": '"other"'})).status_code == 200
        assert (await asking.get("/page/nothing.js")).status_code == 404
        assert (await asking.get("/page/../settings.py")).status_code == 404


def test_the_policy_allows_these_files_and_nothing_else():
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in POLICY


def test_the_index_runs_and_styles_nothing_by_itself():
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", INDEX)
    assert all(re.search(r'\ssrc="/page/', script) for script in re.findall(r"<script[^>]*>", INDEX))


def test_every_module_is_loaded_ahead_and_every_import_is_there():
    ahead = set(re.findall(r'modulepreload" href="/page/(\w+\.js)"', INDEX)) | {"main.js"}
    assert ahead == set(by_name(MODULES))
    for path in MODULES:
        for name in re.findall(r'from "\./(\w+\.js)"', path.read_text()):
            assert name in ahead, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=by_name(MODULES))
def test_every_import_is_used_and_exported_where_it_comes_from(path):
    text = path.read_text()
    for imported, source in re.findall(r'import \{([^}]+)\} from "\./(\w+\.js)"', text):
        there = (PAGE / source).read_text()
        for name in re.findall(r"\w+", imported):
            assert re.search(rf"^export (?:async )?(?:function|class|const) {name}\b", there, re.MULTILINE), name
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is imported and not used"


@pytest.mark.parametrize("path", FILES, ids=by_name(FILES))
def test_no_file_names_a_host_or_reads_text_as_markup(path):
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://\w", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)


@pytest.mark.parametrize("path", FILES, ids=by_name(FILES))
def test_files_are_short(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= (470 if path.suffix == ".css" else 300)
    assert all(len(line) <= 130 for line in lines if path.suffix == ".js")
