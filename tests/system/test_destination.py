"""send/destination against a DNS of our own: who takes mail for a domain, where they are, and how well a connection to each must be
protected. Nobody is connected to. dest_probe prints what came out."""

import json
import os
import pathlib
import subprocess
import time

import pytest

from dnsbed import Between, DnsBed
from servers import NotHere

PROBE = pathlib.Path(os.environ.get("DEST_PROBE") or pathlib.Path(os.environ.get("ENVOI", "")).parent / "tests/system/dest_probe")
GOOD, OTHER, KEY = "3 1 1 " + "ab" * 32, "2 0 1 " + "cd" * 32, "_25._tcp"
ADDRESSES = "\n".join(f"mx A 127.0.1.{i}\nmx AAAA 2001:db8::{i}" for i in range(1, 9))

ZONES = {
    "test": "@ TXT parent",
    # DANE
    "dane.test": f"@ MX 10 mx\nmx A 127.0.0.9\nmx AAAA 2001:db8::9\n{KEY}.mx TLSA {GOOD}\n_2525._tcp.mx TLSA {OTHER}\n"
                 f"none A 127.0.0.10\nalias CNAME mx\nnowhere CNAME none",
    "plain.test": ("unsigned", f"@ MX 10 mx.dane.test.\nmx A 127.0.0.11\n{KEY}.mx TLSA {GOOD}\nalias CNAME mx.dane.test."),
    "none.test": "@ MX 10 mx\nmx A 127.0.0.12",
    "mixed.test": f"@ MX 10 mx\nmx A 127.0.0.13\n{KEY}.mx TLSA 0 0 1 {'ee' * 32}\n{KEY}.mx TLSA {GOOD}\n{KEY}.mx TLSA 3 1 9 ff",
    "unusable.test": f"@ MX 10 mx\nmx A 127.0.0.14\n{KEY}.mx TLSA 1 1 1 {'ee' * 32}\n{KEY}.mx TLSA 3 7 1 {'ee' * 32}\n"
                     f"{KEY}.mx TLSA 3 1 1 abcd",
    "insecure-host.test": "@ MX 10 mx.plain.test.",
    "bogus-tlsa.test": ("bogus:TLSA", f"@ MX 10 mx\nmx A 127.0.0.15\n{KEY}.mx TLSA {GOOD}"),
    "second.test": "@ MX 10 mx.bogus-tlsa.test.\n@ MX 20 mx.dane.test.",
    "bogus-address.test": ("bogus:A", f"@ MX 10 mx\nmx A 127.0.0.16\n{KEY}.mx TLSA {GOOD}"),
    "bogus-mx.test": ("bogus:MX", "@ MX 10 mx.dane.test."),
    "bogus.test": ("bogus", "@ MX 10 mx\nmx A 127.0.0.17"),
    "expired.test": ("expired", "@ MX 10 mx.dane.test."),
    # behind CNAMEs (RFC 7672 2.2.2)
    "alias.test": f"@ MX 10 mx\nmx CNAME mx.dane.test.\n{KEY}.mx TLSA {OTHER}",
    "alias-below.test": f"@ MX 10 mx\nmx CNAME none.dane.test.\n{KEY}.mx TLSA {OTHER}",
    "alias-out.test": f"@ MX 10 mx\nmx CNAME mx.plain.test.\n{KEY}.mx TLSA {OTHER}",
    "alias-out-none.test": "@ MX 10 mx\nmx CNAME mx.plain.test.",
    "alias-in.test": "@ MX 10 alias.plain.test.",
    "alias-twice.test": f"@ MX 10 mx\nmx CNAME alias.dane.test.\n{KEY}.mx TLSA {OTHER}",
    "alias-bogus.test": "@ MX 10 mx\nmx CNAME mx.bogus-tlsa.test.",
    # this machine
    "self.test": "@ MX 10 good\n@ MX 20 here\n@ MX 20 equal\n@ MX 30 worse\n"
                 "good A 127.0.0.20\nhere A 127.0.0.1\nequal A 127.0.0.21\nworse A 127.0.0.22",
    "self-best.test": "@ MX 10 here\n@ MX 20 worse\nhere AAAA ::1\nworse A 127.0.0.22",
    "self-equal.test": "@ MX 10 here\n@ MX 10 other\nhere A 127.0.0.1\nother A 127.0.0.22",
    "self-name.test": "@ MX 10 localhost.",
    "self-any.test": "@ MX 10 mx\nmx A 0.0.0.0",
    "self-implicit.test": "@ A 127.0.0.1",
    "self-alias.test": "@ MX 10 mx\nmx CNAME here\nhere A 127.0.0.1",
    "self-behind-none.test": "@ MX 10 nix\n@ MX 20 here\nhere A 127.0.0.1",
    # records that lead nowhere
    "dangling.test": "@ MX 10 nix",
    "dangling-two.test": "@ MX 10 nix\n@ MX 20 nix.dane.test.",
    "dangling-first.test": "@ MX 10 nix\n@ MX 20 mx.dane.test.",
    "dangling-failing.test": "@ MX 10 nix\n@ MX 20 mx.broken.test.",
    "no-address.test": "@ MX 10 mx\nmx TXT nothing",
    "failing.test": "@ MX 10 mx.broken.test.",
    "failing-first.test": "@ MX 10 mx.broken.test.\n@ MX 20 mx.dane.test.",
    "broken.test": ("broken", ""),
    "number.test": "@ MX 10 192.0.2.1.",
    "number-first.test": "@ MX 10 192.0.2.1.\n@ MX 20 mx.dane.test.",
    "null.test": "@ MX 0 .",
    "implicit.test": f"@ A 127.0.0.30\n{KEY} TLSA {GOOD}",
    "implicit-none.test": "@ TXT nothing",
    "loop.test": "@ MX 10 a\na CNAME b\nb CNAME a",
    "xn--bcher-kva.test": "@ MX 10 mx.dane.test.",
    "twice.test": "@ MX 10 mx.dane.test.\n@ MX 20 MX.dane.test.",
    # MTA-STS: what the policies say is in the cache
    "sts.test": ("unsigned", '@ MX 10 mx\n@ MX 20 mx2\nmx A 127.0.0.50\nmx2 A 127.0.0.51\n_mta-sts TXT "v=STSv1; id=1"'),
    "sts-dane.test": f'@ MX 10 mx\nmx A 127.0.0.52\n{KEY}.mx TLSA {GOOD}\n_mta-sts TXT "v=STSv1; id=1"',
    "sts-forged.test": ("unsigned", '@ MX 10 mx.dane.test.\n_mta-sts TXT "v=STSv1; id=1"'),
    # limits
    "both.test": "@ MX 10 mx\n" + ADDRESSES,
    "six-first.test": "@ MX 10 mx\n@ MX 20 four\n" + "\n".join(f"mx AAAA 2001:db8::{i}" for i in range(1, 9))
                      + "\n" + "\n".join(f"four A 127.0.1.{i}" for i in range(1, 9)),
    "one-four.test": "@ MX 10 mx\n@ MX 20 four\nfour A 127.0.1.1\n" + "\n".join(f"mx AAAA 2001:db8::{i}" for i in range(1, 9)),
    "many.test": "\n".join(f"@ MX {i} mx{i}\nmx{i} A 127.0.2.{i}\nmx{i} AAAA 2001:db8::{i}" for i in range(1, 101)),
    "six-only.test": "@ MX 10 mx\nmx AAAA 2001:db8::1",
    "slow-worse.test": "@ MX 10 mx.dane.test.\n@ MX 20 mx.slow.test.",
    "slow-better.test": "@ MX 10 mx.slow.test.\n@ MX 20 mx.dane.test.",
    "slow.test": "mx A 127.0.0.40",
    # who we say we are
    "ours.test": "mail A 203.0.113.7\nmail AAAA 2001:db8:1::7\nother A 203.0.113.8\nempty TXT nothing",
    "113.0.203.in-addr.arpa": "7 PTR mail.ours.test.",
}


