"""What a page shows of a command, and what the command says here; and the files of the documentation, with the addresses of a test."""

import re

TIMES = re.compile(r"\d{4}-\S+Z +|@\[[\d.]+\]|\([\d.]+(ns|µs|ms|s)\)|_us=\d+")
"""Times of the day, of Prometheus' samples, and how long something took."""

IMAGE = re.compile(r"^[0-9a-f]{64}$")
"""The id of a container image."""


def comparable(lines, request_id):
    """Output without times, and with `ID` for the id of an image and of the request that it is about, if there is one."""
    return [IMAGE.sub("ID", TIMES.sub("TIME", line.rstrip())).replace(request_id or "\0", "ID") for line in lines]


def replaced(text, replacements):
    """A file of the documentation, in which each of these texts is replaced, in this order."""
    for old, new in replacements.items():
        assert old in text, f"the documentation has no {old} any more"
        text = text.replace(old, str(new))
    return text
