"""Run nbval on a chapter, and keep what its cells gave as a notebook that was run.

    python tools/book_kept.py KEPT ARGUMENT ..    the arguments are those of pytest

So the pages can show the very run that was checked: see `check` in book.py.
"""

import sys
from pathlib import Path

import nbformat
import pytest

# What a kernel says of itself to Jupyter: how the pages colour a cell.
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}


class Keeper:
    """A plugin of pytest that writes the notebook if all of its cells passed."""

    def __init__(self, kept: Path):
        self.kept = kept

    def pytest_sessionfinish(self, session, exitstatus):
        """Put what every cell gave into it, as Jupyter would."""
        if exitstatus == 0:
            for number, item in enumerate(session.items, start=1):
                item.cell.outputs, item.cell.execution_count = item.test_outputs, number
                for output in item.cell.outputs:  # nbval's kernel ran a cell before
                    if "execution_count" in output:
                        output.execution_count = number
            notebook = session.items[0].parent.nb
            notebook.metadata["language_info"] = LANGUAGE
            nbformat.write(notebook, self.kept)


if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[2:], plugins=[Keeper(Path(sys.argv[1]))]))