@pytest.fixture(scope="module")
def bed():
    if not PROBE.is_file():
        pytest.skip("tests/system/dest_probe is not built")
    try:
        with DnsBed(ZONES) as bed:
            yield bed
    except NotHere as why:
        pytest.skip(str(why))


def probe(bed, *words, server=None, ms=5000, anchor=None):
    run = subprocess.run([PROBE, str(ms), server or bed.server, str(anchor or bed.anchor), *words], capture_output=True, text=True,
                         timeout=60)
    assert run.returncode == 0 and not run.stderr, run.stderr
    return json.loads(run.stdout)


def destination(bed, domain, *words, **options):
    whole = probe(bed, *words, domain, **options)
    found, = whole["destinations"]
    return found


def host(bed, domain, *words, **options):
    """The one host of a domain that can be tried."""
    found = destination(bed, domain, *words, **options)
    assert "error" not in found, found
    only, = found["hosts"]
    return only


def names(found):
    return [h["name"] for h in found["hosts"]]


# ---- DANE

@pytest.mark.parametrize("domain, tlsa, wanted", [
    ("dane.test", "usable", "dane"),
    ("plain.test", "usable", "dane"),  # an insecure MX answer that leads to secure TLSA records
    ("none.test", "none", "may"),
    ("mixed.test", "usable", "dane"),
    ("unusable.test", "unusable", "encrypt"),
    ("insecure-host.test", "none", "may"),
    ("implicit.test", "usable", "dane"),
    ("[127.0.0.2]", "none", "may"),
])
def test_tlsa(bed, domain, tlsa, wanted):
    found = host(bed, domain)
    assert (found["tlsa"], found["wanted"], found["skip"]) == (tlsa, wanted, False)


