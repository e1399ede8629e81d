"""Kerberos tokens that are refused. Each gets the same 401, whatever is wrong with it, and no other request is affected."""

import base64
import datetime
import glob
import hashlib
import http.client
import random
import ssl
from urllib.parse import urlsplit

import gssapi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.build import negotiate_helper
from harness.config import route
from harness.kdc import KRB5, MUTUAL, OTHER_REALM, SPNEGO
from harness.kerberos import acceptor, ask, authenticator, helpers, is_refused, negotiate, protected
from harness.upstream import values

FLAG = gssapi.RequirementFlag
[FAKETIME] = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")


@pytest.fixture(scope="module")
def keytab(kdc, tmp_path_factory):
    """Its owner has a key for another service of the host, too, which is not this one's business."""
    folder = tmp_path_factory.mktemp("keys")
    return kdc.keytab(folder / "http.keytab", "HTTP/localhost", "host/localhost")


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, keytab):
    return serve_module(protected(keytab, shared_upstream))


def is_alice(answer):
    return answer.status == 200 and values(answer.json(), "x-forwarded-user") == ["alice"]


def der(tag, *content):
    content = b"".join(content)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2)
    return bytes([tag]) + length + content


SPNEGO_OID, KRB5_OID, NTLM_OID = (
    bytes.fromhex(oid) for oid in ("06062b0601050502", "06092a864886f712010202", "060a2b06010401823702020a")
)


def neg_token_init(*mechanisms, token=None):
    """RFC 4178, section 4.2.1."""
    fields = [der(0xA0, der(0x30, *mechanisms))]
    if token is not None:
        fields.append(der(0xA2, der(0x04, token)))
    return der(0x60, SPNEGO_OID, der(0xA0, der(0x30, *fields)))


NTLM = b"NTLMSSP\0\1\0\0\0\x97\x82\x08\xe2" + bytes(24)

