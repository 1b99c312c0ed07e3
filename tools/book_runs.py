"""Run the cells of the book and of a student in one kernel, however they end."""

from pathlib import Path
from subprocess import DEVNULL

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

TOOLS = Path(__file__).resolve().parent
BOOK_LIMIT = 300  # seconds, of a cell of the book
CONTROL_LIMIT = 30  # seconds, in which a kernel that was interrupted must answer
TOO_LONG = {"ename": "TooLong", "evalue": "", "traceback": []}
STOPPED = "a cell did not end and was stopped"


class Client(NotebookClient):
    """Runs cells and keeps nothing of what they show, be it without end."""

    def process_message(self, msg, cell, cell_index):
        """Leave out what is there to be seen."""
        shown = ("stream", "display_data", "execute_result", "update_display_data")
        if msg["msg_type"] in shown:
            return None
        return super().process_message(msg, cell, cell_index)


async def ask(client: Client, source: str, limit: int) -> dict:
    """Run a cell; return the kernel's reply, or an error called TooLong."""
    cell, replies = nbformat.v4.new_code_cell(source), []
    client.nb.cells.append(cell)
    client.timeout = limit
    client.on_cell_executed = lambda execute_reply, **_: replies.append(execute_reply)
    await client.async_execute_cell(cell, len(client.nb.cells) - 1)
    return replies[0]["content"] if replies else {"status": "ok"}


async def run(
    steps, record: Path, *, folder: Path, environment: dict, limit: int
) -> tuple[list[str], list[str]]:
    """Run cells; return the student's errors, and what kept cells from being run."""
    errors, problems = [], []
    if not steps:
        return errors, problems
    client = Client(
        nbformat.v4.new_notebook(),
        kernel_name="python3",
        allow_errors=True,
        interrupt_on_timeout=True,
        error_on_timeout=TOO_LONG,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.log.disabled = True  # what went wrong is said in the row
    source = ""
    try:
        # What a kernel says outside of its cells is no part of the table.
        async with client.async_setup_kernel(
            env=environment, stdout=DEVNULL, stderr=DEVNULL
        ):
            await ask(client, begin(record), CONTROL_LIMIT)
            for whose, source in steps:
                problem, error = await step(client, whose, source, limit)
                problems += problem
                errors += error
                if problem and not problem[0].startswith(STOPPED):
                    break
    except DeadKernelError:
        problems.append(f"a cell ended the kernel: {quoted(source)}")
    return errors, problems


async def step(
    client: Client, whose: str, source: str, limit: int
) -> tuple[list, list]:
    """Run one cell on its side; return a problem, if any, and the student's error."""
    turn = f"get_ipython().sides.turn({whose!r})"
    if (await ask(client, turn, CONTROL_LIMIT))["status"] != "ok":
        return ["after that the kernel did not answer any more"], []
    reply = await ask(client, source, limit if whose == "student" else BOOK_LIMIT)
    if reply["status"] == "ok":
        return [], []
    said = f"{reply.get('ename')}: {reply.get('evalue')}".splitlines()[0][:160]
    if whose == "book":
        return [f"a cell of the book fails here: {quoted(source)}: {said}"], []
    if reply.get("ename") == TOO_LONG["ename"]:
        return [f"{STOPPED} after {limit} s: {quoted(source)}"], []
    return [], [f"{quoted(source)}: {said}"]


def begin(record: Path) -> str:
    """Return the cell that sets up the two sides."""
    return (
        f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import book_sides\n"
        f"get_ipython().sides = book_sides.Sides(get_ipython(), {str(record)!r})\n"
        "sys.path.pop(0); del sys, book_sides"
    )


def quoted(source: str) -> str:
    """Return the first line of a cell, as it is quoted."""
    lines = [one for one in source.splitlines() if one.strip()]
    return f"`{lines[0].strip()[:60]}`"