def test_every_record_is_kept(bed):
    assert host(bed, "mixed.test")["records"] == 3


def test_records_are_those_of_the_port(bed):
    assert host(bed, "dane.test", "port=2525")["records"] == 1
    assert host(bed, "dane.test", "port=26")["tlsa"] == "none"


@pytest.mark.parametrize("domain, name, expanded", [
    ("alias.test", "mx.dane.test", "mx.dane.test"),
    ("alias-twice.test", "mx.dane.test", "mx.dane.test"),
    ("alias-below.test", "mx.alias-below.test", "none.dane.test"),
    ("alias-out.test", "mx.alias-out.test", "mx.plain.test"),
])
def test_tlsa_behind_a_cname(bed, domain, name, expanded):
    found = host(bed, domain)
    assert (found["tlsa"], found["tlsa_name"], found["expanded"]) == ("usable", name, expanded)


@pytest.mark.parametrize("domain", ["alias-out-none.test", "alias-in.test"])
def test_a_cname_that_leaves_what_is_validated(bed, domain):
    found = host(bed, domain)
    assert (found["tlsa"], found["wanted"], found["secure"]) == ("none", "may", False)


@pytest.mark.parametrize("domain", ["bogus-tlsa.test", "alias-bogus.test"])
def test_bogus_tlsa(bed, domain):
    found = destination(bed, domain)
    assert found["hosts"] == [] and found["status"] == "4.7.5"
    assert found["error"]["fault"] == "temporary" and "TLSA records of 'mx." in found["error"]["text"]


@pytest.mark.parametrize("manner", ["servfail", "silent", "refused"])
def test_tlsa_without_an_answer(bed, manner):
    def spoil(name, kind):
        return manner if kind == "TLSA" else "pass"

    with Between(bed.server, spoil) as between:
        found = destination(bed, "dane.test", server=between.server, ms=1500)
        assert (found["status"], found["error"]["fault"], found["hosts"]) == ("4.7.5", "temporary", [])
        assert host(bed, "none.test", "level=encrypt", server=between.server)["wanted"] == "encrypt"
        assert not [name for name, kind in between.asked if kind == "TLSA" and "none.test" in name]


def test_the_next_host_is_used_where_tlsa_fails(bed):
    whole = probe(bed, "second.test")
    found, = whole["destinations"]
    assert names(found) == ["mx.dane.test"] and "error" not in found
    assert any("mx.bogus-tlsa.test for second.test: not used (the TLSA records" in line for line in whole["events"])


def test_nothing_is_secure_without_validation(bed):
    for domain in ("dane.test", "bogus-tlsa.test", "bogus.test"):
        found = host(bed, domain, anchor="off")
        assert (found["tlsa"], found["wanted"], found["secure"]) == ("none", "may", False)
    assert destination(bed, "dane.test", "level=dane-only", anchor="off")["status"] == "4.7.5"


@pytest.mark.parametrize("domain", ["bogus-mx.test", "bogus.test", "expired.test", "bogus-address.test"])
def test_bogus_answers(bed, domain):
    found = destination(bed, domain)
    assert (found["error"]["fault"], found["hosts"], found["status"]) == ("dns", [], "4.4.3")


# ---- levels

