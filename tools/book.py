"""Build the book, check its chapters, refresh their kept outputs, grade students'.

    python tools/book.py build                build the HTML book and print where it is
    python tools/book.py check [--fresh]      run every chapter under nbval
    python tools/book.py outputs [CHAPTER..]  strip chapters, keep the tagged outputs
    python tools/book.py links                ask whether outside addresses still answer
    python tools/book.py student              write the chapters without solutions
    python tools/book.py grade FILE.. [--csv TABLE]  run students' notebooks, say which
                                              exercises they pass
    python tools/book.py slides               write a deck of slides for each chapter
    python tools/book.py slide-types [CHAPTER..]  write into cells what they become
    python tools/book.py pdf                  print the built book into one file

jupyter-book's execution cache sees a chapter's own cells and nothing else. What a
chapter computes also depends on the library, the weights, the versions of the packages
and the pictures it runs on, so all of these go into one digest: when the digest
changes, the cache is dropped and every chapter runs again.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from book_exercises import chapters

ROOT = Path(__file__).resolve().parents[1]
KEPT_TAG = "nbval-check-output"
PAGE_WEIGHT = 2_000_000  # bytes, a page and its pictures
MEMORY = 3_000_000_000  # bytes, the largest process of a chapter
SECONDS = 120  # a chapter; a note and no failure, since it shares the machine
AT_ONCE = min(os.cpu_count() or 1, 4)  # chapters; four take up to 12 GB together
# What TensorFlow says on import about the processor and the absent GPU, past its own
# log level. Anything else on stderr is worth reading.
NOTES = re.compile(r"WARNING: All log messages before absl|[IWE]0000 \d|To enable the")


def kernel_environment() -> dict[str, str]:
    """Environment in which chapters run, whatever the caller's is."""
    environment = dict(os.environ)
    # TensorFlow's notes on the processor and the absent GPU stay off the page.
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Under another backend than the kernel's own, a cell would draw into nothing.
    environment.pop("MPLBACKEND", None)
    return environment


def fine_figures(folder: Path) -> dict[str, str]:
    """Environment that has figures drawn with two pixels for each of the page's.

    On the screens of today text in a figure is blurred otherwise. It is a setting of
    IPython's kernel, which reads it from a file; in a folder of the book's own, so that
    the settings of whoever builds it have no say.
    """
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    setting = 'get_config().InlineBackend.figure_formats = {"retina"}\n'
    (profile / "ipython_kernel_config.py").write_text(setting)
    return {"IPYTHONDIR": str(folder)}


def files_below(folder: Path) -> list[Path]:
    """All files below `folder` that can change a result, in a fixed order."""
    skipped = {"__pycache__", "cache", "photos", "animals", ".ipynb_checkpoints"}
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not skipped & set(path.relative_to(folder).parts)
        and not any(part.endswith(".egg-info") for part in path.parts)
    )


def picture_folders(root: Path) -> dict[str, Path]:
    """Return the folders of photographs and animals that the chapters would use."""
    found = {}
    for variable, default in (
        ("SCENECAM_SCENES", "photos"),
        ("SCENECAM_ANIMALS", "animals"),
    ):
        named = os.environ.get(variable, "")
        folder = Path(named or root / "data" / default).expanduser()
        # A name that leads nowhere stays: the chapters say what is wrong with it.
        if named != "drawn" and (named or folder.is_dir()):
            found[variable] = folder
    return found


def digest(root: Path) -> str:
    """Digest of all that the chapters' results depend on, but for the chapters."""
    places = picture_folders(root)
    found = hashlib.sha256(f"{sys.version} {places}".encode())
    for name in ("src", "data"):
        for path in files_below(root / name):
            found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    for path in sorted(root.glob("requirements*.txt")) + [root / "_config.yml"]:
        found.update(path.read_bytes() if path.is_file() else b"")
    for folder in places.values():
        # Thousands of photographs: their names, sizes and times stand for their bytes.
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                stat = path.stat()
                line = f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n"
                found.update(line.encode())
    return found.hexdigest()


