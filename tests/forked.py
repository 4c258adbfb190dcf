"""``python -m potstill`` in a process that is forked from one which has loaded torch, transformers and the like.

A new interpreter needs up to 6 s of CPU to load them, more than most commands of tests need for their work. The command runs as
always: in a process, folder and environment of its own, whose output and exit code are read from outside.
"""

import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from functools import cache
from importlib import import_module

LOADED_BY_FUNCTIONS = (
    "peft", "scipy.stats", "sklearn.feature_extraction.text", "sklearn.linear_model", "transformers.models.llama.modeling_llama",
    "transformers.models.auto.modeling_auto", "uvloop",
)  # fmt: skip
"""Libraries that potstill's modules do not load at their top."""


class Command:
    """A command that runs; ``output`` and ``errors`` are files that it writes to."""

    def __init__(self, arguments, cwd, env, output, errors):
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_address())
        request = json.dumps([arguments, str(cwd), env]).encode()
        with open(os.devnull, "rb") as nothing:
            files = [file.fileno() for file in (nothing, output, errors)]
            socket.send_fds(self._connection, [len(request).to_bytes(8)], files)
        self._connection.sendall(request)
        self._replies = self._connection.makefile()
        self.pid = int(self._replies.readline())

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self):
        """The exit code, as `subprocess` has it."""
        with self._connection, self._replies:
            return int(self._replies.readline())


def run(arguments, cwd, env):
    """Carry out a command; its `subprocess.CompletedProcess`."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        code = Command(arguments, cwd, env, output, errors).wait()
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read().decode(), errors.read().decode())


@cache
def _address():
    """Of the process that is forked, one for each process of tests."""
    folder = tempfile.TemporaryDirectory()
    address = f"{folder.name}/commands"
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen(
        [sys.executable, __file__, address], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout.readline() == b"ready\n"

    @atexit.register
    def stop():
        server.stdin.close()
        server.wait()
        folder.cleanup()

    return address


def _serve(address):
    """Fork for each connection, until standard input is closed."""
    import potstill

    modules = [module.name for module in pkgutil.walk_packages(potstill.__path__, "potstill.")]
    for name in (*(name for name in modules if not name.endswith("__main__")), *LOADED_BY_FUNCTIONS):
        import_module(name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        gc.freeze()
        os.write(1, b"ready\n")
        while sys.stdin not in select.select([sys.stdin, server], [], [])[0]:
            connection, _ = server.accept()
            if not os.fork():
                server.close()
                _supervise(connection)
            connection.close()


def _supervise(connection):
    """Fork once more, for the command, and send its process id and, once it has ended, its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, files, _, _ = socket.recv_fds(connection, 8, 3)
    request = connection.recv(int.from_bytes(length), socket.MSG_WAITALL)
    if not (command := os.fork()):
        connection.close()
        _become(*json.loads(request), files)
    connection.sendall(b"%d\n" % command)
    for file in files:
        os.close(file)
    _, status = os.waitpid(command, 0)
    with suppress(ConnectionError):  # whoever started it has ended
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(arguments, cwd, env, files):
    """Carry out the command and end. An interpreter's own end would touch, and so copy, each object of the loaded libraries."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[1:] = arguments
    sys.path[0] = ""  # not the folder of tests
    code = 0
    try:
        runpy.run_module("potstill", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
