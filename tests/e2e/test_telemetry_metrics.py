"""Metrics by OpenTelemetry: they are those of `/metrics`, and a collector that doesn't take them gets them with the next message."""

import re
import secrets
import signal
import textwrap
import time

import grpc
import pytest

from harness.client import ALICE, send
from harness.config import SESSION, protected, whoami
from harness.gateway import ADMIN, run
from harness.paths import ROOT
from harness.process import eventually
from harness.reload import reload

EACH_SECOND = 'metrics = "1s"'
REQUESTS = "portcullis_requests_total"
POINTS = "portcullis_telemetry_data_points_total"


def scraped(gateway):
    """The series of `/metrics` as a collector would get them: kind and value of each, and descriptions by name."""
    kinds, descriptions, series, histograms = {}, {}, {}, {}
    for line in send(gateway.admin_url, "/metrics").body.decode().splitlines():
        if line.startswith("# TYPE"):
            name, kinds[name] = line.split(" ")[2:4]
        elif line.startswith("# HELP"):
            _, _, name, descriptions[name] = line.split(" ", 3)
        elif line:
            written, _, value = line.rpartition(" ")
            full = written.partition("{")[0]
            labels = dict(re.findall(r'(\w+)="([^"]*)"', written))
            bound = labels.pop("le", None)
            if full == name:
                series[name, frozenset(labels.items())] = (kinds[name], float(value))
            else:
                own = histograms.setdefault((name, frozenset(labels.items())), {})
                own[bound or full.removeprefix(name)] = float(value)
    for key, own in histograms.items():
        total = (own.pop("_count"), own.pop("_sum"))
        assert own.pop("+Inf") == total[0]
        series[key] = ("histogram", (*total, {float(bound): count for bound, count in own.items()}))
    return series, descriptions


def changes_by_itself(name):
    return name.startswith(("process_", "portcullis_telemetry_"))


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_collector_gets_what_is_scraped(serve, upstream, collectors, protocol):
    collector = collectors(protocol)
    config = protected(upstream)
    began = time.time_ns()
    gateway = serve(ADMIN + SESSION + collector.section(f'{EACH_SECOND}\nservice_name = "edge"') + config, KEY=secrets.token_hex(32))
    for headers in (ALICE, ALICE, {}):
        gateway.send("/", headers)
    counted = lambda export: export.value(REQUESTS, route="/", code="200") == 2 and export.value(REQUESTS, route="/", code="401") == 1  # noqa: E731
    collector.export(counted)
    now = time.time_ns()
    series, descriptions = scraped(gateway)
    export = collector.export(lambda export: min(point.time for point in export.points.values()) > now)
    assert series.keys() - export.points.keys() == set()
    for key, (kind, value) in series.items():
        name, point = key[0], export.points[key]
        assert (point.kind, point.description) == (kind, descriptions.get(name, "")), key
        assert point.value == value or changes_by_itself(name), key
        assert point.unit == ("s" if "_seconds" in name else "By" if name.endswith("_bytes") else ""), key
    # Every series is one of the process, which has just begun.
    starts = {point.began for point in export.points.values() if point.kind != "gauge"}
    assert len(starts) == 1 and began < starts.pop() < min(point.time for point in export.points.values())
    assert {"counter", "gauge", "histogram"} == {point.kind for point in export.points.values()}
    assert export.resource["service.name"] == "edge" and export.scope == "portcullis"
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", export.resource["service.instance.id"])


def test_metrics_alone_need_no_admin_listener_and_no_traces(serve, upstream, collector):
    gateway = serve(collector.section(f"{EACH_SECOND}\ntraces = false") + protected(upstream))
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = gateway.send("/", ALICE | {"traceparent": parent})
    assert dict(answer.json()["headers"])["traceparent"] == parent
    export = collector.export(lambda export: export.value(REQUESTS, route="/", code="200") == 1)
    assert export.value("process_resident_memory_bytes") > 0
    assert len(collector.received) == len(collector.exports)
    assert not gateway.logged(message="traces are sent") and not gateway.logged(message="admin listening")


def test_the_configuration_of_the_page_is_right(tmp_path, upstream):
    [section] = re.findall(r"(?m)^    \[telemetry\]\n(?:    .+\n)+", (ROOT / "docs/operations.md").read_text())
    done = run("check", folder=tmp_path, config=textwrap.dedent(section) + protected(upstream))
    assert done.returncode == 0, done.stderr


