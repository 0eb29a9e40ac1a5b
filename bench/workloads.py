"""What is measured: a function for each workload, and the table of them. A workload asks the Bench for receivers, messages and
comparisons, and names its targets; how a program is started and a table written is known elsewhere."""

import dataclasses
import os
import pathlib

import longline
import measure
import peers
import receivers
from measure import median, progress, ratio
from peers import ENVOI, SENDER, Command
from results import Results, spread

NOTHING = pathlib.Path(os.devnull)
MODES = {"plain": "in clear", "starttls": "STARTTLS and AUTH", "implicit": "implicit TLS and AUTH"}


class Compared:
    """What a comparison found: rows as measure has them, and who competes."""

    def __init__(self, results, rows, rivals):
        self.results, self.rows = results, rows
        self.best = min((n for n in rows if n in rivals), key=lambda n: median(rows, n), default=None)

    def target(self, what, limit, of=None, ours="envoi", column=0, at_least=False):
        """Of a ratio to the best rival, or to `of`; at_least: of what each does in a second."""
        of = of or self.best
        if of in self.rows and ours in self.rows:
            quarts = ratio(self.rows, of, ours) if at_least else ratio(self.rows, ours, of, column)
            self.results.target(f"{what}, of {of}'s", limit, quarts, at_least)


class Bench:
    """One run: where files go, who takes part, who receives, what was found."""

    def __init__(self, options, work):
        self.options, self.work, self.rounds, self.results = options, work, options.rounds, Results()
        self.deadline = 0  # of the workload; past it come no more rounds than have to
        self.certs = receivers.make_bundle(work)
        self.line = longline.LongLine() if peers.in_namespace() else None
        self.sink = receivers.Sink(self.certs, is_far=self.line is not None)
        self.postfix, self.open = None, [self.sink]
        self.unsafe = {}  # {name: what of a certificate it does not check}

    def start(self):
        """What may fail without ending the run."""
        try:
            self.postfix = receivers.Postfix(self.certs, self.work)
            self.open.append(self.postfix)
        except (receivers.real.NotHere, RuntimeError, OSError) as why:
            progress(f"no Postfix: {why}")
        self.unsafe = self._unsafe()

    def close(self):
        for receiver in self.open:
            receiver.close()

    def quick(self, usual, short):
        return short if self.options.quick else usual

    def commands(self, target, message, among=None):
        """{name: Command} of the programs that can do this; each has a folder of its own for its files."""
        made = {}
        for peer in peers.available(self.options.only):
            if among and peer.name not in among:
                continue
            folder = self.work / f"{peer.name.replace(' ', '-')}-{target.mode}-{target.port}"
            folder.mkdir(exist_ok=True)
            command = peer.command(target, message, folder)
            if command:
                made[peer.name] = command
        return made

    def message(self, size):
        """Lines of 76 octets, LF, as most pipes deliver them."""
        path = self.work / f"message-{size}"
        if path.exists():
            return path
        line = b"MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\n"
        block = line * (1 << 14)
        with open(path, "wb") as f:
            f.write(b"Subject: bench\nFrom: a@example.org\nTo: b@example.org\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n"
                    b"Message-ID: <bench@example.org>\n\n")
            while f.tell() < size:
                f.write(block[:max(len(line), min(len(block), size - f.tell()))])
        return path

    def _unsafe(self):
        """Each is shown a certificate that nobody signed, and one of another name. Who delivers does not compete where that counts."""
        found = {}
        for cert, what in ((None, "accepts any certificate"), ("othername", "accepts any name")):
            sink = receivers.Sink(self.certs, cert)
            try:
                accepted, _ = measure.each(self.commands(sink.target("starttls"), self.message(2048)), measure.once)
            finally:
                sink.close()
            for name in accepted:
                found.setdefault(name, what)
        return found

    def compare(self, title, commands, rounds=None, tls=False, columns=(), turns=measure.in_turns, first=None, notes=()):
        """Times them and writes the table. columns: (heading, {name: cell}, or a function of name and rows); first: already run once."""
        found, failed = first or measure.each(commands, measure.once)  # which also warms the caches
        rows, wrong = turns({name: commands[name] for name in found}, rounds or self.rounds, self.deadline)
        failed = {**failed, **wrong}
        if "envoi" in failed:
            raise measure.Failed(f"{title}: envoi: {failed['envoi']}")
        cells = []
        for name in sorted(rows, key=lambda n: median(rows, n)):
            beside = ["", ""] if name == "envoi" else [spread(ratio(rows, "envoi", name)), spread(ratio(rows, "envoi", name, 1))]
            more = [column(name, rows) if callable(column) else column.get(name, "") for _, column in columns]
            unsafe = f" ({self.unsafe[name]})" if tls and name in self.unsafe else ""
            cells.append([name + unsafe, f"{median(rows, name) * 1e3:.2f}", f"{median(rows, name, 1) * 1e3:.1f}", *beside, *more])
        heads = ["wall ms", "CPU ms", "envoi / it: wall", "envoi / it: CPU", *(head for head, _ in columns)]
        notes = [*notes, *(f"{name} failed: `{why}`" for name, why in failed.items())]
        self.results.table(f"{title}; medians of {len(rows['envoi'])}", heads, cells, *notes)
        return Compared(self.results, rows, [n for n in rows if n not in peers.OURS and not (tls and n in self.unsafe)])


