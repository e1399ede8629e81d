"""What a page shows of a command, and what the command says here; the sections of a page and the blocks in them; and the files of the
documentation, with the addresses of a test."""

import re

TIMES = re.compile(r"\d{4}-\S+Z +|@\[[\d.]+\]|\([\d.]+(ns|µs|ms|s)\)|_us=\d+")
"""Times of the day, of Prometheus' samples, and how long something took."""

IMAGE = re.compile(r"^[0-9a-f]{64}$")
"""The id of a container image."""


def comparable(lines, request_id):
    """Output without times, and with `ID` for the id of an image and of the request that it is about, if there is one."""
    return [IMAGE.sub("ID", TIMES.sub("TIME", line.rstrip())).replace(request_id or "\0", "ID") for line in lines]


def section(page, title):
    """What stands on a page below the heading that begins with a title, up to the next that is as high."""
    [found] = re.findall(rf"(?ms)^(##+) ({re.escape(title)}[^\n]*)\n(.*?)(?=^\1 |^## |\Z)", page)
    return found[2]


def block(page, title, language="python"):
    """The first block of code in a language of a section."""
    return re.search(rf"(?ms)^```{language}\n(.*?)^```", section(page, title))[1]


def replaced(text, replacements):
    """A file of the documentation, in which each of these texts is replaced, in this order."""
    for old, new in replacements.items():
        assert old in text, f"the documentation has no {old} any more"
        text = text.replace(old, str(new))
    return text
