"""Build the book, check its chapters, refresh their kept outputs.

    python tools/book.py build                build the HTML book and print where it is
    python tools/book.py check [--fresh]      run every chapter under nbval
    python tools/book.py outputs [CHAPTER..]  strip chapters, keep the tagged outputs

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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT_TAG = "nbval-check-output"
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


def files_below(folder: Path) -> list[Path]:
    """All files below `folder` that can change a result, in a fixed order."""
    skipped = {"__pycache__", "cache", "photos", ".ipynb_checkpoints"}
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not skipped & set(path.relative_to(folder).parts)
        and not any(part.endswith(".egg-info") for part in path.parts)
    )


def photographs(root: Path) -> Path | None:
    """Return the folder of photographs that the chapters would use, if any."""
    named = os.environ.get("SCENECAM_SCENES", "")
    if named == "drawn":
        return None
    folder = Path(named).expanduser() if named else root / "data" / "photos"
    return folder if folder.is_dir() else None


def digest(root: Path) -> str:
    """Digest of all that the chapters' results depend on, but for the chapters."""
    found = hashlib.sha256(
        f"{sys.version} {os.environ.get('SCENECAM_SCENES')}".encode()
    )
    for name in ("src", "data"):
        for path in files_below(root / name):
            found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    for path in sorted(root.glob("requirements*.txt")) + [root / "_config.yml"]:
        found.update(path.read_bytes() if path.is_file() else b"")
    folder = photographs(root)
    if folder is not None:
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
    stamp = output / "inputs.sha256"
    now = digest(root)
    if not stamp.is_file() or stamp.read_text() != now:
        for name in (".jupyter_cache", ".doctrees", "html"):
            shutil.rmtree(output / name, ignore_errors=True)
        output.mkdir(exist_ok=True)
        stamp.write_text(now)
    script = Path(sys.executable).with_name("jupyter-book")
    command = [script, "build", root, "-W", "-n", "--keep-going"]
    code = call_without_notes(command, cwd=root)
    if code == 0:
        print(output / "html" / "index.html")
    return code


def call_without_notes(command: list, *, cwd: Path) -> int:
    """Run a command that starts kernels, without TensorFlow's notes on its stderr."""
    with subprocess.Popen(
        command, env=kernel_environment(), cwd=cwd, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if not NOTES.match(line):
                sys.stderr.write(line)
    return process.returncode


def chapters(root: Path) -> list[Path]:
    """Return the chapters' notebooks, in reading order."""
    return sorted((root / "book").glob("*.ipynb"))


def check(root: Path, *, fresh: bool) -> int:
    """Run the chapters on the drawn scenes under nbval; return pytest's exit code.

    A chapter that passed before and depends on nothing that changed since is skipped,
    and named, unless `fresh`.
    """
    os.environ["SCENECAM_SCENES"] = "drawn"
    record = root / "_build" / "chapters-passed.json"
    passed = json.loads(record.read_text()) if record.is_file() and not fresh else {}
    base = digest(root)
    keys = {
        path: hashlib.sha256(base.encode() + path.read_bytes()).hexdigest()
        for path in chapters(root)
    }
    worst = 0
    for path, key in keys.items():
        if passed.get(path.name) == key:
            print(f"{path.name}: passed before, nothing it depends on has changed")
            continue
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
        code = subprocess.call(
            [*command, *options, str(path)],
            env=kernel_environment(),
            cwd=root,
        )
        worst = worst or code
        if code == 0:
            passed[path.name] = key
            record.parent.mkdir(exist_ok=True)
            record.write_text(json.dumps(passed, indent=1))
    return worst


def outputs(root: Path, names: list[str]) -> int:
    """Run chapters on the drawn scenes and store them stripped but for tagged cells."""
    import nbformat
    from nbclient import NotebookClient

    os.environ["SCENECAM_SCENES"] = "drawn"
    for path in [Path(name).resolve() for name in names] or chapters(root):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": str(path.parent)}},
        ).execute(env=kernel_environment())
        for number, cell in enumerate(notebook.cells):
            # Ids by position: a chapter that is written again gives a quiet diff.
            cell.id = f"cell-{number:03d}"
            if cell.cell_type != "code":
                continue
            cell.metadata.pop("execution", None)
            if KEPT_TAG not in cell.metadata.get("tags", []):
                cell.outputs, cell.execution_count = [], None
        notebook.metadata = {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
        nbformat.write(notebook, path)
        print(f"{path.name}: run and stored")
    return 0


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the HTML book")
    checking = commands.add_parser("check", help="run every chapter under nbval")
    checking.add_argument("--fresh", action="store_true", help="also unchanged ones")
    storing = commands.add_parser("outputs", help="refresh the kept outputs")
    storing.add_argument("chapters", nargs="*")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    if arguments.command == "build":
        return build(root)
    if arguments.command == "check":
        return check(root, fresh=arguments.fresh)
    return outputs(root, arguments.chapters)


if __name__ == "__main__":
    sys.exit(main())
