"""Libraries loaded on first use: what the program's notes tell packagers is what the source says and what a run opens, and a run
opens no more than it needs. A build that links them (--disable-dlopen) has no notes, and does the same."""

import collections
import functools
import json
import os
import pathlib
import re
import ssl
import struct
import subprocess

import pytest

import dnsbed
from client import ENVOI, SENDER, environment, message, to_port
from faultserver import FaultServer
from test_sink import sink  # noqa: F401: a fixture
from test_talk import Person

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src"
LIBC = {"libc", "libm", "libdl", "libresolv", "ld-linux-x86-64", "ld-linux-aarch64"}
NOTE_OWNER, NOTE_TYPE, SHT_NOTE = b"FDO\0", 0x407c0c0a, 7


@functools.cache
def version():
    return subprocess.run([ENVOI, "--version"], capture_output=True, text=True, check=True).stdout


LINKED = "libraries, linked:" in version()
COMPLETE = "left out" not in version()
pytestmark = pytest.mark.skipif("ENVOI_SANITIZED" in os.environ and not LINKED, reason="a sanitizer stands between envoi and the loader")


def sections(image):
    """Name, type, octets of each section of a 64-bit ELF file."""
    assert image[:5] == b"\x7fELF\x02"
    order = "<" if image[5] == 1 else ">"
    (table,), (size, n, names) = struct.unpack_from(order + "Q", image, 0x28), struct.unpack_from(order + "HHH", image, 0x3a)
    rows = [struct.unpack_from(order + "IIQQQQIIQQ", image, table + i * size) for i in range(n)]
    octets = [image[row[4]:row[4] + row[5]] for row in rows]
    for row, data in zip(rows, octets):
        yield octets[names][row[0]:].split(b"\0")[0].decode(), row[1], row[8], data, order


def notes():
    """What the program has in .note.dlopen, each note as https://uapi-group.org/specifications/specs/elf_dlopen_metadata/ has it."""
    found = []
    for name, kind, alignment, data, order in sections(pathlib.Path(ENVOI).read_bytes()):
        if name != ".note.dlopen":
            continue
        assert (kind, alignment) == (SHT_NOTE, 4)
        while data:
            owner_size, size, note_type = struct.unpack_from(order + "III", data)
            at = 12 + (owner_size + 3 & ~3)
            assert (data[12:12 + owner_size], note_type) == (NOTE_OWNER, NOTE_TYPE) and data[at + size - 1] == 0
            found += json.loads(data[at:at + size - 1])
            data = data[at + (size + 3 & ~3):]
    return found


def rows():
    """The DOOR_DEFINE rows of the source: name of the function, then soname, package, priority, feature, description."""
    for path in sorted(SOURCES.glob("*/*.c")):
        for row in re.findall(r"DOOR_DEFINE\((\w+),[^,]*,[^,]*,((?:\s*(?:\w+|\"[^\"]*\"),?){5})\)", path.read_text()):
            yield row[0], *(word.strip('"') for word in re.findall(r'\w+|"[^"]*"', row[1]))


@pytest.mark.skipif(LINKED or not COMPLETE, reason="a build without some of the doors")
def test_notes_are_the_rows():
    said = sorted((n["priority"], n["feature"], n["description"]) for n in notes())
    assert said == sorted(row[3:] for row in rows()) and len(said) == 7
    sonames = {row[4]: row[1] for row in rows()}
    for note in notes():
        assert note.keys() == {"soname", "priority", "feature", "description"}
        assert note["priority"] in ("required", "recommended", "suggested")
        (soname,) = note["soname"]
        # What libcurl is called is found by configure.
        assert re.fullmatch(r"libcurl.*\.so\.4", soname) if sonames[note["feature"]] == "LIBCURL_SONAME" \
            else soname == sonames[note["feature"]]


@pytest.mark.skipif(not LINKED, reason="libraries are loaded on first use")
def test_no_notes_of_what_is_linked():
    assert not notes()


# ---- what a run opens

Loaded = collections.namedtuple("Loaded", "needed opened")


def loaded(trace):
    """From what the dynamic loader writes for LD_DEBUG=files: what the program needs to start, and what it opens itself.
    What these need, and what libc opens, is not counted."""
    envoi = re.escape(os.path.basename(ENVOI))
    names = r"file=(?:\S*/)?(\S+?) \[0\];  %s (?:\S*/)?" + envoi + r" \[0\]"
    stem = re.compile(r"\.so.*")
    return Loaded({stem.sub("", n) for n in re.findall(names % "needed by", trace)},
                  set(re.findall(names % "dynamically loaded by", trace)))


class Policies(dnsbed.Between):
    """A name server for which every domain is on this machine and has an MTA-STS policy, or has none."""

    def __init__(self, policy):
        super().__init__()
        self.policy = policy

    def _answer(self, question, tcp):
        name, kind, end = dnsbed.question_of(question)
        text = b"v=STSv1; id=1;"
        data = {"A": bytes([127, 0, 0, 1]), "TXT": bytes([len(text)]) + text if self.policy else None}.get(kind)
        answer = dnsbed.reply(question, dnsbed.NOERROR)
        if not data:
            return answer
        record = struct.pack("!HHHIH", 0xc00c, dnsbed.TYPES[kind], 1, 60, len(data)) + data
        return answer[:6] + struct.pack("!H", 1) + answer[8:] + record


