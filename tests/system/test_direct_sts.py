"""Straight to the mail exchangers, by MTA-STS policies (RFC 8461) that a real HTTPS server has, or has not; and beside DANE."""

import time

import pytest

from mxbed import arrives, at, deliver, fates, policy
from mxbed_zones import GOOD, changing


def is_kept(bed, domain, status, host=None):
    """Not delivered, for now; nobody heard MAIL."""
    result, row = deliver(bed, domain)
    assert result.status == status and row["fate"] == "deferred", result
    if host:
        assert all("mail" not in session for session in bed.postfix.sessions(host, 1)), bed.postfix.log()
        assert sum(bed.connections().values()) == 1
    else:
        assert bed.connections() == {}
    return result


# ---- enforce

@pytest.mark.parametrize("domain, host", [
    ("enforce.test", "pf17"),
    ("enforce-second.test", "pf17"),             # the first does not match: it is not used
    ("enforce-untrusted-first.test", "pf17"),    # the first is not good: the next
    ("wildcard.test", "pf19"),
    ("sts-cname.test", "pf17"),                  # RFC 8461 8.2: who keeps the policy for the domain; the name is the domain's
])
def test_enforced(exchangers, domain, host):
    arrives(exchangers, domain, "verify:verify", host)


@pytest.mark.parametrize("domain, status, host", [
    ("enforce-untrusted.test", 77, "untrusted"),
    ("enforce-expired.test", 77, "expired"),
    ("enforce-other-name.test", 77, "othername"),
    ("enforce-clear.test", 69, "clear"),
    ("enforce-mismatch.test", 77, None),
    ("wildcard-deep.test", 77, None),             # "*" is one label
])
def test_enforced_and_not_so(exchangers, domain, status, host):
    result = is_kept(exchangers, domain, status, host)
    assert "tls_fingerprint" not in result.err and "tls_host_override" not in result.err, result  # no help here


def test_not_used_at_all(exchangers):
    """A host that the policy does not have is not even connected to."""
    arrives(exchangers, "enforce-second.test", "verify:verify")
    assert exchangers.connections() == {at(17): 1}


def test_stripped_by_a_middlebox(exchangers):
    with exchangers.broken(at(49), "starttls-removed") as server:
        result, row = deliver(exchangers, "enforce-stripped.test")
    assert result.status == 69 and row["fate"] == "deferred", result
    assert "MAIL" not in server.verbs()


# ---- testing, none

@pytest.mark.parametrize("domain, host, pair, said", [
    ("testing-good.test", "pf17", "may:encrypt", None),
    ("testing.test", "untrusted", "may:encrypt", "MTA-STS"),
    ("testing-mismatch.test", "pf18", "may:encrypt", "MTA-STS"),
    ("testing-clear.test", "clear", "may:none", "MTA-STS"),
    ("mode-none.test", "untrusted", "may:encrypt", None),
])
def test_testing_and_none(exchangers, domain, host, pair, said):
    """Mode testing stops nothing and tells what enforce would have stopped."""
    result, row = deliver(exchangers, domain)
    assert result.status == 0 and row["fate"] == "accepted", result
    assert row["policy"] == pair, row
    assert exchangers.postfix.stored(result.token, 1) == [(f"b@{domain}", host)]
    assert (said in result.err) if said else ("MTA-STS" not in result.err), result


# ---- a policy that is not to be had

@pytest.mark.parametrize("domain", ["policy-gone.test", "policy-down.test", "policy-wrong.test", "redirect.test", "oversized.test",
                                    "html.test", "unknown-mode.test"])
def test_announced_and_not_to_be_had(exchangers, domain):
    """RFC 8461 3.3, 5.1: without a cached one it is as if there were none; worth a warning."""
    if domain == "policy-gone.test":
        del exchangers.policies.served[domain]
    result = arrives(exchangers, domain, "may:encrypt", "untrusted")
    assert "mta-sts" in result.err.lower() and domain in result.err, result


def test_redirection_is_not_followed(exchangers):
    arrives(exchangers, "redirect.test", "may:encrypt")
    assert exchangers.policies.asked == ["redirect.test"]


def test_two_records(exchangers):
    """RFC 8461 3.1: as if there were none. The policy is not even asked for."""
    arrives(exchangers, "two-records.test", "may:encrypt", "untrusted")
    assert exchangers.policies.asked == []


# ---- the cache

def test_asked_for_once(exchangers):
    for _ in range(3):
        arrives(exchangers, "enforce.test", "verify:verify")
    assert exchangers.policies.asked == ["enforce.test"]


def test_cached_while_the_server_is_down(exchangers):
    """What was promised holds for max_age: who takes the server away does not take the policy away."""
    is_kept(exchangers, "policy-gone.test", 77, "untrusted")
    del exchangers.policies.served["policy-gone.test"]
    exchangers.postfix.mark()
    result, row = deliver(exchangers, "policy-gone.test")
    assert result.status == 77 and row["fate"] == "deferred", result


