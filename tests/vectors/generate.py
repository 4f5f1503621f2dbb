"""Makes every file of vectors again, the same bytes each time: `python -m tests.vectors.generate`."""

from pathlib import Path

from tests.vectors import vector_file
from tests.vectors.blob_cases import blob_vectors
from tests.vectors.case_file import PRIMITIVES, ROWS, text_of
from tests.vectors.primitive_cases import primitive_cases
from tests.vectors.row_cases import row_cases


def files() -> dict[Path, str]:
    """Every file and what is in it."""
    made = {vector_file.FOLDER / f"{one.name}.txt": one.text() for one in blob_vectors()}
    return made | {ROWS: text_of(row_cases()), PRIMITIVES: text_of(primitive_cases())}


def main() -> None:
    """Write them, and remove those that are made no more."""
    made = files()
    vector_file.FOLDER.mkdir(exist_ok=True)
    for path in set(vector_file.FOLDER.iterdir()) - made.keys():
        path.unlink()
    for path, text in made.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
