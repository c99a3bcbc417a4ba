"""`python -m tools.release`: build, verify and push a release; `make release` calls it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.shell import say

from .attest import Signer, new_key
from .build import Where, archive_name, build
from .errors import ReleaseError
from .oci import Layout
from .registry import Registry
from .verify import verify


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code is 1 for a failure that is explained."""
    args = _parser().parse_args(argv)
    try:
        lines = _COMMANDS[args.command](args)
    except (ReleaseError, ClusterError) as error:
        say(f"release: {error}", color="31")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("build", help="make a release from what is committed")
    making.add_argument("folder", type=Path)
    making.add_argument("--registry", required=True, help="HOST/PREFIX that image and charts will be pushed to")
    making.add_argument("--downloads", required=True, help="URL of the folder that the other files will be in")
    making.add_argument("--key", type=Path, help="PEM file of the private key; else RINGFENCE_RELEASE_KEY(_FILE)")
    making.add_argument("--uncommitted", action="store_true", help="also with changes that are not committed")
    checking = commands.add_parser("verify", help="check a release, without a network")
    checking.add_argument("folder", type=Path)
    checking.add_argument("--key", type=Path, help="PEM file of the public key that you trust")
    pushing = commands.add_parser("push", help="push image, charts and signatures; what was pushed is printed")
    pushing.add_argument("folder", type=Path)
    pushing.add_argument("--registry", required=True, help="HOST/PREFIX")
    commands.add_parser("key", help="make a private key").add_argument("file", type=Path)
    return parser


def _build(args: argparse.Namespace) -> list[str]:
    signer = Signer.found(args.key)
    where = Where(args.registry.strip("/"), args.downloads.rstrip("/"))
    source = build(args.folder, where, signer, uncommitted=args.uncommitted)
    return [f"{args.folder}: ringfence {source.version} from {source.commit}"]


def _verify(args: argparse.Namespace) -> list[str]:
    lines = verify(args.folder, args.key.read_text() if args.key else None)
    if not args.key:
        lines.append(
            "by the key that lies in the folder: it is whole. Who made it, --key with a key that you trust says"
        )
    return lines


def _push(args: argparse.Namespace) -> list[str]:
    verify(args.folder)
    (archive,) = args.folder.glob(archive_name("*"))
    return Registry.parse(args.registry).push(Layout.of(archive))


def _key(args: argparse.Namespace) -> list[str]:
    new_key(args.file)
    return [str(args.file)]


_COMMANDS = {"build": _build, "verify": _verify, "push": _push, "key": _key}

if __name__ == "__main__":
    sys.exit(main())
