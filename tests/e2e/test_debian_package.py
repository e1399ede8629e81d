"""The Debian package: what is in it, and the walk of docs/operations.md from there, on a copy of this machine with its own systemd."""

import re
import subprocess

import pytest

from harness.machine import Machine
from harness.page import comparable, sessions
from harness.paths import ROOT
from harness.process import eventually

UNIT = ROOT / "deploy/systemd/portcullis.service"
PAGE = (ROOT / "docs/operations.md").read_text()
CONFIG = "/etc/portcullis/portcullis.toml"


@pytest.fixture(scope="module")
def machine(tmp_path_factory, package):
    """A machine with the package."""
    running = Machine(tmp_path_factory.mktemp("machine"), package.parent)
    running.run(INSTALL)
    yield running
    running.stop()


@pytest.fixture
def configured(machine):
    """Writes a configuration and restarts the gateway, whose own one is back after the test."""
    machine.run(f"cp {CONFIG} /tmp/before")

    def restart(text, check=True):
        machine.run(f"cat >{CONFIG} <<'END'\n{text}END")
        return machine.run("systemctl reset-failed portcullis; systemctl restart portcullis", check=check)

    yield restart
    machine.run(f"cp /tmp/before {CONFIG} && rm -rf /etc/systemd/system/portcullis.service.d")
    machine.run("systemctl daemon-reload && systemctl restart portcullis")


INSTALL = "apt-get install --yes --quiet /mnt/portcullis_*.deb"

WHOAMI = """
[admin]
listen = "127.0.0.1:9180"
[[routes]]
path = "/"
public = true
upstream = "portcullis:whoami"
"""


def test_the_unit_leaves_little_to_an_intruder():
    rated = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=20", UNIT], capture_output=True, text=True, timeout=60
    )
    assert rated.returncode == 0, rated.stdout


def test_lintian_has_no_complaint(package):
    about = ["--fail-on=error,warning", "--display-level=>=warning", f"--suppress-tags={','.join(NOT_COMPLAINTS)}"]
    checked = subprocess.run(["lintian", "--allow-root", *about, package], capture_output=True, text=True, timeout=150)
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr


NOT_COMPLAINTS = [
    "bogus-mail-host",  # the project has no address for mail
    "bogus-mail-host-in-debian-changelog",
    "initial-upload-closes-no-bugs",  # the package isn't uploaded to Debian
    "uses-no-compression-for-control-tarball",  # the tests' package isn't compressed
    "uses-no-compression-for-data-tarball",
]


def test_the_package_says_what_it_needs(package):
    fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout
    assert re.search(r"(?m)^Depends: .*\blibc6\b", fields), fields
    assert re.search(r"(?m)^Recommends: .*\blibgssapi-krb5-2\b", fields), fields
    assert not re.search(r"(?m)^Depends: .*\blibgssapi-krb5-2\b", fields), fields
    files = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True).stdout
    placed = dict(reversed(line.split(maxsplit=5)[0::5]) for line in files.splitlines())
    for path, mode in PLACES.items():
        assert placed.get(f"./{path}") == mode, f"{path}\n{files}"


PLACES = {
    "usr/bin/portcullis": "-rwxr-xr-x",
    "usr/bin/portcullis-negotiate": "-rwxr-xr-x",
    "etc/portcullis/portcullis.toml": "-rw-r--r--",
    "etc/portcullis/credentials/": "drwx------",
    "etc/portcullis/plugins/": "drwxr-xr-x",
    "usr/share/man/man1/portcullis.1.gz": "-rw-r--r--",
    "usr/share/man/man1/portcullis-plugin-test.1.gz": "-rw-r--r--",
    "usr/share/bash-completion/completions/portcullis": "-rw-r--r--",
    "usr/share/zsh/vendor-completions/_portcullis": "-rw-r--r--",
    "usr/share/fish/vendor_completions.d/portcullis.fish": "-rw-r--r--",
    "usr/share/doc/portcullis/sbom.cdx.json": "-rw-r--r--",
    "usr/share/portcullis/grafana/portcullis.json": "-rw-r--r--",
    "usr/share/portcullis/prometheus/alerts.yml": "-rw-r--r--",
    "usr/share/doc/portcullis/operations.md": "-rw-r--r--",
}


