"""A Kerberos realm of the tests' own: MIT's KDC on loopback, with principals, keytabs, tickets and tokens.

It serves a second realm, too, whose users the first one trusts.
"""

import os
import socket
import subprocess
from pathlib import Path

import gssapi
from gssapi.raw import ChannelBindings

from .process import Child, with_free_ports

REALM = "EXAMPLE.TEST"
OTHER_REALM = "OTHER.TEST"
ENCTYPES = {
    17: "aes128-cts-hmac-sha1-96",
    18: "aes256-cts-hmac-sha1-96",
    19: "aes128-cts-hmac-sha256-128",
    20: "aes256-cts-hmac-sha384-192",
}
KRB5, SPNEGO = (gssapi.OID.from_int_seq(oid) for oid in ("1.2.840.113554.1.2.2", "1.3.6.1.5.5.2"))
MUTUAL = gssapi.RequirementFlag.mutual_authentication
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class Kdc:
    """A running KDC. `environment` leads clients to it, and so does this process's own while it runs."""

    def __init__(self, folder):
        self.folder = folder
        self._logins = {}
        self.environment = {"KRB5_CONFIG": str(folder / "krb5.conf"), "KRB5_KDC_PROFILE": str(folder / "kdc.conf")}
        self.child = with_free_ports(1, self._start)
        os.environ |= self.environment
        os.environ.pop("KRB5CCNAME", None)
        # What the second realm signs tickets for the first with is known to both.
        for realm in (REALM, OTHER_REALM):
            self._admin(f"addprinc -pw between-realms krbtgt/{REALM}@{OTHER_REALM}", realm=realm)
        for user in ("alice", "bob", "alice/admin"):
            self._admin(f"addprinc -pw {user} {user}")
        self._admin("addprinc -pw alice alice", realm=OTHER_REALM)
        for service in ("HTTP/localhost", "HTTP/other.localhost", "host/localhost"):
            self.add_service(service)

    def _start(self, port):
        (self.folder / "krb5.conf").write_text(_client(port))
        (self.folder / "kdc.conf").write_text(_server(self.folder, port))
        for realm in (REALM, OTHER_REALM):
            if not (self.folder / f"{realm}.db").exists():
                self._run("kdb5_util", "create", "-s", "-r", realm, "-P", "master-of-tests")
        command = ["krb5kdc", "-n", "-r", REALM, "-r", OTHER_REALM, "-P", self.folder / "kdc.pid"]
        child = Child(command, self.folder / "kdc.out", env=self._environment())
        child.wait_until(lambda: _listens(port), "the KDC listens")
        return child

    def stop(self):
        self.child.stop()
        for name in self.environment:
            os.environ.pop(name, None)

    # Keys

    def add_service(self, principal, *enctypes):
        """A service with a random key, of these types or of all."""
        types = f"-e {','.join(f'{ENCTYPES[each]}:normal' for each in enctypes)} " if enctypes else ""
        self._admin(f"addprinc -randkey {types}{principal}")

    def change_key(self, principal):
        """A new key, with the next number; the old one stays for the tickets that have it."""
        self._admin(f"change_password -randkey -keepold {principal}")

    def keytab(self, path, *principals):
        """Writes the keys that these principals have now."""
        path = Path(path)
        for principal in principals:
            self._admin(f"ktadd -k {path} -norandkey {principal}")
        path.chmod(0o600)
        return path

    # Tickets and tokens

    def login(self, user="alice", *options, realm=REALM, fresh=False):
        """The credentials cache of a user, for `KRB5CCNAME`. `options` are kinit's."""
        key = (user, options, realm)
        if fresh or key not in self._logins:
            cache = self.folder / f"ccache-{len(self._logins)}-{os.urandom(4).hex()}"
            command = ["kinit", "-c", cache, *options, f"{user}@{realm}"]
            self._run(*command, input=f"{user}\n")
            self._logins[key] = cache
        return self._logins[key]

    def initiator(self, user="alice", service="HTTP@localhost", mech=SPNEGO, flags=MUTUAL, binding=None, cache=None):
        """A client's side of a GSS-API context: `step()` makes its token."""
        store = {"ccache": f"FILE:{cache or self.login(user)}"}
        options = {"channel_bindings": ChannelBindings(application_data=binding)} if binding is not None else {}
        name = gssapi.Name(service, gssapi.NameType.hostbased_service)
        credentials = gssapi.Credentials(usage="initiate", store=store)
        return gssapi.SecurityContext(name=name, creds=credentials, mech=mech, flags=flags, usage="initiate", **options)

    def token(self, *arguments, **options):
        return self.initiator(*arguments, **options).step()

    # Programs

    def _environment(self):
        return os.environ | self.environment | {"PATH": PATH}

    def _admin(self, command, realm=REALM):
        done = self._run("kadmin.local", "-r", realm, "-q", command)
        wrong = [line for line in done.stderr.splitlines() if "No policy specified" not in line and ":" in line]
        assert not wrong, f"{command}: {done.stderr}"

    def _run(self, *command, **options):
        done = subprocess.run(
            [str(word) for word in command],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )
        assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
        return done


def _listens(port):
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def _client(port):
    realms = "".join(f"  {realm} = {{\n    kdc = 127.0.0.1:{port}\n  }}\n" for realm in (REALM, OTHER_REALM))
    return f"""
[libdefaults]
  default_realm = {REALM}
  dns_lookup_realm = false
  dns_lookup_kdc = false
  dns_canonicalize_hostname = false
  rdns = false
  forwardable = true
  permitted_enctypes = {" ".join(ENCTYPES.values())}
[realms]
{realms}
[domain_realm]
  localhost = {REALM}
  .localhost = {REALM}
[capaths]
  {OTHER_REALM} = {{
    {REALM} = .
  }}
"""


def _server(folder, port):
    salts = " ".join(f"{name}:normal" for name in ENCTYPES.values())
    realms = "".join(
        f"""
  {realm} = {{
    database_name = {folder}/{realm}.db
    key_stash_file = {folder}/{realm}.stash
    acl_file = {folder}/kadm5.acl
    max_life = 10h
    supported_enctypes = {salts}
  }}
"""
        for realm in (REALM, OTHER_REALM)
    )
    return f"""
[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realms}
[logging]
  kdc = FILE:{folder}/kdc.log
"""
