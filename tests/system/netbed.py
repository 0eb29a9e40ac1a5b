"""A network to break: client - router1 - router2 - server, IPv4 and IPv6, in network namespaces that only this process knows.

    with Bed() as bed:
        bed.rule("hop1", "drop", ports=[25])
        bed.run("client", ["envoi", "diagnose", "mail.example"])

The namespaces have no names in the system: they are open descriptors, so that beds of parallel tests do not meet, and the end
of the process, however it comes, removes them. A socket belongs to the namespace in which it was made, whichever thread uses it
later: servers run as threads of the test, on sockets of `bed.listen()`. A command in the client sees a resolv.conf and a hosts
file of its own, and firmware that does not say whose machine it is.

It needs root, ip(8) and nft(8); NotHere says what is missing."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

NODES = ("client", "router1", "router2", "server")
CLIENT, SERVER = {4: "192.0.2.2", 6: "2001:db8:1::2"}, {4: "203.0.113.2", 6: "2001:db8:3::2"}
CONTROL = {4: "203.0.113.3", 6: "2001:db8:3::3"}      # a second host, as the client sees it
NAMESERVER = {4: "203.0.113.53", 6: "2001:db8:3::53"}
NOBODY = {4: "203.0.113.99", 6: "2001:db8:3::99"}     # no host has it: router2 says so after three seconds
ROUTER1, ROUTER2 = {4: "192.0.2.1", 6: "2001:db8:1::1"}, {4: "198.51.100.2", 6: "2001:db8:2::2"} # as a ladder sees them

# node: device (left: towards the client), its addresses
DEVICES = {
    "client": {"right": [CLIENT]},
    "router1": {"left": [ROUTER1], "right": [{4: "198.51.100.1", 6: "2001:db8:2::1"}]},
    "router2": {"left": [ROUTER2], "right": [{4: "203.0.113.1", 6: "2001:db8:3::1"}]},
    "server": {"left": [SERVER, CONTROL, NAMESERVER]},
}
GATEWAYS = {
    "client": [("default", ROUTER1)],
    "router1": [({4: "203.0.113.0/24", 6: "2001:db8:3::/64"}, ROUTER2)],
    "router2": [({4: "192.0.2.0/24", 6: "2001:db8:1::/64"}, {4: "198.51.100.1", 6: "2001:db8:2::1"})],
    "server": [("default", {4: "203.0.113.1", 6: "2001:db8:3::1"})],
}
# Nobody spares with ICMP: one test's share would be missing in the next.
SYSCTLS = {"ipv6/conf/default/accept_dad": 0, "ipv6/conf/all/accept_dad": 0, "ipv4/icmp_ratelimit": 0, "ipv6/icmp/ratelimit": 0}
ROUTER_SYSCTLS = {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}

MAIL_PORTS = (25, 465, 587, 2525)

# What a firewall may do with a packet. nft's icmpx is the message of that meaning in either family.
FORMS = {
    "drop": "drop",
    "tcp-reset": "meta l4proto tcp reject with tcp reset",
    "admin-prohibited": "reject with icmpx type admin-prohibited",
    "port-unreachable": "reject with icmpx type port-unreachable",
    "host-unreachable": "reject with icmpx type host-unreachable",
    "net-unreachable": "reject with icmpx type no-route",
}
# place: node, chain
PLACES = {
    "client-output": ("client", "output"),
    "hop1": ("router1", "forward"),
    "hop2": ("router2", "forward"),
    "server-input": ("server", "input"),
}
TABLE = """table inet bed {
  chain input { type filter hook input priority 0; }
  chain output { type filter hook output priority 0; }
  chain forward { type filter hook forward priority 0; }
  chain intercept { type nat hook prerouting priority -100; }
  chain intercept_own { type nat hook output priority -100; }
}
"""

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class NotHere(Exception):
    """This machine cannot have a bed, and why."""


def called(result, what):
    if result != 0:
        raise NotHere(f"{what}: {os.strerror(ctypes.get_errno())}")


def net_namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Bed:
    def __init__(self):
        self.dns, self._home, self._here, self._folder, self._sockets = None, None, {}, None, []

    # made and removed

    def __enter__(self):
        if os.geteuid() != 0:
            raise NotHere("network namespaces are made by root only")
        for tool in ("ip", "nft", "unshare"):
            if not shutil.which(tool):
                raise NotHere(f"{tool} is not installed")
        try:
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="envoi-bed-"))
            self.resolver(NAMESERVER[4])
            (self._folder / "firmware").mkdir()
            (self._folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
            self._home = net_namespace()
            self._make()
        except RuntimeError as why:
            self.__exit__()
            raise NotHere(str(why)) from why
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._drop()
        if self._home is not None:
            os.close(self._home)
            self._home = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _quiet(self):
        for s in self._sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        self._sockets = []
        if self.dns:
            self.dns.stop()
            self.dns = None

    def _drop(self):
        self._quiet()
        for fd in self._here.values():
            os.close(fd)
        self._here = {}

    def _make(self):
        self._spoilt = False
        for node in NODES:
            called(libc.unshare(CLONE_NEWNET), "unshare")
            try:
                self._here[node] = net_namespace()
            finally:
                called(libc.setns(self._home, CLONE_NEWNET), "setns")
        for node in NODES:
            for name, value in {**SYSCTLS, **(ROUTER_SYSCTLS if "router" in node else {})}.items():
                self.sysctl(node, name, value)
        for node, peer in zip(NODES, NODES[1:]):
            self.ip(node, f"link add right type veth peer name left netns /proc/{os.getpid()}/fd/{self._here[peer]}")
        for node in NODES:
            lines = ["link set lo up"]
            for device, hosts in DEVICES[node].items():
                lines += [f"link set {device} up"]
                lines += [f"address add {a}/{24 if v == 4 else 64} dev {device}{' nodad' if v == 6 else ''}"
                          for host in hosts for v, a in host.items()]
            self.ip(node, *lines)
        for node, routes in GATEWAYS.items():
            self.ip(node, *(f"route add {to if isinstance(to, str) else to[v]} via {via[v]}"
                            for to, via in routes for v in (4, 6)))
        for node in NODES:
            self.nft(node, TABLE)

    def reset(self):
        """As new: without rules, servers and names; where more than that was changed it is made anew."""
        self.resolver(NAMESERVER[4])
        if self._spoilt:
            self._drop()
            self._make()
            return
        self._quiet()
        for node in NODES:
            self.nft(node, "flush table inet bed")

    # at work in it

    @contextlib.contextmanager
    def inside(self, node):
        """This thread, and what it starts, is in the namespace."""
        called(libc.setns(self._here[node], CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            called(libc.setns(self._home, CLONE_NEWNET), "setns")

    def start(self, node, command, **options):
        """A process, as subprocess.Popen makes it; with the bed's name server and hosts file."""
        mounts = ('for f in resolv.conf hosts; do mount --bind "$0/$f" "/etc/$f" || exit 125; done; '
                  'if test -d /sys/class/dmi/id; then mount --bind "$0/firmware" /sys/class/dmi/id || exit 125; fi; exec "$@"')
        with self.inside(node):
            return subprocess.Popen(["unshare", "--mount", "sh", "-c", mounts, str(self._folder), *map(str, command)], **options)

    def run(self, node, command, timeout=30, **options):
        """A command to its end: a subprocess.CompletedProcess with text."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        with self.start(node, command, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def _tool(self, node, command, text):
        with self.inside(node):
            done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} in {node}: {done.stderr.strip()}\n{text}")

    def ip(self, node, *lines, family=None):
        self._tool(node, ["ip", *([f"-{family}"] if family else []), "-batch", "-"], "\n".join(lines) + "\n")

    def nft(self, node, text):
        self._tool(node, ["nft", "-f", "-"], text + "\n")

    def sysctl(self, node, name, value):
        with self.inside(node):
            pathlib.Path("/proc/sys/net", name).write_text(f"{value}\n")

    def listen(self, port, node="server", address="::", backlog=64):
        """A listening socket there, closed with the bed; '::' is IPv4, too."""
        with self.inside(node):
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self._sockets.append(s)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if s.family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind((address, port))
        s.listen(backlog)
        return s

    # what can be wrong with it

    def rule(self, place, form, ports=None, family=None, to=None, answers=False, protocol="tcp"):
        """A rule for TCP's packets to the ports (None: all); of one family (4, 6; None: both), to one address; the packets that
        come back instead (answers); protocol None: whatever it is."""
        node, chain = PLACES[place]
        match = []
        if family:
            match.append(f"meta nfproto ipv{family}")
        if to:
            match.append(f"{'ip6' if ':' in to else 'ip'} {'saddr' if answers else 'daddr'} {to}")
        if ports:
            match.append(f"{protocol} {'sport' if answers else 'dport'} {{ {', '.join(map(str, ports))} }}")
        elif protocol:
            match.append(f"meta l4proto {protocol}")
        self.nft(node, f"add rule inet bed {chain} {' '.join(match)} {FORMS[form]}")

    def intercept(self, place, port, to_port, address=None):
        """Connections to the port end at a port of the router itself (listen(…, node="router1")), or of another address. At
        client-output it is the client itself, as with a virus scanner."""
        node, chain = PLACES[place][0], "intercept_own" if place == "client-output" else "intercept"
        if address is None:
            action = f"redirect to :{to_port}"
        elif ":" in address:
            action = f"dnat ip6 to [{address}]:{to_port}"
        else:
            action = f"dnat ip to {address}:{to_port}"
        self.nft(node, f"add rule inet bed {chain} tcp dport {port} {action}")

    def spoil(self):
        """What reset() alone would not put right was changed."""
        self._spoilt = True

    def route(self, kind, host=SERVER, families=(4, 6)):
        """The client has a route of that kind to a host: prohibit, unreachable, blackhole."""
        self._spoilt = True
        self.ip("client", *(f"route add {kind} {host[v]}" for v in families))

    def no_route(self, family):
        """The client has addresses of the family, but no way out."""
        self._spoilt = True
        self.ip("client", "route del default", family=family)

    def no_addresses(self, family):
        """The client has the family on loopback only."""
        self.no_route(family)
        self.ip("client", "address flush dev right", family=family)

    def disable_ipv6(self):
        """As many containers have it."""
        self._spoilt = True
        for scope in ("all", "default", "lo", "right"):
            self.sysctl("client", f"ipv6/conf/{scope}/disable_ipv6", 1)

    def drop_ipv6(self, place="hop1"):
        self.rule(place, "drop", family=6, protocol=None)

    def server_down(self):
        """The host is off: router2 finds nobody on the last link."""
        self._spoilt = True
        self.ip("server", "link set left down")

    def narrow(self, mtu=1280, told=False):
        """The link between the routers takes packets up to mtu only; neither end is told so (ICMP is lost) unless `told`."""
        self._spoilt = True
        for node, device in (("router1", "right"), ("router2", "left")):
            self.ip(node, f"link set {device} mtu {mtu}")
            if not told:
                self.nft(node, "add rule inet bed output icmp type destination-unreachable icmp code frag-needed drop\n"
                               "add rule inet bed output icmpv6 type packet-too-big drop")

    # names

    def resolver(self, *addresses, options="timeout:2 attempts:2"):
        """What the client's resolv.conf says."""
        text = "".join(f"nameserver {a}\n" for a in addresses)
        (self._folder / "resolv.conf").write_text(f"{text}options {options}\n")

    def serve_names(self, records, mode="healthy"):
        """A name server in the bed; `records` as in Names."""
        with self.inside("server"):
            self.dns = Names(NAMESERVER, records, mode)
        return self.dns