def shown():
    """The commands of the page's walk, and the configuration that it writes, with the output of each command."""
    walk = PAGE.split("\n## The Debian package\n")[1].split("\n## ")[0]
    before, config, after = re.split(r"(?ms)^```toml\n# portcullis.toml\n(.*?)^```", walk)
    return [*sessions(before), (f"cat >{CONFIG} <<'END'\n{config}END", []), *sessions(after)]


def test_the_page_leads_from_the_package_to_a_gateway_that_is_lost(tmp_path, package):
    (tmp_path / "shared").mkdir()
    running = Machine(tmp_path, package.parent)
    here, written = None, None
    # A copy of a machine has no users of its own, in which Debian's unit runs Prometheus.
    running.run("mkdir -p /etc/systemd/system/prometheus.service.d && printf '[Service]\\nPrivateUsers=no\\n' >/etc/systemd/system/prometheus.service.d/copy.conf")
    running.run("systemctl daemon-reload")
    try:
        for command, expected in shown():
            command = command.replace(" ./portcullis_", " /mnt/portcullis_")
            # It is there, and its next version can't be fetched.
            command = command.replace("install -y prometheus", "install -y --no-upgrade prometheus")
            if here:
                command = command.replace(written, here)
            if command.startswith("promtool query"):
                eventually(lambda: comparable(running.run(command, check=False).stdout.splitlines(), None) == comparable(expected, None), command, seconds=60)
                continue
            done = running.run(command, check=False, timeout=150)
            if "x-request-id" in command:
                here, written = done.stdout.split()[-1], expected[0].split()[-1]
            said = (done.stdout + done.stderr if done.returncode else done.stdout).splitlines()
            if not expected:
                assert done.returncode == 0, (command, said, running.journal())
            elif expected[0].startswith("Job for"):
                assert done.returncode == 1 and said[0].startswith(expected[0]), (command, said)
                assert "color" in running.journal()
            else:
                assert comparable(said, here) == comparable(expected, written), (command, running.journal())
    finally:
        running.stop()
    assert here


def test_a_mistake_keeps_the_service_from_starting_and_is_named(machine, configured):
    failed = configured(WHOAMI + "colour = 1\n", check=False)
    assert failed.returncode == 1
    assert "colour" in machine.run("journalctl --unit portcullis --output cat --lines 20").stdout


def test_the_gateway_listens_on_ports_of_root(machine, configured):
    configured('[server]\nlisten = "127.0.0.1:443"\n' + WHOAMI)
    assert '"name":null' in machine.run("curl -s http://127.0.0.1:443/").stdout
    [user] = set(machine.run("ps -o user= -C portcullis").stdout.split())
    assert user == "portcullis"


def test_the_socket_of_the_page_is_open_while_the_gateway_is_not_there(machine, configured):
    """A client that connects meanwhile starts it, and is served."""
    [unit] = re.findall(r"(?ms)^```ini\n(\[Socket\].*?)^```", PAGE)
    machine.run(f"cat >/etc/systemd/system/portcullis.socket <<'END'\n{unit}END\nsystemctl daemon-reload && systemctl stop portcullis")
    machine.run("systemctl start portcullis.socket")
    configured('[server]\nlisten = "systemd:https"\n' + WHOAMI)
    machine.run("systemctl stop portcullis 2>/dev/null")
    assert machine.run("systemctl is-active portcullis", check=False).stdout == "inactive\n"
    assert '"name":null' in machine.run("curl -s http://127.0.0.1:443/").stdout
    machine.run("systemctl stop portcullis.socket portcullis; rm /etc/systemd/system/portcullis.socket")


