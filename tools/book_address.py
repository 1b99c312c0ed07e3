"""The address of the repository that this checkout comes from, and of its pages.

Nothing else names one: an address that somebody typed can be one that nobody owns, and
whoever claims it would be handed the book's readers.
"""

import re
import subprocess
from pathlib import Path

import yaml

HOST = r"(?P<host>(?:[\w-]+\.)+[a-z]+)"  # one dot at least: an alias is not on the web
REMOTE = [
    re.compile(start + r"(?P<path>[\w~][\w.~/-]*?)(?:\.git)?/?", re.ASCII | re.I)
    for start in (
        rf"https://(?:[^/]*@)?{HOST}(?P<port>:\d+)?/",
        rf"ssh://(?:[^/]*@)?{HOST}(?::\d+)?/",
        rf"(?:[^/@:]+@)?{HOST}:",
    )
]
GITHUB = re.compile(r"https://github\.com/([^/]+)/([^/]+)")


def web_address(remote: str) -> str:
    """Return the https address of a remote, "" where it has none on the web."""
    found = next(filter(None, (form.fullmatch(remote) for form in REMOTE)), None)
    if not found:
        return ""
    host = found["host"].lower().replace("ssh.github.com", "github.com")
    return f"https://{host}{found.groupdict().get('port') or ''}/{found['path']}"


def origin(root: Path) -> str:
    """Return the remote that the checkout in `root` comes from, "" if it has none."""
    # Named, because git would look for a repository in the folders above, too.
    command = ["git", f"--git-dir={root / '.git'}", "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:  # no git
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def repository(root: Path) -> str:
    """Return the address of the book's repository, "" if none is known."""
    # From the file: jupyter-book puts its own repository where there is no setting.
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    setting = (config.get("repository") or {}).get("url")
    if setting and not web_address(setting):
        raise ValueError(
            f"_config.yml: repository: url: is {setting!r}; give it the form "
            "https://HOST/OWNER/NAME, or leave it empty"
        )
    return web_address(setting or origin(root))


def on_github(address: str) -> bool:
    """Say whether an address is that of a repository on github.com."""
    return bool(GITHUB.fullmatch(address))


def pages(address: str) -> str:
    """Return where GitHub Pages shows what a repository publishes, "" for others."""
    if not (found := GITHUB.fullmatch(address)):
        return ""
    owner, name = found[1].lower(), found[2]
    site = f"https://{owner}.github.io/"
    return site if site == f"https://{name.lower()}/" else f"{site}{name}/"
