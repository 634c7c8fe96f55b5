"""Runs the pinned emulator on loopback for as long as standard input stays open.

The emulator runs inside this process, so nothing can outlive it: when the parent
ends, however it ends, the pipe on standard input closes and this process ends too.
When the emulator answers, one line of JSON is written to standard output:
{"port": N, "endpoint": "http://127.0.0.1:N"}.
"""

import argparse
import json
import os
import socket
import sys
import threading
import time
import urllib.request

START_SECONDS = 60


def free_port():
    """Returns a port that was free a moment ago. The caller starts again if it was taken since."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_with_standard_input():
    while os.read(0, 4096):
        pass
    os._exit(0)


def report_when_ready(port, output):
    endpoint = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/ready", timeout=2):
                output.write(json.dumps({"port": port, "endpoint": endpoint}) + "\n")
                output.flush()
                return
        except OSError:
            time.sleep(0.05)
    print(f"the emulator did not answer within {START_SECONDS} s", file=sys.stderr)
    os._exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--account", required=True, help="account of requests that name none")
    parser.add_argument("--region", required=True)
    parser.add_argument("--directory", required=True, help="for the little that it writes")
    arguments = parser.parse_args()

    port = arguments.port or free_port()
    # Standard output is for the ready line alone; the emulator's own output is its log.
    ready_output = os.fdopen(os.dup(1), "w")
    log = os.open(os.path.join(arguments.directory, "emulator.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)

    os.environ.update(
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        LOG_LEVEL="WARNING",
        MINISTACK_ACCOUNT_ID=arguments.account,
        MINISTACK_REGION=arguments.region,
        PERSIST_STATE="0",
        SFTP_ENABLED="0",
        TMPDIR=arguments.directory,
        NO_PROXY="127.0.0.1",
    )
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    threading.Thread(target=report_when_ready, args=(port, ready_output), daemon=True).start()

    # Imported late: it reads its settings from the environment on import.
    from ministack.app import main as run_emulator

    sys.argv = ["ministack"]
    run_emulator()


if __name__ == "__main__":
    main()
