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


def blocks(text, language):
    """The blocks of code in a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


def block(page, title, language="python"):
    """The first block of code in a language of a section."""
    return blocks(section(page, title), language)[0]


def sessions(text):
    """The commands that a text shows, in their order, each with the lines of its output. An empty line belongs to an output that goes
    on behind it."""
    found = []
    for shown in re.findall(r"(?m)(?:^    .*\n(?:\n(?=    (?!\$)))?)+", re.sub(r"(?ms)^```.*?^```$", "", text)):
        for line in shown.splitlines():
            if line.startswith("    $ "):
                found.append((line[6:], []))
            else:
                found[-1][1].append(line[4:])
    return found


def is_printed(shown, printed, pattern=re.escape):
    """Whether a program has printed the lines that a page shows. The line `…` stands for any lines; `pattern` makes a regular expression of
    another one."""
    lines = "".join(r"(?:.*\n)*" if line.strip() == "…" else pattern(line) + "\n" for line in shown)
    return re.fullmatch(lines, printed) is not None


def replaced(text, replacements):
    """A file of the documentation, in which each of these texts is replaced, in this order."""
    for old, new in replacements.items():
        assert old in text, f"the documentation has no {old} any more"
        text = text.replace(old, str(new))
    return text
