"""Where links of the book lead: to where the checkout comes from, or nowhere."""

import re
import shutil
import subprocess
import types
from xml.etree import ElementTree

import nbformat
import pytest
from chapters import CHAPTERS, PAGES
from conftest import ROOT


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book_address

    return book_address


# One reader of the address.


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/example/book", "https://github.com/example/book"),
        ("https://GitHub.com/example/book.git", "https://github.com/example/book"),
        ("https://me:a@b@github.com/example/book/", "https://github.com/example/book"),
        ("https://token@git.example.org:8443/a/b", "https://git.example.org:8443/a/b"),
        ("git@github.com:example/book.git", "https://github.com/example/book"),
        ("github.com:example/book", "https://github.com/example/book"),
        ("git@gitlab.com:group/part/book.git", "https://gitlab.com/group/part/book"),
        ("ssh://git@ssh.github.com:443/a/b.git", "https://github.com/a/b"),
        ("ssh://git@git.example.org:2222/~a/b.c", "https://git.example.org/~a/b.c"),
        *(
            (local, "")
            for local in (
                *("", "/srv/git/book.git", "../book", "book.git", "~/book"),
                *("file:///srv/book.git", r"C:\books\book", "C:/books/book"),
                *("me@example.org:/srv/git/book.git", "work-alias:example/book"),
                *("https://localhost/a/b", "http://127.0.0.1:8080/git/book"),
                *("https://github.com", 'https://github.com/a/b"onclick="c'),
            )
        ),
    ],
)
def test_a_remote_has_an_https_address_or_none(tool, remote, address):
    assert tool.web_address(remote) == address


def git(root, *words):
    subprocess.run(["git", "-C", root, *words], check=True, capture_output=True)


def set_url(root, url):
    (root / "_config.yml").write_text(f'repository:\n  url: "{url}"\n')


def test_a_setting_wins_over_the_remote_and_the_remote_over_nothing(tool, tmp_path):
    set_url(tmp_path, "")
    assert tool.repository(tmp_path) == ""  # no git
    git(tmp_path, "init", "-q")
    assert tool.repository(tmp_path) == ""  # no remote
    git(tmp_path, "remote", "add", "upstream", "https://github.com/other/book")
    assert tool.repository(tmp_path) == ""  # not where it comes from
    git(tmp_path, "remote", "add", "origin", "git@github.com:example/book.git")
    assert tool.repository(tmp_path) == "https://github.com/example/book"
    set_url(tmp_path, "https://gitlab.com/example/book/")
    assert tool.repository(tmp_path) == "https://gitlab.com/example/book"
    set_url(tmp_path, "example/book")
    with pytest.raises(ValueError, match="_config.yml.*'example/book'.*leave it empty"):
        tool.repository(tmp_path)
    (tmp_path / "_config.yml").write_text("title: no setting at all\n")
    git(tmp_path, "remote", "set-url", "origin", str(tmp_path))
    assert tool.repository(tmp_path) == ""


