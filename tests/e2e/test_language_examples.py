"""The examples in other languages than Rust do what their pages say: each is built by the command of its page, passes its own
cases, and works in a gateway with the configuration beside it."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import build
from harness.client import bearer
from harness.config import drop, route
from harness.gateway import run
from harness.idp import Provider
from harness.paths import ROOT
from harness.process import eventually
from harness.tokens import forge
from harness.upstream import values

API_KEYS = ["python", "javascript", "go", "c"]
JWTS = ["python", "javascript", "go", "c"]
EXAMPLES = [(language, "api_key") for language in API_KEYS] + [(language, "jwt") for language in JWTS] + [("python", "github"), ("javascript", "github")]


def beside(language, name):
    """The configuration that stands beside the plugin."""
    return (ROOT / "examples" / language / name / f"{name}.toml").read_text()


@pytest.mark.parametrize("language, file", [("python", "app.py"), ("javascript", "app.js")])
def test_the_authors_page_shows_it(language, file):
    """`build.python_component` and `build.javascript_component` run the commands of that page."""
    source = (ROOT / "examples" / language / "api_key" / file).read_text()
    assert f"\n{source}```\n" in (ROOT / "docs/authors.md").read_text()


def test_the_index_is_complete():
    index = (ROOT / "examples/README.md").read_text()
    folders = [path.parent.relative_to(ROOT / "examples") for path in (ROOT / "examples").rglob("README.md")]
    built_in = [path.parent.relative_to(ROOT) for path in (ROOT / "plugins").glob("*/README.md")]
    for path in [*(path for path in folders if path.name), *(f"../{path}" for path in built_in)]:
        assert f"]({path})" in index, path


@pytest.mark.parametrize("language, name", EXAMPLES)
def test_its_cases_pass(tmp_path, language, name):
    cases = ROOT / "examples" / language / name / "cases.toml"
    done = run("plugin", "test", build.language_example(language, name), cases, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    text = cases.read_text()
    assert done.stdout.endswith(f"{text.count('[[cases]]') + text.count('[[logins]]')} passed\n")


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_login_is_that_in_rust(language):
    of_rust, own = ((ROOT / "examples" / folder / "cases.toml").read_text() for folder in ("github", f"{language}/github"))
    assert own.replace('[limits]\nmemory = "64MiB"\n\n', "") == of_rust


@pytest.mark.parametrize("language", API_KEYS)
def test_an_api_key(serve, upstream, tmp_path, language):
    plugins = drop(tmp_path, "api_key", build.language_example(language, "api_key"), beside(language, "api_key"))
    gateway = serve(plugins + route(upstream, "api_key"), API_KEY="open sesame")
    for key, status in [("open sesame", 200), ("open", 401), ("", 401)]:
        assert gateway.send("/", {"X-Api-Key": key}).status == status, key
    assert [values(request, "x-forwarded-user") for request in upstream.seen] == [["api"]]


@pytest.mark.parametrize("language", API_KEYS)
def test_a_mistake_in_the_settings_names_the_key(tmp_path, language):
    component = build.language_example(language, "api_key")
    for settings, mistake in [('key = ""', "settings.key"), ('kye = "k"', "settings.kye")]:
        (tmp_path / "cases.toml").write_text(f"[settings]\n{settings}\n[[cases]]\nname = 'a'\nexpect.status = 401\n")
        done = run("plugin", "test", component, "cases.toml", folder=tmp_path)
        assert done.returncode == 1
        assert mistake in done.stderr


@pytest.mark.parametrize("language", API_KEYS)
def test_a_key_of_any_characters(tmp_path, language):
    """JSON has two ways to write most of them."""
    key = json.dumps('q"\\/ü€😀', ensure_ascii=False)
    cases = f"[settings]\nkey = {key}\n[grants]\nheaders = ['x-api-key']\n[limits]\nmemory = '64MiB'\n"
    for given, status in [(key, 200), (json.dumps("q"), 401)]:
        cases += f"[[cases]]\nname = '{status}'\nrequest.headers = {{ X-Api-Key = {given} }}\nexpect.status = {status}\n"
    (tmp_path / "cases.toml").write_text(cases)
    done = run("plugin", "test", build.language_example(language, "api_key"), "cases.toml", folder=tmp_path)
    assert done.stdout.endswith("2 passed\n"), done.stdout + done.stderr


def jwt_config(language, folder, upstream, provider, *changes):
    description = beside(language, "jwt")
    for written, used in [
        ("https://id.example.org/jwks", f"{provider.issuer}/jwks"),
        ("https://id.example.org", provider.issuer),
        ("https://api.example.org", provider.audience),
        *changes,
    ]:
        assert written in description
        description = description.replace(written, used)
    return drop(folder, "tokens", build.language_example(language, "jwt"), description) + route(upstream, "tokens")


ONE_SECOND = ('groups_claim = "groups"\n', 'groups_claim = "groups"\nmin_refresh_interval = "1s"\n')


@pytest.fixture(params=JWTS)
def tokens(request, serve, upstream, own_provider, tmp_path):
    """A gateway with the example of each language, for the tokens of a provider that the test may change."""

    def start(*changes, **options):
        return serve(jwt_config(request.param, tmp_path, upstream, own_provider, *changes), **options)

    return start


def user(gateway, token):
    return values(gateway.send("/", bearer(token)).json(), "x-forwarded-user")


@pytest.mark.parametrize("language", JWTS)
def test_a_users_token_gives_name_and_groups(serve, upstream, provider, tmp_path, language):
    gateway = serve(jwt_config(language, tmp_path, upstream, provider))
    seen = gateway.send("/", bearer(provider.user_token("alice"))).json()
    assert values(seen, "x-forwarded-user") == ["alice"]
    assert values(seen, "x-forwarded-groups") == ["staff,ml"]
    for algorithm in ("ES256", "EdDSA"):
        assert user(gateway, provider.service_token(algorithm)) == [algorithm]
    expired = provider.sign(provider.claims(exp=1))
    answer = gateway.send("/", bearer(expired))
    assert answer.status == 401
    assert 'error_description="The token has expired"' in answer.header("www-authenticate")


def test_a_new_key_is_learnt_while_running(tokens, own_provider):
    gateway = tokens(ONE_SECOND)
    old = own_provider.user_token("carol")
    assert user(gateway, own_provider.user_token("alice")) == ["alice"]
    own_provider.rotate("RS256-2", drop=["RS256-1"])
    new = own_provider.user_token("bob")
    eventually(lambda: gateway.send("/", bearer(new)).status == 200, "the new key is known")
    assert gateway.send("/", bearer(old)).status == 401, "the old key was taken back"
    assert own_provider.hits("/jwks") == 2


def test_unknown_keys_are_no_questions_to_the_issuer(tokens, own_provider):
    gateway = tokens()
    assert user(gateway, own_provider.user_token("alice")) == ["alice"]
    for _ in range(5):
        token = forge({"alg": "RS256", "kid": secrets.token_hex(8)}, own_provider.claims(), lambda _: b"x" * 256)
        assert gateway.send("/", bearer(token)).status == 401
    assert own_provider.hits("/jwks") == 1


def test_many_clients_at_once_are_one_question_to_the_issuer(tokens, own_provider):
    gateway = tokens()
    token = own_provider.user_token("alice")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.send("/", bearer(token)).status, range(8)))
    assert answers == [200] * 8
    assert own_provider.hits("/jwks") == 1


def test_without_the_issuer_known_keys_serve_and_others_are_a_503(tokens, own_provider, tmp_path):
    """An issuer that comes back is asked again."""
    first, second = tokens(ONE_SECOND), tokens(ONE_SECOND)
    alice, bob = own_provider.user_token("alice"), own_provider.user_token("bob")
    assert user(first, alice) == ["alice"]
    own_provider.stop()
    assert user(first, bob) == ["bob"]
    answer = second.send("/", bearer(alice))
    assert answer.status == 503
    assert b"jwks" not in answer.body
    asked = {"message": "decision", "request_id": answer.header("x-request-id")}
    [line] = eventually(lambda: second.logged(**asked), "the decision is logged")
    assert "tokens: unavailable" in line["steps"]
    assert f"{own_provider.issuer}/jwks: the server can't be reached" in str(second.log())
    (tmp_path / "again").mkdir()
    again = Provider(tmp_path / "again", own_provider.port)
    token = again.user_token("alice")
    eventually(lambda: second.send("/", bearer(token)).status == 200, "the issuer is asked again")
    again.stop()


@pytest.mark.parametrize("level, lines", [("info", 0), ("debug", 1)])
def test_what_it_logs_at_debug_is_written_at_debug(tokens, own_provider, level, lines):
    gateway = tokens(PORTCULLIS_LOG=level)
    assert user(gateway, own_provider.sign(own_provider.claims(sub="nobody"))) == ["nobody"]
    said = gateway.logged(target="portcullis::plugin", message="the token has no email")
    assert len(said) == lines
