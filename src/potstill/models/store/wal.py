"""SQLite's log beside the store: whether it is as it was written."""

import struct
from pathlib import Path


def log_is_whole(log: Path) -> bool:
    """Whether each frame of SQLite's log is as its checksum says, up to a last one that was being written.

    SQLite itself reads up to the first that is not, and takes what follows for old
    (sqlite.org/fileformat2.html#the_write_ahead_log).
    """
    if not log.exists():
        return True
    with log.open("rb") as file:
        header = file.read(32)
        if len(header) < 32:
            return True
        order = "<" if header[3] == 0x82 else ">"
        (page_size,) = struct.unpack(">I", header[8:12])
        sums = _summed(header[:24], (0, 0), order)
        if sums != struct.unpack(">II", header[24:]):
            return False
        while len(frame := file.read(24 + page_size)) == 24 + page_size and frame[8:16] == header[16:24]:
            sums = _summed(frame[:8] + frame[24:], sums, order)
            if sums != struct.unpack(">II", frame[16:24]):
                after = file.read(24)
                return len(after) < 24 or after[8:16] != header[16:24]
    return True


def _summed(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        one = (one + words[i] + two) & 0xFFFFFFFF
        two = (two + words[i + 1] + one) & 0xFFFFFFFF
    return one, two
