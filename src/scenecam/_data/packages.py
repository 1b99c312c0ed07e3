"""Files that installed packages carry, found without running any code of theirs."""

import importlib.util
from pathlib import Path


def package_file(package: str, module: str, file: str) -> Path:
    """Return where a file of an installed package lies, or raise FileNotFoundError."""
    found = importlib.util.find_spec(module)
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder, file)).is_file():
            return path
    raise FileNotFoundError(
        f"{Path(file).name} comes with the package {package}, which is not installed "
        f"here or is another version: `pip install --upgrade {package}` brings it."
    )
