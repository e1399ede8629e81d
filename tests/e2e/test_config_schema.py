"""The JSON Schema that `portcullis schema` prints: what the gateway accepts is valid, and what has a wrong shape isn't.

Every configuration that a gateway serves in any test is valid by it, too: `harness/gateway.py` asserts that. That the schema has
every key, with what its reader expects, is tested with the configuration itself."""

import re
import tomllib

import pytest
from test_config_errors import RIGHT, WRONG

from harness.config import SESSION, whoami
from harness.gateway import LISTEN_ANYWHERE, run
from harness.paths import ROOT
from harness.schema import mistakes, validator

FILES = [
    "deploy/debian/portcullis.toml",
    "deploy/kubernetes/base/portcullis.toml",
    "deploy/kubernetes/overlays/dask-gateway/portcullis.toml",
    "deploy/kubernetes/overlays/ingress-nginx/portcullis.toml",
    "docs/dask-gateway/portcullis.toml",
    "docs/fronts/portcullis.toml",
    "examples/jwt/portcullis.toml",
    "host/gateway/src/config/default.toml",
]
"""The configurations in files of their own."""
TEMPLATE = "deploy/helm/portcullis/portcullis.toml"
"""What becomes one when Helm renders the chart: see `test_helm.py`."""


@pytest.fixture(scope="module")
def schema():
    return validator().schema


def test_the_files_of_the_repository_are_listed():
    found = [path for path in ROOT.rglob("portcullis.toml") if not {"target", ".state", "node_modules"} & set(path.parts)]
    assert {str(path.relative_to(ROOT)) for path in found} <= {*FILES, TEMPLATE}


@pytest.mark.parametrize("file", FILES)
def test_a_configuration_of_the_repository_is_valid(file):
    assert mistakes((ROOT / file).read_text()) == []


def test_every_configuration_of_the_pages_is_valid(schema):
    """Blocks of TOML whose keys are those of a configuration. Others describe plugins, cases and projects."""
    checked = 0
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "plugins").glob("*/README.md")]:
        for block in re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text()):
            # A table of a route stands below it.
            text = re.sub(r"\A\[routes\.", '[[routes]]\npath = "/"\n\\g<0>', block.replace("…", ""))
            table = tomllib.loads(text)
            is_lock = isinstance(table.get("plugins"), list)
            if table and not is_lock and set(table) <= set(schema["properties"]):
                assert mistakes(text) == [], f"{page.name}:\n{block}"
                checked += 1
    assert checked > 20


SHAPE = {"an unknown key", "a secret in the file"}
"""The mistakes of `test_config_errors.py` that are a matter of shape. The others need what plugins, files or other keys say."""


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_of_shape_is_found(case):
    right, wrong, _ = WRONG[case]
    assert mistakes(RIGHT) == []
    assert bool(mistakes(RIGHT.replace(right, wrong))) == (case in SHAPE)


@pytest.mark.parametrize(
    "text, place",
    [
        ("[server]\nlisten = 1\n", "$.server.listen"),
        ("[server]\nlisten = [1]\n", "$.server.listen"),
        ("[server]\nmax_streams = 0\n", "$.server.max_streams"),
        ("[server]\nheader_timeout = 5\n", "$.server.header_timeout"),
        ("[server]\nheader_timeout = '5'\n", "$.server.header_timeout"),
        ("[server]\nmax_header_size = 'large'\n", "$.server.max_header_size"),
        ("[server]\nproxy_protocol = 'yes'\n", "$.server.proxy_protocol"),
        ("[server.tls]\ncert = 1\n", "$.server.tls.cert"),
        ("[session]\nsame_site = 'loose'\n", "$.session.same_site"),
        ("[[routes]]\npublic = true\n", "$.routes[0]"),
        ("[[routes]]\npath = '/'\npublic = 'yes'\n", "$.routes[0].public"),
        ("[[routes]]\npath = '/'\nidentity.groups = 1\n", "$.routes[0].identity.groups"),
        ("[upstreams.a]\n", "$.upstreams.a"),
        ("[authenticators.a]\nplugin = 'simple'\nlimits.brekaer = 1\n", "$.authenticators.a.limits"),
        ("[authorizers.a]\nplugin = 'cedar'\nlogin = true\n", "$.authorizers.a"),
        ("[authenticators.a]\nplugin = 'simple'\nlog = 'loud'\n", "$.authenticators.a.log"),
        ("include = 'conf.d'\n", "$.include"),
    ],
)
def test_a_wrong_shape_is_found_where_it_is(text, place):
    [mistake] = mistakes(text)
    assert mistake.startswith(f"{place}: "), mistake


def test_what_is_right_in_several_ways_is_valid():
    for text in [
        LISTEN_ANYWHERE + SESSION + whoami(),
        "[server]\nlisten = ['127.0.0.1:1', 'unix:x']\nheader_timeout = '1h 30m'\nproxy_protocol = true\n",
        "[server]\nproxy_protocol = ['unix', '10.0.0.0/8']\nbody_timeout = '0.5s'\nmax_header_size = '1.5 MiB'\n",
        "[[routes]]\npath = '/'\nidentity.groups = false\n",
        "[[routes]]\npath = '/'\nidentity.attributes = { email = 'X-Email', hub = { mail = 'X-Mail' } }\n",
        "[authenticators.a]\nplugin = 'simple'\nsettings = { any = [1, { thing = true }] }\n",
        "[authenticators.a]\nplugin = 'simple'\nhttp_headers.'https://idp.example'.Authorization = 'Bearer file:token'\n",
        "[registries.'registry.example:5000']\nplain_http = true\n",
    ]:
        assert mistakes(text) == [], text


def test_an_editor_is_told_what_the_page_says(schema):
    streams = schema["properties"]["server"]["properties"]["max_streams"]
    assert streams["default"] == 128
    assert streams["description"].startswith("concurrent requests on an HTTP/2 connection")
    assert schema["properties"]["routes"]["items"]["properties"]["paths"]["enum"] == ["strict", "as-is"]


def test_the_line_for_editors_is_a_comment(tmp_path):
    config = "#:schema ./portcullis.schema.json\n" + LISTEN_ANYWHERE + whoami()
    assert run("check", folder=tmp_path, config=config).returncode == 0
