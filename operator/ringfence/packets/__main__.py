"""`python3 -m ringfence.packets gate|listen ...`: what pods start, without the rest of the command `ringfence`."""

from __future__ import annotations

import os
import signal
import sys

from .attempt import LAST_PORT, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .gate import Places

API_SERVER = ("denied", "reachable")
"""What is to become of the API server, at the address that the kubelet gives to every container."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of them. Exits with a sentence and code 2 where it is called wrongly."""
    command, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    # As process 1 of its container it would be deaf to what it does not handle, and be waited for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    try:
        if command == "gate":
            from .gate import wait  # noqa: PLC0415 - only what is needed

            wait(places(rest[:-1], os.environ), say=_say)
        elif command == "listen":
            from .listen import Canary  # noqa: PLC0415

            with Canary(port(rest[:-1])) as canary:
                _say(f"answers everybody on port {canary.port}, TCP and UDP")
                canary.serve()
        else:
            _wrong(command, f"{command!r} is neither gate nor listen")
    except ValueError as wrong:
        _wrong(command, str(wrong))
    except OSError as failure:
        sys.exit(f"ringfence {command}: {failure.strerror or failure}")


def places(arguments: Sequence[str], environment: Mapping[str, str]) -> Places:
    """What the arguments of `gate` say. ValueError, in words, where they are wrong."""
    from .gate import Places as Found  # noqa: PLC0415

    said: dict[str, list[tuple[Target, str]]] = {"denied": [], "reachable": []}
    names = {"denied": "the canary", "reachable": "its egress gateway"}
    for option, value in _options(arguments):
        if option in said:
            said[option].append((Target.parse(value), names[option]))
        elif option == "api-server" and value in API_SERVER:
            said[value].append((_api_server(environment), "the API server"))
        else:
            raise ValueError(f"--{option} {value} is not known: --denied, --reachable, --api-server denied|reachable")
    return Found(said["denied"], said["reachable"])


def port(arguments: Sequence[str]) -> int:
    """What the arguments of `listen` say. ValueError, in words, where they are wrong."""
    found = dict(_options(arguments))
    number = found.pop("port", "")
    if found or not (number.isascii() and number.isdecimal() and int(number) <= LAST_PORT):
        raise ValueError(f"one option is taken, --port NUMBER, from 0 (a free one) to {LAST_PORT}")
    return int(number)


def _options(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """`--name value` and `--name=value`: argparse takes longer to load than all of the gate to run."""
    found, rest = [], list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--") or not (equals or rest):
            raise ValueError(f"{name!r} is no option with a value")
        found.append((name[2:], value if equals else rest.pop(0)))
    return found


def _api_server(environment: Mapping[str, str]) -> Target:
    """Raises ValueError where the kubelet did not say it."""
    address, number = (environment.get(f"KUBERNETES_SERVICE_{what}", "") for what in ("HOST", "PORT"))
    if not (address and number.isdecimal()):
        raise ValueError("KUBERNETES_SERVICE_HOST and _PORT are not set, which the kubelet gives to every container")
    return Target("TCP", address, int(number))


def _wrong(command: str, why: str) -> None:
    sys.stderr.write(f"ringfence {command}: {why}\n")
    sys.exit(2)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
