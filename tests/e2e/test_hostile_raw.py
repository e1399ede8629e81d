"""Plugins that no compiler would make: they abuse the canonical ABI, the memory's layout and the instance's life.

Each is `tests/guests/raw.wat` with one part replaced. They behave when they are loaded and turn on the first request.
"""

import pytest

from harness import raw_plugins
from harness.client import basic, begin, connect
from harness.hostile import (
    LONG_DEADLINE,
    MAX_GROWTH_MIB,
    SHORT_DEADLINE,
    assert_contained,
    assert_settles,
    authenticator,
    configuration,
    instruct,
    resident_mib,
    send_all,
)
from harness.raw_plugins import LOOP, escaped

# Where the answer's fields lie: result<grant, refusal> at 256.
RESULT, NAME, GROUPS, ADMIN, ATTRIBUTES, VALID_FOR, HEADERS = 256, 260, 268, 276, 280, 288, 296
REFUSAL, REASON, OFFER, SCHEME, PARAMETERS = 260, 264, 272, 276, 284
STATUS, RESPONSE_HEADERS, BODY = 264, 268, 276
TEXTS = 1024
"""Free memory, for what a plugin writes."""

PAGE = 65536
ASK = "(call $header (local.get $request) (i32.const 528) (i32.const 4) (i32.const 640))"
TRAP = "(unreachable)"
AGAIN = "(if (call $again) (then {}))"
POINTER = "(return (i32.const {}))"
ANSWER = "(call $drop (local.get $request)) " + POINTER


def put(*places):
    """Writes 32-bit numbers: address, value, address, value…"""
    pairs = zip(places[::2], places[1::2])
    return " ".join(f"(i32.store (i32.const {at}) (i32.const {value}))" for at, value in pairs)


def data(*texts):
    """Places bytes in memory, each text at its address."""
    return " ".join(f'(data (i32.const {at}) "{escaped(text)}")' for at, text in texts)


def said(at, text):
    """The answer has this text at a field; it is no UTF-8."""
    return {"module": data((TEXTS, text)), "authenticate": put(at, TEXTS, at + 4, len(text))}


def listed(at, text, pairs=True):
    """The answer has a list of one entry at a field, with this text in it."""
    entry = b"".join(number.to_bytes(4, "little") for number in (TEXTS, len(text)) * (2 if pairs else 1))
    return {
        "module": data((TEXTS, text), (TEXTS + 512, entry)),
        "authenticate": put(at, TEXTS + 512, at + 4, 1),
    }


def refusing(kind, **parts):
    """The answer is a refusal of this kind."""
    parts["authenticate"] = put(RESULT, 1, REFUSAL, kind) + parts["authenticate"]
    return parts


def offering(**parts):
    """The answer is `unauthenticated` with a challenge."""
    parts["authenticate"] = put(RESULT, 1, REFUSAL, 1, OFFER, 1) + parts["authenticate"]
    return parts


def allocating(then):
    """`realloc` does this once the request is there, for the answer to a question."""
    return {
        "authenticate": f"(i32.store8 (i32.const 0) (i32.const 1)) {ASK}",
        "realloc": f"(if (i32.load8_u (i32.const 0)) (then {then}))",
    }


def starting(what):
    """The core module's start function does this in every instance but the first with a cache."""
    return {"module": f"(func $start {AGAIN.format(what)}) (start $start)"}


NO_UTF8 = {
    "an impossible byte": b"a\xff",
    "a surrogate": b"a\xed\xa0\x80",
    "an overlong slash": b"a\xc0\xaf",
    "a beginning only": b"a\xf0\x9f\x92",
    "more than Unicode has": b"a\xf4\x90\x80\x80",
}

DEADLINE, UTF8, BOUNDS = "deadline", "utf-8", "out of bounds|larger than|too large|fuel|exceeds"
PANIC = "panicked or aborted"

