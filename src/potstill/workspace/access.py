"""What a stage may read: the parts of files that it declares, and what it writes itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from potstill.workspace.artifacts import DIGESTS, MANIFEST
from potstill.workspace.digests import Part

BOOKKEEPING = (MANIFEST, DIGESTS)
"""Files of the pipeline itself."""


class UndeclaredReadError(Exception):
    """A fault of potstill: a stage reads what it does not declare, so that it would not run again when that changes."""


@dataclass(frozen=True)
class Access:
    """The parts that a stage declares, and the files and folders that it writes."""

    stage: str
    reads: tuple[Part, ...]
    writes: tuple[str, ...]

    def allowed(self, file: str, splits: Sequence[str] = ()) -> Part:
        """The declared part of a file of which some splits are read, or all rows: of several, what one of them has. Raises
        `UndeclaredReadError`."""
        known = [part for part in (*self.reads, *map(Part, (*self.writes, *BOOKKEEPING))) if _is_in(file, part.file)]
        if whole := [part for part in known if not part.splits]:
            columns = [name for part in whole for name in (*part.columns, *part.names)]
            if any(not part.columns for part in whole):
                columns = []
            return Part(file, kept=all(part.kept for part in whole), columns=tuple(dict.fromkeys(columns)))
        if splits and {*splits} <= {split for part in known for split in part.splits}:
            return Part(file, splits=tuple(splits))
        raise UndeclaredReadError(
            f"the stage {self.stage} reads {Part(file, splits=tuple(splits))}, which it does not declare in "
            "potstill.pipeline.stages"
        )


def _is_in(file: str, declared: str) -> bool:
    return file == declared or file.startswith(f"{declared}/")
