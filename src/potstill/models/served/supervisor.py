"""Run a command until it ends or the parent process is gone, even by kill -9: standard input is then at its end.

A script, whose arguments are the command. It uses the standard library only, so that it starts quickly.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

TERMINATE_TIMEOUT_SECONDS = 10.0
"""Time that the command has to exit after SIGTERM, and again after SIGKILL."""


def main() -> int:
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def end_with_parent() -> None:
        while os.read(0, 4096):
            pass
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(command.pid, number)
                command.wait(TERMINATE_TIMEOUT_SECONDS)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    # Ctrl-C and a closed terminal reach this process too. The parent decides what to do; if it exits, standard input ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    code = command.wait()
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)  # processes that the command started and left running
    return code


if __name__ == "__main__":
    code = main()
    os._exit(128 - code if code < 0 else code)  # without waiting for the thread that reads standard input