MISBEHAVIOURS = {
    # Endless loops, in everything that the gateway calls.
    "loop in authenticate": (DEADLINE, dict(authenticate=LOOP)),
    "loop in configure": (DEADLINE, dict(configure=AGAIN.format(LOOP))),
    "loop at the start": (DEADLINE, starting(LOOP)),
    "loop in realloc": (DEADLINE, allocating(LOOP)),
    "loop after the answer": (DEADLINE, dict(after=LOOP)),
    "endless questions": (
        DEADLINE,
        dict(authenticate=f"(loop $forever {ASK} (br $forever))", realloc="(return (i32.const 4096))"),
    ),
    "endless filling": (
        DEADLINE,
        dict(
            memory='(memory (export "memory") 200)',
            authenticate="(loop $l (memory.fill (i32.const 4096) (i32.const 1) (i32.const 13000000)) (br $l))",
        ),
    ),
    # Traps, in everything that the gateway calls.
    "trap in authenticate": (PANIC, dict(authenticate=TRAP)),
    "trap in configure": (PANIC, dict(configure=AGAIN.format(TRAP))),
    "trap at the start": (PANIC, starting(TRAP)),
    "trap in realloc": (PANIC, allocating(TRAP)),
    "trap after the answer": (PANIC, dict(after=TRAP)),
    "division by zero": ("divide by zero", dict(authenticate="(drop (i32.div_u (i32.const 1) (i32.const 0)))")),
    "no such number": ("conversion", dict(authenticate="(drop (i32.trunc_f32_s (f32.const nan)))")),
    "read out of bounds": ("out of bounds", dict(authenticate="(drop (i32.load (i32.const -4)))")),
    "empty table": (
        "uninitialized|null",
        dict(module="(table 1 funcref)", authenticate="(call_indirect (i32.const 0))"),
    ),
    "wrong function": (
        "indirect call",
        dict(
            module="(table 1 funcref) (func $f (param i32)) (elem (i32.const 0) func $f)",
            authenticate="(call_indirect (i32.const 0))",
        ),
    ),
    "settings refused later": ("refused its settings", dict(configure=AGAIN.format(put(192, 1)))),
    # Stack, memory and tables.
    "recursion": ("stack", dict(module="(func $f (call $f))", authenticate="(call $f)")),
    "wide recursion": (
        "stack",
        dict(
            module=f"(func $f (param {'i64 ' * 900}) (call $f {'(i64.const 1)' * 900}))",
            authenticate=f"(call $f {'(i64.const 1)' * 900})",
        ),
    ),
    "memory bomb": (
        PANIC,
        dict(
            authenticate="""
            (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
            (memory.fill (i32.const 4096) (i32.const 1)
              (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4096)))
            (unreachable)"""
        ),
    ),
    "two memory bombs": (
        PANIC,
        dict(
            module="(memory $other 1)",
            authenticate="""
            (loop $more (br_if $more (i32.ne (memory.grow 0 (i32.const 1)) (i32.const -1))))
            (loop $more (br_if $more (i32.ne (memory.grow 1 (i32.const 1)) (i32.const -1))))
            (memory.fill 1 (i32.const 0) (i32.const 1) (i32.mul (memory.size 1) (i32.const 65536)))
            (unreachable)""",
        ),
    ),
    "table bomb": (
        PANIC,
        dict(
            module="(table $t 1 funcref)",
            authenticate="""
            (loop $more
              (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
            (unreachable)""",
        ),
    ),
    # The canonical ABI: what the answer's memory may not hold.
    "answer beyond memory": (BOUNDS, dict(authenticate=ANSWER.format(0x7FFFFFFC))),
    "answer across the end": (BOUNDS, dict(authenticate=ANSWER.format(2 * PAGE - 4))),
    "answer unaligned": ("align", dict(authenticate=ANSWER.format(257))),
    "no such result": ("discriminant|unexpected|invalid", dict(authenticate=put(RESULT, 7))),
    "no such refusal": ("discriminant|unexpected|invalid", dict(authenticate=put(RESULT, 1, REFUSAL, 99))),
    "no such option": ("discriminant|unexpected|invalid", dict(authenticate=put(VALID_FOR, 9))),
    "no such challenge": ("discriminant|unexpected|invalid", offering(authenticate=put(OFFER, 9))),
    "name beyond memory": (BOUNDS, dict(authenticate=put(NAME, 0x7FFFFFFF))),
    "name across the end": (BOUNDS, dict(authenticate=put(NAME, 2 * PAGE - 2))),
    "name of 4 GiB": (BOUNDS, dict(authenticate=put(NAME + 4, -1))),
    "name of 2 MiB": (BOUNDS, dict(memory='(memory (export "memory") 64)', authenticate=put(NAME + 4, 2 << 20))),
    "groups beyond memory": (BOUNDS, dict(authenticate=put(GROUPS, 0x7FFFFFF0, GROUPS + 4, 1))),
    "groups that wrap around": (BOUNDS, dict(authenticate=put(GROUPS, TEXTS, GROUPS + 4, 0x20000000))),
    "groups without end": (BOUNDS, dict(authenticate=put(GROUPS, TEXTS, GROUPS + 4, -1))),
    "groups unaligned": ("align", dict(authenticate=put(GROUPS, TEXTS + 1, GROUPS + 4, 1))),
    "groups that are all empty": (
        "groups|" + BOUNDS,
        dict(memory='(memory (export "memory") 200)', authenticate=put(GROUPS, 1 << 20, GROUPS + 4, 1 << 20)),
    ),
    "attributes that wrap around": (BOUNDS, dict(authenticate=put(ATTRIBUTES, TEXTS, ATTRIBUTES + 4, 0x10000001))),
    "headers that wrap around": (BOUNDS, dict(authenticate=put(HEADERS, TEXTS, HEADERS + 4, 0x10000001))),
    "parameters without end": (BOUNDS, offering(authenticate=put(PARAMETERS, TEXTS, PARAMETERS + 4, -1))),
    "body beyond memory": (BOUNDS, refusing(3, authenticate=put(STATUS, 200, BODY, TEXTS, BODY + 4, -1))),
    "body of 2 MiB": (
        BOUNDS,
        refusing(
            3,
            memory='(memory (export "memory") 64)',
            authenticate=put(STATUS, 200, BODY, TEXTS, BODY + 4, 2 << 20),
        ),
    ),
    "reason beyond memory": (BOUNDS, refusing(4, authenticate=put(REASON, TEXTS, REASON + 4, -1))),
    "realloc beyond memory": (BOUNDS + "|realloc", allocating(POINTER.format(-16))),
    "realloc unaligned": ("align", allocating(POINTER.format(4097))),
    # The canonical ABI: what the gateway's functions may not be called with.
    "handle kept": ("borrow", dict(authenticate=POINTER.format(256))),
    "handle dropped twice": ("handle", dict(authenticate="(call $drop (local.get $request))")),
    "handle made up": ("handle", dict(authenticate="(call $drop (i32.const 77))")),
    "question to nobody": ("handle", dict(authenticate=ASK.replace("(local.get $request)", "(i32.const 77)"))),
    "question after the end": ("handle", dict(authenticate="(call $drop (local.get $request))" + ASK)),
    "question beyond memory": (BOUNDS, dict(authenticate=ASK.replace("528", "-8"))),
    "question of 2 GiB": (BOUNDS, dict(authenticate=ASK.replace("const 4)", "const 0x7fffffff)"))),
    "question that is no text": (UTF8, dict(module=data((528, b"x\xff\xfeo")), authenticate=ASK)),
    "answer to nowhere": (BOUNDS, dict(authenticate=ASK.replace("640", "-8"))),
    "name of a function that is none": (
        BOUNDS,
        dict(
            module=r"""(func $ask (@name "\1b[31m\0d\0a{\22forged\22:1}") (param i32)
              (call $header (local.get 0) (i32.const 528) (i32.const 4) (i32.const -8)))""",
            authenticate="(call $ask (local.get $request))",
        ),
    ),
    "answer to an odd place": ("align", dict(authenticate=ASK.replace("640", "641"))),
    "log line that is no text": (
        UTF8,
        dict(
            module=data((TEXTS, b"\xff")),
            authenticate=f"(call $log (i32.const 1) (i32.const 512) (i32.const 5) (i32.const {TEXTS}) (i32.const 1))",
        ),
    ),
    "log line of 2 MiB": (
        BOUNDS,
        dict(
            memory='(memory (export "memory") 64)',
            authenticate="(call $log (i32.const 1) (i32.const 512) (i32.const 5) (i32.const 0) (i32.const 0x200000))",
        ),
    ),
    "no such level": (
        "discriminant|unexpected|invalid",
        dict(authenticate="(call $log (i32.const 99) (i32.const 512) (i32.const 5) (i32.const 512) (i32.const 5))"),
    ),
}
for what, text in NO_UTF8.items():
    MISBEHAVIOURS |= {
        f"name with {what}": (UTF8, said(NAME, text)),
        f"group with {what}": (UTF8, listed(GROUPS, text, pairs=False)),
        f"attribute with {what}": (UTF8, listed(ATTRIBUTES, text)),
        f"header name with {what}": (UTF8, listed(HEADERS, text)),
        f"response header with {what}": (UTF8, refusing(3, **listed(RESPONSE_HEADERS, text))),
        f"reason with {what}": (UTF8, refusing(4, **said(REASON, text))),
        f"challenge with {what}": (UTF8, offering(**said(SCHEME, text))),
        f"parameter with {what}": (UTF8, offering(**listed(PARAMETERS, text))),
    }

