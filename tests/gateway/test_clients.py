"""Unchanged clients: they find the name in the hosts file, trust the agent's bundle by the usual variable, and know of
no proxy."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from cluster.shell import wait_for
from gateway.conftest import Starter
from gateway.declared import gateway
from gateway.keyed import HOST, KEY, PLACEHOLDER, REAL
from harness.gateway.running import Running
from harness.gateway.world import World

URL = "https://api.llm.test/v1/messages"
REDIRECT = "https://api.llm.test/any/redirect?to="
PYTHON = {
    "urllib": """
import urllib.request
request = urllib.request.Request(URL, b'{}', {'x-api-key': KEY})
print(urllib.request.urlopen(request).read().decode())
""",
    "requests": "import requests; print(requests.post(URL, data=b'{}', headers={'x-api-key': KEY}).text)",
    "aiohttp": """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession() as session, session.post(URL, data=b'{}', headers={'x-api-key': KEY}) as answer:
        print(await answer.text())
asyncio.run(main())
""",
}
NODE = """
fetch(site, {method: "POST", body: "{}", headers: {"authorization": "Bearer " + key}})
  .then((answer) => answer.text()).then(console.log)
"""


def _python(name: str) -> list[str]:
    return [sys.executable, "-c", f"URL, KEY = {URL!r}, {PLACEHOLDER!r}\n{PYTHON[name]}"]


CLIENTS = {
    "curl": ["curl", "--silent", "--data", "{}", "-H", f"x-api-key: {PLACEHOLDER}", URL],
    "node": ["node", "-e", f"const site = {json.dumps(URL)}, key = {json.dumps(PLACEHOLDER)};{NODE}"],
    **{name: _python(name) for name in PYTHON},
}
VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO")


@pytest.fixture
def agent_of(start: Starter, internet: World) -> Running:
    running = start(gateway(HOST), {KEY.file: REAL})
    internet.place.say_hosts(running.address, "api.llm.test", "other.test")
    headers = {"x-api-key": PLACEHOLDER}
    wait_for("the host", lambda: running.client.ask("api.llm.test/any/x", headers=headers).status == 200, timeout=60)
    return running


def ran(internet: World, running: Running, argv: list[str]) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.environ["PATH"], **dict.fromkeys(VARIABLES, str(running.bundle))}
    whole = internet.place.client(argv)
    return subprocess.run(whole, env=plain, capture_output=True, text=True, check=False, timeout=180)


def test_clients_reach_the_host_with_the_key_that_they_do_not_have(internet: World, agent_of: Running) -> None:
    assert shutil.which("node"), "Node.js is not on this machine"
    for name, argv in CLIENTS.items():
        done = ran(internet, agent_of, argv)
        assert done.returncode == 0, (name, done.stderr)
        headers = json.loads(done.stdout)["headers"]
        sent = headers.get("X-Api-Key") or headers.get("Authorization")
        assert sent in ([REAL], [f"Bearer {REAL}"]), name


def test_clients_get_nothing_from_another_name(internet: World, agent_of: Running) -> None:
    before = len(internet.account(internet.site("other.test"), "connection"))
    for name, argv in CLIENTS.items():
        done = ran(internet, agent_of, [word.replace("https://api.llm.test", "https://other.test") for word in argv])
        assert done.returncode != 0, name
    assert len(internet.account(internet.site("other.test"), "connection")) == before


def test_e21_a_redirect_leads_nowhere_else(internet: World, agent_of: Running) -> None:
    before = len(internet.account(internet.site("other.test"), "connection"))
    key = ["-H", f"x-api-key: {PLACEHOLDER}"]
    found = ran(internet, agent_of, ["curl", "--silent", "--location", *key, f"{REDIRECT}https://other.test/x"])
    assert found.returncode != 0
    assert len(internet.account(internet.site("other.test"), "connection")) == before
