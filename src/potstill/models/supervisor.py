"""Runs a command until it ends or whoever started this is gone, also by kill -9: then nobody holds standard input open.

Used as a script, with the command as its arguments; the standard library only, so that it starts at once.
"""

import os
import signal
import subprocess
import sys
import threading

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

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; who started this decides
    threading.Thread(target=end, daemon=True).start()
    return command.wait()


if __name__ == "__main__":
    code = main()
    os._exit(128 - code if code < 0 else code)  # without waiting for the thread that reads