def test_credentials_of_root_reach_the_gateway_alone(machine, configured):
    machine.run("portcullis keygen --out /etc/portcullis/credentials/session.key")
    key = "/run/credentials/portcullis.service/portcullis_session.key"
    configured(WHOAMI + f'[session]\nkeys = ["file:{key}"]\n')
    denied = machine.run(f"setpriv --reuid nobody --clear-groups cat {key}", check=False)
    assert denied.returncode == 1 and "Permission denied" in denied.stderr


def test_helpers_for_kerberos_run_in_the_unit(machine, configured):
    keys = ["addent -password -p HTTP/localhost@EXAMPLE.TEST -k 1 -e aes256-cts", "password", "wkt /etc/portcullis/http.keytab"]
    machine.run(f"ktutil <<'END'\n{chr(10).join(keys)}\nEND")
    machine.run("chown portcullis /etc/portcullis/http.keytab && chmod 600 /etc/portcullis/http.keytab")
    configured(
        WHOAMI.replace("public = true", 'authenticators = ["people"]')
        + '[negotiate.http]\nkeytab = "http.keytab"\n'
        + '[authenticators.people]\nplugin = "kerberos"\n'
        + '[authenticators.people.settings]\nacceptor = "http"\nrealms = ["EXAMPLE.TEST"]\n'
        + '[authenticators.people.grants]\nnegotiate = "http"\n'
    )
    assert machine.run("pgrep portcullis-neg", check=False).stdout
    answer = machine.run("curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Negotiate YII=' http://127.0.0.1:8000/")
    assert answer.stdout == "401"


def test_plugins_are_compiled_in_the_unit_unless_code_may_not_be_made(machine, configured):
    people = '[authenticators.people]\nplugin = "simple"\n'
    config = WHOAMI.replace("public = true", 'authenticators = ["people"]') + people
    machine.run("rm -rf /var/cache/portcullis/*")
    configured(config)
    assert machine.run("curl -s -u alice: http://127.0.0.1:8000/").stdout.count('"name":"alice"') == 1
    machine.run(
        "mkdir -p /etc/systemd/system/portcullis.service.d && cd /etc/systemd/system/portcullis.service.d &&"
        " printf '[Service]\\nMemoryDenyWriteExecute=yes\\n' >wx.conf && systemctl daemon-reload"
    )
    assert configured(config, check=False).returncode == 1


def test_the_next_version_keeps_the_configuration_and_restarts_the_gateway(machine, configured):
    configured("# of the operator\n" + WHOAMI)
    before = machine.run("systemctl show --property MainPID portcullis").stdout
    machine.run("apt-get install --yes --quiet --reinstall /mnt/portcullis_*.deb")
    assert machine.run(f"head -1 {CONFIG}").stdout == "# of the operator\n"
    assert machine.run("systemctl show --property MainPID portcullis").stdout != before
    assert machine.run("systemctl is-active portcullis").stdout == "active\n"


def test_the_shell_completes_commands(machine):
    typed = "COMP_WORDS=(portcullis plug) COMP_CWORD=1; _portcullis portcullis plug portcullis"
    completed = machine.run(f". /usr/share/bash-completion/completions/portcullis; {typed}; echo ${{COMPREPLY[*]}}")
    assert completed.stdout == "plugin\n"


def test_the_manual_can_be_read(machine):
    page = machine.run("MANPAGER=cat MANWIDTH=120 man portcullis-check").stdout
    assert "Load the configuration and its plugins as `serve` would" in re.sub(r"\s+", " ", page)


def test_a_purge_leaves_no_secret(tmp_path, package):
    running = Machine(tmp_path, package.parent)
    try:
        running.run(INSTALL)
        running.run("portcullis keygen --out /etc/portcullis/credentials/session.key")
        running.run("apt-get purge --yes --quiet portcullis")
        left = running.run("ls -d /etc/portcullis /var/lib/portcullis /var/cache/portcullis /usr/bin/portcullis", check=False)
        assert left.stdout == ""
        eventually(lambda: not running.run("pgrep -x portcullis", check=False).stdout, "the gateway has stopped")
    finally:
        running.stop()
