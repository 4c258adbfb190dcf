"""Runs a command until it ends or whoever started this is gone, also by kill -9: then nobody holds standard input open.

Used as a script, with the command as its arguments; the standard library only, so that it starts at once.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

PATIENCE = 10.0
"""Seconds a command has to end when it is asked to."""


def main() -> int:
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        while os.read(0, 4096):
            pass
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(command.pid, number)
                command.wait(PATIENCE)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    # Ctrl-C and a closed terminal reach this too; who started this decides, or is gone, and then the input ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=end, daemon=True).start()
    code = command.wait()
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)  # what it may have started and left behind
    return code


if __name__ == "__main__":
    code = main()
    os._exit(128 - code if code < 0 else code)  # without waiting for the thread that reads
