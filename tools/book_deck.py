"""What stands on a chapter's slides: its figures, its key sentences, its questions.

On a slide stands what fits. A figure comes with its caption, and what was seen in it
appears at a key press; the whole text is in the notes.
"""

import re
from base64 import b64decode
from dataclasses import dataclass, field
from html import escape
from io import BytesIO

import book_words
from PIL import Image

ROOM = 640  # letters on a slide of text, as `book_words.weigh` counts
FIRST = 460  # letters that open a section, before what is shown and seen
BESIDE = 360  # letters beside a figure: its caption, and what was seen
DENSE = 1500  # letters of a question or a table, which are set smaller
LINE = 36  # letters whose place a printed line takes
WIDE = 1.6  # width over height of a picture that leaves no room beside it
COLUMNS = 96  # of a printed line, before it is broken
LINES = 15  # of what a cell printed
HEADING = re.compile(r"^(#{1,3}) (.+)\n?", re.M)
TABLE = re.compile(r"^\|.*(?:\n\|.*)+", re.M)


@dataclass
class Slide:
    """What stands on one slide, as Markdown, and what the speaker sees beside it."""

    kind: str  # "slide" or "subslide"
    title: str
    over: str = ""  # the section that the title is a part of
    shown: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # appears at a key press
    notes: list[str] = field(default_factory=list)
    room: int = ROOM

    def take(self, texts: list[str], *, seen: bool = False) -> None:
        """Put texts on the slide."""
        (self.seen if seen else self.shown).extend(texts)
        self.room -= sum(unit.weight for one in texts for unit in book_words.units(one))


def deck(notebook, kinds: list[str], book, store, bank: dict) -> list[Slide]:
    """Return the slides of a chapter whose cells become these kinds.

    `store(content, ending)` keeps a picture and returns its address; `bank` has the
    questions by id.
    """
    slides: list[Slide] = []
    for cell, kind in zip(notebook.cells, kinds, strict=True):
        if kind == "skip":
            continue
        if cell.cell_type == "markdown":
            add_text(slides, cell.source, book, bank)
        else:
            add_outputs(slides, cell, book, store)
    for number, slide in enumerate(slides):
        if not slide.shown and not slide.seen and number + 1 < len(slides):
            hand_on(slide, slides[number + 1])
    return [slide for slide in slides if slide.shown or slide.seen]


def hand_on(empty: Slide, following: Slide) -> None:
    """Let the next slide begin the section of one on which nothing stands."""
    following.kind = "slide" if empty.kind == "slide" else following.kind
    if following.title != empty.title:
        following.over = following.over or empty.title
    following.notes[:0] = empty.notes


def follow(slides: list[Slide], **more) -> Slide:
    """Add a slide that goes on with the section of the last one."""
    last = slides[-1]
    slides.append(Slide("subslide", last.title, last.over, **more))
    return slides[-1]


def add_text(slides: list[Slide], source: str, book, bank) -> None:
    """Add what a text says: a slide for each heading, and one for each question."""
    asked = re.findall(r"^```\{quiz\} (.+)", source, re.M)
    text = book_words.plain(source, book)
    before, *parts = HEADING.split(text)
    if before.strip() and not asked:
        go_on(slides, before.strip())
    section = slides[-1].over or slides[-1].title if slides else ""
    for marks, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        small = len(marks) == 3
        section = section if small else title
        slide = Slide("subslide" if small else "slide", title, section if small else "")
        slides.append(slide)
        if not asked:
            open_section(slides, body.strip(), len(marks))
    for number, name in enumerate(" ".join(asked).split()):
        ask(slides, bank[name], number)


def open_section(slides: list[Slide], body: str, level: int) -> None:
    """Show how a section begins. An exercise and a summary are shown as they are."""
    slide = slides[-1]
    slide.notes.append(body)
    body, tables = TABLE.sub("", body), TABLE.findall(body)
    if level == 1:
        body, _, box = body.partition("**In this chapter**")
        aims = re.search(r"\*\*You will learn\*\*.*?(?=\n\n|$)", box, re.S)
        aims = [" ".join(aims[0].split())] if aims else []
        slide.take(book_words.key_units(body, 300, most=2))
        slide.shown += aims
        slide.room = 0
        return
    whole = slide.over == "Exercises" or slide.title == "Summary"
    if whole:
        slide.room = DENSE * 3 // 5
    slide.take(
        book_words.key_units(
            body, slide.room if whole else FIRST, most=9 if whole else 3
        )
    )
    for table in tables:
        if len(table) < DENSE:
            follow(slides, shown=[block("dense", table)], notes=[body], room=0)


def go_on(slides: list[Slide], text: str) -> None:
    """Show what was seen, on the slide that shows it where there is room."""
    chosen = book_words.key_units(TABLE.sub("", text), 260, most=2)
    weight = sum(unit.weight for one in chosen for unit in book_words.units(one))
    slide = slides[-1]
    if chosen and weight > slide.room:
        slide = follow(slides)
        slide.take(chosen)
    else:
        slide.take(chosen, seen=bool(slide.shown))
    slide.notes.append(text)
    for table in TABLE.findall(text):
        if len(table) < DENSE:
            follow(slides, shown=[block("dense", table)], notes=[text], room=0)


