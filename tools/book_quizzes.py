"""A Sphinx extension: questions of `book/quizzes/`, answered on the page.

`{quiz} ch06-q1 ch06-q2` shows these questions of the bank in this order. An answer that
is chosen shows what the bank says of it. The page needs no kernel and no network for
it, and no script but the one that tells those who do not see what has appeared.
"""

import json
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

BANK = Path(__file__).resolve().parents[1] / "book" / "quizzes"


def read_bank(folder: Path) -> dict[str, dict]:
    """Return the questions of a folder's files by id."""
    files = sorted(folder.glob("*.json"))
    read = (json.loads(path.read_text(encoding="utf-8")) for path in files)
    return {question["id"]: question for part in read for question in part}


class Quiz(SphinxDirective):
    """Some questions of the bank, each with its answers."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Read the questions; the page is read again when their file changes."""
        box, bank = nodes.container(classes=["quiz"]), read_bank(BANK)
        for question in self.arguments[0].split():
            self.env.note_dependency(str(BANK / f"{question[2:4]}.json"))
            if question not in bank:
                raise self.error(f"the bank has no question {question!r}")
            box += self.show(bank[question])
        return [box]

    def show(self, content: dict) -> list[nodes.Node]:
        """Return a group of buttons with a text for each."""
        name = escape(content["id"])
        shown = [raw("<fieldset>", "<legend>"), *self.inline(content["question"])]
        shown.append(raw("</legend>"))
        for number, answer in enumerate(content["answers"]):
            key, right = f"{name}-{number}", "right" if answer["correct"] else "wrong"
            button = f'<input type="radio" id="{key}" name="{name}">'
            shown.append(raw(f'<div class="{right}">', button, f'<label for="{key}">'))
            shown += self.inline(answer["answer"])
            word = "Yes. " if answer["correct"] else "No. "
            shown.append(raw("</label>", f'<p class="why"><strong>{word}</strong>'))
            shown += self.inline(answer["feedback"])
            shown.append(raw("</p>", "</div>"))
        return [*shown, raw('<div class="said" role="status"></div>', "</fieldset>")]

    def inline(self, text: str) -> list[nodes.Node]:
        """Read a text as Markdown of one paragraph: formulas and code."""
        found = nodes.Element()
        self.state.nested_parse([text], self.lineno, found)
        (paragraph,) = found.children
        return paragraph.children


def raw(*parts: str) -> nodes.raw:
    """Return a piece of HTML."""
    return nodes.raw("", "".join(parts), format="html")


def setup(app) -> dict:
    """Tell Sphinx what is here."""
    app.add_directive("quiz", Quiz)
    return {"version": "1", "parallel_read_safe": True}