def build(root: Path) -> int:
    """Build the HTML book; return jupyter-book's exit code."""
    output = root / "_build"
    cache = open_cache(output, digest(root))
    figures = fine_figures(output / "ipython")
    if not run_chapters(root, cache, figures):
        return 1
    code = call_without_notes([*book_command(root), "-W", "-n"], cwd=root, **figures)
    for page, weight in page_weights(output / "html").items():
        if weight > PAGE_WEIGHT:
            limit = f"more than the {PAGE_WEIGHT / 1e6:g} MB that a page may weigh"
            print(f"{page}: {weight / 1e6:.2f} MB with its pictures, {limit}")
            code = code or 1
    if code == 0:
        print(output / "html" / "index.html")
    return code


def made_on(output: Path) -> str | None:
    """Return the digest that what was built belongs to, None if nothing was."""
    stamp = output / "inputs.sha256"
    return stamp.read_text() if stamp.is_file() else None


def open_cache(output: Path, now: str):
    """Open the cache of chapters that were run; drop what has another digest."""
    from jupyter_cache import get_cache

    if made_on(output) != now:
        for name in (".jupyter_cache", ".doctrees", "html"):
            shutil.rmtree(output / name, ignore_errors=True)
        output.mkdir(exist_ok=True)
        (output / "inputs.sha256").write_text(now)
    return get_cache(output / ".jupyter_cache")


def put_into(cache, path: Path, notebook, seconds: float) -> None:
    """Keep a chapter that was run for the pages to show."""
    from jupyter_cache.base import CacheBundleIn

    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def run_chapters(root: Path, cache, figures: dict[str, str]) -> bool:
    """Run the chapters that the cache lacks; return whether all of them ended well.

    jupyter-book would run them one after the other, each on one of two cores for the
    most part. It takes them from this cache.
    """
    listed = (root / "_toc.yml").read_text()
    for path in chapters(root):
        if f"{path.parent.name}/{path.stem}" in listed:
            cache.add_nb_to_project(path)
    lacking = {record.uri for record in cache.list_unexecuted()}
    todo = [path for path in longest_first(root) if str(path) in lacking]
    environment = kernel_environment() | figures | share(len(todo))
    well = True
    for path, (notebook, seconds) in side_by_side(
        todo, lambda path: run_chapter(path, environment)
    ):
        if notebook is None:
            well = False
            continue
        beyond = f", more than the {SECONDS} s that it may" if seconds > SECONDS else ""
        print(f"{path.name}: run in {seconds:.0f} s{beyond}", flush=True)
        put_into(cache, path, notebook, seconds)
    return well


def longest_first(root: Path) -> list[Path]:
    """Return the chapters so that none is left over for the end.

    What is long to read is long to run.
    """
    return sorted(chapters(root), key=lambda path: -path.stat().st_size)


def side_by_side(items: list, work) -> Iterator[tuple]:
    """Do work on several items at a time; yield each with its result, as they come."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(work, item): item for item in items}
        for done in as_completed(running):
            yield running[done], done.result()


def run_chapter(path: Path, environment: dict[str, str]) -> tuple:
    """Run a chapter: the notebook with outputs, None if a cell fails; its seconds."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    notebook, start = nbformat.read(path, as_version=4), time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,  # times in a cell would be part of its name in the cache
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute(env=environment)
    except (CellExecutionError, CellTimeoutError) as error:
        print(f"{error}\n{path.name}: a cell failed", file=sys.stderr)
        notebook = None
    return notebook, time.perf_counter() - start


def share(count: int) -> dict[str, str]:
    """Environment in which each of so many chapters has its share of the cores.

    More threads than cores would wait for each other. Outputs are kept with as many as
    there are, so what is compared has been seen under two counts.
    """
    threads = (os.cpu_count() or 1) // max(1, min(count, AT_ONCE))
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return dict.fromkeys(names, str(threads))