def block(style: str, text: str) -> str:
    """Return a text in a box that deck.css knows, such as one that is set smaller."""
    return f'<div class="{style}">\n\n{text}\n\n</div>'


def ask(slides: list[Slide], question: dict, number: int) -> None:
    """Add a question of the bank; its right answer is for the speaker."""
    if number or slides[-1].shown:
        follow(slides)
    slide = slides[-1]
    slide.title = "Question" if slide.title != "Check yourself" else slide.title
    answers = question["answers"]
    named = list(zip("ABCDEF", answers, strict=False))
    listed = "\n".join(f"- **{letter}** {each['answer']}" for letter, each in named)
    size = "dense answers" if len(listed + question["question"]) > 850 else "answers"
    slide.shown = [block(size, f"{question['question']}\n\n{listed}")]
    slide.room = 0
    for letter, each in named:
        word = "right" if each["correct"] else "wrong"
        slide.notes.append(f"{letter} is {word}. {each['feedback']}")


def add_outputs(slides: list[Slide], cell, book, store) -> None:
    """Add what a cell shows, each output on a slide of its own."""
    about = cell.metadata.get("mystnb", {})
    caption = book_words.plain(about.get("figure", {}).get("caption", ""), book)
    number = book.figures.get(about.get("figure", {}).get("name"), "")
    alt = about.get("image", {}).get("alt", "")
    lead = slides[-1].notes[-1] if slides[-1].notes else ""
    lead = book_words.sentences(lead)[-1] if lead.endswith(":") else ""
    shown = filter(None, (look(output, store) for output in joined(cell.outputs)))
    if book.glued is None and about:
        shown = [("picture", ("", 1), "")]
    for kind, content, words in shown:
        if kind == "picture":
            slide = slides[-1] if not slides[-1].shown else follow(slides)
            said = f"**{number}** {caption}".strip() if caption else words
            slide.shown.append(figure(*content, alt or words, said))
            slide.room = BESIDE - len(said)
            slide.notes.append(f"The figure: {alt or words}")
        else:
            lead = lead if len(lead) < 160 else ""
            put(slides, content, lead, LINE * lines_of(content))
            slides[-1].notes.append(f"The code:\n\n```python\n{cell.source}\n```")


def lines_of(content: str) -> int:
    """Return the lines of print that a table, or what was printed, is as high as."""
    rows = content.split("<tr")[1:]
    lines = sum(1 + len(line) // COLUMNS for line in content.split("\n"))
    return sum(2 + ("<br" in row) for row in rows) or lines


def put(slides: list[Slide], content: str, lead: str, weight: int) -> None:
    """Put what was printed below a text that leaves room for it, or on a new slide."""
    last = slides[-1]
    weight += book_words.weigh(lead)
    if last.seen or any("<" in one for one in last.shown) or last.room < weight:
        last = follow(slides)
    last.shown += filter(None, [lead, content])
    last.room -= weight


def joined(outputs: list) -> list:
    """Return outputs with what was printed in several goes as one."""
    found = []
    for output in (dict(output) for output in outputs):
        if found and "text" in output and output["name"] == found[-1].get("name"):
            found[-1]["text"] += output["text"]
        else:
            found.append(output)
    return found


def figure(address: str, aspect: float, alt: str, caption: str) -> str:
    """Return a picture with its caption; words stand beside one that is not wide."""
    from nbconvert.filters import markdown2html

    where = "above" if aspect > WIDE else "left"
    picture = f'<img src="{address}" alt="{escape(alt)}">'
    said = markdown2html(caption).strip().replace("\n", " ")
    said = f'<div class="caption">{said}</div>'
    return f'<figure class="{where}">{picture}</figure>\n{said}'


def look(output, store) -> tuple | None:
    """Return what an output shows (kind, content, words), or None."""
    data = output.get("data", {})
    if output.get("metadata", {}).get("scrapbook") or output.get("name") == "stderr":
        return None
    if "image/png" in data:
        return "picture", kept(data["image/png"], "png", store), ""
    page = "".join(data.get("text/html", ""))
    still = r'class="scenecam-still">\s*<img alt="([^"]*)" src="data:image/jpeg;base64,'
    if found := re.search(still + r'([^"]+)"', page):
        return "picture", kept(found[2], "jpg", store), found[1]
    if found := re.search(r"<table.*?</table>", page, re.S):
        table = re.sub(r"\n\s*", "", found[0])
        tall = lines_of(table) > 2 * LINES
        return "table", block("small", table) if tall else table, ""
    text = output.get("text") or data.get("text/plain", "")
    lines = "".join(text).rstrip().splitlines()
    if page or not lines:
        return None
    lines = lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]
    return "text", f"<pre>{escape(chr(10).join(lines))}</pre>", ""


def kept(encoded: str, ending: str, store) -> tuple[str, float]:
    """Keep a picture; return its address, and its width over its height."""
    content = b64decode(encoded)
    with Image.open(BytesIO(content)) as picture:
        width, height = picture.size
    return store(content, ending), width / height
