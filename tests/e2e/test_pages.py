"""Every link of the documentation leads somewhere, and its lists are complete."""

import re

import pytest

from harness.paths import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"(?ms)^```.*?^```")


GENERATED = {"target", "node_modules", ".state", ".git"}


def pages():
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(str(path) for path in found if not GENERATED & set(path.parts))


def anchors(text):
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", FENCED.sub("", text))
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_somewhere(page):
    file = ROOT / page
    for link in LINK.findall(FENCED.sub("", file.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def test_every_metric_is_on_its_page():
    sources = [path for path in (ROOT / "host").rglob("src/**/*.rs") if "tests" not in path.parts]
    recorded = {name for path in sources for name in re.findall(r'"(portcullis_[a-z_]+)"', path.read_text())}
    listed = re.findall(r"(?m)^\| `(portcullis_[a-z_]+)` \|", (ROOT / "docs/metrics.md").read_text())
    assert sorted(listed) == sorted(recorded)