def book_command(root: Path) -> list:
    """Return the command that builds a book, of the Python that runs this."""
    script = Path(sys.executable).with_name("jupyter-book")
    return [script, "build", root, "--keep-going"]


def links(root: Path) -> int:
    """Ask the network whether the addresses that the book names still answer."""
    return call_without_notes([*book_command(root), "--builder", "linkcheck"], cwd=root)


def call_without_notes(command: list, *, cwd: Path, **more: str) -> int:
    """Run a command that starts kernels, without TensorFlow's notes on its stderr.

    What is given by name is added to its environment.
    """
    environment = kernel_environment() | more
    with subprocess.Popen(
        command, env=environment, cwd=cwd, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if not NOTES.match(line):
                sys.stderr.write(line)
    return process.returncode


def call_measured(command: list, *, cwd: Path, **more: str) -> tuple[int, int, str]:
    """Run a command that starts a kernel: exit code, peak memory in bytes, words.

    What is given by name is added to its environment. The memory is that of the largest
    process among the command and those it started.
    """
    with tempfile.TemporaryFile("w+") as said:
        environment = kernel_environment() | more
        process = subprocess.Popen(
            command, env=environment, cwd=cwd, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        text = said.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return process.returncode, usage.ru_maxrss * unit, text


def page_weights(html: Path) -> dict[str, int]:
    """Return the bytes of each built page: the page itself and the pictures it shows.

    Style, scripts and fonts are the same for all pages, are loaded once, and are not
    counted.
    """
    found = {}
    for page in sorted((html / "book").glob("*.html")):
        text = page.read_text(encoding="utf-8")
        shown = {
            (page.parent / name).resolve()
            for name in re.findall(r'<img[^>]*\ssrc="(?!data:|https?:)([^"]+)"', text)
        }
        pictures = sum(path.stat().st_size for path in shown if path.is_file())
        found[page.name] = page.stat().st_size + pictures
    return found


def check(root: Path, *, fresh: bool) -> int:
    """Run the chapters on the drawn scenes under nbval; return pytest's exit code.

    A chapter that passed before and depends on nothing that changed since is skipped,
    and named, unless `fresh`. A `build` that follows takes the chapters from here; but
    one that was made before, on something else, stays as it is.
    """
    import nbformat

    os.environ["SCENECAM_SCENES"] = "drawn"
    base, output = digest(root), root / "_build"
    record = output / "chapters-passed.json"
    cache = open_cache(output, base) if made_on(output) in (None, base) else None
    passed = json.loads(record.read_text()) if record.is_file() and not fresh else {}
    keys = {
        path: hashlib.sha256(base.encode() + path.read_bytes()).hexdigest()
        for path in chapters(root)
    }
    todo = [path for path in longest_first(root) if passed.get(path.name) != keys[path]]
    for path in keys:
        if path not in todo:
            print(f"{path.name}: passed before, nothing it depends on has changed")
    environment = share(len(todo)) | fine_figures(output / "ipython")
    worst = 0
    for path, (code, peak, said, seconds) in side_by_side(
        todo, lambda path: run_nbval(root, path, environment)
    ):
        print(
            f"{said}{path.name}: {peak / 1e9:.2f} GB of memory at its peak", flush=True
        )
        if code == 0 and peak > MEMORY:
            print(f"{path.name}: more than the {MEMORY / 1e9:g} GB that a chapter may")
            code = 1
        worst = worst or code
        if code == 0:
            passed[path.name] = keys[path]
            record.write_text(json.dumps(passed, indent=1))
            if cache:
                put_into(cache, path, nbformat.read(checked(root, path), 4), seconds)
    return worst


def checked(root: Path, path: Path) -> Path:
    """Return where a chapter is kept that nbval ran."""
    folder = root / "_build" / "checked"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / path.name


def run_nbval(root: Path, path: Path, environment: dict) -> tuple:
    """Run a chapter under nbval: exit code, peak memory in bytes, words, seconds."""
    script, start = Path(__file__).with_name("book_kept.py"), time.perf_counter()
    command = [sys.executable, script, checked(root, path)]
    command += ["-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=300", path]
    found = call_measured(command, cwd=root, **environment)
    return *found, time.perf_counter() - start


def outputs(root: Path, names: list[str]) -> int:
    """Run chapters on the drawn scenes and store them stripped but for tagged cells."""
    import nbformat

    os.environ["SCENECAM_SCENES"] = "drawn"
    for path in [Path(name).resolve() for name in names] or chapters(root):
        notebook, _ = run_chapter(path, kernel_environment())
        if notebook is None:
            return 1
        for number, cell in enumerate(notebook.cells):
            # Ids by position: a chapter that is written again gives a quiet diff.
            cell.id = f"cell-{number:03d}"
            if cell.cell_type != "code":
                continue
            if KEPT_TAG not in cell.metadata.get("tags", []):
                cell.outputs, cell.execution_count = [], None
        said = notebook.metadata.get("myst")  # what the page says of itself
        notebook.metadata = {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
            **({"myst": said} if said else {}),
        }
        nbformat.write(notebook, path)
        print(f"{path.name}: run and stored")
    return 0


def grade(root: Path, files: list[str], table: Path | None, seconds: int) -> int:
    """Print who passed which exercise; return 1 if a notebook could not be run."""
    import book_grades

    rows = book_grades.grade(
        root,
        files,
        run_side_by_side=side_by_side,
        environment=lambda count: kernel_environment() | share(count),
        limit=seconds,
    )
    print(book_grades.table(rows))
    if table:
        book_grades.write_csv(rows, table)
    return 0 if all(row.whole for row in rows) else 1


def student(root: Path) -> int:
    """Write the chapters without their solutions, and print where they are."""
    import book_student

    print(book_student.write(root))
    return 0


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the HTML book")
    checking = commands.add_parser("check", help="run every chapter under nbval")
    checking.add_argument("--fresh", action="store_true", help="also unchanged ones")
    commands.add_parser("links", help="ask whether outside addresses still answer")
    storing = commands.add_parser("outputs", help="refresh the kept outputs")
    storing.add_argument("chapters", nargs="*")
    commands.add_parser("student", help="write the chapters without solutions")
    grading = commands.add_parser("grade", help="run students' notebooks on all checks")
    grading.add_argument("files", nargs="+", help="notebooks, or folders of them")
    grading.add_argument("--csv", type=Path, help="write the table here, too")
    grading.add_argument("--seconds", type=int, default=120, help="limit of a cell")
    commands.add_parser("slides", help="write a deck of slides for each chapter")
    typing = commands.add_parser("slide-types", help="write what slides cells become")
    typing.add_argument("chapters", nargs="*")
    commands.add_parser("pdf", help="print the built book into one file")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    if arguments.command == "build":
        return build(root)
    if arguments.command == "links":
        return links(root)
    if arguments.command == "check":
        return check(root, fresh=arguments.fresh)
    if arguments.command == "student":
        return student(root)
    if arguments.command == "grade":
        if arguments.seconds < 1:
            parser.error(f"--seconds: at least 1, not {arguments.seconds}")
        if arguments.csv and not arguments.csv.resolve().parent.is_dir():
            parser.error(f"--csv: the folder of {arguments.csv} does not exist")
        return grade(root, arguments.files, arguments.csv, arguments.seconds)
    if arguments.command == "outputs":
        return outputs(root, arguments.chapters)
    return other_form(root, arguments)


def other_form(root: Path, arguments: argparse.Namespace) -> int:
    """Do what a command on slides or the printed book says."""
    import book_pdf
    import book_slides

    if arguments.command == "pdf":
        return book_pdf.make(root)
    if arguments.command == "slides":
        return book_slides.make(root)
    names = [Path(name).resolve() for name in arguments.chapters]
    return book_slides.write_types(names or chapters(root))


if __name__ == "__main__":
    sys.exit(main())
