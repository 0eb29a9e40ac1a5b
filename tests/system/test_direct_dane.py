"""Straight to the mail exchangers: how well a connection must be protected, by TLSA records (RFC 7672) of a signed DNS, by nothing
(opportunistically), by what the account wants. The servers are real Postfix, whose log tells what reached them."""

import re

import pytest

from mxbed import arrives, at, deliver, fates
from mxbed_zones import MATRIX, matrix_domain


def is_kept(bed, domain, status, host=None, count=1, options=(), enhanced=None, **more):
    """Not delivered, for now; the host, where it was connected to, never heard MAIL."""
    result, row = deliver(bed, domain, options, **more)
    assert result.status == status and row["fate"] != "accepted", result
    assert enhanced in (None, row["enhanced"]), row
    if host is None:
        assert bed.connections() == {}
    else:
        for session in bed.postfix.sessions(host, count):
            assert "mail" not in session and "rcpt" not in session, bed.postfix.log()
        assert sum(bed.connections().values()) == count
    return result, row


# ---- DANE

@pytest.mark.parametrize("row", MATRIX, ids=matrix_domain)
def test_usage_selector_matching(exchangers, row):
    if row[3]:
        _, recipient = is_kept(exchangers, matrix_domain(row), 77, "pf10")
        assert recipient["fate"] == "deferred"
    else:
        arrives(exchangers, matrix_domain(row), "dane:dane", "pf10")


def test_the_whole_matrix_in_one_run(exchangers):
    result = exchangers.send(*(f"b@{matrix_domain(row)}" for row in MATRIX))
    assert result.status == 79, result
    rows = fates(result)
    assert {a for a, r in rows.items() if r["fate"] == "accepted"} == {f"b@{matrix_domain(row)}" for row in MATRIX if not row[3]}
    assert len(exchangers.postfix.stored(result.token, 12)) == 12


# One good record is enough, whatever else there is.
GOOD = [
    ("mixed.test", "pf10"),
    ("mixed-unusable.test", "pf10"),
    ("dane-cname.test", "pf10"),                # records behind the CNAME
    ("dane-cname-initial.test", "pf10"),        # none there, but at the name of the MX record
    ("tlsa-cname.test", "pf10"),                # RFC 7671 6: one set of records for many hosts
    ("expired3.test", "expired"),               # RFC 7672 3.1.1: dates mean nothing under usage 3
    ("other-name3.test", "othername"),          # … nor do names
    ("self-signed3.test", "selfsigned"),
    ("by-name.test", "basename"),               # RFC 7672 3.2.2: the certificate has the name of the next-hop domain
    ("other-ca2.test", "untrusted"),            # an issuer that is trusted nowhere else
    # RFC 7672 2.2.1; as Postfix by default: who forges the MX answer gains nothing by naming a host that has records
    ("mx-good.insecure.test", "pf10"),
]
BAD = [
    ("mixed-bad.test", "pf10"),
    ("dane-cname-bad.test", "pf10"),
    ("expired2.test", "expired"),
    ("other-name2.test", "othername"),
    ("dane-clear.test", "clear"),
    ("mx-bad.insecure.test", "pf10"),
]


@pytest.mark.parametrize("domain, host", GOOD)
def test_good(exchangers, domain, host):
    arrives(exchangers, domain, "dane:dane", host)


@pytest.mark.parametrize("domain, host", BAD)
def test_bad(exchangers, domain, host):
    is_kept(exchangers, domain, 77 if host != "clear" else 69, host)


def test_postfix_says_so_too(exchangers):
    """The bed is what it should be: Postfix's own client judges all of these in the same way."""
    expected = {**{matrix_domain(row): not row[3] for row in MATRIX}, **{d: True for d, _ in GOOD}, **{d: False for d, _ in BAD},
                "unusable.test": False, "tlsa-fails.test": False, "insecure-host.test": False}
    assert exchangers.postfix_says(expected) == expected


@pytest.mark.parametrize("domain, good", [(d, True) for d, _ in GOOD] + [(d, False) for d, _ in BAD])
def test_envoi_mx_says_so_too(exchangers, domain, good):
    """Without sending: the exit status for who watches a domain. That a certificate has expired is worth a word of its own, though DANE
    does not mind."""
    result = exchangers.envoi("mx", *exchangers.looking(), "--warn-days=0", domain)
    assert result.status == (0 if good else 1), result


def test_bad_host_then_a_good_one(exchangers):
    """A host that does not authenticate is as one that does not answer. Both are Postfix's pf10."""
    result = arrives(exchangers, "dane-second.test", "dane:dane", "pf10")
    assert fates(result)["b@dane-second.test"]["host"] == "good311.dane.test"
    one, two = exchangers.postfix.sessions("pf10", 2)
    assert "mail" not in one and two["mail"] == 1


