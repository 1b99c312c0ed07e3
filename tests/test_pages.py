"""The pages as built: links, weight, pictures; and what stands on them by itself."""

import ast
import collections
import html.parser
import re
import subprocess
import sys
import types

import pytest
from chapters import CHAPTERS, code_cells, read, tree_of
from conftest import ROOT

# What chapters import, in the order in which a picture travels.
PUBLIC = """
    images scenes synth shortcut data blocks models training recipes cam saliency saving
    evaluation judging plots charts diagrams explorer
""".split()
HTML = ROOT / "_build" / "html"
built = pytest.mark.skipif(
    not (HTML / "genindex.html").is_file(), reason="no book is built: `make book` first"
)

# The library's page.


def test_every_public_name_has_a_page_of_its_own():
    first = (ROOT / "book" / "api.md").read_text()
    contents = (ROOT / "_toc.yml").read_text()
    rooms = {path.stem for path in (ROOT / "src" / "scenecam").glob("[a-z]*")}
    assert rooms == set(PUBLIC)
    assert re.findall(r"\(library/(\w+)\.md\)", first) == PUBLIC
    assert re.findall(r"file: book/library/(\w+)", contents) == PUBLIC
    for name in PUBLIC:
        page = (ROOT / "book" / "library" / f"{name}.md").read_text()
        assert f"# scenecam.{name}\n" in page
        assert f".. automodule:: scenecam.{name}\n" in page


def private_imports(source):
    """What a cell imports of the library besides its public rooms."""
    found = set()
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    inside = [name.split(".") for name in found if name.split(".")[0] == "scenecam"]
    return {
        ".".join(name)
        for name in inside
        if set(name[1:2]) - set(PUBLIC) or any(part[0] == "_" for part in name)
    }


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_import_public_rooms_alone(path):
    for cell in code_cells(read(path)):
        assert not private_imports(cell.source)
        assert not re.search(r"scenecam[./]_", cell.source)


def test_the_rule_catches_what_is_not_public():
    assert not private_imports("from scenecam import cam\nimport scenecam.scenes as s")
    assert private_imports("from scenecam import batches, cam") == {"scenecam.batches"}
    for line in ("from scenecam._engine import passes", "import scenecam._style"):
        assert private_imports(line)
    assert private_imports("from scenecam.cam import _fold") == {"scenecam.cam._fold"}


def test_the_fields_of_a_named_tuple_are_left_out(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book_pages

    point = collections.namedtuple("Point", "x")
    assert book_pages.skip_field(None, "class", "x", point.x, False, None)
    assert book_pages.skip_field(None, "class", "f", len, False, None) is None


def test_versions_are_computed(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book_pages
    import numpy as np

    rows = dict(book_pages.versions())
    assert rows["numpy"] == np.__version__
    assert rows["Python"].split(".")[:2] == [str(n) for n in sys.version_info[:2]]
    assert "not installed" not in rows.values()


# The pages as built.


class Page(html.parser.HTMLParser):
    """Addresses that a page names, and the places in it that can be linked to."""

    def __init__(self):
        super().__init__()
        self.links, self.places, self.images = [], set(), []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "img":
            self.images.append(found)
        for key in ("href", "src"):
            if found.get(key):
                self.links.append(found[key])


def broken_links(folder):
    pages = {}
    for path in folder.rglob("*.html"):
        if "_static" not in path.parts:
            pages[path.resolve()] = page = Page()
            page.feed(path.read_text(encoding="utf-8"))
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:|//|\?", link) or link == "#":
                continue
            name, _, place = link.partition("#")
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            known = place in pages[target].places if target in pages else True
            if not target.exists() or (place and not known):
                yield f"{path.name}: {link}"


@built
def test_no_link_within_the_book_leads_nowhere():
    assert sorted(set(broken_links(HTML))) == []


@built
def test_no_built_page_is_too_heavy(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book as tool

    heavy = {
        page: f"{weight / 1e6:.2f} MB"
        for page, weight in tool.page_weights(HTML).items()
        if weight > tool.PAGE_WEIGHT
    }
    assert not heavy


@built
def test_each_built_picture_has_words_for_those_who_do_not_see():
    for path in (HTML / "book").glob("*.html"):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        for image in page.images:
            assert image.get("alt") is not None, f"{path.name}: {image.get('src')}"


def test_large_figures_become_webp_and_charts_stay(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book_pages
    import numpy as np
    from docutils import nodes
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype="uint8")
    Image.fromarray(noise).save(tmp_path / "large.png")
    Image.fromarray(noise[:20, :20]).save(tmp_path / "small.png")
    images = [nodes.image(uri=f"/{name}.png") for name in ("large", "small", "none")]
    app = types.SimpleNamespace(srcdir=tmp_path)
    book_pages.lighten(app, nodes.container("", *images))
    uris = [node["uri"] for node in images]
    assert uris == ["/large.webp", "/small.png", "/none.png"]
    with Image.open(tmp_path / "large.webp") as stored:
        assert stored.format == "WEBP" and stored.size == (300, 300)


def test_a_broken_link_and_a_heavy_page_are_noticed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book as tool

    (tmp_path / "book").mkdir()
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "a.png").write_bytes(bytes(3000))
    text = '<h2 id="here"></h2><a href="#here"></a><a href="two.html#gone"></a>'
    shown = '<img alt="" src="../_images/a.png"><img src="../_images/a.png">'
    (tmp_path / "book" / "one.html").write_text(text + shown)
    (tmp_path / "book" / "two.html").write_text('<a href="three.html"></a>')
    assert sorted(broken_links(tmp_path)) == [
        "one.html: two.html#gone",
        "two.html: three.html",
    ]
    weights = tool.page_weights(tmp_path)
    assert weights["one.html"] == len(text + shown) + 3000  # a picture counts once


def test_the_memory_of_a_chapter_is_that_of_its_kernel_too(tmp_path):
    kernel = "x = bytearray(300_000_000); x[::4096] = bytes(len(x[::4096]))"
    child = f"import subprocess as s, sys; s.run([sys.executable, '-c', {kernel!r}])"
    # From a small process: a child's peak starts at the size of what it is forked from.
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / "tools")!r})
import book
print(*book.call_measured([sys.executable, "-c", {child!r}], cwd=Path(".")))
print(*book.call_measured([sys.executable, "-c", "exit(3)"], cwd=Path(".")))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    (code, peak), (failed, _) = (
        [int(word) for word in line.split()] for line in done.stdout.splitlines()
    )
    assert (code, failed) == (0, 3), done.stderr
    assert 300e6 < peak < 400e6


def test_a_page_has_the_script_of_its_widgets_once(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book_pages

    def widget(kind):
        style, script = f"<style data-once>{kind}</style>\n", f"render({kind!r});\n"
        script = f'<script type="module" data-once>{script}</script>\n'
        data = '<script type="application/json">{}</script>\n'
        return style + data + script, data

    (one, rest), (other, _) = widget("explorer"), widget("weight")
    plain = "<script>again();</script><style>p {}</style>\n" * 2
    state = types.SimpleNamespace(attributes={"type": book_pages.WIDGET_STATE})
    kept = types.SimpleNamespace(attributes={}), "theme.js"
    context = {"body": one + plain + other + one, "script_files": [kept[0], state]}
    context["script_files"].append(kept[1])
    book_pages.keep_once(None, "page", "page.html", context, None)
    assert context["body"] == one + plain + other + rest
    assert context["script_files"] == [*kept]
    empty = {}
    book_pages.keep_once(None, "search", "search.html", empty, None)
    assert "body" not in empty
