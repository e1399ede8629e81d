"""A browser as far as logins are concerned: it keeps cookies, opens pages and sends forms, and follows a redirect only if it is told
to. The requests come from a proxy that ends TLS, so the gateway has the origin that the test says."""

from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from .client import open_websocket
from .process import eventually
from .upstream import values

HOST = "gateway.example"
ORIGIN = f"https://{HOST}"

BEHIND_PROXY = 'trusted_proxies = ["127.0.0.1"]\n'
"""The line of `[server]` with which the gateway believes what a `Browser` says of its origin."""

OPENS = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
}
"""What a browser sends that opens a page."""

OF_SCRIPTS = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
HTMX = {
    "htmx 2": {"Accept": "*/*", "HX-Request": "true", "HX-Target": "part", "HX-Trigger": "button", **OF_SCRIPTS},
    "htmx 4": {"Accept": "text/html", "HX-Request": "true", "HX-Source": "button", "HX-Request-Type": "partial", **OF_SCRIPTS},
}
"""What versions of htmx send, besides the address of their page in `HX-Current-URL`."""


class Browser:
    def __init__(self, gateway, host=HOST, scheme="https"):
        self.gateway, self.host, self.scheme = gateway, host, scheme
        self.cookies = {}

    def send(self, target, headers=(), method="GET", body=None):
        """A request with the cookies, and no more header fields than these."""
        own = {"Host": self.host, "X-Forwarded-Proto": self.scheme}
        if self.cookies:
            own["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.gateway.send(path(target), own | dict(headers), method, body)
        for line in answer.all("set-cookie"):
            self._keep(line)
        return answer

    def open(self, target, **headers):
        """Opens a page, as somebody does who follows a link."""
        return self.send(target, OPENS | {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, target, form=None, **headers):
        """Sends a form of a page of the same origin."""
        body = urlencode(form or {}).encode()
        own = OPENS | {"Sec-Fetch-Site": "same-origin", "Origin": f"{self.scheme}://{self.host}"}
        own |= {"Content-Type": "application/x-www-form-urlencoded",}
        return self.send(target, own | headers, "POST", body)

    def websocket(self, target="/websocket"):
        """A WebSocket of a page of the same origin, once it is open."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie, "Origin": self.gateway.url, "X-Forwarded-Proto": self.scheme}
        return open_websocket(f"{self.gateway.url}{target}", headers)

    def begin(self, target="/"):
        """Opens a page without a session, and goes as far as the provider. Returns what the provider gets."""
        sent = self.open(target)
        assert sent.status == 302, (sent.status, sent.body)
        return self.start(sent.header("location"))

    def start(self, place):
        away = self.open(place)
        assert away.status == 303, (away.status, away.body)
        return asked(away)

    def finish(self, state, do="arrive alice kept session:1", login="scripted", **more):
        """Comes back from the provider."""
        return self.open(f"/.portcullis/login/{login}/callback?{urlencode({'state': state, 'do': do} | more)}")

    def log_in(self, target="/", do="arrive alice kept session:1"):
        answer = self.finish(self.begin(target)["state"], do)
        assert answer.status == 303, (answer.status, answer.body)
        return answer

    def copy(self, gateway=None):
        """Another browser, or another tab of this one, with the same cookies."""
        other = Browser(gateway or self.gateway, self.host, self.scheme)
        other.cookies = dict(self.cookies)
        return other

    def until_due(self):
        """Waits until the session is due, without using it. The page says when in whole seconds."""
        due = datetime.fromisoformat(self.send("/.portcullis/session").json()["renew_at"]) + timedelta(seconds=1)
        eventually(lambda: datetime.now().astimezone() > due, "the session is due")

    @property
    def flows(self):
        return sorted(name for name in self.cookies if "-flow-" in name and not name.endswith("-count"))

    @property
    def session(self):
        return self.cookies.get("__Host-portcullis")

    def _keep(self, line):
        pair, *attributes = (part.strip() for part in line.split(";"))
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


def user(answer):
    """The user whom the upstream of the tests was told in this answer."""
    assert answer.status == 200, (answer.status, answer.headers, answer.body)
    return values(answer.json(), "x-forwarded-user")


def asked(answer):
    """The parameters of the redirect to a provider, each of which is there once."""
    return {name: value for name, [value] in parse_qs(urlsplit(answer.header("location")).query).items()}


def path(url):
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def login(component, *more, name="scripted", begin="go https://id.example/authorize 10", end=None, lines=""):
    """A login that does as the tests tell it, with the settings `begin` and `end`."""
    end = f'settings.end = "{end}"\n' if end else ""
    return f"""
[authenticators.{name}]
plugin = "{component}"
login = true
grants.login = ["https://id.example/authorize", "https://id.example/out"]
settings.begin = "{begin}"
{end}{lines}
"""


LOGIN = f'[login]\norigins = ["{ORIGIN}"]\n'