class World:
    """What the runs below need: servers, files, an environment."""

    def __init__(self, tmp_path, certs, sink):
        self.tmp_path, self.certs, self.sink = tmp_path, certs, sink

    def run(self, *arguments, stdin=b"", **env):
        """Several processes would write into one file each: the loader adds the process's id to the name."""
        trace = self.tmp_path / "trace"
        done = subprocess.run([ENVOI, *map(str, arguments)], input=stdin, capture_output=True, timeout=60,
                              env=environment(LD_DEBUG="files", LD_DEBUG_OUTPUT=str(trace), **env))
        return done.returncode, "".join(p.read_text(errors="replace") for p in self.tmp_path.glob("trace.*"))

    def send(self, *options, recipient="b@example.org", server=None, **way):
        with FaultServer(**(server or {})) as s:
            return self.run(*to_port(s.port, **way), *options, "-f", SENDER, recipient, stdin=message()[1])

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certs.cert(), self.certs.key())
        return context

    def send_tls(self, way, **login):
        server = dict(tls=self.context(), implicit=way == "implicit", auth=bool(login))
        return self.send(server=server, tls=way, ca=self.certs.ca, **login)

    def send_by_scram(self):
        server = self.sink("--auth", "me:secret", "--discard")
        return self.run(*to_port(server.ports[0], host="127.0.0.1", auth="SCRAM-SHA-256", user="me", password="secret"),
                        "-f", SENDER, "b@example.org", stdin=message()[1])

    def mx(self, policy):
        with Policies(policy) as names:
            return self.run("mx", f"--dns-server={names.server}", "--dnssec=off", "--deadline=20", "somewhere.test")

    def serve(self, *options):
        trace = self.tmp_path / "trace"
        os.environ.update(LD_DEBUG="files", LD_DEBUG_OUTPUT=str(trace))
        try:
            server = self.sink(*options)
        finally:
            del os.environ["LD_DEBUG"], os.environ["LD_DEBUG_OUTPUT"]
        return 0, (self.tmp_path / f"trace.{server.process.pid}").read_text()

    def person(self):
        server, trace = self.sink("--discard"), self.tmp_path / "trace"
        p = Person(f"127.0.0.1:{server.ports[0]}", LD_DEBUG="files", LD_DEBUG_OUTPUT=str(trace),
                   XDG_STATE_HOME=str(self.tmp_path / "state"))
        p.read(rb"S: 220 ")
        p.type(".quit\r", rb"")
        return p.end(), (self.tmp_path / f"trace.{p.pid}").read_text()


# name: exit status, the features whose libraries are opened, the run
RUNS = {
    "help": (0, "", lambda w: w.run("--help")),
    "version": (0, "", lambda w: w.run("--version")),
    "completions": (0, "", lambda w: w.run("completions", "bash")),
    "explain": (0, "", lambda w: w.run("explain", "550 5.1.1 no such user")),
    "pretend": (0, "", lambda w: w.run("send", "--pretend", "--host=mail.example", "--tls=on", "--auth=on",
                                         "--user=me", "b@example.org")),
    "plain": (0, "", lambda w: w.send()),
    "plain, verbose, JSON": (0, "", lambda w: w.send("-v", "--json")),
    "plain, login in clear": (0, "", lambda w: w.send(server=dict(auth=True), auth="plain", user="me", password="secret")),
    "starttls": (0, "tls", lambda w: w.send_tls("starttls")),
    "implicit": (0, "tls", lambda w: w.send_tls("implicit")),
    "starttls, login": (0, "tls", lambda w: w.send_tls("starttls", auth="plain", user="me", password="secret")),
    "SCRAM": (0, "sasl", World.send_by_scram),
    "an international domain": (0, "idn", lambda w: w.send(recipient="b@b\u00fccher.example")),
    "the keyring": (77, "keyring", lambda w: w.run("password", "--show-presence", "--host=mail.example", "--user=me",
                                                   DBUS_SESSION_BUS_ADDRESS=f"unix:path={w.tmp_path}/nobody")),
    "exchangers of a domain": (1, "dns", lambda w: w.mx(policy=False)),
    "exchangers, a policy": (1, "dns mta-sts", lambda w: w.mx(policy=True)),
    "a sink, which offers STARTTLS": (0, "tls", lambda w: w.serve("--discard")),
    "talk, a script": (0, "", lambda w: w.run("talk", f"127.0.0.1:{w.sink('--discard').ports[0]}", stdin=b"C: QUIT\n")),
    "talk, a person": (0, "editing", World.person),
}


@pytest.mark.skipif(not COMPLETE, reason="a build without some of the libraries")
@pytest.mark.parametrize("name", RUNS)
def test_a_run_opens_what_it_needs(tmp_path, certs, sink, name):  # noqa: F811
    status, features, run = RUNS[name]
    got, trace = run(World(tmp_path, certs, sink))
    assert got == status
    if LINKED:
        return
    needed, opened = loaded(trace)
    assert "libc" in needed and needed <= LIBC
    soname = {note["feature"]: note["soname"][0] for note in notes()}
    assert opened == {soname[feature] for feature in features.split()}
