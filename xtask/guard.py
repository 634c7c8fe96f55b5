"""Runs one command that cannot outlive its parent, and reports what it used.

The command gets no standard input and a process group of its own. The group is
killed when this process's standard input closes, which happens when the parent
ends, however it ends. When the command ends, one JSON object is written to the
report file: {"exit_code": N, "peak_memory_bytes": N}; a signal counts as 128 + its number.
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading

# From linux/prctl.h: the signal that a process gets when its parent dies.
PR_SET_PDEATHSIG = 1


def die_with_parent():
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_group(process_group):
    try:
        os.killpg(process_group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def give_up(process_group, reason):
    kill_group(process_group)
    try:
        print(reason, file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def kill_group_with_standard_input(process_group):
    while os.read(0, 4096):
        pass
    give_up(process_group, "killed: the task that started it has ended")


def kill_group_after(seconds, process_group):
    timer = threading.Timer(seconds, give_up, (process_group, f"killed: it took more than {seconds:.0f} s"))
    timer.daemon = True
    timer.start()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", required=True)
    parser.add_argument("--limit", type=float, required=True, help="seconds until the command is killed")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    # The parent decides when to stop; it closes the pipe. A handler and not
    # SIG_IGN, which the command would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    child = subprocess.Popen(
        arguments.command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    threading.Thread(target=kill_group_with_standard_input, args=(child.pid,), daemon=True).start()
    kill_group_after(arguments.limit, child.pid)
    _, status, usage = os.wait4(child.pid, 0)
    # What the command itself started and left.
    kill_group(child.pid)
    exit_code = os.waitstatus_to_exitcode(status)
    if exit_code < 0:
        exit_code = 128 - exit_code
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    with open(arguments.report, "w") as report:
        json.dump({"exit_code": exit_code, "peak_memory_bytes": usage.ru_maxrss * unit}, report)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
