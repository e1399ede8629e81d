"""A gRPC service on the real library, over plain HTTP/2 or TLS. Messages are bytes, so that nothing needs to be compiled."""

import threading
from concurrent import futures

import grpc

SERVICE = "test.Echo"


class GrpcUpstream:
    """Listens on `url`. `metadata` has what every call brought."""

    def __init__(self, files=None):
        self.metadata = []
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        methods = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Down": grpc.unary_stream_rpc_method_handler(self._down),
            "Up": grpc.stream_unary_rpc_method_handler(self._up),
            "Both": grpc.stream_stream_rpc_method_handler(self._both),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Wait": grpc.unary_unary_rpc_method_handler(self._wait),
        }
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
        if files:
            certificate, key = (file.read_bytes() for file in files)
            credentials = grpc.ssl_server_credentials([(key, certificate)])
            self.url = f"https://127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        else:
            self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self):
        self._server.stop(0).wait(10)

    def _saw(self, context):
        self.metadata.append(list(context.invocation_metadata()))

    def _unary(self, message, context):
        self._saw(context)
        context.set_trailing_metadata([("x-trailing", "late")])
        return message.upper()

    def _down(self, message, context):
        self._saw(context)
        for letter in message:
            yield bytes([letter])

    def _up(self, messages, context):
        self._saw(context)
        return b"".join(messages)

    def _both(self, messages, context):
        """Answers each message before the next is sent."""
        self._saw(context)
        for message in messages:
            yield message.upper()

    def _fail(self, message, context):
        self._saw(context)
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not so: 50% ä")

    def _wait(self, message, context):
        self._saw(context)
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(20)
        return b""
