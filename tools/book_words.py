"""The words of a chapter as plain Markdown, and which of its sentences are key.

A chapter is written in MyST: numbers that were computed, links to terms, papers and
figures, boxes. `plain` puts what a reader of the page would see in their place, so that
what is left means the same to any program that reads Markdown.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROLE = re.compile(r"\{([a-z:]+)\}`([^`]*)`")
BOX = re.compile(r"^(```+|:::+)\{([\w-]+)\}([^\n]*)\n(.*?)^\1[ \t]*$", re.M | re.S)
FORMULA = re.compile(r"\$\$.*?\$\$", re.S)
# Where a sentence ends: before what begins one, and not after a shortened word.
END = re.compile(
    r"(?<!e\.g\.)(?<!i\.e\.)(?<!vs\.)(?<!\bal\.)(?<!Fig\.)"
    r"(?:(?<=[.!?)])|(?<=\x01)|(?<=[.!?]\"))\s+"
)
WHOLE = re.compile(r"\$[^$]+\$|`[^`]+`|\*\*[^*]+\*\*")  # never split
BEGIN = re.compile(r"[\"'*`$\[(]*[A-Z0-9]|\*\*|`")
LISTED = re.compile(r"^(?=[-*] |\d+\. )", re.M)
FORMULA_LINE = 170  # letters whose place it takes
NEVER = 9  # the rank of what stays in the notes
# A sentence that begins so leans on the one before it.
LEANING = re.compile(
    r"(But|And|So|Then|This|That|These|Those|It|They|Both|Others?|Here|There|Such|Also|"
    r"Each|Its|Their|Nor|Or|Yet|Still)\b"
)


class Book(NamedTuple):
    """What the words of a chapter refer to: by key, what to say instead."""

    figures: dict[str, str]  # "ch6-fig-six" to "Fig. 6.3"
    papers: dict[str, tuple[str, str]]  # "zhou2016cam" to ("Zhou et al.", "2016")
    glued: dict[str, str] | None = None  # values; None where nothing was run


class Unit(NamedTuple):
    """A piece of text that may stand on a slide by itself."""

    text: str
    weight: int  # letters that it fills
    rank: int  # 0 comes first where there is room for some only


def papers(bibliography: Path) -> dict[str, tuple[str, str]]:
    """Return who wrote each paper of a BibTeX file, and when."""
    from pybtex.database import parse_file

    found = {}
    for key, entry in parse_file(bibliography).entries.items():
        people = entry.persons.get("author") or entry.persons.get("editor") or []
        names = [" ".join((*person.prelast_names, *person.last_names)).strip("{}")
                 for person in people]  # fmt: skip
        said = {0: key, 1: "".join(names), 2: " and ".join(names)}
        found[key] = (
            said.get(len(names), f"{names[0] if names else key} et al."),
            entry.fields.get("year", "no year"),
        )
    return found


def glued(notebook) -> dict[str, str]:
    """Return what the cells of a notebook that was run have glued, by name."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            named = output.get("metadata", {}).get("scrapbook", {})
            for kind, value in output.get("data", {}).items() if named else ():
                if kind.endswith("text/plain"):
                    found[named["name"]] = value
    return found


def plain(text: str, book: Book) -> str:
    """Return a text without MyST: each role says what the page says in its place.

    A name that nothing belongs to is a ValueError: a page would warn of it.
    """
    text = BOX.sub(open_box, text)
    text = re.sub(r"^\(.+\)=\n", "", text, flags=re.M)
    # A reference in brackets is for the page, where the figure may be far.
    text = re.sub(r"\s*\((?:see )?\{numref\}`[^`]*`\)", "", text)
    text = ROLE.sub(lambda found: say(found[1], found[2], book), text)
    text = re.sub(r"(?<!!)\[([^\]]+)\]\([^)\s]+\)", r"\1", text)
    left = re.search(r"\{[a-z:-]+\}`|^(?:```+|:::+)\{", text, re.M)
    if left:
        raise ValueError(f"a role or directive that slides cannot show: {left[0]!r}")
    return text.strip()


def open_box(box: re.Match) -> str:
    """Return what a box says. A closed one and questions say nothing by themselves."""
    options, content = re.fullmatch(r"((?::[^\n]*\n)*)(.*)", box[4], re.S).groups()
    if box[2] == "quiz" or "dropdown" in options:
        return ""
    title = f"**{box[3].strip()}**\n\n" if box[3].strip() else ""
    return f"\n{title}{content}"


def say(role: str, content: str, book: Book) -> str:
    """Return what the page shows for one role."""
    name = re.sub(r".*<(.*)>$", r"\1", content, flags=re.S)
    if role in ("term", "ref", "doc"):
        return re.sub(r"\s*<.*>$", "", content, flags=re.S)
    if role == "glue:text":
        return value(content, book.glued)
    known = {"numref": book.figures, "cite:p": book.papers, "cite:t": book.papers}
    if role not in known:
        return content
    keys = [key.strip() for key in name.split(",")]
    missing = [key for key in keys if key not in known[role]]
    if missing:
        raise ValueError(f"{{{role}}} names {missing[0]!r}, which the book has not")
    if role == "numref":
        return book.figures[name]
    said = [book.papers[key] for key in keys]
    if role == "cite:t":
        return "; ".join(f"{who} [{year}]" for who, year in said)
    return f"[{'; '.join(f'{who}, {year}' for who, year in said)}]"


