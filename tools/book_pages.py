"""A Sphinx extension: what the pages say about themselves, computed in the build.

`{package-versions}` is a table of what the book was built with. Each page's head gets
the tags by which a link to it is shown elsewhere (Open Graph), from its own title and
description. Figures that hold pictures are stored as WebP, which makes the heaviest
chapters a third as heavy, and widgets of one kind share one script. Beside the pages
lies what a server asks for: the first page, one for addresses that lead nowhere, and a
list of all pages. Buttons and absolute addresses are those of the repository that
`book_address` finds, and there are none without it.
"""

import os
import platform
import re
import sys
from html import escape
from importlib import metadata
from pathlib import Path
from string import Template

import book_address
from docutils import nodes
from markupsafe import Markup
from PIL import Image
from sphinx.util.docutils import SphinxDirective

PACKAGES = (
    *("scenecam", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "pillow"),
    *("matplotlib", "seaborn", "ipywidgets", "anywidget", "jupyter-book", "myst-nb"),
    *("sphinx", "sphinx-book-theme", "nbval"),
)
PACKAGE = Path(__file__).resolve().parents[1] / "src" / "scenecam"
CARD = "_static/card.jpg"
LARGE = 75_000  # bytes: a PNG above holds pictures, one below is a chart
# Sends a reader on. Who is given the address of the whole book sees its card, too.
FIRST = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<meta http-equiv="refresh" content="0; url=$first">
$tags
</head>
<body><a href="$first">$title</a></body>
</html>
""")
# Shown at any depth below any folder, so it needs no file of the book.
MISSING = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>Page not found: $title</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; font: 1.1rem/1.6 system-ui, sans-serif; }
main { max-width: 34rem; margin: 18vh auto 0; padding: 0 1.25rem; }
h1 { font-size: 2rem; line-height: 1.2; }
</style>
</head>
<body>
<main>
<h1>There is no page at this address</h1>
<p>No page of <cite>$title</cite> has this address. The page may have moved, or a letter
may be wrong or missing.</p>
<p>$ways</p>
</main>
</body>
</html>
""")
# Scripts and styles of widgets, of which a page needs one of each kind.
ONCE = re.compile(r"<(style|script)[^>]* data-once>.*?</\1>\n?", re.DOTALL)
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def versions() -> list[tuple[str, str]]:
    """Return what runs here: Python, system, and each package with its version."""
    processors = os.cpu_count() or 1
    machine = f"{platform.system()} {platform.machine()}, {processors} processors"
    rows = [("Python", platform.python_version()), ("system", machine)]
    for name in PACKAGES:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            rows.append((name, "not installed"))
    return rows


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> nodes.table:
    """Return a table; a cell in backticks is code."""

    def row(cells):
        row = nodes.row()
        for text in cells:
            kind = nodes.literal if text.startswith("`") else nodes.inline
            content = kind(text=text.strip("`"))
            row += nodes.entry("", nodes.paragraph("", "", content))
        return row

    columns = [nodes.colspec(colwidth=1) for _ in head]
    body = nodes.tbody("", *map(row, rows))
    group = nodes.tgroup("", *columns, nodes.thead("", row(head)), body, cols=len(head))
    return nodes.table("", group, classes=["colwidths-auto"])


class PackageVersions(SphinxDirective):
    """A table with a row for each package."""

    def run(self) -> list[nodes.Node]:
        """Make the table; the page that has it is read again in every build."""
        self.env.note_reread()
        return [table(("what", "version"), versions())]


def skip_field(app, what, name, member, skip, options) -> bool | None:
    """Leave out the fields of named tuples: their class has said what they are."""
    return True if type(member).__name__ == "_tuplegetter" else None


def set_addresses(app, config) -> None:
    """Have buttons and pages lead to where this checkout comes from, or nowhere."""
    address = book_address.repository(Path(app.srcdir))
    options, here = config.html_theme_options, book_address.on_github(address)
    options["repository_url"] = address if here else ""
    for name in ("repository", "edit_page", "issues"):
        options[f"use_{name}_button"] = here
    if not here:
        options["launch_buttons"] = {}
    if address and not here:  # the theme knows the pages of three hosts alone
        link = {"name": "Repository", "url": address, "icon": "fas fa-code-branch"}
        options["icon_links"] = [link]
    # One that is set stands: pages may live elsewhere than on GitHub Pages.
    config.html_baseurl = config.html_baseurl or book_address.pages(address)


def description_of(doctree: nodes.document | None) -> str:
    """Return the description that a page gives of itself, or nothing."""
    for node in doctree.findall(nodes.meta) if doctree is not None else ():
        if node.get("name") == "description":
            return node["content"]
    return ""


