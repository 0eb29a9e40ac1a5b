"""Lookups against a signed root and zones of our own (dnsbed.py): what net/dns and send/mx make of each kind of answer, asked by
tests/system/dns_probe.c. Which hosts are then tried, and how, is not theirs."""

import collections
import json
import os
import subprocess
import time

import pytest

from dnsbed import Between, DnsBed, NotHere, tlsa

PROBE = os.environ.get("DNS_PROBE", os.path.join(os.path.dirname(os.environ.get("ENVOI", "")), "tests/system/dns_probe"))

pytestmark = pytest.mark.skipif(not os.access(PROBE, os.X_OK), reason=f"no dns_probe: {PROBE}")

EVERY_TYPE = """
@ MX 10 mx
mx A 192.0.2.1
mx AAAA 2001:db8::1
www CNAME mx
@ TXT "v=spf1 " "-all"
_submission._tcp SRV 1 2 587 mx
_25._tcp.mx TLSA 3 1 1 00112233
"""
OF_TYPE = [
    ("", "MX", {"text": "mx.{zone}", "preference": 10}),
    ("mx.", "A", {"text": "192.0.2.1"}),
    ("mx.", "AAAA", {"text": "2001:db8::1"}),
    ("www.", "CNAME", {"text": "mx.{zone}"}),
    ("", "TXT", {"text": "v=spf1 -all"}),
    ("_submission._tcp.", "SRV", {"text": "mx.{zone}", "preference": 1, "weight": 2, "port": 587}),
    ("_25._tcp.mx.", "TLSA", {"usage": 3, "selector": 1, "matching": 1, "association": "00112233"}),
]

MANY = "\n".join(f"@ MX {i % 7} host-with-a-rather-long-name-{i}" for i in range(60))
TOO_MANY = "\n".join(f"@ MX {i} mx{i}" for i in range(100))
BIG = "\n".join(f'@ TXT "{i:03} {"x" * 240}"' for i in range(240))

ZONES = {
    "secure.test": EVERY_TYPE,
    "plain.test": ("unsigned", EVERY_TYPE),
    "island.test": ("island", EVERY_TYPE),
    "bogus.test": ("bogus", EVERY_TYPE),
    "bogus-tlsa.test": ("bogus:TLSA", EVERY_TYPE),
    "expired.test": ("expired", EVERY_TYPE),
    "wrong-ds.test": ("wrong-ds", EVERY_TYPE),
    "broken.test": ("broken", ""),
    "2.0.192.in-addr.arpa": "1 PTR mx.secure.test.",
    "8.b.d.0.1.0.0.2.ip6.arpa": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mx.secure.test.",
    "0.0.127.in-addr.arpa": "2 PTR mx.secure.test.",
    "mail.test": "\n".join([
        "orders MX 30 c", "orders MX 10 a", "orders MX 20 b",
        "equal MX 10 a", "equal MX 5 first", "equal MX 10 b", "equal MX 10 c",
        "none A 192.0.2.1", "null MX 0 .", "nearly-null MX 0 .", "nearly-null MX 10 a",
        "alias CNAME orders", "to-alias MX 10 www", "www CNAME a", "alias-of-nothing CNAME nowhere",
        "literal MX 10 192.0.2.1.", "literal MX 20 a", "literal-alone MX 10 192.0.2.1.", "odd MX 10 a\\032b", "odd MX 20 c",
        "localhost MX 10 localhost.", "localhost MX 20 a", "dangling MX 10 nowhere", "dangling MX 20 a",
        "loop CNAME pool", "pool CNAME loop", "self CNAME self", "a A 192.0.2.1", "*.wild TXT wildcard"]),
    "out.test": "alias CNAME mx.plain.test.\nback CNAME mx.secure.test.",
    "xn--strae-oqa.test": "@ MX 10 mx",  # straße
    "many.test": MANY,
    "too-many.test": TOO_MANY,
    "big.test": BIG,
}
CHAIN = "\n".join(f"c{i} CNAME c{i + 1}" for i in range(8)) + "\nc8 A 192.0.2.1\n" + "\n".join(
    f"d{i} CNAME d{i + 1}" for i in range(40)) + "\nd40 A 192.0.2.1"
ZONES["chain.test"] = CHAIN


@pytest.fixture(scope="module")
def bed():
    try:
        with DnsBed(ZONES) as made:
            yield made
    except NotHere as why:
        pytest.skip(f"no DNS of our own: {why}")


