"""A line as long as one likes between the programs and the servers of this machine: each packet takes half the round-trip time.

A network device of its own (TUN, in the network namespace of the run) carries it. What is sent to FAR comes back as from FAR to NEAR,
where the servers listen. So TCP is the kernel's at both ends, with its handshake, Nagle's algorithm, delayed ACKs and slow start; a
proxy that accepts connections would hide all of them."""

import collections
import fcntl
import os
import pathlib
import select
import socket
import struct
import subprocess
import threading
import time

NEAR, FAR, NAME = "10.255.9.1", "10.255.9.2", "far.example"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
FIN, RST = 1, 4
FAST_OPEN = pathlib.Path("/proc/sys/net/ipv4/tcp_fastopen")


class Connection:
    """How many round trips the client waited for: what an end sends is caused by whatever has reached it before."""

    def __init__(self):
        self.client, self.server, self.ended = 0, 0, None

    def sent(self, by_client, flags):
        if by_client and flags & (FIN | RST) and self.ended is None:
            self.ended = self.client
        return self.client if by_client else self.server + 1

    def arrived(self, by_client, round_trip):
        if by_client:
            self.server = max(self.server, round_trip)
        else:
            self.client = max(self.client, round_trip)

    @property
    def round_trips(self):
        return self.client if self.ended is None else self.ended


class LongLine:
    """line.rtt = 0.2; a program sends to NAME; line.last.round_trips"""

    def __init__(self):
        self.rtt, self.last, self.connections = 0, None, {}
        self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", b"longline", IFF_TUN | IFF_NO_PI))
        for command in (["address", "add", f"{NEAR}/30", "dev", "longline"], ["link", "set", "longline", "up"]):
            subprocess.run(["ip", *command], check=True)
        threading.Thread(target=self._carry, daemon=True).start()

    def fast_open(self, servers):
        """Clients may ask for TCP Fast Open (1, the kernel's default); servers take it without having been told to (1026) or do not."""
        FAST_OPEN.write_text("1027" if servers else "1")

    def _carry(self):
        waiting = collections.deque()  # (when it arrives, its connection, by the client, round trip, packet)
        while True:
            while waiting and waiting[0][0] <= time.monotonic():
                _, connection, by_client, round_trip, packet = waiting.popleft()
                connection.arrived(by_client, round_trip)
                os.write(self.device, packet)
            left = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
            if select.select([self.device], [], [], left)[0]:
                packet = os.read(self.device, 65536)
                if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP:
                    waiting.append((time.monotonic() + self.rtt / 2, *self._sent(packet)))

    def _sent(self, packet):
        tcp = (packet[0] & 15) * 4
        source, target = struct.unpack_from("!HH", packet, tcp)
        by_client, port = (True, source) if target < 1024 else (False, target)
        if port not in self.connections:
            self.connections[port] = self.last = Connection()
        connection = self.connections[port]
        round_trip = connection.sent(by_client, packet[tcp + 13])
        turned = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]  # the checksums remain true
        return connection, by_client, round_trip, turned
