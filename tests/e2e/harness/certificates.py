"""Certificates for a test: an authority of its own, and what it vouches for."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority. `ca` is the file with its certificate."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._builder(self._name, self._key).add_extension(constraints, critical=True)
        self.ca = self._write(f"{name}.pem", certificate.sign(self._key, hashes.SHA256()))

    def issue(self, name, host="localhost", between=None):
        """A certificate for 127.0.0.1 and a host, as a server or a client. Returns its file and that of its key.

        `between`: from when and until when it is valid.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(host)]
        certificate = self._builder(_named(name), key, between).add_extension(
            x509.SubjectAlternativeName(hosts), critical=False
        )
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        key_file = self.folder / f"{name}.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(pem)
        return self._write(f"{name}.pem", certificate.sign(self._key, hashes.SHA256())), key_file

    def _builder(self, subject, key, between=None):
        now = datetime.datetime.now(datetime.UTC)
        since, until = between or (now - datetime.timedelta(hours=1), now + datetime.timedelta(days=1))
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
        )

    def _write(self, name, certificate):
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


def _named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