def probe(what, server, anchor, words, milliseconds=10000):
    done = subprocess.run([PROBE, what, str(milliseconds), server, str(anchor), *words], capture_output=True, text=True,
                          timeout=milliseconds / 1000 + 20)
    assert done.returncode in (0, 1) and not done.stderr, done
    return json.loads(done.stdout)


def ask(bed, *words, server=None, anchor=None, milliseconds=10000):
    """Answers to NAME TYPE…; of one question the answer."""
    answers = probe("ask", server or bed.server, anchor or bed.anchor, words, milliseconds)
    return answers[0] if len(words) == 2 and isinstance(answers, list) else answers


def mx(bed, *domains, server=None, anchor=None, milliseconds=10000):
    lists = probe("mx", server or bed.server, anchor or bed.anchor, domains, milliseconds)
    return lists[0] if len(domains) == 1 and isinstance(lists, list) else lists


# what an answer is

@pytest.mark.parametrize("zone, secure", [("secure.test", True), ("plain.test", False), ("island.test", False)])
@pytest.mark.parametrize("name, kind, values", OF_TYPE, ids=[row[1] for row in OF_TYPE])
def test_every_type(bed, zone, secure, name, kind, values):
    answer = ask(bed, name + zone, kind)
    assert (answer["status"], answer["secure"], len(answer["records"])) == ("found", secure, 1), answer
    assert answer["name"] == name + zone and answer["why"] is None and 0 < answer["ttl"] <= 300
    for key, value in values.items():
        assert answer["records"][0][key] == (value.format(zone=zone) if isinstance(value, str) else value)


@pytest.mark.parametrize("name", ["1.2.0.192.in-addr.arpa", "2.0.0.127.in-addr.arpa",
                                  "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"])
def test_the_name_of_an_address(bed, name):
    answer = ask(bed, name, "PTR")
    assert answer["status"] == "found" and answer["records"][0]["text"] == "mx.secure.test"


@pytest.mark.parametrize("name, kind, status, secure", [
    ("mx.secure.test", "TLSA", "no data", True), ("nowhere.secure.test", "A", "no name", True), ("nowhere.test", "MX", "no name", True),
    ("nowhere", "A", "no name", True), ("mx.plain.test", "TLSA", "no data", False), ("nowhere.plain.test", "A", "no name", False),
    ("secure.test.", "MX", "found", True), ("SECURE.test", "MX", "found", True), ("anything.wild.mail.test", "TXT", "found", True),
    ("alias-of-nothing.mail.test", "A", "no name", True), ("back.out.test", "A", "found", True), ("alias.out.test", "A", "found", False),
    ("no..name", "A", "no name", False), ("x" * 64 + ".test", "A", "no name", False), ("y." * 140 + "test", "A", "no name", False),
    ("broken.test", "MX", "failed", False),
])
def test_absent_and_secure(bed, name, kind, status, secure):
    answer = ask(bed, name, kind)
    assert (answer["status"], answer["secure"]) == (status, secure), answer


@pytest.mark.parametrize("zone, why", [("bogus.test", "verification failed"), ("expired.test", "expired"),
                                       ("wrong-ds.test", "no keys have a DS")])
@pytest.mark.parametrize("kind", ["MX", "A", "TLSA"])
def test_bogus(bed, zone, why, kind):
    """Also what such a zone does not have: that may be a lie."""
    answer = ask(bed, zone, kind)
    assert (answer["status"], answer["secure"], answer["records"]) == ("bogus", False, [])
    assert why in answer["why"] and "signing the zone" in answer["hint"]


def test_only_some_signatures_are_spoilt(bed):
    mx_, tlsa_, none = ask(bed, "bogus-tlsa.test", "MX", "_25._tcp.mx.bogus-tlsa.test", "TLSA", "mx.bogus-tlsa.test", "TLSA")
    assert [a["status"] for a in (mx_, tlsa_, none)] == ["found", "bogus", "no data"]
    assert mx_["secure"] and none["secure"]


def test_without_validation_nothing_is_secure_and_nothing_bogus(bed):
    for zone in ("secure.test", "plain.test", "bogus.test", "expired.test", "wrong-ds.test"):
        answer = ask(bed, zone, "MX", anchor="off")
        assert (answer["status"], answer["secure"]) == ("found", False), zone


