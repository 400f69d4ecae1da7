"""`python -m connectors.standins.bitcoin_node DIR --port N`: serve a recording until interrupted."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from pipeline.model.errors import SourceError

from .node import ReplayNode


def main() -> int:
    """Serve; 0 when interrupted, the error's own code when the recording does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m connectors.standins.bitcoin_node", description="Serve a recorded Bitcoin Core node on 127.0.0.1."
    )
    parser.add_argument("directory", type=Path, help="with chain.jsonl.gz and sequence.jsonl.gz")
    parser.add_argument("--port", type=int, default=0, help="0 (as given) takes a free one")
    parser.add_argument("--cookie", type=Path, help="where to write the cookie file; as given, a folder of its own")
    parser.add_argument("--events-per-poll", type=int, default=16, help="events played each time a client asks for the tip; 0: all at once")
    arguments = parser.parse_args()
    try:
        node = ReplayNode(arguments.directory, events_per_poll=arguments.events_per_poll, port=arguments.port, cookie_path=arguments.cookie)
    except SourceError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    with node:
        if arguments.events_per_poll == 0:
            node.play_all()
        print(f"serving {node.progress[1]} events at {node.rpc_url}, cookie {node.cookie_path}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
