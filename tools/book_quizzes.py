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


def find(question: str) -> tuple[Path, dict]:
    """Return the file that holds a question, and the question."""
    path = BANK / f"{question[2:4]}.json"
    for each in json.loads(path.read_text(encoding="utf-8")):
        if each["id"] == question:
            return path, each
    raise ValueError(f"{path.name} has no question {question!r}")


class Quiz(SphinxDirective):
    """Some questions of the bank, each with its answers."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Read the questions; the page is read again when their file changes."""
        box = nodes.container(classes=["quiz"])
        for question in self.arguments[0].split():
            path, content = find(question)
            self.env.note_dependency(str(path))
            box += self.show(content)
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
    app.add_js_file("quiz.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True}
