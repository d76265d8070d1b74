"""The data sets that come with the package."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from irrepnet.errors import IrrepnetError

FOLDER = Path(__file__).parent / "embedded"


@dataclass(frozen=True)
class Dataset:
    """What index.json says of an embedded set; `scripts/convert_matminer.py` writes it.

    Attributes:
        name: by which commands and `embedded` know it.
        description: one sentence.
        targets: names of its properties; `QUANTITIES` has their units.
        frame: in which Cartesian frame its tensors are.
        citation: what to cite when using it.
        count: how many crystals it has.
        doubtful: how many of them are marked `frame_doubtful`.
        licence: of the data.
        source: where they were taken from, and how they were changed.
        file: in the package's folder of embedded sets.
        sha256: of the file.
    """

    name: str
    description: str
    targets: tuple[str, ...]
    frame: str
    citation: tuple[str, ...]
    count: int
    doubtful: int
    licence: str
    source: str
    file: str
    sha256: str

    def read_bytes(self) -> bytes:
        """The file's content (gzipped JSON lines).

        Raises:
            IrrepnetError: the file is missing or differs from the one that was released.
        """
        path = FOLDER / self.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise IrrepnetError(f"{path}: {error.strerror}; install irrepnet again") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise IrrepnetError(
                f"{path}: sha256 is {found}, {self.sha256} was expected: the file was changed or damaged; "
                "install irrepnet again"
            )
        return content


def _load_index() -> dict[str, Dataset]:
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf8"))
    sets = [Dataset(**entry | {key: tuple(entry[key]) for key in ("targets", "citation")}) for entry in index]
    return {dataset.name: dataset for dataset in sets}


DATASETS: dict[str, Dataset] = _load_index()
"""The embedded sets by name."""
