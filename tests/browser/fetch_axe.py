"""Fetch axe-core, which finds what keeps people out of a page, from npm.

One pinned file, held against its digest, goes to the build folder, which is not in git.
Without npm nothing is fetched, and the tests that need it skip and say so.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.10.3"
SHA256 = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"
SCRIPT = Path(__file__).resolve().parents[2] / f"_build/browser/axe-{VERSION}.min.js"


def main() -> int:
    """Fetch the script unless it is there; return an exit code."""
    if SCRIPT.is_file():
        return 0
    npm = shutil.which("npm")
    if npm is None:
        print("axe-core is not fetched: there is no npm. Its tests will be skipped.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"axe-core@{VERSION}"]
        if subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL).returncode:
            print("axe-core is not fetched: npm failed. Its tests will be skipped.")
            return 0
        archive = Path(folder) / f"axe-core-{VERSION}.tgz"
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != SHA256:
            print(f"axe-core {VERSION} has the digest {found}, expected {SHA256}.")
            return 1
        with tarfile.open(archive) as files:
            content = files.extractfile("package/axe.min.js").read()
    SCRIPT.parent.mkdir(parents=True, exist_ok=True)
    SCRIPT.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
