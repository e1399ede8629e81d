"""Every link of the documentation leads somewhere, and its lists are complete."""

import re

import pytest

from harness.named_tests import exists, named
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


COMPLAINTS = {
    int(number): answer for number, answer in re.findall(r"(?m)^\| (\d+) \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs/login.md").read_text())
}
"""What `docs/login.md` answers to each complaint of its table, by the number."""


def test_every_complaint_about_logins_is_there():
    assert list(COMPLAINTS) == list(range(1, 26))


@pytest.mark.parametrize("number", COMPLAINTS)
def test_every_complaint_about_logins_has_its_test(number):
    """Or the page says why it can't come up."""
    answer = COMPLAINTS[number]
    assert named(answer) or re.match(r"It can't [\w ]+: \w", answer), answer
    for file, name in named(answer):
        assert exists(file, name), f"{file}::{name}"


def test_every_metric_is_on_its_page():
    sources = [path for path in (ROOT / "host").rglob("src/**/*.rs") if "tests" not in path.parts]
    recorded = {name for path in sources for name in re.findall(r'"(portcullis_[a-z_]+)"', path.read_text())}
    listed = re.findall(r"(?m)^\| `(portcullis_[a-z_]+)` \|", (ROOT / "docs/metrics.md").read_text())
    assert sorted(listed) == sorted(recorded)


SAYS = [
    ("B12", "README.md", "people log in with a browser"),
    ("B12", "docs/dask-gateway.md", "logs in at the hub, unless that is done, and comes back to the dashboard"),
    ("D2", "docs/authors.md", "`valid-for` says how long the gateway may reuse the decision"),
    ("D2", "sdk/README.md", "`Grant::valid_for` says how long the gateway may reuse the decision"),
    ("D2", "wit/types.wit", "The gateway may reuse a decision for as long as `grant.valid-for` allows"),
    ("D2", "docs/security-cases.md", "A decision is reused for requests that give the same answers to everything that the plugin read"),
    ("D2", "docs/configuration.md", "expires within two weeks or isn't valid yet is served all the same, with a `WARN` line"),
    ("D2", "docs/configuration.md", "add the new key in last place on all of them, then move it to first place on all of them, and remove"),
    ("D10", "docs/authors.md", "can't be attached to a component in a gateway"),
    ("D10", "docs/authors.md", "a component that it has built loads in every later 0.2"),
    ("H17", "docs/authors.md", "Both are HTTP/1.1"),
    ("H17", "docs/authors.md", "is sent when it is complete, with its length, and without trailers"),
    ("H17", "docs/authors.md", "is streamed by `wasi:http`; a response that is stored for other calls has no trailers"),
]
"""What the field's reports ask a page to say, by the row. That it is true is tested elsewhere: decisions in `test_reuse.py`,
certificates in `test_tls.py`, keys in `test_sessions.py`, requests of plugins in `test_outbound.py`."""


@pytest.mark.parametrize("row, page, sentence", SAYS)
def test_a_page_says_what_readers_missed(row, page, sentence):
    text = re.sub(r"\s+(///? )?\s*", " ", (ROOT / page).read_text())
    assert sentence in text, row
