"""The gateway, by `portcullis` or `python -m portcullis`: the same commands and options as the program that cargo builds."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig

from . import _portcullis


def main() -> int:
    """Runs the command of `sys.argv`. Returns its exit code."""
    _open_standard_streams()
    # The gateway ends well at SIGINT. Python's own handler would raise KeyboardInterrupt after that.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _portcullis._main(["portcullis", *sys.argv[1:]], _program())


def _open_standard_streams() -> None:
    """Opens what the parent has closed. A connection could otherwise become standard error, and its client read the log."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _program() -> str:
    """The script that runs, or the one that was installed with this module."""
    own = os.path.abspath(sys.argv[0])
    if os.path.basename(own) == "portcullis":
        return own
    return os.path.join(sysconfig.get_path("scripts"), "portcullis")


if __name__ == "__main__":
    sys.exit(main())
