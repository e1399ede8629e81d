"""Keys and signatures of minisign, made by the program itself."""

import subprocess


class Key:
    """A key pair of a vendor, without a password."""

    def __init__(self, folder, name="vendor"):
        self.public, self.secret = folder / f"{name}.pub", folder / f"{name}.key"
        minisign("-G", "-W", "-p", self.public, "-s", self.secret)
        self.text = self.public.read_text().splitlines()[1]
        self.id = self.public.read_text().splitlines()[0].rpartition(" ")[2]
        """How minisign calls it."""

    def sign(self, file, *options):
        """Puts the signature of a file beside it, and returns its path."""
        minisign("-S", *options, "-s", self.secret, "-m", file)
        return file.with_name(f"{file.name}.minisig")


def minisign(*arguments):
    words = ["minisign", *(str(argument) for argument in arguments)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
