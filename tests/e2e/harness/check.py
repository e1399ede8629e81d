"""Envoy's Check request over gRPC, with messages that are written and read by hand."""

import grpc

PROTO = ("x-forwarded-proto", "http")
METHOD = "/envoy.service.auth.v3.Authorization/Check"


def check(address, target, headers, host="app.example", metadata=()):
    """Whether a request may pass, as its status: 200, or that of the denial."""
    fields = b"".join(_field(3, _field(1, name.lower().encode()) + _field(2, value.encode())) for name, value in [*headers, PROTO])
    http = _field(2, b"GET") + fields + _field(4, target.encode()) + _field(5, host.encode()) + _field(6, b"http")
    source = _field(1, _field(1, _field(2, b"192.0.2.1")))
    request = _field(1, _field(1, source) + _field(4, _field(2, http)))
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD, lambda message: message, lambda message: message)
        response = _read(call(request, timeout=20, metadata=metadata))
    if 2 not in response:
        return 200
    return _read(_read(response[2])[1])[1]


def _field(number, content):
    """A field with a length (protobuf's wire type 2)."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _read(message):
    """The last value of each field: a number, or bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(message):
        key = varint()
        value = varint()
        if key & 7 == 2:
            fields[key >> 3], at = message[at : at + value], at + value
        else:
            fields[key >> 3] = value
    return fields