BAD = {
    "nothing but bytes": lambda kdc: b"\xff\xfe\0\r\n" * 20,
    "an empty application tag": lambda kdc: b"\x60\x00",
    "a length that nothing has": lambda kdc: b"\x60\x84\xff\xff\xff\xff",
    "NTLM": lambda kdc: NTLM,
    "NTLM in SPNEGO": lambda kdc: neg_token_init(NTLM_OID, token=NTLM),
    "NTLM first, Kerberos second": lambda kdc: neg_token_init(NTLM_OID, KRB5_OID, token=NTLM),
    "a first leg without a token": lambda kdc: neg_token_init(KRB5_OID),
    "a second leg": lambda kdc: der(0xA1, der(0x30, der(0xA0, der(0x0A, b"\1")))),
    "DCE style": lambda kdc: kdc.token(mech=KRB5, flags=MUTUAL | FLAG.dce_style),
    "another host's service": lambda kdc: kdc.token(service="HTTP@other.localhost"),
    "another service, whose key is in the keytab": lambda kdc: kdc.token(service="host@localhost"),
    "another realm": lambda kdc: kdc.token(cache=kdc.login("alice", realm=OTHER_REALM)),
    "a token in a token": lambda kdc: neg_token_init(KRB5_OID, token=kdc.token()),
    "the first half": lambda kdc: (token := kdc.token())[: len(token) // 2],
    "all but the last byte": lambda kdc: kdc.token(mech=KRB5)[:-1],
    "bytes after the end": lambda kdc: kdc.token(mech=KRB5) + b"x",
    "nested a thousand times": lambda kdc: b"\x60\x80" * 1000,
    "64 KiB": lambda kdc: b"\x60" * 8000 * 2,
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_token_is_a_401_like_every_other(kdc, gateway, what):
    answer = ask(gateway, BAD[what](kdc))
    assert is_refused(answer), (answer.status, answer.headers, answer.body)
    assert is_alice(ask(gateway, kdc.token()))


@pytest.mark.parametrize(
    "header",
    ["Negotiate", "Negotiate ", "Negotiate !!!", "Negotiate YAA= YAA=", "negotiate\tYAA=", "NTLM YAA=", "Kerberos YAA="],
)
def test_a_header_without_a_token_is_a_401_too(gateway, header):
    assert is_refused(gateway.send("/", {"Authorization": header}))


def test_two_authorization_headers_are_refused(kdc, gateway):
    headers = [*negotiate(kdc.token()).items(), *negotiate(kdc.token()).items()]
    assert gateway.send("/", headers).status in (400, 401)


@pytest.mark.parametrize("scheme", ["negotiate", "NEGOTIATE", "Negotiate "])
def test_the_scheme_is_read_in_any_case(kdc, gateway, scheme):
    encoded = base64.b64encode(kdc.token()).decode()
    assert is_alice(gateway.send("/", {"Authorization": f"{scheme} {encoded}"}))


def test_a_token_holds_once_on_this_machine(kdc, gateway, serve, upstream, keytab):
    token = kdc.token()
    assert is_alice(ask(gateway, token))
    assert is_refused(ask(gateway, token))
    second = serve(protected(keytab, upstream))
    assert is_refused(ask(second, token)), "a second gateway, with the same replay cache"
    token = kdc.token()
    assert is_alice(ask(second, token))
    assert is_refused(ask(gateway, token))


@pytest.mark.parametrize(
    "shift, accepted",
    [("+250s", True), ("-250s", True), ("+400s", False), ("-400s", False), ("+11h", False), ("-11h", False)],
)
def test_clocks_may_differ_by_five_minutes(kdc, serve, upstream, keytab, tmp_path, shift, accepted):
    """The helper's clock alone is moved: by 11 hours the ticket is over, or not valid yet."""
    helper = tmp_path / "helper"
    helper.write_text(f'#!/bin/sh\nLD_PRELOAD={FAKETIME} FAKETIME={shift} exec {negotiate_helper()} "$@"\n')
    helper.chmod(0o700)
    gateway = serve(protected(keytab, upstream, helper=helper, replay_cache=tmp_path / "replay"))
    answer = ask(gateway, kdc.token())
    assert is_alice(answer) if accepted else is_refused(answer), (answer.status, answer.body)
    if not accepted:
        [line] = gateway.logged(context="negotiate")
        assert any(word in line["message"] for word in ("skew", "expired", "not yet valid")), line


def test_krb5_config_can_add_to_but_not_override_the_fixed_settings(kdc, serve, upstream, tmp_path):
    kdc.add_service("HTTP/weak.localhost", 17)
    keytab = kdc.keytab(tmp_path / "keytab", "HTTP/weak.localhost")
    told = tmp_path / "told.conf"
    helper = tmp_path / "helper"
    helper.write_text(f'#!/bin/sh\nLD_PRELOAD={FAKETIME} FAKETIME=+250s exec {negotiate_helper()} "$@"\n')
    helper.chmod(0o700)
    for text, accepted in [
        ("[libdefaults]\n  clockskew = 5\n", True),
        ("[libdefaults]\n  permitted_enctypes = aes256-cts-hmac-sha1-96\n", False),
    ]:
        told.write_text(text)
        gateway = serve(protected(keytab, upstream, helper=helper, more=f'krb5_config = "{told}"'))
        answer = ask(gateway, kdc.token(service="HTTP@weak.localhost"))
        assert is_alice(answer) if accepted else is_refused(answer), text


def test_a_service_may_be_one_hosts_alone(kdc, serve, upstream, tmp_path):
    keytab = kdc.keytab(tmp_path / "keytab", "HTTP/localhost", "HTTP/other.localhost")
    for service, others in [("HTTP", True), ("HTTP@localhost", False)]:
        gateway = serve(protected(keytab, upstream, more=f'service = "{service}"'))
        assert is_alice(ask(gateway, kdc.token()))
        answer = ask(gateway, kdc.token(service="HTTP@other.localhost"))
        assert is_alice(answer) if others else is_refused(answer), service


def test_a_token_as_long_as_those_of_large_directories_is_looked_at(serve, upstream, keytab):
    gateway = serve(protected(keytab, upstream), server='max_header_size = "96KiB"\n')
    assert is_refused(ask(gateway, b"\x60\x82\xea\x5c\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02" + bytes(60_000)))
    assert len(gateway.logged(context="negotiate")) == 1, "the helper said why not"
    assert is_refused(ask(gateway, bytes(65_530)))
    assert ask(gateway, bytes(80_000)).status in (400, 401, 431)


def test_a_new_key_is_taken_up_and_the_old_one_stays(kdc, serve, upstream, tmp_path):
    service = "HTTP/rolled.localhost"
    kdc.add_service(service)
    keytab = kdc.keytab(tmp_path / "keytab", service)
    gateway = serve(protected(keytab, upstream))
    before = kdc.login("alice", fresh=True)
    with_old = dict(service="HTTP@rolled.localhost", cache=before)
    assert is_alice(ask(gateway, kdc.token(**with_old)))
    kdc.change_key(service)
    with_new = dict(service="HTTP@rolled.localhost", cache=kdc.login("alice", fresh=True))
    assert is_refused(ask(gateway, kdc.token(**with_new))), "a number that the keytab doesn't have"
    kdc.keytab(keytab, service)
    assert is_alice(ask(gateway, kdc.token(**with_new)))
    assert is_alice(ask(gateway, kdc.token(**with_old)))
    replaced = kdc.keytab(tmp_path / "replaced", service)
    replaced.rename(keytab)
    assert is_alice(ask(gateway, kdc.token(**with_new))), "and when the file is replaced as a whole"


def test_what_a_client_delegates_is_dropped(kdc, gateway, keytab):
    plain, delegating = kdc.token(mech=KRB5), kdc.token(mech=KRB5, flags=MUTUAL | FLAG.delegate_to_peer)
    assert len(delegating) > len(plain) + 300, "the ticket of the user is in it: otherwise this test would prove nothing"
    before = set(glob.glob("/tmp/krb5cc*") + glob.glob("/var/tmp/krb5*"))
    assert is_alice(ask(gateway, delegating))
    assert set(glob.glob("/tmp/krb5cc*") + glob.glob("/var/tmp/krb5*")) == before
    kept = {path.name for path in (keytab.parent / "replay").iterdir()}
    assert all(name == "krb5.conf" or name.endswith(".rcache2") for name in kept), kept


def test_thousands_of_mutated_tokens_break_nothing(kdc, gateway):
    generator = random.Random(4559)
    address = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    before = {helper.pid for helper in helpers(gateway)}
    counted = {}
    for number in range(3000):
        token = bytearray(sample(kdc, number))
        for _ in range(generator.choice((1, 1, 2, 4, 16))):
            mutate(token, generator)
        connection.request("GET", "/", headers=negotiate(bytes(token) or b"x"))
        response = connection.getresponse()
        body = response.read()
        counted[response.status] = counted.get(response.status, 0) + 1
        assert response.status in (200, 401), (number, response.status, bytes(token).hex())
        if response.status == 200:
            assert b'["x-forwarded-user", "alice"]' in body, "changes outside of the encrypted parts never change the name"
    assert counted[401] > 2500, counted
    assert {helper.pid for helper in helpers(gateway)} >= before, "no helper ended"
    assert is_alice(ask(gateway, kdc.token()))
    log = gateway.child.output()
    assert log.isascii() and all(line["message"].isprintable() for line in gateway.log())


def sample(kdc, number, kept={}):
    """A good token; a fresh one now and then, as one that was accepted is a replay."""
    kind = (KRB5, SPNEGO)[number % 2]
    if number % 50 < 2:
        kept[kind] = kdc.token(mech=kind)
    return kept[kind]


def mutate(token, generator):
    if not token:
        return
    at = generator.randrange(len(token))
    # Most of what is parsed before anything is decrypted stands at the beginning.
    if generator.random() < 0.5:
        at = generator.randrange(min(len(token), 120))
    match generator.randrange(5):
        case 0:
            token[at] ^= 1 << generator.randrange(8)
        case 1:
            token[at] = generator.choice((0, 1, 0x7F, 0x80, 0x84, 0xFF))
        case 2:
            del token[at : at + generator.randrange(1, 9)]
        case 3:
            token[at:at] = generator.randbytes(generator.randrange(1, 9))
        case 4:
            token[at:at] = token[at : at + generator.randrange(1, 40)]


# Channel bindings


@pytest.mark.parametrize("policy", ["off", "if-sent", "require"])
def test_a_token_may_be_bound_to_its_connection(kdc, serve, upstream, keytab, authority, policy):
    certificate, key = authority.issue(f"server-{policy}")
    gateway = serve(
        acceptor(keytab, more=f'channel_bindings = "{policy}"') + authenticator() + route(upstream, "kerberos"),
        server=f'[server.tls]\ncert = "{certificate}"\nkey = "{key}"\n',
    )
    own = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    right = b"tls-server-end-point:" + hashlib.sha256(own).digest()
    wrong = b"tls-server-end-point:" + hashlib.sha256(b"another").digest()
    for binding, accepted in [
        (right, True),
        (wrong, policy == "off"),
        (b"", policy == "off"),
        (b"tls-unique:" + bytes(12), policy == "off"),
        (None, policy != "require"),
    ]:
        status = status_over_tls(gateway, authority, negotiate(kdc.token(binding=binding)))
        assert status == (200 if accepted else 401), (policy, binding)


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize(
    "key, signed_with, padded, bound_with",
    [
        (EC, hashes.SHA256(), None, "sha256"),
        (EC, hashes.SHA384(), None, "sha384"),
        (EC, hashes.SHA512(), None, "sha512"),
        (RSA, hashes.SHA256(), padding.PKCS1v15(), "sha256"),
        (RSA, hashes.SHA384(), padding.PKCS1v15(), "sha384"),
        (RSA, hashes.SHA512(), padding.PKCS1v15(), "sha512"),
        (RSA, hashes.SHA256(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), "sha256"),
        (RSA, hashes.SHA384(), padding.PSS(padding.MGF1(hashes.SHA384()), 48), "sha384"),
        (RSA, hashes.SHA512(), padding.PSS(padding.MGF1(hashes.SHA512()), 64), "sha512"),
        (ed25519.Ed25519PrivateKey.generate(), None, None, None),
    ],
)
def test_the_hash_is_that_of_the_certificates_signature(
    kdc, serve, upstream, keytab, tmp_path, key, signed_with, padded, bound_with
):
    """RFC 5929, section 4.1; for a signature without a hash of its own there is no binding."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = builder.sign(key, signed_with, **({"rsa_padding": padded} if padded else {}))
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].touch(mode=0o600)
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    gateway = serve(
        acceptor(keytab, more='channel_bindings = "require"') + authenticator() + route(upstream, "kerberos"),
        server=f'[server.tls]\ncert = "{files[0]}"\nkey = "{files[1]}"\n',
    )
    der = certificate.public_bytes(Encoding.DER)
    for tried in ("sha256", "sha384", "sha512"):
        binding = b"tls-server-end-point:" + hashlib.new(tried, der).digest()
        status = status_over_tls(gateway, None, negotiate(kdc.token(binding=binding)))
        assert status == (200 if tried == bound_with else 401), tried


def status_over_tls(gateway, authority, headers):
    context = ssl.create_default_context(cafile=authority.ca) if authority else ssl._create_unverified_context()
    host, port = gateway.url.removeprefix("http://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_where_bindings_are_required_plain_http_has_none(kdc, serve, upstream, keytab):
    gateway = serve(acceptor(keytab, more='channel_bindings = "require"') + authenticator() + route(upstream, "kerberos"))
    assert is_refused(ask(gateway, kdc.token()))
    assert is_refused(ask(gateway, kdc.token(binding=b"tls-server-end-point:" + bytes(32))))