def value(content: str, known: dict[str, str] | None) -> str:
    """Return a computed value as the page writes it; dots where nothing was run."""
    from myst_nb.core.variables import format_plain_text

    if known is None:
        return "…"
    key, _, form = (
        content.rpartition(":") if content not in known else (content, "", "")
    )
    if key not in known:
        raise ValueError(f"{{glue:text}} names {content!r}, which no cell has glued")
    return format_plain_text(known[key], form)


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph; formulas, code and what is bold are never split."""
    paragraph = " ".join(paragraph.split())
    kept = WHOLE.findall(paragraph)
    masked = WHOLE.sub(mask, paragraph)
    parts, start = [], 0
    for end in END.finditer(masked):
        part = masked[start : end.start()]
        begins = BEGIN.match(masked, end.end()) or masked[end.end() :][:1] in (
            "\0",
            "\x01",
        )
        if begins and part.count("(") <= part.count(")"):
            parts.append(part)
            start = end.end()
    parts.append(masked[start:])
    put_back = iter(kept)
    return [
        re.sub("[\0\x01]", lambda _: next(put_back), part) for part in parts if part
    ]


def mask(found: re.Match) -> str:
    """Return a sign in place of what is whole: another one if a sentence ends in it."""
    return "\x01" if re.search(r"[.!?]\*\*$", found[0]) else "\0"


def units(text: str) -> list[Unit]:
    """Take a plain text apart: sentences, formulas with what leads to them, lists."""
    text = FORMULA.sub(lambda found: f"\n\n{found[0]}\n\n", text)
    found: list[Unit] = []
    for block in filter(None, (one.strip() for one in re.split(r"\n\s*\n", text))):
        if block.startswith("$$"):
            lead = take_lead(found)
            whole = f"{lead}\n\n{block}".strip()
            found.append(Unit(whole, len(lead) + FORMULA_LINE * height(block), 1))
        elif LISTED.match(block):
            whole = f"{take_lead(found)}\n\n{block}".strip()
            found.append(Unit(whole, weigh(whole), 1))
        elif block.startswith("|"):
            found.append(Unit(block, 2 * len(block), 3))
        else:
            found += [Unit(one, weigh(one), rank(one)) for one in sentences(block)]
    return found


def leads(text: str) -> bool:
    """Tell whether a sentence goes on in the formula or list that follows it."""
    return not text.endswith((".", "!", "?", ")", "|", "$$"))


def take_lead(before: list[Unit]) -> str:
    """Take away and return the sentence that a formula or list goes on from.

    A lead of a word or two ("Then") says nothing without the sentence before it.
    """
    lead = before.pop().text if before and leads(before[-1].text) else ""
    if lead and len(lead.split()) < 3 and before and before[-1].rank > 1:
        lead = f"{before.pop().text} {lead}"
    return lead


def shorten(text: str) -> str:
    """Return a list with the first sentence of each item, or what begins it in bold."""
    lead, *items = LISTED.split(text)
    short = []
    for item in items:
        mark, words = item.split(" ", 1)
        first, *more = sentences(words)
        if re.fullmatch(r"\*\*.+\*\*", first) and more:
            first = f"{first} {more[0]}"
        short.append(f"{mark} {first}")
    return f"{lead}{chr(10).join(short)}"


def height(formula: str) -> int:
    """Return how many lines a formula has."""
    return 1 + formula.count(r"\\")


def weigh(text: str) -> int:
    """Return how many letters of a slide a text fills; a formula is set shorter."""
    return len(re.sub(r"\\[a-zA-Z]+|[{}*`]", "", text))


def rank(sentence: str) -> int:
    """Return how soon a sentence is wanted on a slide."""
    if sentence.endswith(":") or sentence.startswith("("):
        return NEVER
    if "**" in sentence:
        return 1
    return 3 if LEANING.match(sentence) else 2


def key_units(text: str, room: int, *, most: int = 4) -> list[str]:
    """Choose what to show of a text: its first sentence, then what is marked.

    What is chosen fits into so many letters and keeps its order.
    """
    found = [unit for unit in units(text) if unit.rank < NEVER]
    order = sorted(range(len(found)), key=lambda i: (i > 0, found[i].rank, i))
    chosen, left = {}, room
    for i in order:
        words, weight, _ = found[i]
        if weight > left and LISTED.search(words):
            words = shorten(words)
            weight = weigh(words)
        if weight <= left and len(chosen) < most:
            chosen[i] = words
            left -= weight
    return [chosen[i] for i in sorted(chosen)]