@pytest.mark.parametrize("domain, words, wanted", [
    ("dane.test", ["level=dane-only"], "dane-only"),
    ("dane.test", ["level=none"], "none"),
    ("dane.test", ["level=may"], "may"),
    ("bogus-tlsa.test", ["level=encrypt"], "encrypt"),
    ("bogus-tlsa.test", ["not_required=1"], "may"),
    ("none.test", ["encrypt=1"], "encrypt"),
    ("dane.test", ["requiretls=1", "level=may"], "dane"),
    ("none.test", ["requiretls=1"], "verify"),
])
def test_levels(bed, domain, words, wanted):
    assert host(bed, domain, *words)["wanted"] == wanted


@pytest.mark.parametrize("domain, words, fault, status", [
    ("plain.test", ["level=dane-only"], "certificate", "4.7.5"),
    ("none.test", ["level=dane-only"], "certificate", "4.7.5"),
    ("unusable.test", ["level=dane-only"], "certificate", "4.7.5"),
    ("bogus-tlsa.test", ["level=dane-only"], "temporary", "4.7.5"),
    ("plain.test", ["requiretls=1"], "unavailable", "5.7.30"),
    ("bogus-tlsa.test", ["requiretls=1"], "temporary", "4.7.5"),
    ("dane.test", ["requiretls=1", "level=none"], "unavailable", "5.7.30"),
])
def test_hosts_that_the_policy_does_not_accept(bed, domain, words, fault, status):
    found = destination(bed, domain, *words)
    assert (found["hosts"], found["error"]["fault"], found["status"]) == ([], fault, status)
    assert found["error"]["hint"]


def test_only_what_the_level_needs_is_asked(bed):
    with Between(bed.server) as between:
        host(bed, "dane.test", "level=may", server=between.server)
        assert not [q for q in between.asked if q[1] in ("TLSA", "TXT")]


# ---- MTA-STS

@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Has the policy of a domain in the cache, as one fetched a moment ago."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def write(domain, mode, *patterns):
        folder = tmp_path
        for name in ("envoi", "sts"):
            folder = folder / name
            folder.mkdir(mode=0o700, exist_ok=True)
        lines = [f"1 1 {int(time.time())}", "version: STSv1", f"mode: {mode}", *(f"mx: {p}" for p in patterns), "max_age: 86400", ""]
        file = folder / domain
        file.write_text("\n".join(lines))
        file.chmod(0o600)

    return write


def test_enforce(bed, publish):
    publish("sts.test", "enforce", "mx.sts.test")
    whole = probe(bed, "sts.test")
    only, = whole["destinations"][0]["hosts"]
    assert (only["name"], only["wanted"], only["why"]) == ("mx.sts.test", "verify", "MTA-STS policy")
    assert any("mx2.sts.test for sts.test: not used (the MTA-STS policy does not name" in line for line in whole["events"])
    publish("sts.test", "enforce", "*.sts.test")
    assert len(destination(bed, "sts.test")["hosts"]) == 2
    publish("sts.test", "enforce", "mx.example.org")
    found = destination(bed, "sts.test")
    assert (found["hosts"], found["error"]["fault"], found["status"]) == ([], "certificate", "4.7.5")
    assert destination(bed, "sts.test", "level=may")["hosts"][0]["wanted"] == "may"


def test_testing(bed, publish):
    publish("sts.test", "testing", "mx.sts.test")
    whole = probe(bed, "sts.test")
    assert [(h["wanted"], h["report"]) for h in whole["destinations"][0]["hosts"]] == [("may", True)] * 2
    warnings = [line for line in whole["events"] if "warning" in line]
    assert len(warnings) == 1 and "does not name 'mx2.sts.test'" in warnings[0]
    assert host(bed, "sts.test", "requiretls=1")["wanted"] == "verify"


def test_dane_beside_mta_sts(bed, publish):
    publish("sts-dane.test", "enforce", "mx.example.org")
    assert host(bed, "sts-dane.test")["wanted"] == "dane"


def test_the_policy_names_the_host_where_dnssec_does_not(bed, publish):
    publish("sts-forged.test", "enforce", "mx.sts-forged.test")
    assert destination(bed, "sts-forged.test")["status"] == "4.7.5"
    publish("sts-forged.test", "enforce", "mx.dane.test")
    assert host(bed, "sts-forged.test")["wanted"] == "dane"