def test_cached_while_the_record_is_away(exchangers):
    """RFC 8461 5.1: also where DNS no longer has the record, or does not answer."""
    is_kept(exchangers, "policy-gone.test", 77, "untrusted")
    exchangers.names.manner = lambda name, kind: "servfail" if name.startswith("_mta-sts.") else None
    result, row = deliver(exchangers, "policy-gone.test")
    assert result.status == 77 and row["fate"] == "deferred", result


def test_another_id(exchangers):
    """The record's id tells of another policy."""
    try:
        exchangers.policies.served["changes.test"] = policy(GOOD)
        is_kept(exchangers, "changes.test", 77, "untrusted")
        exchangers.policies.served["changes.test"] = policy(mode="none")
        result, row = deliver(exchangers, "changes.test")
        assert result.status == 77 and row["fate"] == "deferred", "the id is the same: what is cached holds"
        exchangers.change("changes.test", changing(2))
        arrives(exchangers, "changes.test", "may:encrypt", "untrusted")
        assert exchangers.policies.asked == ["changes.test", "changes.test"]
    finally:
        exchangers.change("changes.test", changing(1))


def test_another_id_but_no_policy(exchangers):
    """The old one holds as long as the new one is not to be had."""
    try:
        is_kept(exchangers, "changes.test", 77, "untrusted")
        del exchangers.policies.served["changes.test"]
        exchangers.change("changes.test", changing(3))
        result, row = deliver(exchangers, "changes.test")
        assert result.status == 77 and row["fate"] == "deferred", result
    finally:
        exchangers.change("changes.test", changing(1))


def test_expired(exchangers):
    """What is cached holds no longer than max_age: a second here."""
    is_kept(exchangers, "short.test", 77, "untrusted")
    cached = time.time()
    del exchangers.policies.served["short.test"]
    while time.time() < cached + 1.1:
        time.sleep(0.05)
    arrives(exchangers, "short.test", "may:encrypt", "untrusted")


def test_expired_and_fetched_again(exchangers):
    is_kept(exchangers, "short.test", 77, "untrusted")
    cached = time.time()
    while time.time() < cached + 1.1:
        time.sleep(0.05)
    exchangers.postfix.mark()
    result, row = deliver(exchangers, "short.test")
    assert result.status == 77 and row["fate"] == "deferred", result
    assert exchangers.policies.asked == ["short.test"] * 2


def test_spoilt_cache(exchangers):
    """A cache file that somebody has cut is none."""
    arrives(exchangers, "enforce.test", "verify:verify")
    files = [p for p in exchangers.cache.rglob("*") if p.is_file()]
    assert len(files) == 1 and files[0].stat().st_mode & 0o777 == 0o600
    files[0].write_text("version")
    arrives(exchangers, "enforce.test", "verify:verify")
    assert exchangers.policies.asked == ["enforce.test"] * 2


def test_no_cache_to_write(exchangers):
    exchangers.cache.write_text("not a folder\n")
    arrives(exchangers, "enforce.test", "verify:verify", "pf17")


# ---- beside DANE

@pytest.mark.parametrize("domain, pair", [("both-good.test", "dane:dane"), ("both-mismatch.test", "dane:dane")])
def test_dane_wins(exchangers, domain, pair):
    """RFC 8461 2: a host with TLSA records is judged by these."""
    arrives(exchangers, domain, pair)


def test_dane_wins_also_where_it_fails(exchangers):
    is_kept(exchangers, "both-bad.test", 77, "pf10")


# ---- what the account or the message wants

def test_may_is_may(exchangers):
    """A policy does not bind who asks for less."""
    arrives(exchangers, "enforce-untrusted.test", "may:encrypt", options=["--tls-policy=may"])
    assert exchangers.policies.asked == []


def test_tls_required_no(exchangers):
    arrives(exchangers, "enforce-untrusted.test", "may:encrypt", "untrusted", head=b"TLS-Required: No\n")


def test_requiretls(exchangers):
    good = [f"--tls-cert={exchangers.certs.cert('mx-good')}", f"--tls-key={exchangers.certs.key('mx-good')}"]
    sink = exchangers.sink(at(53), "--extensions=PIPELINING,SIZE,8BITMIME,ENHANCEDSTATUSCODES,STARTTLS,REQUIRETLS", *good)
    arrives(exchangers, "requiretls-sts.test", "verify:verify", options=["--requiretls"])
    (message,) = sink.end()
    assert any("REQUIRETLS" in p for p in message["parameters"]), message


def test_many_policies_at_once(exchangers):
    """Every domain has its policy, whatever the others have."""
    domains = {"enforce.test": "verify:verify", "wildcard.test": "verify:verify", "mode-none.test": "may:encrypt",
               "redirect.test": "may:encrypt", "one.test": "may:encrypt", "good311.test": "dane:dane", "both-good.test": "dane:dane"}
    bad = ["enforce-untrusted.test", "enforce-clear.test", "enforce-mismatch.test"]
    result = exchangers.send(*(f"b@{d}" for d in [*domains, *bad]))
    assert result.status == 79, result
    rows = fates(result)
    assert {d: rows[f"b@{d}"]["policy"] for d in domains} == domains
    assert all(rows[f"b@{d}"]["fate"] == "deferred" for d in bad)
    assert len(exchangers.postfix.stored(result.token, len(domains))) == len(domains)