# ---- one small message

WALL = {"envoi": {"plain": 0.6, "starttls": 0.2}, "envoi, session resumed": {"starttls": 0.15}}  # {who of ours: {mode: of the best peer's time}}


def small(b):
    """one message of 2 KiB in clear, by STARTTLS, by implicit TLS: wall, CPU, memory, instructions"""
    message = b.message(2048)
    for receiver in filter(None, (b.sink, b.postfix)):
        for mode, words in MODES.items():
            commands = b.commands(receiver.target(mode), message)
            columns = costs(b, commands, mode) if receiver is b.sink else ()
            what = f"2 KiB to {receiver.name}, {words}"
            compared = b.compare(what, commands, tls=mode != "plain", columns=columns)
            for ours, limits in WALL.items():
                if mode in limits:
                    compared.target(f"{what}: wall{'' if ours == 'envoi' else ' of ' + ours}", limits[mode], ours=ours)
            compared.target(f"{what}: CPU", 0.25, of="msmtp", column=1)


def costs(b, commands, mode):
    """Columns of what is measured once: who cannot be measured has an empty cell."""
    peaks, _ = measure.each(commands, measure.peak)
    counted, _ = measure.each(commands, measure.instructions)
    counted = {name: both for name, both in counted.items() if both}
    if mode == "plain" and "envoi" in counted:
        b.results.count("2 KiB in clear: instructions beyond the dynamic loader's", 600_000, counted["envoi"][0] - counted["envoi"][1])
    return [("peak MiB", {name: f"{kib / 1024:.1f}" for name, kib in peaks.items()}),
            ("million instructions", {name: f"{total / 1e6:.1f}" for name, (total, _) in counted.items()}),
            ("beyond the loader's", {name: f"{(total - loader) / 1e6:.2f}" for name, (total, loader) in counted.items()})]


# ---- a long line

@dataclasses.dataclass
class Line:
    rtt: float
    receiver: str            # member of Bench
    fast_open: bool = False  # the server's system takes TCP Fast Open
    counts: bool = False     # round trips, too
    targets: bool = False

    @property
    def words(self):
        return f"{self.rtt * 1e3:.0f} ms line" + (", server with TCP Fast Open" if self.fast_open else "")


LINES = [
    Line(0.02, "sink"),
    Line(0.05, "sink"),
    Line(0.2, "sink", counts=True, targets=True),
    Line(0.2, "sink", counts=True, targets=True, fast_open=True),
    Line(0.2, "postfix", counts=True),
]
QUICK_LINES = [Line(0.05, "sink", counts=True)]
FLOOR = {"plain": 4, "starttls": 8, "implicit": 6}  # bench/README.md derives it; with Fast Open one less where the server speaks first


def rtt(b):
    """the same over lines of 20, 50 and 200 ms: wall and round trips"""
    if not b.line:
        return b.results.say("", "The long lines need a network namespace: only for root.")
    for line in b.quick(LINES, QUICK_LINES):
        receiver = getattr(b, line.receiver)
        if receiver:
            b.line.fast_open(line.fast_open)
            for mode, words in MODES.items():
                over_line(b, line, receiver, mode, f"{line.words}, {words}, to {receiver.name}")
    b.line.fast_open(False)


def over_line(b, line, receiver, mode, title):
    commands = b.commands(receivers.at_the_far_end(receiver, mode), b.message(2048))

    def counted(command):
        measure.once(command)
        return b.line.last.round_trips

    b.line.rtt = min(line.rtt, 0.1)  # they are as many
    if line.fast_open:
        measure.each({name: commands[name] for name in peers.OURS if name in commands}, measure.once)  # its answer brings the cookie
    first = measure.each(commands, counted) if line.counts else None
    b.line.rtt = line.rtt
    columns = [("round trips", first[0]), ("wall / RTT", lambda name, rows: f"{median(rows, name) / line.rtt:.1f}")] if first else []
    compared = b.compare(title, commands, columns=columns, turns=measure.staggered, first=first)
    if line.counts and receiver is b.sink:
        b.results.count(f"{title}: round trips", FLOOR[mode] - (line.fast_open and mode != "implicit"), first[0]["envoi"])
    if line.targets:
        compared.target(f"{title}: wall", 0.7)


# ---- much

FAST = ("envoi", "curl", "smtp-source", "esmtp", "nullmailer")  # others need half a minute for 1 GiB, or more
SLOW = ("envoi", *(p.name for p in peers.PEERS if p.name not in FAST and not p.ours))

BULK_NOTES = ["smtp-source makes its message itself; nullmailer's program reads a queue file."]


