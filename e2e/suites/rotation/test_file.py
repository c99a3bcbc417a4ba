"""Delivery as a file: the value changes under the running agent."""

from harness.rotating import FILE
from suites.rotation.conftest import Make


def test_the_pod_sees_the_new_file_without_a_restart(make: Make) -> None:
    agent = make("reader", calls=False)
    first, before = agent.value(), agent.pod()
    assert len(first) == 40
    assert agent.file() == first
    assert agent.file(f"{FILE}.previous") == ""

    agent.rotate()
    second = agent.value()
    assert second not in ("", first)
    assert agent.value("previous") == first
    agent.wait_file(second)
    assert agent.file(f"{FILE}.previous") == first

    after = agent.pod()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_only_the_agents_own_group_reads_the_file(make: Make) -> None:
    agent = make("private", calls=False)
    listed = agent.inside("ls", "-l", FILE.rpartition("/")[0]).splitlines()
    assert f"0440 0 65532 {FILE}" in listed


def test_a_deleted_secret_comes_back_and_reaches_the_pod(make: Make) -> None:
    agent = make("robbed", calls=False)
    before, pod = agent.value(), agent.pod()["metadata"]["uid"]
    name = agent.secret_name
    agent.api.delete(f"/api/v1/namespaces/keys/secrets/{name}")
    agent.wait_secret_other_than(before)
    agent.wait_file(agent.value())
    assert agent.pod()["metadata"]["uid"] == pod


def test_a_secret_edited_by_hand_is_rotated_from_there(make: Make) -> None:
    """Somebody's value is delivered, kept as the one before, and nothing is lost; an emptied one is made anew."""
    agent = make("edited", calls=False)
    agent.write_secret({"value": "aGFuZA=="})
    agent.wait_file("hand")
    agent.rotate()
    assert agent.value("previous") == "hand"
    agent.wait_file(agent.value())
    agent.write_secret({"value": None, "previous": None})
    agent.rotate()
    assert len(agent.value()) == 40
    agent.wait_file(agent.value())
