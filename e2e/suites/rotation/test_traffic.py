"""Fifty rotations in a row while the agent calls its server twenty times a second: beside all the other tests here,
those that take the operator away among them.
"""

from harness.api import Api
from suites.rotation.conftest import Traffic


def test_rotations_in_a_row_under_traffic_fail_no_request(traffic: Traffic, api: Api) -> None:
    agent = traffic.finish(api)
    said = [outcome for time, outcome in agent.calls() if time > traffic.begun]
    assert [outcome for outcome in said if outcome not in ("200 OK value", "200 OK previous")] == []
    assert agent.refusals() == []
    assert len(traffic.values) == traffic.rotations + 1
    assert len(said) > traffic.rotations * 10
    assert "200 OK previous" in said, "calls fell into the time between a write and the file"
    assert agent.pod()["metadata"]["uid"] == traffic.pod["metadata"]["uid"]
    assert agent.pod()["status"]["containerStatuses"][0]["restartCount"] == 0