def bulk(b):
    """1 GiB from standard input, in clear and over TLS; 64 MiB for the slow"""
    for mode, least in (("plain", 1.4), ("implicit", 1.6)):
        target = b.sink.target(mode)
        for who, mib, rounds in ((FAST, b.quick(1024, 64), b.rounds), (SLOW, b.quick(64, 8), 3)):
            message = b.message(mib << 20)
            per_second = ("MB / s", lambda name, rows: f"{message.stat().st_size / 1e6 / median(rows, name):,.0f}")
            title = f"{mib:,} MiB from standard input, {MODES[mode]}"
            notes = BULK_NOTES if who is FAST else ()
            compared = b.compare(title, b.commands(target, message, who), rounds, mode != "plain", [per_second], notes=notes)
            if who is FAST:
                compared.target(f"{title}: throughput", least, at_least=True)
    for queued in b.work.glob("*/*.queued"):
        queued.unlink()


def recipients(b):
    """one message to 1,000; the slow, of which one needs ten seconds, less often"""
    target = b.sink.target("plain", tuple(f"r{i}@example.org" for i in range(1000)))
    for who, rounds in ((FAST, 3 * b.rounds), (SLOW, 3)):
        compared = b.compare("1,000 recipients in one message", b.commands(target, b.message(2048), who), rounds)
        if who is FAST:
            compared.target("1,000 recipients: wall", 0.6)


def many(b):
    """2,000 messages on 4 connections, beside smtp-source with 4 sessions"""
    n = b.quick(2000, 200)
    mbox = b.work / "batch.mbox"
    mbox.write_text(f"From {SENDER} Sat Nov 21 12:00:00 2026\n{b.message(2048).read_text()}\n" * n)
    rc = peers.private(b.work / "batchrc", peers.rc_lines(b.sink.target("plain")))
    commands = {"envoi": Command([ENVOI, "send", f"--file={rc}", f"--batch={mbox}", "--connections=4", "b@example.org"], NOTHING), **sources(b, n, 4)}
    compared = b.compare(f"{n:,} messages on 4 connections", commands, columns=[rate(n)])
    for peer in sources(b, n, 4):
        compared.target(f"{n:,} messages on 4 connections: wall", 1, of=peer)


def load(b):
    """2,000 messages, each on a connection of its own, 20 at once: `envoi probe` beside smtp-source"""
    n = b.quick(2000, 200)
    argv = [ENVOI, "probe", f"--server=127.0.0.1:{b.sink.plain}", f"--from={SENDER}", "--to=b@example.org", f"--data=@{b.message(2048)}",
            f"--repeat={n}", "--parallel=20"]
    source = {name: command for name, command in sources(b, n, 20).items() if "-d" not in command.argv}
    b.compare(f"{n:,} messages and connections, 20 at once", {"envoi": Command(argv, NOTHING), **source}, columns=[rate(n)])


def sources(b, n, at_once):
    if not peers.found("smtp-source"):
        return {}
    argv = ["smtp-source", "-s", str(at_once), "-m", str(n), "-l", str(b.message(2048).stat().st_size), "-f", SENDER, "-t", "b@example.org"]
    to = f"inet:127.0.0.1:{b.sink.plain}"
    return {"smtp-source": Command([*argv, to], NOTHING), "smtp-source -d (keeps its connections)": Command([*argv, "-d", to], NOTHING)}


def rate(n):
    return "messages / s", lambda name, rows: f"{n / median(rows, name):,.0f}"


# ---- the program itself

def startup(b):
    """programs that tell their version and end"""
    tells = ("envoi", "msmtp", "curl", "s-nail", "swaks")
    b.compare("starting, telling the version, ending",
              {p.name: Command([p.program, "--version"], NOTHING) for p in peers.available(b.options.only) if p.name in tells})


def memory(b):
    """peak memory of 1 KiB and of 1 GiB"""
    cells, much = [], b.quick(1024, 64)
    for mode in ("plain", "implicit"):
        found = [measure.each(b.commands(b.sink.target(mode), b.message(size), ("envoi", "curl", "esmtp", "nullmailer")), measure.peak)[0] for size in (1 << 10, much << 20)]
        cells += [[f"{name}, {MODES[mode]}", *(f"{f[name]:,}" for f in found), f"{found[1][name] - found[0][name]:,}"]
                  for name in found[0] if name in found[1]]
    b.results.table("peak memory in KiB", ["1 KiB", f"{much:,} MiB", "difference"], cells)


def probe(b):
    """`envoi probe` beside swaks, the same options"""
    args = ["--server", f"127.0.0.1:{b.sink.plain}", "--from", SENDER, "--to", "b@example.org"]
    commands = {"envoi": Command([ENVOI, "probe", *args], NOTHING)}
    if peers.found("swaks"):
        commands["swaks"] = Command(["swaks", *args], NOTHING)
    b.compare("envoi probe and swaks, the same options", commands)


@dataclasses.dataclass
class Workload:
    run: callable
    seconds: int  # after which its comparisons make only three rounds

    @property
    def name(self):
        return self.run.__name__


WORKLOADS = [
    Workload(small, 300),
    Workload(rtt, 600),
    Workload(bulk, 400),
    Workload(recipients, 60),
    Workload(many, 60),
    Workload(load, 60),
    Workload(startup, 15),
    Workload(memory, 30),
    Workload(probe, 15),
]
