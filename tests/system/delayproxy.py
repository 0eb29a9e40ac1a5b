"""A TCP proxy that makes loopback as far away as one likes, and counts round trips.

Every octet takes rtt/2 each way. The kernel completes the connect itself at once, so the three segments of a real
connect are added by the clock: the client could have sent nothing before 1 rtt, and the server learns of the
connection when the client's ACK arrives, at 1.5 rtt; its greeting is then there at 2 rtt, as over a real path."""

import asyncio
import dataclasses
import threading
import time


@dataclasses.dataclass
class Connection:
    rtt: float
    start: float
    last_reply: float = 0.0   # when the last octet from the server reached the client
    flights: int = 1          # the connect, and each burst of the server that came after something of the client
    up: int = 0               # octets client to server
    down: int = 0
    _client_spoke: bool = True

    @property
    def round_trips(self):
        return (self.last_reply - self.start) / self.rtt

    def count_up(self, n):
        self.up += n
        self._client_spoke = True

    def count_down(self, n):
        self.down += n
        self.flights += self._client_spoke
        self._client_spoke = False
        self.last_reply = time.monotonic()


class DelayProxy:
    """with DelayProxy(host, port, rtt=0.2) as proxy: … proxy.port … proxy.connections[0].round_trips"""

    def __init__(self, host, port, rtt):
        self.target, self.rtt, self.connections = (host, port), rtt, []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._run(self._cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def _cancel(self):
        self.server.close()  # here, since a loop is only to be touched from its own thread
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    async def _serve(self, reader, writer):
        connection = Connection(self.rtt, time.monotonic())
        self.connections.append(connection)
        up = asyncio.create_task(self._read(reader, connection.start + self.rtt))
        await asyncio.sleep(1.5 * self.rtt)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        down = asyncio.create_task(self._read(far_reader, 0))
        await asyncio.gather(self._deliver(up, far_writer, connection.count_up),
                             self._deliver(down, writer, connection.count_down))
        writer.close()
        far_writer.close()

    async def _read(self, reader, not_before):
        """Starts reading at once; returns the queue of (time of arrival, octets), b"" at the end."""
        queue = asyncio.Queue()

        async def pump():
            data = b"x"
            while data:
                try:
                    data = await reader.read(65536)
                except OSError:
                    data = b""
                queue.put_nowait((max(time.monotonic(), not_before) + self.rtt / 2, data))

        self.loop.create_task(pump())
        return queue

    async def _deliver(self, source, writer, count):
        queue = await source
        while True:
            at, data = await queue.get()
            await asyncio.sleep(at - time.monotonic())
            try:
                if not data:
                    writer.write_eof()
                    return
                count(len(data))
                writer.write(data)
                await writer.drain()
            except OSError:
                return