def test_unusable_only(exchangers):
    """RFC 7672 2.2: encrypted, whoever answers."""
    arrives(exchangers, "unusable.test", "encrypt:encrypt", "selfsigned")


def test_unusable_only_without_tls(exchangers):
    is_kept(exchangers, "unusable-clear.test", 69, "clear")


@pytest.mark.parametrize("domain", ["tlsa-fails.test", "tlsa-bogus.test"])
def test_tlsa_not_to_be_had(exchangers, domain):
    """RFC 7672 2.1.2: the host is not used, at all."""
    result, row = is_kept(exchangers, domain, 75)
    assert row["fate"] == "deferred" and "TLSA" in result.err, result


def test_tlsa_not_answered(exchangers):
    is_kept(exchangers, "tlsa-silent.test", 75, options=["--deadline=6"])


def test_tlsa_not_to_be_had_of_the_first(exchangers):
    arrives(exchangers, "tlsa-fails-first.test", "may:encrypt", "pf12")
    assert exchangers.connections() == {at(12): 1}


def test_stripped_by_a_middlebox(exchangers):
    """STARTTLS is taken out of the reply on the way."""
    with exchangers.broken(at(49), "starttls-removed") as server:
        result, row = deliver(exchangers, "dane-stripped.test")
    assert result.status == 69 and row["fate"] == "deferred", result
    assert "MAIL" not in server.verbs()


def test_insecure_host_with_tlsa(exchangers):
    """Records that nobody has signed bind nobody: neither good nor bad ones."""
    arrives(exchangers, "insecure-host.test", "may:encrypt", "selfsigned")


def test_another_port(exchangers):
    """The records are those of the port."""
    sink = exchangers.sink(at(55), *good_certificate(exchangers), port=2525)
    arrives(exchangers, "port.test", "dane-only:dane", options=["--port=2525", "--tls-policy=dane-only"])
    assert len(sink.end()) == 1


# ---- without any policy

@pytest.mark.parametrize("domain, pair", [
    ("one.test", "may:encrypt"),
    ("selfsigned.test", "may:encrypt"),
    ("untrusted.test", "may:encrypt"),
    ("clear.test", "may:none"),
])
def test_opportunistic(exchangers, domain, pair):
    arrives(exchangers, domain, pair)
    assert sum(exchangers.connections().values()) == 1


@pytest.mark.parametrize("fault", ["--tls=drop", "--tls=clear", "--reject=starttls:454:4.7.0 TLS not available"])
def test_opportunistic_falls_to_clear(exchangers, fault):
    """The same host once more, without TLS (RFC 7435)."""
    sink = exchangers.sink(at(50), fault)
    arrives(exchangers, "sink.test", "may:none")
    (message,) = sink.end()
    assert "tls" not in message


def test_opportunistic_falls_to_clear_before_the_next_host(exchangers):
    exchangers.sink(at(50), "--tls=drop")
    result = arrives(exchangers, "sink-first.test", "may:none")
    assert fates(result)["b@sink-first.test"]["host"] == "sink50.mx.test"


# ---- what the account wants

@pytest.mark.parametrize("options, domain, pair", [
    (["--tls=off"], "one.test", "none:none"),
    (["--tls=off"], "bad311.test", "none:none"),
    (["--tls=on"], "selfsigned.test", "encrypt:encrypt"),
    (["--tls=on"], "good311.test", "dane:dane"),
    (["--tls-policy=encrypt"], "selfsigned.test", "encrypt:encrypt"),
    (["--tls-policy=may"], "bad311.test", "may:encrypt"),
    (["--tls-policy=none"], "one.test", "none:none"),
    (["--tls-policy=dane-only"], "good311.test", "dane-only:dane"),
    (["--tls-policy=verify"], "one.test", "verify:verify"),
    (["--tls-policy=one.test verify", "--tls-policy=none"], "one.test", "verify:verify"),
    (["--tls-policy=.test verify"], "one.test", "verify:verify"),
    (["--tls-policy=other.test dane-only"], "one.test", "may:encrypt"),
])
def test_level_said(exchangers, options, domain, pair):
    arrives(exchangers, domain, pair, options=options)


