"""The admission server under load: its replicas come and go, its certificate is renewed, and nobody answers."""

import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.admission.setup import AGENTS, WIDE_OPEN, Setup, agent
from api.review_server import Replica
from api.server import Server
from cluster.shell import wait_for

PER_SECOND, SENDERS, ONE_IN = 50, 16, 10


@contextmanager
def traffic(setup: Setup) -> Iterator[Callable[[], tuple[int, list[str]]]]:
    """50 creations of agents a second, as dry runs, one in ten of them bad. Gives (answers so far, what went wrong).

    Each has its moment, whether those before it were answered or not; a machine that is too slow has fewer.
    """
    stop = threading.Event()
    turns = itertools.count()
    done: list[int] = []
    wrong: list[str] = []
    began = time.monotonic()

    def run() -> None:
        client = Server(setup.cluster.server, setup.cluster.kubeconfig)
        try:
            while not stop.is_set():
                turn = next(turns)
                stop.wait(began + turn / PER_SECOND - time.monotonic())
                ask(client, turn)
        except Exception as failure:  # noqa: BLE001 - a thread that dies is one that proves nothing
            wrong.append(f"the load ended: {failure!r}")
        finally:
            client.close()

    def ask(client: Server, turn: int) -> None:
        bad = turn % ONE_IN == 0
        body = json.dumps(agent(f"load-{turn}", WIDE_OPEN if bad else None)).encode()
        answer = client.request("POST", f"{AGENTS}?dryRun=All", body)
        done.append(1)
        if bad != (answer.code == 403 and "EgressUnrestricted" in answer.message) or bad == answer.ok:
            wrong.append(f"{answer.code} {answer.message[:200]}")

    threads = [threading.Thread(target=run) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        wait_for("the load to have begun", lambda: len(done) >= SENDERS)
        yield lambda: (len(done), wrong)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "the load does not end"
    assert not wrong, wrong


def test_a_rolling_restart_refuses_nothing_good_and_admits_nothing_bad(setup: Setup) -> None:
    """R7, R20: SIGTERM, drain, the next one; under load all the time."""
    fresh = [setup.start().wait_ready() for _ in range(2)]
    with traffic(setup) as result:
        for old, new in zip(list(setup.service.replicas), fresh, strict=True):
            setup.service.replicas.append(new)
            setup.service.wait_all()
            assert old.stop(signal.SIGTERM) == 0
            setup.service.replicas.remove(old)
    answers, wrong = result()
    assert wrong == []
    assert answers > 2 * PER_SECOND
    for replica in setup.replicas:
        assert "Traceback" not in replica.log.read_text()


def test_a_renewal_of_ca_and_certificate_loses_no_review(setup: Setup) -> None:
    """R9. The API server keeps its connections for long, so some are cut in between: new ones must be trusted, too."""
    setup.keep(datetime.now(UTC) - timedelta(days=61))  # the clock was wrong: one that is old already
    before = setup.secret()
    time.sleep(1.5)
    late = setup.start().wait_ready()
    with traffic(setup) as result:
        setup.keep()
        time.sleep(1.5)
        # A replica that has the new certificate only, and the end of one that has served both.
        setup.service.replicas.append(late)
        setup.service.wait_all()
        old = setup.service.replicas.pop(0)
        time.sleep(0.5)
        assert old.stop(signal.SIGTERM) == 0
    answers, wrong = result()
    assert wrong == []
    assert answers > 2 * PER_SECOND
    assert setup.secret()["tls.crt"] != before["tls.crt"]


def test_while_nobody_reviews_only_our_kinds_stand_still(setup: Setup) -> None:
    """R8: refused, not waved through; all else goes on."""
    parked, setup.service.replicas[:] = list(setup.service.replicas), []
    time.sleep(0.5)
    for replica in parked:
        replica.stop(signal.SIGKILL)
    with pytest.raises(Exception, match="failed calling webhook"):
        setup.cluster.apply(agent("unseen"))
    setup.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "team"}})
    setup.cluster.kubectl("delete", "--ignore-not-found", "-n", "team", "agd", "modest")
    setup.service.replicas.append(setup.start().wait_ready())
    setup.service.wait_all()
    assert "created" in setup.cluster.apply(agent("seen"))


def test_probes_tell_what_is_missing(setup: Setup, tmp_path: Path) -> None:
    replica = Replica.start(setup.cluster.kubeconfig, tmp_path / "none", tmp_path / "log", "--drain-seconds=0")
    try:
        end = time.monotonic() + 150
        while "cluster:" in (text := replica.probe("/readyz")[1]) or not text:
            assert time.monotonic() < end, text
            time.sleep(0.1)
        assert text == "certificate: the certificate cannot be loaded: No such file or directory\n"
        assert replica.probe("/healthz") == (200, "ok\n")
    finally:
        assert replica.stop(signal.SIGTERM) == 0
