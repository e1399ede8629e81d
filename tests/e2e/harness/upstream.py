"""The upstream that the gateway protects. It records every request, and answers with what it received.

It runs in a thread of the tests, so that a test can look inside and decide when a stream goes on.
"""

import asyncio
import queue
import threading
from contextlib import suppress

from aiohttp import WSMsgType, web


class Upstream:
    """An HTTP server on `url`. `seen` has every request's head in order of arrival."""

    def __init__(self):
        self.may_go_on = threading.Event()
        self.forget()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def forget(self):
        """Forgets earlier requests, and ends streams of earlier tests."""
        self.may_go_on.set()
        self.seen = []
        self.chunks = queue.Queue()
        """What arrived at `/stream/up`, chunk by chunk as it came; `None` at the end."""
        self.may_go_on = threading.Event()
        """Set by a test when `/stream/down` may send its second half."""
        self.close_codes = queue.Queue()
        """The close code of each WebSocket."""

    async def _listen(self):
        app = web.Application()
        app.router.add_get("/stream/down", self._stream_down)
        app.router.add_post("/stream/up", self._stream_up)
        app.router.add_get("/websocket", self._websocket)
        app.router.add_get("/status/{status}", self._status)
        app.router.add_get("/answer-headers", self._answer_headers)
        app.router.add_route("*", "/{rest:.*}", self._echo)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0]
        return f"http://{host}:{port}"

    def stop(self):
        self.may_go_on.set()
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _echo(self, request):
        self._remember(request)
        body = (await request.read()).decode("latin-1")
        return web.json_response(self.seen[-1] | {"body": body})

    async def _status(self, request):
        self._remember(request)
        return web.Response(status=int(request.match_info["status"]), text="the upstream's own words")

    async def _answer_headers(self, request):
        """Answers with each header that the query asks for: `?Set-Cookie=a%3D1`."""
        self._remember(request)
        return web.Response(headers=list(request.query.items()))

    async def _stream_down(self, request):
        self._remember(request)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await asyncio.to_thread(self.may_go_on.wait, 20)
        with suppress(ConnectionResetError):
            await response.write(b"second\n")
        return response

    async def _stream_up(self, request):
        self._remember(request)
        async for chunk in request.content.iter_any():
            self.chunks.put(chunk)
        self.chunks.put(None)
        return web.Response(text="got it all")

    async def _websocket(self, request):
        """Sends the user's name from the request, then echoes."""
        self._remember(request)
        socket = web.WebSocketResponse(protocols=["echo"])
        await socket.prepare(request)
        await socket.send_str(request.headers.get("X-Forwarded-User", "nobody"))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        self.close_codes.put(socket.close_code)
        return socket

    def _remember(self, request):
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers]
        self.seen.append({"method": request.method, "target": request.raw_path, "headers": headers})


def values(seen, name):
    """Every value of a header in a recorded request."""
    return [value for key, value in seen["headers"] if key.lower() == name.lower()]