def test_a_real_certificate(bed, certs):
    """What the bed's tlsa() writes is what is read."""
    zone = "\n".join(f"_25._tcp.u{u}s{s}m{m} TLSA {tlsa(certs.cert(), u, s, m)}" for u in (2, 3) for s in (0, 1) for m in (0, 1, 2))
    with DnsBed({"tlsa.test": zone}) as other:
        for u in (2, 3):
            for s in (0, 1):
                answers = ask(other, *(w for m in (0, 1, 2) for w in (f"_25._tcp.u{u}s{s}m{m}.tlsa.test", "TLSA")))
                assert [f"{r['usage']} {r['selector']} {r['matching']} {r['association']}" for a in answers for r in a["records"]] \
                    == [tlsa(certs.cert(), u, s, m) for m in (0, 1, 2)]


# chains, loops, sizes

def test_chains_and_loops_of_aliases(bed):
    short, long_, loop, self = ask(bed, *(w for n in ("c0.chain", "d0.chain", "loop.mail", "self.mail") for w in (f"{n}.test", "A")))
    assert (short["status"], short["secure"], short["name"]) == ("found", True, "c8.chain.test")
    assert long_["status"] in ("found", "failed")  # libunbound follows a dozen
    for answer in (loop, self):
        assert answer["status"] == "failed" and "the name servers of that domain" in answer["why"], answer


def test_big_answers_come_by_tcp(bed):
    with Between(bed.server) as between:
        answer = ask(bed, "big.test", "TXT", server=between.server)
        assert answer["status"] == "found" and answer["secure"] and len(answer["records"]) == 240
        assert sum(len(r["text"]) for r in answer["records"]) == 240 * 244
        assert between.asked.count(("big.test", "TXT")) == 2  # once by UDP


@pytest.mark.parametrize("manner, status", [("truncate", "found"), ("only-truncated", "failed")])
def test_truncated(bed, manner, status):
    with Between(bed.server, manner) as between:
        assert ask(bed, "secure.test", "MX", server=between.server)["status"] == status


def test_many_questions_at_once(bed):
    words = [w for i in range(1000) for w in ([f"n{i}.secure.test", "A"] if i % 2 else [f"w{i}.wild.mail.test", "TXT"])]
    begin = time.monotonic()
    answers = ask(bed, *words)
    assert time.monotonic() - begin < 9  # none is overlooked until the deadline
    assert collections.Counter((a["status"], a["secure"]) for a in answers) == {("no name", True): 500, ("found", True): 500}


def test_more_questions_than_descriptors(bed):
    words = [w for i in range(2000) for w in (f"w{i}.wild.mail.test", "TXT")]
    done = subprocess.run(["prlimit", "--nofile=1000:1000", PROBE, "ask", "20000", bed.server, bed.anchor, *words], capture_output=True,
                          timeout=60)
    assert {(a["status"], a["secure"]) for a in json.loads(done.stdout)} == {("found", True)}


# servers that do not do their work

@pytest.mark.parametrize("manner", ["silent", "servfail", "refused", "garbage"])
def test_the_name_server_does_not_work(bed, manner):
    with Between(bed.server, manner) as between:
        begin = time.monotonic()
        answer = ask(bed, "secure.test", "MX", server=between.server, milliseconds=1500)
        assert time.monotonic() - begin < 4
        assert answer["status"] == "failed" and f"the name server at {between.server} gives no usable answer" in answer["why"]
        assert "'dns_server'" in answer["hint"]


def test_nobody_listens(bed):
    with Between() as between:
        server = between.server
    assert ask(bed, "secure.test", "MX", server=server, milliseconds=3000)["status"] == "failed"


def test_only_one_name_is_not_answered(bed):
    """Others are, at the same time; the deadline ends the one."""
    with Between(bed.server, lambda name, kind: "silent" if name.startswith("mx.secure") else "pass") as between:
        begin = time.monotonic()
        dead, alive = ask(bed, "mx.secure.test", "A", "secure.test", "MX", server=between.server, milliseconds=1000)
        assert 0.9 < time.monotonic() - begin < 3
        assert (dead["status"], alive["status"]) == ("failed", "found")
        assert "the name servers of that domain give no usable answer (not in time)" in dead["why"]


def test_a_server_is_not_given_up_for_one_domain(bed):
    """libunbound would not ask it for 15 minutes more, nor say that it did not."""
    with Between(bed.server, lambda name, kind: "silent" if name.startswith("dead") else "pass") as between:
        words = [w for i in range(200) for w in (f"{'dead' if i % 2 else 'a'}{i}.secure.test", "A")]
        answers = ask(bed, *words, server=between.server, milliseconds=5000)
        assert {a["status"] for a in answers[::2]} == {"no name"}
        # the proof that a living name is none may tell the same of a dead one (RFC 8198)
        assert {a["status"] for a in answers[1::2]} <= {"failed", "no name"}
        lists = mx(bed, "dead.mail.test", "orders.mail.test", server=between.server, milliseconds=12000)
        assert "error" in lists[0] and lists[1]["hosts"] == hosts("a", "b", "c")


