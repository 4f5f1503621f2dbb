"""Measures Sealdav beside its peers, and how it grows.

    make bench          everything; writes docs/performance.md anew
    make bench-quick    the table alone, in three minutes, to the terminal

Or a part: python -m benchmarks peers|growth|browsing|flames|document [options]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import browsing, document, flames, growth, runner, work
from benchmarks.client import WorkFailed
from benchmarks.peers import PEERS

TMPFS = Path("/dev/shm")  # noqa: S108 - a file system, not a file
UMASK = 0o077
ENDED = 128 + signal.SIGTERM


def main() -> None:
    """Do what the command line says."""
    os.umask(UMASK)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))  # what was made is cleared away on the way out
    chosen = _arguments()
    try:
        chosen.do(chosen)
    except WorkFailed as error:
        sys.exit(str(error))


def peers(chosen: argparse.Namespace) -> None:
    """The table: on memory, and on a disk."""
    scale = work.QUICK if chosen.quick else work.FULL
    if chosen.rounds:
        scale = replace(scale, rounds=chosen.rounds)
    some = [peer for peer in PEERS if not chosen.only or peer.key in chosen.only.split(",")]
    places = {"memory": TMPFS, "disk": chosen.disk}
    if chosen.quick and not chosen.both:
        del places["disk"]
    result: dict[str, Any] = {"machine": runner.describe(), "scale": scale_name(chosen), "places": {}}
    for place, folder in places.items():
        runner.say(f"data in {folder}")
        # What is synced to memory is synced in no time: that would be a column that means nothing.
        sensible = [peer for peer in some if (place, peer.key) != ("memory", "full")]
        result["places"][place] = runner.as_json(runner.measure(folder, scale, sensible))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n")
    print(document.peers_text(result))


def scale_name(chosen: argparse.Namespace) -> str:
    """What the JSON says of how much work there was."""
    return "quick" if chosen.quick else "full"


def everything(chosen: argparse.Namespace) -> None:
    """All parts, into docs/performance/, and the page from them."""
    chosen.json = document.PEERS_JSON
    peers(chosen)
    growth.run(TMPFS, document.GROWTH_JSON)
    browsing.run(TMPFS, document.BROWSING_JSON)
    flames.run(document.FOLDER)
    document.write()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(required=True)

    part = parts.add_parser("peers", help="the table")
    part.add_argument("--quick", action="store_true", help="three minutes in all, on memory only")
    part.add_argument("--both", action="store_true", help="quick on a disk, too, which takes as long again")
    part.add_argument("--only", default="", help="keys of servers, with commas between")
    _common(part)
    part.set_defaults(do=peers)

    part = parts.add_parser("growth", help="trees and folders of all sizes, clients, processes, time")
    part.add_argument("--largest", type=int, default=growth.LARGEST, help="files of the largest tree")
    part.add_argument("--json", type=Path, default=document.GROWTH_JSON, help="file for all figures")
    part.set_defaults(do=lambda chosen: growth.run(TMPFS, chosen.json, largest=chosen.largest))

    part = parts.add_parser("browsing", help="a large folder in the browser")
    part.add_argument("--files", type=int, default=browsing.FILES, help="in the folder")
    part.add_argument("--json", type=Path, default=document.BROWSING_JSON, help="file for all figures")
    part.set_defaults(do=lambda chosen: browsing.run(TMPFS, chosen.json, files=chosen.files))

    part = parts.add_parser("flames", help="flame graphs of the five kinds of request")
    part.set_defaults(do=lambda _: flames.run(document.FOLDER))

    part = parts.add_parser("document", help="write the generated parts of docs/performance.md anew")
    part.set_defaults(do=lambda _: document.write())

    part = parts.add_parser("everything", help="all of it, and the page")
    _common(part)
    part.set_defaults(do=everything, quick=False, both=True, only="")
    return parser.parse_args()


def _common(part: argparse.ArgumentParser) -> None:
    part.add_argument("--rounds", type=int, default=0, help="instead of three")
    part.add_argument(
        "--disk",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="a folder on a real disk (temporary files)",
    )
    part.add_argument("--json", type=Path, default=None, help="file for all figures")


if __name__ == "__main__":
    main()