# What one instance leaves behind, and the next one looks for. Who finds something lets its request in.
FOUND = "(return (call $drop (local.get $request)) (i32.const 256))"
LEFTOVERS = {
    "in memory": """
        (if (i64.ne (i64.load (i32.const 100000)) (i64.const 0)) (then {found}))
        (i64.store (i32.const 100000) (i64.const 0x5ec7e75ec7e75ec7))""",
    "in grown memory": """
        (local $at i32)
        (drop (memory.grow (i32.const 100)))
        (local.set $at (i32.const 65536))
        (loop $look
          (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then {found}))
          (i64.store (local.get $at) (i64.const 0x5ec7e75ec7e75ec7))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br_if $look (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))""",
    "in the initial data": """
        (if (i32.ne (i32.load8_u (i32.const 512)) (i32.const 97)) (then {found}))
        (i32.store8 (i32.const 512) (i32.const 77))""",
    "in a global": """
        (if (global.get $mark) (then {found}))
        (global.set $mark (i32.const 1))""",
    "in a table": """
        (if (i32.eqz (ref.is_null (table.get $table (i32.const 9)))) (then {found}))
        (table.set $table (i32.const 9) (ref.func $again))""",
    "in a grown table": """
        (local $at i32)
        (drop (table.grow $table (ref.null func) (i32.const 500)))
        (local.set $at (i32.const 20))
        (loop $look
          (if (i32.eqz (ref.is_null (table.get $table (local.get $at)))) (then {found}))
          (table.set $table (local.get $at) (ref.func $again))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $look (i32.lt_u (local.get $at) (table.size $table))))""",
    "in the size": """
        (if (i32.ne (memory.size) (i32.const 2)) (then {found}))
        (drop (memory.grow (i32.const 1)))""",
}
LEFTOVER_MODULE = "(global $mark (mut i32) (i32.const 0)) (table $table 10 1000 funcref) (elem declare func $again)"
ENDINGS = {
    "a refusal": put(RESULT, 1, REFUSAL, 2, REASON, 512, REASON + 4, 5, OFFER, 0),
    "a trap": TRAP,
    "the deadline": LOOP,
}