@pytest.mark.parametrize("options, domain, status, host", [
    (["--tls=on"], "clear.test", 69, "clear"),
    (["--tls=on"], "bad311.test", 77, "pf10"),
    (["--tls-policy=encrypt"], "clear.test", 69, "clear"),
    (["--tls-policy=dane-only"], "one.test", None, None),
    (["--tls-policy=verify"], "untrusted.test", 77, "untrusted"),
    (["--tls-policy=verify"], "clear.test", 69, "clear"),
])
def test_level_said_and_not_reached(exchangers, options, domain, status, host):
    result, row = deliver(exchangers, domain, options)
    assert row["fate"] != "accepted" and result.status in ((status,) if status else (75, 77, 69)), result
    if host:
        assert all("mail" not in s for s in exchangers.postfix.sessions(host, 1))
    else:
        assert exchangers.connections() == {}


def test_fingerprint(exchangers):
    print_ = exchangers.certs.fingerprint("mx-self-signed")
    arrives(exchangers, "selfsigned.test", "fingerprint:fingerprint", "selfsigned",
            ["--tls-policy=fingerprint", f"--tls-fingerprint={print_}"])


# ---- REQUIRETLS (RFC 8689)

KEYWORDS = "PIPELINING,SIZE,8BITMIME,SMTPUTF8,ENHANCEDSTATUSCODES,STARTTLS,REQUIRETLS"


def good_certificate(bed):
    return [f"--tls-cert={bed.certs.cert('mx-good')}", f"--tls-key={bed.certs.key('mx-good')}"]


def test_requiretls(exchangers):
    """By DANE, to a server that offers it: MAIL says so."""
    sink = exchangers.sink(at(54), f"--extensions={KEYWORDS}", *good_certificate(exchangers))
    arrives(exchangers, "requiretls-dane.test", "dane:dane", options=["--requiretls"])
    (message,) = sink.end()
    assert any(re.match(r"MAIL .*\bREQUIRETLS\b", p) for p in message["parameters"]), message


def test_requiretls_not_offered(exchangers):
    """RFC 8689 4.2.1: 5.7.30, and no message goes there."""
    sink = exchangers.sink(at(54), *good_certificate(exchangers))
    result, row = deliver(exchangers, "requiretls-dane.test", ["--requiretls"])
    assert result.status != 0 and row["fate"] == "refused", result
    assert row["enhanced"] == "5.7.30"
    assert sink.end() == []


def test_requiretls_by_name(exchangers):
    """A signed MX answer says which host it is; its certificate has to be good."""
    sink = exchangers.sink(at(50), f"--extensions={KEYWORDS}", *good_certificate(exchangers))
    arrives(exchangers, "sink.test", "verify:verify", options=["--requiretls"])
    assert len(sink.end()) == 1


def test_requiretls_and_a_certificate_of_nobody(exchangers):
    sink = exchangers.sink(at(50), f"--extensions={KEYWORDS}")
    result, row = deliver(exchangers, "sink.test", ["--requiretls"])
    assert result.status == 77 and row["fate"] != "accepted", result
    assert sink.end() == []


def test_requiretls_where_the_host_is_not_known_for_sure(exchangers):
    """An MX answer without signatures, no policy: the name in the certificate would prove nothing."""
    exchangers.sink(at(50), f"--extensions={KEYWORDS}", *good_certificate(exchangers))
    result, row = deliver(exchangers, "sink.insecure.test", ["--requiretls"])
    assert result.status != 0 and row["fate"] != "accepted", result
    assert exchangers.connections() == {}


def test_requiretls_in_clear(exchangers):
    sink = exchangers.sink(at(54), "--extensions=PIPELINING,SIZE,ENHANCEDSTATUSCODES,REQUIRETLS")
    result, row = deliver(exchangers, "requiretls-dane.test", ["--requiretls"])
    assert result.status != 0 and row["fate"] != "accepted", result
    assert sink.end() == []


def test_tls_required_no(exchangers):
    """RFC 8689 5: a report about broken TLS has to get through it."""
    arrives(exchangers, "bad311.test", "may:encrypt", "pf10", head=b"TLS-Required: No\n")


# ---- sessions taken up again

CACHED = "--tls-session-cache=on"


def test_session_of_one_level(exchangers):
    """What one level found good is none of another's business."""
    sink = exchangers.sink(at(50), *good_certificate(exchangers))
    for level, resumed in (("verify", False), ("verify", True), ("encrypt", False), ("may", False), ("verify", True)):
        got = "encrypt" if level == "may" else level
        result = arrives(exchangers, "sink.test", f"{level}:{got}", options=[CACHED, f"--tls-policy={level}"])
        assert result.report["tls"]["resumed"] == resumed, (level, result)
    assert len(sink.end()) == 5


def test_session_by_tlsa_records(exchangers):
    """Postfix gives no ticket in a session that was taken up."""
    for resumed in (False, True, False):
        result = arrives(exchangers, "mixed.test", "dane:dane", "pf10", options=[CACHED])
        assert result.report["tls"]["resumed"] == resumed, result
