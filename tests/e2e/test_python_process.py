"""The Python package and the life of a process: forks, exits while plugins compute, signals, interpreters within another."""

import functools
import signal
import subprocess
import sys

import pytest

from harness import build, python_package

HEAD = """
import asyncio, os, sys, threading, time
import portcullis
from portcullis import Authenticator, Chain, Component, Engine, Request

def engine():
    return Engine(cache_directory=sys.argv[1])

def chain(deadline="20s", **limits):
    limits |= {"deadline": deadline, "breaker": 0}
    return Chain(Authenticator("hostile", Component(sys.argv[2]), grants={"headers": ["x-do"]}, limits=limits))

def ask(words):
    return Request("GET", "/", headers={"X-Do": words})
"""


hostile = functools.cache(lambda: build.guest_component("hostile"))


def run(body, code=0, timeout=60):
    source = HEAD + body
    done = python_package.run(source, str(python_package.CACHE), str(hostile()), timeout=timeout)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "panicked" not in done.stderr and "Fatal Python error" not in done.stderr, done.stderr
    return done


def test_an_engine_that_was_started_before_a_fork_says_so_and_leaves_the_parent_alone():
    done = run("""
engine()
whole = chain()
child = os.fork()
if child == 0:
    for attempt in (
        lambda: whole.decide_blocking(ask("nothing bad")),
        lambda: Engine.current(),
        lambda: Engine(),
        lambda: Component("simple"),
        lambda: Authenticator("a", "simple"),
        lambda: whole.forget_decisions(),
    ):
        try:
            attempt()
        except portcullis.ForkError as error:
            assert str(os.getpid()) in str(error) and "after the fork" in str(error), error
        else:
            os._exit(3)
    async def decide():
        try:
            await whole.decide(ask("nothing bad"))
        except portcullis.ForkError:
            print("refused in the child", repr(whole), flush=True)
    asyncio.run(decide())
    del whole, attempt
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert whole.decide_blocking(ask("nothing bad")).user.name == "alice"
print("the parent goes on")
""")
    assert done.stdout.splitlines() == ['refused in the child <Chain "hostile">', "the parent goes on"]


def test_an_engine_that_is_started_after_the_fork_works_in_every_child():
    """As the workers of gunicorn and uvicorn do: the package is imported before."""
    run("""
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        engine()
        sys.exit(0 if chain().decide_blocking(ask("nothing bad")).user.name == "alice" else 3)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
engine()
assert chain().decide_blocking(ask("nothing bad")).user.name == "alice"
""")


def test_threads_that_need_an_engine_at_the_same_time_get_the_same():
    """Also while one of them imports `logging`, for which it leaves Python's lock to the others."""
    done = run("""
assert "logging" in sys.modules
for name in [name for name in sys.modules if name.partition(".")[0] == "logging"]:
    del sys.modules[name]
barrier, made = threading.Barrier(8), []
def make():
    barrier.wait()
    made.append(Component("simple").digest)
threads = [threading.Thread(target=make, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(made), len(set(made)))
""")
    assert done.stdout == "8 1\n"


def test_multiprocessing_by_fork_gets_the_error_and_by_spawn_works(tmp_path):
    (tmp_path / "work.py").write_text("""
import portcullis

def decide():
    people = portcullis.Chain(portcullis.Authenticator("people", "simple"))
    return people.decide_blocking(portcullis.Request("GET", "/", headers={"Authorization": "Basic YWxpY2U6"})).user.name
""")
    done = run(f"""
sys.path.insert(0, {str(tmp_path)!r})
import multiprocessing, work
engine()
for method, expected in (("fork", "ForkError"), ("spawn", "alice")):
    with multiprocessing.get_context(method).Pool(1) as pool:
        try:
            print(pool.apply(work.decide))
        except portcullis.PortcullisError as error:
            print(type(error).__name__)
""")
    assert done.stdout.split() == ["ForkError", "alice"]