def slug(*words):
    return "-".join("".join(words).replace(",", "").split(" "))


def looking(look, ending):
    return raw_plugins.component(module=LEFTOVER_MODULE, authenticate=look.format(found=FOUND) + ending)


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    plugins = {}

    def add(name, file, limits=LONG_DEADLINE):
        plugins[name] = authenticator(name, file, limits=limits)

    for name, (why, parts) in MISBEHAVIOURS.items():
        add(slug(name), raw_plugins.component(**parts), SHORT_DEADLINE if why == DEADLINE else LONG_DEADLINE)
    for where, look in LEFTOVERS.items():
        for end, ending in ENDINGS.items():
            limits = SHORT_DEADLINE if end == "the deadline" else LONG_DEADLINE
            add(slug(where, " left by ", end), looking(look, ending), limits)
    add("good", raw_plugins.component(authenticate=ASK))
    add("finder", looking(LEFTOVERS["in a global"].replace("(if (global.get $mark)", "(if (i32.const 1)"), ""))
    return serve_module(configuration(shared_upstream, plugins))


def test_the_template_is_an_authenticator(gateway, upstream):
    """Otherwise the tests below would prove nothing."""
    for name in ("good", "finder"):
        assert gateway.send(f"/{name}", instruct("x")).status == 200
    assert len(upstream.seen) == 2


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
def test_misbehaviour_is_contained(gateway, upstream, misbehaviour):
    assert_contained(gateway, upstream, f"/{slug(misbehaviour)}", instruct("x"), "(?i)" + MISBEHAVIOURS[misbehaviour][0])


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("where", LEFTOVERS)
def test_no_instance_leaves_anything_to_the_next(gateway, upstream, where, ending):
    path = f"/{slug(where, ' left by ', ending)}"
    expected = 403 if ending == "a refusal" else 503
    assert {gateway.send(path, basic("bob")).status for _ in range(6)} == {expected}
    assert set(send_all(gateway, [(path, basic("bob"))] * 12)) == {expected}
    assert upstream.seen == []


def test_disconnected_clients_leave_nothing_behind(gateway):
    """In the middle of every kind of call."""
    for misbehaviour in MISBEHAVIOURS:
        if MISBEHAVIOURS[misbehaviour][0] == DEADLINE:
            for _ in range(5):
                connection = connect(gateway.url)
                begin(connection, "GET", f"/{slug(misbehaviour)}", instruct("x"))
                connection.close()
    assert gateway.send("/good", instruct("x")).status == 200


def test_memory_is_freed(gateway):
    requests = [(f"/{slug(misbehaviour)}", instruct("x")) for misbehaviour in MISBEHAVIOURS]
    assert set(send_all(gateway, requests)) == {503}
    warm = resident_mib(gateway)
    for _ in range(3):
        assert set(send_all(gateway, requests)) == {503}
    assert_settles(gateway, warm + MAX_GROWTH_MIB)
    assert gateway.send("/good", instruct("x")).status == 200