def test_a_policy_that_is_not_to_be_had(bed, publish):
    whole = probe(bed, "sts.test")
    assert {h["wanted"] for h in whole["destinations"][0]["hosts"]} == {"may"}
    assert [line for line in whole["events"] if "warning" in line and "mta-sts.sts.test" in line]


# ---- this machine

@pytest.mark.parametrize("domain", ["self-best.test", "self-equal.test", "self-name.test", "self-any.test", "self-implicit.test",
                                    "self-alias.test", "[127.0.0.1]", "[IPv6:::1]"])
def test_mail_that_would_come_back(bed, domain):
    found = destination(bed, domain)
    assert (found["hosts"], found["status"], found["error"]["fault"]) == ([], "5.4.6", "no-host")
    assert found["error"]["text"] == f"mail for '{domain}' loops back to this machine" and found["error"]["hint"]


def test_the_list_is_cut_at_this_machine(bed):
    whole = probe(bed, "self.test")
    assert names(whole["destinations"][0]) == ["good.self.test"]
    assert any("here.self.test for self.test: not used (it is this machine)" in line for line in whole["events"])
    assert any("worse.self.test for self.test: not used (it is no better" in line for line in whole["events"])


def test_better_hosts_than_this_machine_that_do_not_exist(bed):
    found = destination(bed, "self-behind-none.test")
    assert (found["status"], found["error"]["text"]) == ("5.4.4", "there is no host 'nix.self-behind-none.test'")


def test_all_hosts_stay_for_whoever_looks(bed):
    found = destination(bed, "self.test", "all=1")
    assert sorted(names(found)) == sorted(f"{n}.self.test" for n in ("good", "here", "equal", "worse"))
    assert [h["name"] for h in found["hosts"] if h["here"]] == ["here.self.test"]
    found = destination(bed, "self-best.test", "all=1")
    assert len(found["hosts"]) == 2 and found["status"] == "5.4.6"
    found = destination(bed, "second.test", "all=1")
    assert [(h["tlsa"], h["skip"]) for h in found["hosts"]] == [("failed", True), ("usable", False)]
    found = destination(bed, "dane.test", "all=1", "level=may")
    assert (found["hosts"][0]["tlsa"], found["hosts"][0]["wanted"]) == ("usable", "may")
    assert len(destination(bed, "both.test", "all=1")["hosts"][0]["addresses"]) == 16


# ---- records that lead nowhere

@pytest.mark.parametrize("domain, fault, status, part", [
    ("dangling.test", "no-host", "5.4.4", "there is no host 'nix.dangling.test'"),
    ("dangling-two.test", "no-host", "5.4.4", "none of the 2 mail exchangers of 'dangling-two.test' can be used"),
    ("dangling-failing.test", "dns", "4.4.3", "'mx.broken.test' cannot be looked up"),
    ("failing.test", "dns", "4.4.3", "'mx.broken.test' cannot be looked up"),
    ("broken.test", "dns", "4.4.3", "'broken.test'"),
    ("loop.test", "dns", "4.4.3", "'a.loop.test' cannot be looked up"),
    ("no-address.test", "no-host", "5.4.4", "the host 'mx.no-address.test' has no address"),
    ("number.test", "no-host", "5.4.4", "no MX record of 'number.test' names a host"),
    ("null.test", "no-host", "5.1.10", "takes no mail"),
    ("implicit-none.test", "no-host", "5.1.2", "neither an MX record nor an address"),
    ("nix.test", "no-host", "5.1.2", "there is no domain 'nix.test'"),
    ("[192.0.2.300]", "message", "5.1.3", "is no address literal"),
])
def test_nobody_takes_the_mail(bed, domain, fault, status, part):
    found = destination(bed, domain)
    assert (found["hosts"], found["error"]["fault"], found["status"]) == ([], fault, status)
    assert part in found["error"]["text"] and found["error"]["hint"]


@pytest.mark.parametrize("domain", ["dangling-first.test", "failing-first.test", "number-first.test", "twice.test", "b\u00fccher.test",
                                    "xn--bcher-kva.test"])
def test_another_host_does(bed, domain):
    found = destination(bed, domain)
    assert names(found) == ["mx.dane.test"] and "error" not in found
    assert found["domain"] == domain and found["ascii"] == domain.replace("b\u00fccher", "xn--bcher-kva")


