"""Apache with mod_auth_gssapi: another acceptor of the same tokens, with a replay cache of its own."""

import os
import shutil
import tempfile
from pathlib import Path

from .client import send
from .process import Child, free_ports

MODULES = "/usr/lib/apache2/modules"


class Apache:
    """A running server on `url` that says who it takes a client for, in `X-User`."""

    def __init__(self, log, keytab):
        [port] = free_ports(1)
        # Not below pytest's folders: those are root's alone where root runs the tests, and Apache's workers aren't root.
        folder = self._folder = Path(tempfile.mkdtemp(prefix="apache-"))
        folder.chmod(0o755)
        self.url = f"http://127.0.0.1:{port}"
        own, krb5_config = folder / "keytab", folder / "krb5.conf"
        shutil.copy(keytab, own)
        shutil.copy(os.environ["KRB5_CONFIG"], krb5_config)
        replay = folder / "replay"
        replay.mkdir()
        (folder / "htdocs").mkdir()
        (folder / "htdocs" / "index.html").write_text("here")
        account = "www-data" if os.geteuid() == 0 else None
        if account:
            for path in (own, replay):
                shutil.chown(path, account)
        own.chmod(0o600)
        configuration = folder / "httpd.conf"
        configuration.write_text(_configuration(folder, port, own, account))
        environment = os.environ | {
            "KRB5_CONFIG": str(krb5_config),
            "KRB5RCACHENAME": "dfl:",
            "KRB5RCACHEDIR": str(replay),
        }
        command = ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", configuration]
        self.child = Child(command, log, env=environment, cwd=folder)
        self.child.wait_until(self._answers, "Apache answers")

    def _answers(self):
        try:
            return send(self.url).status == 401
        except OSError:
            return False

    def stop(self):
        self.child.stop()
        shutil.rmtree(self._folder)


def _configuration(folder, port, keytab, account):
    modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "dir", "headers", "auth_gssapi"]
    load = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules)
    who = f"User {account}\nGroup {account}" if account else ""
    return f"""
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/httpd.pid
ErrorLog {folder}/error.log
Mutex file:{folder} default
{load}
{who}
DocumentRoot {folder}/htdocs
DirectoryIndex index.html
StartServers 1
KeepAlive On
MaxKeepAliveRequests 0
<Location />
  AuthType GSSAPI
  AuthName tests
  GssapiCredStore keytab:{keytab}
  GssapiAllowedMech krb5
  Require valid-user
  Header always set X-User "expr=%{{REMOTE_USER}}"
</Location>
"""
