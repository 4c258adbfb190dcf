"""The teacher's probabilities of the tokens that the student is trained on, in files, so that no training step has them all in memory."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

IDS, LOGS, STARTS, DONE = "ids.npy", "logs.npy", "starts.json", "complete"
"""Token ids [tokens, k] and their log-probabilities, where the tokens of each row start, and the empty file that is made last."""
OF_ROW = tuple[np.ndarray, np.ndarray]
"""Token ids and log-probabilities [tokens, k] of the tokens with a label of a row."""


@dataclass(frozen=True)
class SoftTargets:
    """The teacher's probabilities of ``k`` tokens, or with ``complete`` of the vocabulary, at each token with a label of each row."""

    starts: list[int]
    logs: np.ndarray
    ids: np.ndarray | None

    @classmethod
    def opened(cls, folder: Path) -> "SoftTargets":
        """Those that `write` wrote into ``folder``; read from the files as they are needed."""
        ids = np.load(folder / IDS, mmap_mode="r") if (folder / IDS).exists() else None
        starts = json.loads((folder / STARTS).read_text(encoding="utf-8"))
        return cls(starts, np.load(folder / LOGS, mmap_mode="r"), ids)

    def of(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        """``soft_logs`` [n, k] and, unless they are of the complete vocabulary, ``soft_ids`` [n, k] of rows in turn."""
        parts = [slice(self.starts[row], self.starts[row + 1]) for row in rows]
        batch = {"soft_logs": torch.from_numpy(np.concatenate([self.logs[part] for part in parts]).astype(np.float32))}
        if self.ids is not None:
            batch["soft_ids"] = torch.from_numpy(np.concatenate([self.ids[part] for part in parts]).astype(np.int64))
        return batch

    @property
    def known(self) -> float:
        """The fraction of the tokens at which the teacher's probabilities are known."""
        return float((self.logs[:, 0] > -np.inf).mean())


def is_written(folder: Path) -> bool:
    """Whether `write` has finished there."""
    return (folder / DONE).exists()


def write(folder: Path, tokens: Sequence[int], k: int, rows: Iterator[OF_ROW], *, complete: bool) -> None:
    """Write the probabilities of all rows as they come, of ``tokens`` tokens with a label each; ``k`` of each token.

    ``complete``: they are those of the vocabulary, in its order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = np.concatenate([[0], np.cumsum(tokens)]).tolist()
    logs = np.lib.format.open_memmap(folder / LOGS, "w+", np.float16 if complete else np.float32, (starts[-1], k))
    ids = None if complete else np.lib.format.open_memmap(folder / IDS, "w+", np.int32, (starts[-1], k))
    for (start, stop), (of_ids, of_logs) in zip(pairwise(starts), rows, strict=True):
        logs[start:stop] = of_logs
        if ids is not None:
            ids[start:stop] = of_ids
    logs.flush()
    if ids is not None:
        ids.flush()
    (folder / STARTS).write_text(json.dumps(starts), encoding="utf-8")
    (folder / DONE).touch()