def test_no_answer_in_time(bed):
    def spoil(name, kind):
        return "silent" if kind == "MX" else "pass"

    with Between(bed.server, spoil) as between:
        whole = probe(bed, "dane.test", server=between.server, ms=700)
    assert (whole["destinations"][0]["error"]["fault"], whole["destinations"][0]["status"]) == ("dns", "4.4.3")
    assert 0.5 < whole["took"] < 3


# ---- addresses

def test_families_take_turns(bed):
    found = host(bed, "both.test")
    assert [":" in a for a in found["addresses"]] == [True, False, True, False, True]


@pytest.mark.parametrize("domain, six, four", [("six-first.test", 3, 2), ("one-four.test", 4, 1), ("six-only.test", 1, 0)])
def test_no_family_uses_the_limit_up(bed, domain, six, four):
    found = destination(bed, domain)
    addresses = [a for h in found["hosts"] for a in h["addresses"]]
    assert (sum(":" in a for a in addresses), sum(":" not in a for a in addresses)) == (six, four)


def test_only_one_family(bed):
    assert not [a for a in host(bed, "both.test", "family=4")["addresses"] if ":" in a]
    assert len(host(bed, "both.test", "family=6")["addresses"]) == 5
    found = destination(bed, "six-only.test", "family=4")
    assert found["error"]["text"] == "the host 'mx.six-only.test' has no IPv4 address" and "-4" in found["error"]["hint"]
    assert destination(bed, "[IPv6:2001:db8::1]", "family=4")["status"] == "5.4.4"
    assert host(bed, "[IPv6:2001:db8::1]", "family=6")["addresses"] == ["2001:db8::1"]


def test_limits(bed):
    found = destination(bed, "many.test")
    assert names(found) == ["mx1.many.test", "mx2.many.test", "mx3.many.test"]
    assert sum(len(h["addresses"]) for h in found["hosts"]) == 5
    found = destination(bed, "many.test", "all=1", ms=10000)
    assert names(found) == [f"mx{i}.many.test" for i in range(1, 61)]


# ---- time

def slow(name, kind):
    return "silent" if name.endswith("slow.test") else "pass"


def test_a_worse_host_is_not_waited_for_to_the_end(bed):
    with Between(bed.server, slow) as between:
        whole = probe(bed, "slow-worse.test", server=between.server, ms=20000)
    assert names(whole["destinations"][0]) == ["mx.dane.test"]
    assert 1.5 < whole["took"] < 2.9  # libunbound itself gives up after three seconds


def test_a_better_host_is(bed):
    with Between(bed.server, slow) as between:
        whole = probe(bed, "slow-better.test", server=between.server, ms=20000)
    assert names(whole["destinations"][0]) == ["mx.dane.test"]
    assert 2.5 < whole["took"] < 9


def test_many_domains_at_once(bed):
    domains = [name for name in ZONES if name.endswith(".test")] * 4
    whole = probe(bed, *domains, ms=20000)
    assert [d["domain"] for d in whole["destinations"]] == domains
    assert whole["took"] < 10


# ---- who we say we are

@pytest.mark.parametrize("ehlo, address, part", [
    ("mail.ours.test", "203.0.113.7", None),
    ("mail.ours.test", "10.0.0.1", None),
    ("other.ours.test", "10.0.0.1", None),
    ("mail.ours.test", "203.0.113.9", "comes from 203.0.113.9 (without a PTR record)"),
    ("other.ours.test", "203.0.113.7", "is 203.0.113.8, but the mail comes from 203.0.113.7 (mail.ours.test by its PTR record)"),
    ("other.ours.test", "203.0.113.8", "203.0.113.8 that the mail comes from has no PTR record"),
    ("nix.ours.test", "203.0.113.7", "no address in DNS: many mail servers refuse that; this machine is 203.0.113.7 (mail.ours.test"),
    ("nix.ours.test", "192.168.1.1", "no address in DNS"),
    ("empty.ours.test", "127.0.0.1", "no address in DNS"),
    ("mx.broken.test", "203.0.113.7", None),
    ("localhost", "203.0.113.7", "every machine's name for itself"),
    ("myhost", "203.0.113.7", "no full name"),
    ("[203.0.113.7]", "203.0.113.7", "an address, not a name"),
])
def test_identity(bed, ehlo, address, part):
    events = probe(bed, f"ehlo={ehlo}", f"address={address}")["events"]
    assert len(events) == (1 if part else 0), events
    assert not part or (part in events[0] and events[0].startswith("# warning: "))
