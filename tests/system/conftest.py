"""Fixtures: certificates, the real servers, and envoi itself (the binary that $ENVOI names)."""

import os
import pathlib
import signal
import tempfile

import pytest

import certs as certificates
import netbed
import servers as real

# A sanitized envoi: LeakSanitizer's walk of thread-local storage crashes now and then where a library was loaded late.
SUPPRESSIONS = pathlib.Path(__file__).parents[1] / "lsan.supp"
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={SUPPRESSIONS}:use_tls=0:print_suppressions=0")

# A shell has SIGINT ignored in what it runs in the background, and whatever is started there inherits that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A file's tests run one after the other, several files at a time: those that take longest begin first.
LONGEST = ["test_probe_lines.py", "test_repair.py", "test_sink_faults.py", "test_real_servers.py", "test_dns.py", "test_netbed.py",
           "test_diagnose.py", "test_direct_sts.py", "test_batch.py", "test_probe.py", "test_talk.py"]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def run_dir():
    """Makes folders that daemons may enter under whatever user they run. All are removed at the end."""
    made = []

    def make(name):
        path = pathlib.Path(tempfile.mkdtemp(prefix=f"envoi-{name}-"))
        path.chmod(0o755)
        made.append(path)
        return path

    yield make
    for path in made:
        real.remove(path)


@pytest.fixture(scope="session")
def certs(run_dir):
    return certificates.Certs(run_dir("certs"))


def running(start, *args):
    """Starts a server for the session; a machine that cannot run it skips the tests with the reason."""
    try:
        server = start(*args)
    except real.NotHere as why:
        pytest.skip(f"{start.__name__}: {why}")
    yield server
    for one in server if isinstance(server, tuple) else (server,):
        real.stop(one)


@pytest.fixture(scope="session")
def aiosmtpd(run_dir, certs):
    yield from running(real.aiosmtpd, run_dir("aiosmtpd"), certs)


@pytest.fixture(scope="session")
def opensmtpd(run_dir, certs):
    yield from running(real.opensmtpd, run_dir("opensmtpd"), certs)


@pytest.fixture(scope="session")
def dovecot(run_dir, certs, aiosmtpd):
    yield from running(real.dovecot, run_dir("dovecot"), certs, aiosmtpd.plain, aiosmtpd.maildir)


@pytest.fixture(scope="session")
def dovecot_submission(dovecot):
    return dovecot[0]


@pytest.fixture(scope="session")
def dovecot_lmtp(dovecot):
    return dovecot[1]


@pytest.fixture(scope="session")
def postfix(run_dir, certs, dovecot_submission):
    yield from running(real.postfix, run_dir("postfix"), certs, dovecot_submission.extra["auth_socket"],
                       real.MECHANISMS + real.OAUTH_MECHANISMS)


@pytest.fixture
def smtp_sink(run_dir, certs):
    """Starts Postfix's smtp-sink with the options given."""
    started = []

    def start(*options):
        try:
            started.append(real.smtp_sink(run_dir("smtp-sink"), certs, *options))
        except real.NotHere as why:
            pytest.skip(f"smtp-sink: {why}")
        return started[-1]

    yield start
    for server in started:
        real.stop(server)


@pytest.fixture(scope="module")
def networks():
    """The bed of network namespaces of netbed.py, one for a file of tests; each test begins with reset()."""
    try:
        with netbed.Bed() as bed:
            yield bed
    except netbed.NotHere as why:
        pytest.skip(f"no bed of network namespaces: {why}")


@pytest.fixture(scope="module")
def whole_bed(run_dir, certs):
    """The bed of mail exchangers of mxbed.py, one for a file of tests, with the names of mxbed_zones.py."""
    import mxbed
    import mxbed_zones
    try:
        with mxbed.MxBed(run_dir("mxbed"), certs, mxbed_zones.zones, mxbed_zones.served()) as bed:
            yield bed
    except (netbed.NotHere, real.NotHere) as why:
        pytest.skip(f"no bed of mail exchangers: {why}")


@pytest.fixture
def exchangers(whole_bed):
    """The same, fresh for each test."""
    whole_bed.fresh()
    return whole_bed


def pytest_terminal_summary(terminalreporter):
    """What test_diagnose.py found, wherever its tests ran."""
    import diagnosing
    reports = (r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, []))
    outcomes = [value for r in reports for name, value in r.user_properties if name == "diagnosis"]
    if outcomes:
        terminalreporter.section("what is so, and what envoi diagnose says")
        for line in diagnosing.confusion(outcomes):
            terminalreporter.write_line(line)