@pytest.mark.parametrize("manner", ["strip", "unsigned"])
@pytest.mark.parametrize("name", ["secure.test", "plain.test", "nowhere.test"])
def test_signatures_are_removed(bed, manner, name):
    """Nothing is believed, not even that a zone has none."""
    with Between(bed.server, manner) as between:
        answer = ask(bed, name, "MX", server=between.server)
        assert (answer["status"], answer["secure"], answer["records"]) == ("bogus", False, [])
        assert answer["why"] == f"the name server at {between.server} removes DNSSEC signatures"
        assert answer["hint"] == "name another with 'dns_server', or write 'dnssec off' to go without DANE"
        if name != "nowhere.test":
            assert ask(bed, name, "MX", server=between.server, anchor="off")["status"] == "found"


def test_only_the_root_s_keys_are_refused(bed):
    with Between(bed.server, lambda name, kind: "servfail" if kind == "DNSKEY" and name == "" else "pass") as between:
        answer = ask(bed, "secure.test", "MX", server=between.server)
        assert answer["status"] in ("bogus", "failed") and f"the name server at {between.server}" in answer["why"], answer


@pytest.mark.parametrize("kinds", [("DS",), ("DNSKEY",), ("DS", "DNSKEY")])
def test_one_zone_s_keys_are_hidden(bed, kinds):
    """A zone is not insecure because its keys, or those of its parent, are kept back."""
    with Between(bed.server, lambda name, kind: "strip" if name == "secure.test" and kind in kinds else "pass") as between:
        answer = ask(bed, "secure.test", "MX", server=between.server)
        assert answer["status"] == "bogus" and "removes" not in answer["why"], answer


@pytest.mark.parametrize("server", ["127.0.0.1:{}", "[::1]:{}", "::1"])
def test_the_server_s_address(bed, server):
    """With a port, and where there is none: port 53, where nobody is."""
    with Between(bed.server, address="::1" if "::1" in server else "127.0.0.1") as between:
        answer = ask(bed, "secure.test", "MX", server=server.format(between.server.rpartition(":")[2]), milliseconds=2000)
        assert (answer["status"] == "found") == ("{}" in server)


# trust anchors

def test_the_anchor_of_another_root(bed):
    answer = ask(bed, "secure.test", "MX", anchor=bed.wrong_anchor())
    assert answer["status"] == "bogus" and answer["why"].startswith("the root's own key cannot be validated")
    assert "'dns_anchor'" in answer["hint"]


@pytest.mark.parametrize("text", [
    "", "; nothing but a comment\n", "secure.test. DS 1 13 2 " + "00" * 32 + "\n", ". DS 1 99 2 " + "00" * 32 + "\n"])
def test_an_anchor_that_is_none_is_not_taken_for_no_validation(bed, tmp_path, text):
    (tmp_path / "anchor").write_text(text)
    for zone in ("secure.test", "plain.test", "nowhere.test"):
        answer = ask(bed, zone, "MX", anchor=tmp_path / "anchor")
        assert (answer["status"], answer["secure"]) == ("failed", False)
        assert answer["why"] == "the trust anchor holds no key of the root that can be used"


def test_unreadable_anchors(bed, tmp_path):
    (tmp_path / "nonsense").write_text("this is no record\n")
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "nonsense", tmp_path / "missing", tmp_path, tmp_path / "fifo"):
        answer = ask(bed, "secure.test", "MX", anchor=path)
        assert (answer["fault"], answer["error"]) == ("config", f"cannot read a trust anchor from '{path}'")


@pytest.mark.parametrize("server", ["nobody", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:", "127.0.0.1:0", "[::1", "[::1]53", "::1]", "",
                                    "example.org:53"])
def test_no_address_of_a_server(bed, server):
    answer = probe("ask", server, bed.anchor, ["secure.test", "MX"], 2000)
    assert answer["fault"] == "config" and "is not the address of a name server" in answer["error"], answer


# who takes mail

def hosts(*names, zone="mail.test"):
    return [f"{n}.{zone}" for n in names]