def test_two_gateways_of_a_name_are_told_apart(serve, upstream, collector):
    for _ in range(2):
        serve(collector.section(EACH_SECOND) + protected(upstream))
    ids = lambda: {export.resource["service.instance.id"] for export in collector.exports}  # noqa: E731
    assert eventually(lambda: len(ids()) >= 2, "both send")


def test_the_last_metrics_are_sent_at_the_end(serve, upstream, collector):
    gateway = serve(collector.section('metrics = "1h"') + protected(upstream))
    assert gateway.send("/", ALICE).status == 200
    gateway.stop()
    [export] = collector.exports
    assert export.value(REQUESTS, route="/", code="200") == 1


def test_what_a_reload_removes_is_not_sent_any_more(serve, upstream, collector):
    config = collector.section(EACH_SECOND) + protected(upstream)
    gateway = serve(ADMIN + config + whoami(path="/old"))
    assert gateway.send("/old").status == 200
    collector.export(lambda export: export.value(REQUESTS, route="/old", code="200") == 1)
    reload(gateway, config)
    collector.exports.clear()
    export = collector.export()
    assert not [labels for _, labels in export.points if ("route", "/old") in labels]


def told(gateway):
    return [line["message"] for line in gateway.log() if re.search("metrics are dropped|takes metrics", line["message"])]


FAILURES = {
    # What the collector says, by which protocol, and what the log has of it.
    "it is busy": (grpc.StatusCode.UNAVAILABLE, "grpc", "Unavailable"),
    "it is busy over HTTP": (503, "http/protobuf", "503"),
    "it rejects a data point": (1, "grpc", "rejects"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_a_collector_does_not_take_is_counted_and_told_once(serve, upstream, collectors, case):
    say, protocol, why = FAILURES[case]
    collector = collectors(protocol)
    collector.say = say
    gateway = serve(ADMIN + collector.section(EACH_SECOND) + protected(upstream))
    assert gateway.send("/", ALICE).status == 200
    eventually(lambda: len(collector.exports) >= 2, "it is asked again at the next interval")
    dropped = gateway.metric(POINTS, outcome="dropped")
    if case == "it rejects a data point":
        assert 1 <= dropped <= 3
    else:
        assert dropped >= len(collector.exports[0].points) and not gateway.metric(POINTS, outcome="sent")
    assert len(told(gateway)) == 1
    [line] = [line for line in gateway.log() if line["message"] == told(gateway)[0]]
    assert why in line["why"], line
    collector.say = 0
    eventually(lambda: len(told(gateway)) == 2, "it takes metrics again")
    assert told(gateway)[1] == "the collector takes metrics again"
    # Nothing is missing: they are sums since the start.
    assert collector.export().value(REQUESTS, route="/", code="200") == 1
    assert gateway.metric(POINTS, outcome="sent") >= len(collector.exports[0].points)


def test_a_collector_that_answers_nonsense_harms_nothing(serve, upstream, collectors):
    collector = collectors("http/protobuf")
    collector.say = b"\xff" * 100_000
    gateway = serve(ADMIN + collector.section(EACH_SECOND) + protected(upstream))
    eventually(lambda: len(collector.exports) >= 2, "it goes on")
    assert gateway.send("/", ALICE).status == 200
    assert gateway.metric(POINTS, outcome="dropped") and len(told(gateway)) == 1
    collector.say = b"\xff\xff"
    assert eventually(lambda: gateway.metric(POINTS, outcome="sent"), "what it answers with 200 counts as taken")


def test_a_collector_that_is_gone_delays_neither_requests_nor_the_end(serve, upstream, unreachable):
    section = f'[telemetry]\nendpoint = "{unreachable().url}"\n{EACH_SECOND}\n'
    gateway = serve(ADMIN + section + protected(upstream))
    eventually(lambda: gateway.metric(POINTS, outcome="dropped"), "the first message is lost")
    assert all(gateway.send("/", ALICE).status == 200 for _ in range(50))
    assert len(told(gateway)) == 1
    gateway.child.signal(signal.SIGTERM)
    assert gateway.child.process.wait(10) == 0
