"""The built book as one PDF, printed by Chromium from its own pages.

`combine` makes one page of all: a title, the contents, and every page in the order of
the contents, its links turned into links within the file. What only a screen can do is
left out: buttons, folded code and solutions, and of an explorer all but its picture.
Chromium prints that page, with the headings as bookmarks.
"""

import os
import re
import shutil
import subprocess
from html import escape
from pathlib import Path
from posixpath import normpath

from PIL import Image

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TARGET = "what-a-convolutional-network-sees.pdf"
HEAVIEST = 25_000_000  # bytes, what may still be sent by mail
QUALITIES = (80, 60, 40)  # of JPEG; the next where the file would be too heavy
WAIT = 120_000  # milliseconds of the page's own clock, to set all formulas
# Of the screen alone.
DROPPED = (
    "script, style[scoped], .headerlink, .copybtn, .scenecam, details.above-input, "
    "details.below-input, .admonition.dropdown, .dropdown, .quiz .why, .quiz .said"
)


def make(root: Path) -> int:
    """Print the built book; return an exit code."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    built = root / "_build" / "html"
    if browser is None:
        names = ", ".join(NAMES)
        print(f"No PDF: it needs Chromium, and none of {names} is on the path.")
        return 1
    if not (built / "index.html").is_file():
        print(f"No PDF: there is no built book in {built}; run make book first.")
        return 1
    page = root / "_build" / "pdf" / "book.html"
    shutil.rmtree(page.parent, ignore_errors=True)
    page.parent.mkdir()
    target = root / "_build" / TARGET
    target.unlink(missing_ok=True)
    try:
        text = combine(root, built)
        for quality in QUALITIES:
            page.write_text(as_jpeg(text, page.parent, quality), encoding="utf-8")
            wrong = print_page(browser, page, target)
            if wrong or target.stat().st_size <= HEAVIEST:
                break
        else:
            size = target.stat().st_size / 1e6
            wrong = f"{target} has {size:.1f} MB, more than {HEAVIEST / 1e6:g}"
    except FileNotFoundError as error:
        wrong = f"{error.filename} is missing: run make book first"
    kept = target.is_file()  # one that is too heavy is still a PDF
    print(f"{'' if kept else 'No PDF: '}{wrong}." if wrong else target)
    return 1 if wrong else 0


def print_page(browser: str, page: Path, target: Path) -> str:
    """Have a browser print a page; return what went wrong, or nothing.

    A page that waits for its formulas says on the console how many were set.
    """
    target.unlink(missing_ok=True)
    command = [browser, "--headless", "--disable-gpu", "--no-pdf-header-footer"]
    command += ["--generate-pdf-document-outline", "--enable-logging=stderr"]
    command += [f"--virtual-time-budget={WAIT}", "--allow-file-access-from-files"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")  # Chromium refuses to have one as root
    command += [f"--print-to-pdf={target}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode or not target.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"Chromium ended with {done.returncode}: {last}"
    wanted = page.read_text(encoding="utf-8").count('class="math ')
    told = re.search(r"formulas set: (\d+)", done.stderr)
    found = int(told[1]) if told else 0
    if wanted and found < wanted:
        target.unlink()
        return f"{found} of {wanted} formulas were set when Chromium printed"
    return ""


def pages_of(root: Path) -> list[tuple[str, list[str]]]:
    """Return the parts of the book: a caption, and the pages under it."""
    import yaml

    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = [("", [toc["root"]])]
    for part in toc.get("parts", [{"chapters": toc.get("chapters", [])}]):
        files = [entry["file"] for entry in part.get("chapters", [])]
        # The index is for those who cannot search.
        parts.append((part.get("caption", ""), [f for f in files if f != "genindex"]))
    return parts


def combine(root: Path, built: Path) -> str:
    """Return all pages as one."""
    from bs4 import BeautifulSoup

    parts, articles, lines = pages_of(root), [], []
    names = {name for _, files in parts for name in files}
    for caption, files in parts:
        lines.append(f'<p class="part">{escape(caption)}</p>' if caption else "")
        for name in files:
            text = (built / f"{name}.html").read_text(encoding="utf-8")
            soup = BeautifulSoup(text, "html.parser")
            article = soup.select_one("article.bd-article")
            strip(article)
            relink(article, name, names)
            articles.append(f'<article class="bd-article">{article.decode_contents()}')
            articles.append("</article>")
            lines.append(entry(article, name))
    template = (HERE / "print" / "book.html").read_text(encoding="utf-8")
    filled = {
        "styles": styles(built / f"{parts[0][1][0]}.html", parts[0][1][0]),
        "paper": (HERE / "print" / "book.css").read_text(encoding="utf-8"),
        "contents": "\n".join(lines),
        "articles": "\n".join(articles),
    }
    return re.sub(r"<!-- (\w+) -->", lambda found: filled[found[1]], template)


def as_jpeg(text: str, folder: Path, quality: int) -> str:
    """Have a page show its WebP pictures as JPEG, which alone a PDF holds as they are.

    A PDF would hold the pixels of any other, five times as heavy.
    """
    for number, address in enumerate(sorted(set(re.findall(r'"([^"]+\.webp)"', text)))):
        path, target = folder / address, folder / f"{number:03}.jpg"
        with Image.open(path) as picture:
            if "A" in picture.getbands():
                continue
            picture.convert("RGB").save(target, quality=quality)
        text = text.replace(f'"{address}"', f'"{target.name}"')
    return text


def strip(article) -> None:
    """Take away what means nothing on paper."""
    for node in article.select(DROPPED):
        node.decompose()
    # Words of code without a colour of their own, each an entry in the file.
    for node in article.select(".highlight :is(span.n, span.p, span.w)"):
        node.unwrap()
    for paragraph in article.find_all("p"):
        if paragraph.get_text(strip=True) == "Solution":
            paragraph.decompose()
    for node in article.select(".cell"):
        if not node.get_text(strip=True) and not node.select("img, table"):
            node.decompose()
    for node in article.select("input"):
        node["type"] = "checkbox"  # a box to tick with a pen
    for picture in article.select("img"):
        picture.attrs.pop("loading", None)


def relink(article, name: str, names: set[str]) -> None:
    """Make the names of a page its own, and lead its links within the file."""
    for node in article.select("[id]"):
        node["id"] = anchor(name, node["id"])
    for node in article.select("[for]"):
        node["for"] = anchor(name, node["for"])
    for node in article.select("[name]"):
        node["name"] = anchor(name, node["name"])
    for node in article.select("[src]"):
        if not node["src"].startswith("data:"):
            node["src"] = beside(name, node["src"])
    for link in article.select("a[href]"):
        page, _, part = link["href"].partition("#")
        if re.match(r"[a-z]+:", link["href"]):
            continue
        page = normpath(f"{name}/../{page}").removesuffix(".html") if page else name
        if page in names:
            link["href"] = "#" + anchor(page, part)
        else:
            link.unwrap()
    article.insert(0, article_anchor(name))


def article_anchor(name: str):
    """Return the place to which links to a whole page lead."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(f'<span id="{anchor(name, "")}"></span>', "html.parser").span


def anchor(page: str, part: str) -> str:
    """Return the name of a part of a page within the file."""
    return f"{page}--{part}".replace("/", "-")


def beside(page: str, address: str) -> str:
    """Return the address of a page's file, as seen from `_build/pdf`."""
    return "../html/" + normpath(f"{page}/../{address}")


def styles(path: Path, name: str) -> str:
    """Return the style sheets of a built page, as links."""
    found = re.findall(r'<link[^>]*href="([^"]+\.css[^"]*)"', path.read_text())
    kept = [beside(name, href) for href in found if "//" not in href]
    return "\n".join(f'<link rel="stylesheet" href="{href}">' for href in kept)


def entry(article, name: str) -> str:
    """Return a page's lines in the contents: its title and its sections."""
    title = article.find("h1")
    sections = [
        f'<li><a href="#{node.parent["id"]}">{node.decode_contents()}</a></li>'
        for node in article.find_all("h2")
        if node.parent.get("id")
    ]
    head = title.decode_contents() if title else escape(name)
    inner = f"<ul>{''.join(sections)}</ul>" if re.match(r"book/\d", name) else ""
    return f'<p><a href="#{anchor(name, "")}">{head}</a></p>{inner}'