def test_a_folder_of_another_checkout_does_not_come_from_there(tool, tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", "https://github.com/example/homework")
    (tmp_path / "book").mkdir()
    set_url(tmp_path / "book", "")
    assert tool.repository(tmp_path / "book") == ""


def test_where_there_is_no_git_there_is_no_address(tool, tmp_path, monkeypatch):
    set_url(tmp_path, "")
    monkeypatch.setenv("PATH", "")
    assert tool.repository(tmp_path) == ""


def test_pages_stand_where_github_puts_them(tool):
    address = tool.pages("https://github.com/Example/book")
    assert address == "https://example.github.io/book/"
    address = tool.pages("https://github.com/Example/Example.github.io")
    assert address == "https://example.github.io/"
    for other in ("", "https://gitlab.com/a/b", "https://github.com/a/b/c"):
        assert tool.pages(other) == "" and not tool.on_github(other)


# The pages: a book of two, with the extension and the settings of this one.


@pytest.fixture
def two_pages(tmp_path):
    (tmp_path / "tools").mkdir()
    for path in (ROOT / "tools").glob("book_*.py"):
        shutil.copy(path, tmp_path / "tools")
    # Even where the setting of this checkout is not empty.
    config = (ROOT / "_config.yml").read_text()
    config = re.sub(r"(?m)^(  url:).*", r'\1 ""', config, count=1)
    (tmp_path / "_config.yml").write_text(config)
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    contents = "format: jb-book\nroot: book/one\nchapters: [{file: book/two}]\n"
    (tmp_path / "_toc.yml").write_text(contents)
    description = "myst: {html_meta: {description: What this page is about.}}"
    (tmp_path / "book" / "one.md").write_text(f"---\n{description}\n---\n# One\n")
    title = nbformat.v4.new_markdown_cell("# Two")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(cells=[title], metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "book" / "two.ipynb")
    return tmp_path


def leads_out_of(root, monkeypatch):
    """Build; return the addresses outside that each of the two pages leads to."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book

    done = subprocess.run(
        [*book.book_command(root), "-W", "-n"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr + done.stdout
    pages = root / "_build" / "html" / "book"
    texts = [(pages / f"{name}.html").read_text() for name in ("one", "two")]
    outside = r'\s(?:href|content|src|action)="([a-z]+://[^"?]*)'
    return texts, [set(re.findall(outside, text)) for text in texts]


def beside_the_pages(root):
    """The first page, that for addresses that lead nowhere, the sitemap's addresses."""
    html = root / "_build" / "html"
    first, missing = (html / name for name in ("index.html", "404.html"))
    sitemap = html / "sitemap.xml"
    listed = ElementTree.parse(sitemap).getroot() if sitemap.exists() else ()
    return first.read_text(), missing.read_text(), [entry[0].text for entry in listed]


def test_pages_have_buttons_and_addresses_of_the_remote_alone(two_pages, monkeypatch):
    """Three builds, some twenty seconds."""
    texts, found = leads_out_of(two_pages, monkeypatch)
    assert found == [set(), set()]
    first, missing, listed = beside_the_pages(two_pages)
    assert 'content="0; url=book/one.html"' in first
    for text in (first, missing):
        assert not re.search("https?:|og:", text)
    assert "href" not in missing and "src" not in missing
    assert not listed
    for text in texts:
        assert not re.search(r"launch-button|repository-button|edit-button", text)
        assert not re.search(r"issues-button|canonical|og:", text)

    git(two_pages, "init", "-q")
    git(two_pages, "remote", "add", "origin", "git@github.com:Example/book.git")
    here, site = "https://github.com/Example/book", "https://example.github.io/book"
    _, (one, two) = leads_out_of(two_pages, monkeypatch)
    assert one == {
        *(here, f"{here}/issues/new", f"{here}/edit/main/book/one.md"),
        *(f"{site}/book/one.html", f"{site}/_static/card.jpg"),
    }
    assert two == {
        *(here, f"{here}/issues/new", f"{here}/edit/main/book/two.ipynb"),
        f"{site}/book/two.html",
        "https://mybinder.org/v2/gh/Example/book/main",
    }
    first, missing, listed = beside_the_pages(two_pages)
    card = {"og:url": f"{site}/book/one.html", "og:image": f"{site}/_static/card.jpg"}
    for name, content in card.items():
        assert f'<meta property="{name}" content="{content}"' in first
    assert 'name="twitter:card" content="summary_large_image"' in first
    assert (two_pages / "_build" / "html" / "_static" / "card.jpg").is_file()
    # Whatever the address at which it is shown, it leads to pages that there are.
    leads_to = re.findall(r'(?:href|src)="([^"]*)"', missing)
    assert leads_to == [f"{site}/book/one.html", f"{site}/search.html"]
    assert listed == [f"{site}/book/{name}.html" for name in ("one", "two")]

    address = "https://git.example.org/example/book"
    git(two_pages, "remote", "set-url", "origin", f"{address}.git")
    texts, found = leads_out_of(two_pages, monkeypatch)
    assert found == [{address}, {address}]
    assert not any("launch-button" in text for text in texts)
    first, missing, listed = beside_the_pages(two_pages)
    assert "github" not in first + missing and not listed  # of the build before


def test_an_address_of_the_pages_that_is_set_stands(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import book_pages

    set_url(tmp_path, "https://github.com/example/book")
    options = {"repository_url": "https://github.com/somebody/else"}
    for site in ("", "https://book.example.org/"):
        config = types.SimpleNamespace(html_theme_options=options, html_baseurl=site)
        book_pages.set_addresses(types.SimpleNamespace(srcdir=tmp_path), config)
        assert config.html_baseurl == (site or "https://example.github.io/book/")
    assert options["repository_url"] == "https://github.com/example/book"
    set_url(tmp_path, "")
    book_pages.set_addresses(types.SimpleNamespace(srcdir=tmp_path), config)
    assert options["repository_url"] == "" and options["launch_buttons"] == {}


# What is written by hand.

WEB = re.compile(
    r"""[\w.-]*(?:https?://|git@|git(?:hub|lab)\.(?:com|io))[^\s"'`<>()\[\]]*""", re.I
)
NAMES = sorted(path.parent.name for path in ROOT.glob("src/*/__init__.py"))


def own_addresses(text):
    """Addresses with a name of the project's own packages: nobody has claimed them."""
    return [
        address
        for address in WEB.findall(text)
        if any(name in address.lower() for name in NAMES)
    ]


def tracked_texts():
    """Every text file in git, without the one setting in which a publisher names it."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("no checkout")
    for name in done.stdout.decode().split("\0"):
        path = ROOT / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # weights, pictures
            continue
        if name == "_config.yml":
            text = re.sub(r"(?m)^  url:.*", "", text, count=1)
        yield name, text


def test_no_file_names_an_address_of_the_project():
    found = {name: own_addresses(text) for name, text in tracked_texts()}
    assert {"_config.yml", "README.md", "book/intro.md"} <= set(found)
    assert not {name: addresses for name, addresses in found.items() if addresses}


def test_the_rule_catches_an_address_of_the_project():
    name = NAMES[0]
    for host in ("https://github.com/", "git@github.com:", "github.com/", "https://a/"):
        assert own_addresses(f"[at]({host}{name}/other)")
        assert own_addresses(f'url = "{host}other/{name}.git"')
    assert own_addresses(f"{name}.github.io/other")
    assert not own_addresses(f"github.com/some/other, and {name} (https://a.org)")


@pytest.mark.parametrize("name", ["CITATION.cff", "pyproject.toml"])
def test_what_describes_the_project_names_no_address(name):
    assert not WEB.findall((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *PAGES, *CHAPTERS], ids=lambda path: path.stem
)
def test_no_page_asks_for_code_from_elsewhere(path):
    """The project is installed from the folder that the reader has, by no address."""
    text = path.read_text(encoding="utf-8")
    elsewhere = r"git clone|pip install [^\n`]*(scenecam|git\+|://)|colab"
    assert not re.search(elsewhere, text, flags=re.I)
