"""What `envoi diagnose` says in a bed where one thing is wrong, or nothing: the shape of a case, how it is set up.

Most of the time of a diagnosis is waiting: cases go on beside each other, each in a bed of its own."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import queue
import threading

import client
import misserver
import netbed

HOST, CONTROL_HOST = "smtp.mail.example", "control.mail.example"
SURE = "a.root-servers.net"  # what envoi looks up when nothing else is found
SERVERS = {25: "starttls no-auth", 465: "implicit", 587: "starttls", 2525: "starttls", 443: "https"}
NAMES = {**netbed.mail_host(HOST), **netbed.mail_host(CONTROL_HOST, netbed.CONTROL), (SURE, "A"): ["198.41.0.4"]}

# The bounds of the design: the whole ends within 12 s, and within 1 s when all answers come at once. On a machine with
# other things to do, as where tests go on beside each other, the second can only tell waiting from not waiting.
WORST, AT_ONCE = 12, 2
BEDS = 10


@dataclasses.dataclass
class Case:
    """name: what is wrong, or that nothing is. truth: the word that would be right. do: what is done to the bed,
    functions of the bed, or of the bed and the certificates.

    says: the word that envoi has to make do with where it cannot know better from one place, and why: (word, reason).
    names: what the cause, the remedy, the evidence or the lines for the configuration hold, each a text or a choice of
    texts; never: what they do not. port: the one of the way that works; None: none does. at_once: nothing is waited
    for.

    The client logs in (user), and trusts the CA, unless args say otherwise."""

    name: str
    truth: str
    do: object = ()
    target: str = f"{HOST}:587"
    says: tuple = None
    names: tuple = ()
    never: tuple = ()
    port: int = None
    at_once: bool = False
    args: tuple = ()
    servers: dict = dataclasses.field(default_factory=lambda: SERVERS)
    records: dict = dataclasses.field(default_factory=lambda: NAMES)
    env: dict = dataclasses.field(default_factory=dict)
    user: bool = True

    @property
    def word(self):
        return self.says[0] if self.says else self.truth


@dataclasses.dataclass
class Diagnosis:
    status: int
    report: dict

    @property
    def verdict(self):
        return self.report["verdict"]

    def words(self):
        v = self.verdict
        return "\n".join([v.get("cause") or "", v.get("remedy") or "", *v["evidence"], *v["config"]])

    def __str__(self):
        v = self.verdict
        head = f"{v['word']} (exit {self.status}, {self.report['seconds']:.2f} s, way {v.get('way')})"
        return "\n  ".join([head, v.get("cause") or "", v.get("remedy") or "", *v["config"], *v["evidence"]])


def set_up(bed, s, certs, stack):
    """The servers end with the stack."""
    bed.serve_names(s.records)
    if s.servers:
        stack.enter_context(misserver.MisServer(bed.listen, certs, s.servers, name=HOST))
    for step in s.do if isinstance(s.do, tuple) else (s.do,):
        made = step(bed, certs) if step.__code__.co_argcount == 2 else step(bed)
        if hasattr(made, "__exit__"):
            stack.enter_context(made)


def diagnose(bed, s, certs):
    args = [a.replace("{pinned}", certs.fingerprint(f"self-signed.{HOST}")) for a in s.args]
    with contextlib.ExitStack() as stack:
        set_up(bed, s, certs, stack)
        trust = [] if any("certcheck" in a or "fingerprint" in a for a in args) else [f"--tls-trust-file={certs.ca}"]
        user = ["--user=u"] if s.user else []
        done = bed.run("client", [client.ENVOI, "diagnose", "--json", *trust, *user, *args, s.target],
                       env=client.environment(**s.env))
    try:
        return Diagnosis(done.returncode, json.loads(done.stdout))
    except json.JSONDecodeError:
        raise AssertionError(f"no report, exit {done.returncode}: {done.stdout}{done.stderr}") from None


class Beds:
    """As many as there are threads, and the diagnoses made in them. A bed is used again."""

    def __init__(self, certs, n=BEDS):
        with netbed.Bed():  # or NotHere
            pass
        self.certs, self.free, self.here, self.lock = certs, queue.SimpleQueue(), [], threading.Lock()
        misserver.context(certs, HOST, "self-signed")  # whose fingerprint is asked for
        self.pool = concurrent.futures.ThreadPoolExecutor(n)
        self.results = {}

    def start(self, cases):
        self.results = {s.name: self.pool.submit(self._run, s) for s in cases}

    def _bed(self):
        try:
            bed = self.free.get_nowait()
            bed.reset()
        except queue.Empty:
            bed = netbed.Bed().__enter__()
            with self.lock:
                self.here.append(bed)
        return bed

    def _run(self, s):
        bed = self._bed()
        try:
            return diagnose(bed, s, self.certs)
        finally:
            self.free.put(bed)

    def stop(self):
        self.pool.shutdown(cancel_futures=True)
        for bed in self.here:
            bed.__exit__()


def confusion(outcomes):
    """Markdown: what is so against what is said, of (truth, word, name)."""
    cells = collections.Counter((truth, word) for truth, word, _ in outcomes)
    lines = ["| what is so | what is said | times |", "|---|---|---:|"]
    for truth, word in sorted(cells, key=lambda cell: (cell[0], cell[0] != cell[1], cell[1])):
        lines.append(f"| {truth} | {word if truth == word else f'**{word}**'} | {cells[truth, word]} |")
    right = sum(n for (truth, word), n in cells.items() if truth == word)
    return [*lines, "", f"{right} of {cells.total()} are called by their name."]
