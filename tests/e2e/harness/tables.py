"""Tables of paths and headers by which clients try to change their identity or destination, for every entrance."""

import json

from .paths import TESTS

_PATHS = json.loads((TESTS / "data" / "paths.json").read_text())


def paths(*lists):
    """The paths of these lists of `data/paths.json` that a client can put into a request line as they are."""
    found = []
    for name in lists:
        listed = _PATHS[name]
        found += [path for kind in listed.values() for path in kind] if isinstance(listed, dict) else listed
    return [path for path in found if path.startswith("/") and all("!" <= c <= "~" and c not in "?#" for c in path)]


IDENTITY = ["X-Forwarded-User", "X-Forwarded-Groups", "Remote-User", "X-Auth-Request-Email", "X-Remote-Group"]
"""Headers that some upstream takes for its user's identity."""


def spellings(name):
    """A header's name as it is written, and as a careless upstream would read it, too."""
    return [
        name,
        name.lower(),
        name.upper(),
        name.replace("-", "_"),
        name.replace("-", "."),
        name.lower().replace("-", "_"),
        name.replace("-", "_", 1),
        "_".join(name.rsplit("-", 1)),
        ".".join(name.rsplit("-", 1)),
    ]


def claims(path="/open/door", host="evil.test"):
    """Headers in which a client says that its request is another one: for this path, of this host, and so on."""
    return {
        "X-Forwarded-Uri": path,
        "X-Forwarded-Path": path,
        "X-Forwarded-Prefix": "/open",
        "X-Forwarded-Method": "OPTIONS",
        "X-Forwarded-Host": host,
        "X-Forwarded-Port": "666",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Scheme": "https",
        "X-Forwarded-Ssl": "on",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Server": host,
        "X-Original-URL": path,
        "X-Original-URI": path,
        "X-Original-Method": "OPTIONS",
        "X-Original-Host": host,
        "X-Rewrite-URL": path,
        "X-Real-IP": "6.6.6.6",
        "X-Client-IP": "6.6.6.6",
        "True-Client-IP": "6.6.6.6",
        "Client-IP": "6.6.6.6",
        "X-Cluster-Client-IP": "6.6.6.6",
        "Forwarded": f"for=6.6.6.6;host={host};proto=https",
    }
