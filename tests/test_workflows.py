"""What runs on GitHub: actions of known code, with no more rights than they need."""

import re

import pytest
import yaml
from conftest import ROOT

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps_of(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_action_is_named_by_its_commit_and_its_version(path):
    """A tag can be moved to other code, a commit cannot."""
    used = re.findall(r"\buses: (.*)", path.read_text(encoding="utf-8"))
    assert len(used) == sum("uses" in step for step in steps_of(read(path))) > 0
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_one_action_is_of_one_version_in_all_workflows():
    used = {
        step["uses"]
        for path in FILES
        for step in steps_of(read(path))
        if "uses" in step
    }
    assert len({action.partition("@")[0] for action in used}) == len(used)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_only_what_deploys_may_write(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert ("permissions" in job) == ((path.stem, name) == ("pages", "deploy"))


def test_a_pull_request_is_built_and_main_alone_deployed():
    workflow = read(FOLDER / "pages.yml")
    assert "pull_request" in workflow[True]  # YAML reads the word on as a truth value
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    assert "if" not in build
    assert {"run": "make book", "env": {"SCENECAM_SCENES": "drawn"}} in build["steps"]
    assert deploy["needs"] == "build"
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    main = "github.event_name != 'pull_request' && github.ref == 'refs/heads/main'"
    assert deploy["if"] == main
    # What may write runs no code of the checkout.
    assert all("run" not in step for step in deploy["steps"])