def add_card(app, pagename, templatename, context, doctree) -> None:
    """Add the tags by which other sites show a link to this page."""
    site = app.config.html_baseurl.rstrip("/")
    description = description_of(doctree)
    if not site or not description:
        return
    tags = {
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:title": Markup(context.get("title", "")).striptags(),
        "og:description": description,
        "og:url": f"{site}/{pagename}.html",
        "og:image": f"{site}/{CARD}",
        "og:image:alt": app.config.social_card_alt,
    }
    lines = (
        f'<meta property="{name}" content="{escape(text)}" />'
        for name, text in tags.items()
    )
    size = '<meta name="twitter:card" content="summary_large_image" />'  # not a thumb
    context["metatags"] = "\n".join((context.get("metatags", ""), *lines, size))


def write_site(app, exception) -> None:
    """Write what lies beside the pages: the first one, that for none, the sitemap."""
    if exception is not None or app.builder.name != "html":
        return
    out, site = Path(app.outdir), app.config.html_baseurl.rstrip("/")
    title = escape(app.config.html_title)
    first = app.builder.get_target_uri(app.config.root_doc)
    card = r'<(?:meta property="og:|meta name="twitter:|link rel="canonical")[^>]*>'
    tags = "\n".join(re.findall(card, (out / first).read_text(encoding="utf-8")))
    text = FIRST.substitute(title=title, first=first, tags=tags)
    (out / "index.html").write_text(text, encoding="utf-8")
    ways = "The book begins with the page <code>index.html</code> of its folder."
    if site:
        ways = f'Go to <a href="{site}/{first}">the front page</a>'
        ways += f' or <a href="{site}/search.html">search the book</a>.'
    text = MISSING.substitute(title=title, ways=ways)
    (out / "404.html").write_text(text, encoding="utf-8")
    # Addresses in a sitemap are whole ones: where none is known, there can be none.
    (out / "sitemap.xml").unlink(missing_ok=True)
    if site:
        pages = map(app.builder.get_target_uri, sorted(app.env.found_docs))
        lines = (f"<url><loc>{escape(f'{site}/{page}')}</loc></url>" for page in pages)
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns='
        head += '"http://www.sitemaps.org/schemas/sitemap/0.9">'
        text = "\n".join((head, *lines, "</urlset>\n"))
        (out / "sitemap.xml").write_text(text, encoding="utf-8")


def keep_once(app, pagename, templatename, context, doctree) -> None:
    """Leave out the scripts and styles of widgets that the page has already.

    Their state, too, which nothing on a page reads: a widget carries its own.
    """
    seen = set()

    def first(found):
        new = found[0] not in seen
        seen.add(found[0])
        return found[0] if new else ""

    if "body" in context:
        context["body"] = ONCE.sub(first, context["body"])
    context["script_files"] = [
        script
        for script in context.get("script_files", ())
        if getattr(script, "attributes", {}).get("type") != WIDGET_STATE
    ]


def to_webp(source, target) -> None:
    """Store a picture as WebP: from a file to a file, or what acts like one."""
    with Image.open(source) as figure:
        figure.convert("RGB").save(target, "WebP", quality=80, method=6)


def lighten(app, doctree) -> None:
    """Store the large figures of a page as WebP, before Sphinx collects them."""
    for node in doctree.findall(nodes.image):
        uri = node["uri"]
        source = Path(app.srcdir, uri.lstrip("/"))
        if not uri.startswith("/") or source.suffix != ".png" or not source.is_file():
            continue
        if source.stat().st_size < LARGE:
            continue
        target = source.with_suffix(".webp")
        if not target.is_file():
            to_webp(source, target)
        node["uri"] = uri.removesuffix(".png") + ".webp"


def find_sibling(app, env, node, shown):
    """Link ``cam.class_maps`` in a docstring as if it said the package's name, too."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or "." not in target:
        return None
    name, domain = f"{PACKAGE.name}.{target}", env.get_domain("py")
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", name, node, shown
    )


def setup(app) -> dict:
    """Tell Sphinx what is here."""
    app.add_directive("package-versions", PackageVersions)
    app.add_config_value("social_card_alt", "", "html")
    app.connect("config-inited", set_addresses)
    app.connect("html-page-context", add_card)
    app.connect("build-finished", write_site, priority=900)  # after all other writers
    app.connect("html-page-context", keep_once, priority=900)  # after MyST-NB
    app.connect("autodoc-skip-member", skip_field)
    app.connect("missing-reference", find_sibling)
    app.connect("doctree-read", lighten, priority=400)  # before images are collected
    return {"version": sys.version.split()[0], "parallel_read_safe": True}
