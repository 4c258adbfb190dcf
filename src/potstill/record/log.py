"""The log: JSON Lines files in a folder, of a bounded size each, which one recorder at a time appends to.

A row is one write at the end of a file. Where that is cut (a full disk), the part is taken back; where the recorder is killed within
it, the reader ends before that row (`json_files.RECORDED`), and the next recorder takes it back.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

NAME = "recorded-{:06d}.jsonl"
_NAMES = re.compile(r"recorded-(\d{6,9})\.jsonl")
LOCK = ".recorder.lock"
MAX_FILE_BYTES = 256 << 20
TAIL_BYTES = 1 << 16


class Log:
    """The files of ``folder``; a new one begins where one reaches ``max_bytes``. They hold texts of people: only their owner may read
    them."""

    def __init__(self, folder: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._lock = FileLock(folder / LOCK, timeout=0)
        self._file: int | None = None
        self._size = 0

    def append(self, line: bytes) -> None:
        """Append a row. Raises `OSError` where it cannot be written; nothing of it remains then."""
        if self._file is not None and (self._is_full(line) or os.fstat(self._file).st_nlink == 0):
            self._close_file()
        self.open()
        assert self._file is not None
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            self._close_file()
            raise
        self._size += len(line)

    def close(self) -> None:
        """Bring the rows to the disk, and let the folder go."""
        if self._file is not None:
            with suppress(OSError):
                os.fsync(self._file)
        self._close_file()
        self._lock.release()

    def open(self) -> None:
        """Open the last file, unless one is open. Raises `OSError` where that cannot be, or another recorder has the folder."""
        if self._file is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._lock.is_locked:
            try:
                self._lock.acquire()
            except Timeout:
                raise OSError(f"another recorder has {self.folder}") from None
        numbers = [int(match[1]) for path in self.folder.iterdir() if (match := _NAMES.fullmatch(path.name))]
        number = max(numbers, default=1)
        path = self.folder / NAME.format(number)
        if path.exists() and path.stat().st_size >= self.max_bytes:
            path = self.folder / NAME.format(number + 1)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            self._size = _take_back_cut_row(file)
        except OSError:
            os.close(file)
            raise
        self._file = file

    def _is_full(self, line: bytes) -> bool:
        return bool(self._size) and self._size + len(line) > self.max_bytes

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None


def _take_back_cut_row(file: int) -> int:
    """Cut off what follows the last end of a line; the size that remains."""
    end = size = os.fstat(file).st_size
    while end:
        start = max(end - TAIL_BYTES, 0)
        os.lseek(file, start, os.SEEK_SET)
        place = os.read(file, end - start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)
    return end
