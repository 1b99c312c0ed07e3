"""In the kernel of a notebook that is graded: the book's names and the student's apart.

The book's cells run in one module, the student's in another, which gets what the book
binds. So nothing that a student calls by a name of the book changes what a check uses,
and the checks that the student's cells call are always the book's. Both share one
process and its objects: this keeps mistakes apart and is no guard against an attack.
"""

import json
import sys
import types
from pathlib import Path


class Sides:
    """Two modules for one shell, and a record of what the checks said."""

    def __init__(self, shell, record: str):
        self.shell, self.record = shell, Path(record)
        self.book = shell.user_module
        self.student = types.ModuleType(self.book.__name__)
        self.known = {}

    def turn(self, whose: str) -> None:
        """Have the next cells run on one side; hand over what is new to the student."""
        if whose == "student":
            bound = dict(vars(self.book))
            for name, value in bound.items():
                if name not in self.known or self.known[name] is not value:
                    vars(self.student)[name] = value
                if name.startswith("check_") and isinstance(value, types.FunctionType):
                    vars(self.student)[name] = self.watch(value)
            self.known = bound
        module = self.student if whose == "student" else self.book
        self.shell.user_module, self.shell.user_ns = module, vars(module)
        sys.modules[module.__name__] = module

    def watch(self, check: types.FunctionType):
        """Return a check that answers as it does and notes what it said."""

        def tried(*answer, **named):
            said = []

            def say(*words, sep=" ", end="\n"):
                """Print, and know it for the check's own word."""
                said.append(one_line(sep.join(map(str, words))))
                print(*words, sep=sep, end=end)

            names = {**vars(self.book), "print": say}
            own = types.FunctionType(
                check.__code__, names, check.__name__, check.__defaults__
            )
            own.__kwdefaults__ = check.__kwdefaults__
            try:
                returned = own(*answer, **named)
            except BaseException as error:  # an interrupt, too: it took too long
                line = (str(error).strip().splitlines() or [""])[0]
                kind = type(error).__name__
                self.note(check, error=f"{kind}: {line}" if line else kind)
                raise
            text = one_line(returned) if isinstance(returned, str) else "\n".join(said)
            self.note(check, said=text)
            return returned

        return tried

    def note(self, check: types.FunctionType, **what: str) -> None:
        """Add a line to the record at once: a kernel may end at any time."""
        with self.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"check": check.__name__, **what}) + "\n")


def one_line(text: str) -> str:
    """Return a text as one line: an answer that is quoted in it must not begin one."""
    return " ".join(text.split())