@pytest.mark.parametrize("domain, names, implicit", [
    ("orders", hosts("a", "b", "c"), False),
    ("none", hosts("none"), True),
    ("nearly-null", hosts("a"), False),
    ("alias", hosts("a", "b", "c"), False),
    ("to-alias", hosts("www"), False),
    ("literal", hosts("a"), False),
    ("odd", hosts("c"), False),
    ("localhost", ["localhost", "a.mail.test"], False),
    ("dangling", hosts("nowhere", "a"), False),
])
def test_mail_exchangers(bed, domain, names, implicit):
    found = mx(bed, f"{domain}.mail.test")
    assert (found["hosts"], found["implicit"], found["literal"], found["secure"]) == (names, implicit, False, True)


@pytest.mark.parametrize("domain, fault, enhanced, words", [
    ("null.mail.test", "no-host", [5, 1, 10], "takes no mail"),
    ("literal-alone.mail.test", "no-host", [5, 4, 4], "names a host"),
    ("nowhere.test", "no-host", [5, 1, 2], "there is no domain"),
    ("alias-of-nothing.mail.test", "no-host", [5, 1, 2], "there is no domain"),
    ("broken.test", "dns", [4, 4, 3], "cannot look up"),
    ("bogus.test", "dns", [4, 4, 3], "not to be trusted"),
    ("expired.test", "dns", [4, 4, 3], "expired"),
    ("loop.mail.test", "dns", [4, 4, 3], "cannot look up"),
    ("192.0.2.1", "message", [5, 1, 3], "no domain name"),
    ("2001:db8::1", "message", [5, 1, 3], "no domain name"),
    ("[192.0.2", "message", [5, 1, 3], "no address literal"),
    ("[mail.test]", "message", [5, 1, 3], "no address literal"),
    ("a..test", "message", [5, 1, 3], "no domain name"),
    ("a b.test", "message", [5, 1, 3], "no domain name"),
    ("", "message", [5, 1, 3], "no domain name"),
    ("x" * 64 + ".test", "message", [5, 1, 3], "no domain name"),
    (".".join(["x" * 50] * 6), "message", [5, 1, 3], "no domain name"),
])
def test_nobody_takes_mail(bed, domain, fault, enhanced, words):
    found = mx(bed, domain)
    assert (found["fault"], found["enhanced"]) == (fault, enhanced) and words in found["error"], found
    assert found["hint"]


def test_nobody_answers_in_time(bed):
    with Between(bed.server, "silent") as between:
        found = mx(bed, "orders.mail.test", server=between.server, milliseconds=500)
        assert (found["fault"], found["enhanced"]) == ("dns", [4, 4, 3])


def test_a_mail_domain_where_signatures_are_removed(bed):
    with Between(bed.server, "strip") as between:
        found = mx(bed, "orders.mail.test", server=between.server)
        assert (found["fault"], found["enhanced"]) == ("dns", [4, 4, 3])
        assert "removes DNSSEC signatures" in found["error"] and "'dnssec off'" in found["hint"]


def test_address_literals(bed):
    for domain, host in (("[192.0.2.1]", "192.0.2.1"), ("[IPv6:2001:db8::1]", "2001:db8::1"), ("[ipv6:::1]", "::1")):
        found = mx(bed, domain)
        assert (found["hosts"], found["literal"], found["secure"]) == ([host], True, False)


def test_internationalized_domains(bed):
    """IDNA2008: the sharp s is a letter of its own."""
    for domain in ("straße.test", "Straße.Test", "xn--strae-oqa.test"):
        assert mx(bed, domain).get("hosts") == ["mx.xn--strae-oqa.test"], domain


def test_sixty_exchangers(bed):
    found = mx(bed, "many.test")
    assert len(found["hosts"]) == len(set(found["hosts"])) == 60 and found["preferences"] == sorted(i % 7 for i in range(60))
    assert mx(bed, "too-many.test")["hosts"] == [f"mx{i}.too-many.test" for i in range(60)]


def test_equal_preferences_are_shuffled(bed):
    """1,000 lookups: the better one always first, of the others each order as often, by six standard deviations."""
    lists = mx(bed, *["equal.mail.test"] * 1000)
    assert {found["hosts"][0] for found in lists} == {"first.mail.test"}
    orders = collections.Counter(tuple(found["hosts"][1:]) for found in lists)
    assert len(orders) == 6 and sum(orders.values()) == 1000
    assert all(abs(n - 1000 / 6) < 6 * (1000 * 1 / 6 * 5 / 6) ** 0.5 for n in orders.values()), orders