ENDINGS = {
    "main ends": "",
    "sys.exit": "sys.exit(0)",
    "the engine is closed": "Engine.current().close(); Engine.current().close()",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("waiting", ["daemon threads", "a loop in a daemon thread", "nobody"])
def test_the_interpreter_ends_while_plugins_compute(ending, waiting):
    """Within far less than the deadline of the calls, and without a crash."""
    calls = {
        "daemon threads": """
def wait():
    try:
        while whole.decide_blocking(ask("loop")):
            time.sleep(0.001)
    except portcullis.ClosedError:
        pass
for _ in range(8):
    threading.Thread(target=wait, daemon=True).start()
""",
        "a loop in a daemon thread": """
async def one():
    while await whole.decide(ask("loop")):
        await asyncio.sleep(0.001)
async def wait():
    await asyncio.gather(*(one() for _ in range(8)))
threading.Thread(target=asyncio.run, args=(wait(),), daemon=True).start()
""",
        "nobody": """
async def leave():
    for _ in range(8):
        asyncio.ensure_future(whole.decide(ask("loop")))
    await asyncio.sleep(0)
asyncio.run(leave())
""",
    }[waiting]
    run(
        f"""
engine()
whole = chain(concurrency=8)
{calls}
# They have begun when there is no place for another one. Who found none, because of this one, has tried again.
until = time.monotonic() + 10
while whole.decide_blocking(ask("nothing bad")).user is not None:
    assert time.monotonic() < until
{ENDINGS[ending]}
""",
        timeout=15,
    )


def test_who_waits_is_told_that_the_engine_is_closed():
    done = run("""
engine()
whole = chain()
def wait():
    try:
        whole.decide_blocking(ask("loop"))
    except portcullis.ClosedError as error:
        print(error)
thread = threading.Thread(target=wait)
thread.start()
whole.decide_blocking(ask("nothing bad"))
Engine.current().close()
thread.join()
for attempt in (lambda: whole.decide_blocking(ask("nothing bad")), lambda: Component("simple")):
    try:
        attempt()
    except portcullis.ClosedError as error:
        print(error)
print(repr(Engine.current()))
""", timeout=15)
    assert done.stdout.splitlines() == ["the engine is closed"] * 3 + ["<Engine, closed>"]


def test_ctrl_c_interrupts_a_wait():
    source = HEAD + """
import signal
# A shell's job in the background inherits that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
engine()
whole = chain()
print("waits", flush=True)
whole.decide_blocking(ask("loop"))
"""
    command = [sys.executable, "-c", source, str(python_package.CACHE), str(hostile())]
    child = subprocess.Popen(
        command, env=python_package.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "waits\n"
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=15)
    assert "KeyboardInterrupt" in told and child.returncode == -signal.SIGINT


def test_a_sub_interpreter_is_refused():
    """Python 3.12 and later refuse a module like this one by themselves, where interpreters have locks of their own."""
    done = run("""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
other = interpreters.create()
interpreters.run_string(other, "try:\\n import portcullis\\nexcept ImportError as error:\\n print(error, flush=True)")
engine()
print(chain().decide_blocking(ask("nothing bad")).user.name)
""")
    refused, user = done.stdout.splitlines()
    assert "interpreter" in refused and user == "alice"


def test_a_handler_that_fails_or_is_slow_delays_no_decision():
    done = run("""
import logging
class Fails(logging.Handler):
    def emit(self, record):
        raise ValueError("a fault of the application")
class Waits(logging.Handler):
    def emit(self, record):
        never.wait(30)
never = threading.Event()
logging.getLogger("portcullis").addHandler(Fails())
logging.getLogger("portcullis").addHandler(Waits())
engine()
whole = chain()
async def main():
    for _ in range(20):
        assert (await whole.decide(ask("whisper"))).user.name == "alice"
asyncio.run(main())
never.set()
print("decided")
""")
    assert done.stdout == "decided\n"


CLOSES = {
    "the handler of a log": """
class Closes(logging.Handler):
    def emit(self, record):
        close()
logging.getLogger("portcullis").addHandler(Closes())
engine()
chain().decide_blocking(ask("whisper"))
""",
    "the function for metrics": """
Engine(cache_directory=sys.argv[1], metrics=lambda *metric: close())
chain().decide_blocking(ask("nothing bad"))
""",
}


@pytest.mark.parametrize("what", CLOSES)
def test_a_function_that_the_engine_calls_can_not_close_it(what):
    """The engine would wait for the end of the thread that closes it."""
    done = run(f"""
import logging
told, was_told = [], threading.Event()
def close():
    try:
        Engine.current().close()
    except portcullis.EngineError as error:
        told.append(str(error))
    was_told.set()
{CLOSES[what]}
assert was_told.wait(30)
assert told and all("close it on another thread" in text for text in told), told
assert chain().decide_blocking(ask("nothing bad")).user.name == "alice"
Engine.current().close()
print("closed")
""")
    assert done.stdout == "closed\n"


def test_a_second_close_waits_for_the_first():
    """Otherwise the interpreter could end while threads of the engine still enter it."""
    done = run("""
import logging
held, begins, returned = threading.Event(), threading.Event(), threading.Event()
class Holds(logging.Handler):
    def emit(self, record):
        if not held.is_set():
            held.set()
            begins.wait(30)
            Engine.current().close()
            print("early" if returned.wait(1) else "waits")
def again():
    Engine.current().close()
    returned.set()
logging.getLogger("portcullis").addHandler(Holds())
engine()
chain().decide_blocking(ask("whisper"))
assert held.wait(30)
first, second = threading.Thread(target=Engine.current().close), threading.Thread(target=again)
first.start()
while not Engine.current().closed:
    time.sleep(0.001)
second.start()
begins.set()
first.join()
second.join()
print("closed")
""")
    assert done.stdout == "waits\nclosed\n"


def test_the_handler_of_a_signal_does_not_wait_for_its_own_thread():
    """The thread waits for a plugin that asks a server. Closing gives up the wait for other threads after five seconds."""
    done = run("""
import signal, socket
handled = threading.Event()
def close(*_):
    Engine.current().close()
    handled.set()
signal.signal(signal.SIGUSR1, close)
engine()
with socket.create_server(("127.0.0.1", 0)) as server:
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    def serve():
        connection, _ = server.accept()
        os.kill(os.getpid(), signal.SIGUSR1)
        print("handled" if handled.wait(4) else "late")
        connection.close()
    asked = threading.Thread(target=serve)
    asked.start()
    grants = {"headers": ["x-do"], "http": [url]}
    whole = Chain(Authenticator("hostile", Component(sys.argv[2]), settings={"url": url}, grants=grants, limits={"deadline": "20s"}))
    try:
        whole.decide_blocking(ask("wait for the answer"))
    except portcullis.ClosedError as error:
        asked.join()
        print(error)
""")
    assert done.stdout == "handled\nthe engine is closed\n"


@pytest.mark.parametrize("name", ["portcullis", "portcullis.plugin"])
def test_a_level_that_is_changed_while_the_engine_runs_counts(name):
    """The level also counts for lines that the plugin has logged before, and that no logger took then."""
    run(f"""
import logging
lines = []
class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage().split(" authenticator=")[0])
logging.getLogger("portcullis").addHandler(Keep())
engine()
whole = chain()
def whisper_until(line):
    end = time.monotonic() + 30
    while line not in lines:
        assert time.monotonic() < end, lines
        whole.decide_blocking(ask("whisper"))
whisper_until("a worry")
assert set(lines) == {{"a worry"}}, lines
logging.getLogger({name!r}).setLevel(logging.DEBUG)
whisper_until("a detail")
""")


def test_a_level_is_seen_although_nothing_is_logged():
    """Python doesn't tell the engine that a level has changed."""
    run("""
import logging
logging.getLogger("portcullis").addHandler(logging.NullHandler())
engine()
whole = chain()
logger, asked = logging.getLogger("portcullis"), threading.Event()
logger.isEnabledFor = lambda level: asked.set()
assert asked.wait(30)
""")


def test_a_function_for_metrics_that_fails_loses_no_other_metric_and_is_logged():
    done = run("""
import logging
logging.basicConfig(stream=sys.stdout)
seen = set()
def count(name, kind, labels, value):
    if kind == "counter":
        raise ValueError("a fault of the application")
    seen.add(kind)
Engine(cache_directory=sys.argv[1], metrics=count)
assert chain().decide_blocking(ask("nothing bad")).user.name == "alice"
Engine.current().close()
assert "histogram" in seen, seen
""")
    assert "ERROR:portcullis.metrics:the function for metrics failed at 1 of " in done.stdout, done.stdout
    assert "values, which are lost, first at portcullis_authenticator_calls_total\n" in done.stdout
    assert "ValueError: a fault of the application" in done.stdout


def test_an_engine_can_start_in_a_fork_of_a_process_where_it_could_not(tmp_path):
    """What the failed start has left has no thread in the new process."""
    (tmp_path / "file").write_text("not a directory")
    done = run(f"""
import logging
logging.basicConfig(stream=sys.stdout)
seen = []
try:
    Engine(cache_directory={str(tmp_path / "file")!r}, metrics=lambda *metric: None)
except portcullis.EngineError:
    pass
child = os.fork()
if child == 0:
    Engine(cache_directory=sys.argv[1], metrics=lambda *metric: seen.append(metric))
    async def decide():
        return await asyncio.wait_for(chain().decide(ask("whisper")), 30)
    assert asyncio.run(decide()).user.name == "alice"
    Engine.current().close()
    assert seen
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
""")
    assert "WARNING:portcullis.plugin:a worry" in done.stdout, done.stdout


def test_an_engine_that_could_not_start_can_be_started_again(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    run(f"""
import logging
seen, lines = [], []
class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())
logging.getLogger("portcullis").addHandler(Keep())
def count(*metric):
    seen.append(metric)
for _ in range(2):
    try:
        Engine(cache_directory={str(tmp_path / "file")!r}, metrics=count)
    except portcullis.EngineError as error:
        assert "file" in str(error), error
    else:
        sys.exit(3)
Engine(cache_directory=sys.argv[1], metrics=count)
assert chain().decide_blocking(ask("whisper")).user.name == "alice"
Engine.current().close()
assert seen and any("a worry" in line for line in lines), (seen, lines)
""")