def mail_host(name="mail.example", host=SERVER):
    """The records of a host with both families."""
    return {(name, "A"): [host[4]], (name, "AAAA"): [host[6]]}


class Names:
    """A name server for one bed, made inside its namespace. records: (name, type): values. A and AAAA: address; MX: (preference,
    host); SRV: (priority, weight, port, host); TXT: text; CNAME: host.

    mode, which may be changed while it runs: healthy; dead (takes questions, answers none); servfail; rewrite (a name that does
    not exist has the address `liar`). Of names in `unknown` it says that it cannot tell; questions of a type in `ignored` are not
    answered."""

    TYPES = {"A": 1, "CNAME": 5, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
    liar = CONTROL[4]

    def __init__(self, addresses, records, mode="healthy"):
        self.records = {(name.lower(), kind): values for (name, kind), values in records.items()}
        self.mode, self.asked, self.unknown, self.ignored, self._sockets = mode, [], set(), set(), []
        for family, address in ((socket.AF_INET, addresses[4]), (socket.AF_INET6, addresses[6])):
            for kind, serve in ((socket.SOCK_DGRAM, self._datagrams), (socket.SOCK_STREAM, self._connections)):
                s = socket.socket(family, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, 53))
                if kind == socket.SOCK_STREAM:
                    s.listen(16)
                self._sockets.append(s)
                threading.Thread(target=serve, args=(s,), daemon=True).start()

    def stop(self):
        for s in self._sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _datagrams(self, s):
        with contextlib.suppress(OSError):
            while True:
                question, peer = s.recvfrom(4096)
                answer = question and self.answer(question)
                if answer:
                    s.sendto(answer, peer)
                elif not question:
                    return

    def _connections(self, s):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = s.accept()
                threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def _connection(self, s):
        with s, s.makefile("rb") as f, contextlib.suppress(OSError, struct.error):
            s.settimeout(30)
            while answer := self.answer(f.read(struct.unpack("!H", f.read(2))[0])):
                s.sendall(struct.pack("!H", len(answer)) + answer)
            f.read(1)

    @staticmethod
    def _name(name):
        labels = [label.encode() for label in name.split(".") if label]
        return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"

    def _data(self, kind, value):
        if kind == "A":
            return socket.inet_aton(value)
        if kind == "AAAA":
            return socket.inet_pton(socket.AF_INET6, value)
        if kind == "MX":
            return struct.pack("!H", value[0]) + self._name(value[1])
        if kind == "SRV":
            return struct.pack("!HHH", *value[:3]) + self._name(value[3])
        if kind == "TXT":
            return bytes([len(value)]) + value.encode()
        return self._name(value)

    def _found(self, name, kind):
        """The records of an answer, (name, type, value), and whether the name exists."""
        if alias := self.records.get((name, "CNAME")):
            found, exists = self._found(alias[0].lower(), kind)
            return [(name, "CNAME", alias[0]), *found], exists
        found = [(name, kind, value) for value in self.records.get((name, kind), [])]
        exists = any(n == name or n.endswith(f".{name}") for n, _ in self.records)
        if not exists and self.mode == "rewrite":
            return [(name, "A", self.liar)] if kind == "A" else [], True
        return found, exists

    def answer(self, question):
        """RFC 1035 4.1; one question, names written out."""
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1").lower())
            at += 1 + question[at]
        name, number = ".".join(labels), struct.unpack_from("!H", question, at + 1)[0]
        kind = next((k for k, n in self.TYPES.items() if n == number), str(number))
        self.asked.append((name, kind))
        if self.mode == "dead" or kind in self.ignored:
            return None
        fails = self.mode == "servfail" or name in self.unknown
        found, exists = ([], True) if fails else self._found(name, kind)
        code = 2 if fails else 0 if exists else 3
        body = b"".join(self._name(n) + struct.pack("!HHIH", self.TYPES[k], 1, 60, len(data)) + data
                        for n, k, value in found for data in [self._data(k, value)])
        head = question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(found), 0, 0)
        return head + question[12:at + 5] + body
