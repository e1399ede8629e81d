"""nginx with one worker."""

import contextlib

from .process import SERVER, Server, connects, free_port, pinned, program


@contextlib.contextmanager
def nginx(folder, http, processor=SERVER, reloads=False):
    """nginx with the contents of an `http` block in which `{port}` is its own: one process; or with `reloads` a worker and
    a master that can be told to reload."""
    port = free_port()
    temporary = " ".join(f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process {'on' if reloads else 'off'}; worker_processes 1; pid nginx.pid;\n"
        "user root; error_log stderr warn; worker_rlimit_nofile 20000;\n"
        "events { worker_connections 12000; }\n"
        f"http {{ access_log off; {temporary}\n{http.replace('{port}', str(port))} }}\n"
    )
    log = folder / "nginx.log"
    with pinned([program("nginx"), "-p", folder, "-c", "nginx.conf"], log, processor) as pid:
        connects("nginx", port, log)
        yield Server("nginx", pid, port)
