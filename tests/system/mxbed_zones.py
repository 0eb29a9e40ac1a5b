"""The names of the bed of mail exchangers: what is published for which domain. Lines of master files; made once the certificates are
there, as TLSA records follow from them."""

from mxbed import IPV6, NO_POLICIES, NOBODY, OURS, POLICIES, WRONG_POLICIES, Policy, at, policy, tlsa

MATRIX = [(usage, selector, matching, spoilt) for usage in (2, 3) for selector in (0, 1) for matching in (0, 1, 2)
          for spoilt in (False, True)]


def matrix_domain(row):
    usage, selector, matching, spoilt = row
    return f"{'bad' if spoilt else 'good'}{usage}{selector}{matching}.test"


# domain: (preference, host) of its MX records, in mx.test unless there is a dot
EXCHANGERS = {
    # delivery
    "one.test": [(10, "pf10")],
    "xn--bcher-kva.test": [(10, "pf11")],
    "two.test": [(10, "pf12"), (20, "pf13")],
    "null.test": [(0, ".")],
    "dead.test": [(10, "nobody")],
    "dead-first.test": [(10, "nobody"), (20, "pf14")],
    "nowhere.test": [(10, "no-such-host")],
    "self.test": [(10, "localhost.")],
    "ours.test": [(10, "ours")],
    "cut.test": [(10, "nobody"), (20, "ours"), (30, "pf15")],
    "sinks.test": [(10, "sink50"), (20, "sink51")],
    "sink-first.test": [(10, "sink50"), (20, "pf16")],
    "sink.test": [(10, "sink50")],
    "sink6.test": [(10, "sink52")],
    "many-dead.test": [(i, f"dead{i}") for i in range(1, 11)],
    "broken-family.test": [(10, "broken-family")],
    "equal.test": [(10, "pf10"), (10, "pf11"), (10, "pf12"), (10, "pf13")],
    "alias-mx.test": [(10, "alias")],
    "six.test": [(10, "six")],
    "loop.test": [(10, "loop1")],
    "sixty.test": [(i, f"left{i}") for i in range(60)],
    "small.test": [(10, "small")],
    # opportunistic TLS
    "clear.test": [(10, "clear")],
    "selfsigned.test": [(10, "selfsigned")],
    "untrusted.test": [(10, "untrusted")],
    # DANE
    "mixed.test": [(10, "mixed.dane.test")],
    "mixed-unusable.test": [(10, "mixed-unusable.dane.test")],
    "mixed-bad.test": [(10, "mixed-bad.dane.test")],
    "unusable.test": [(10, "unusable.dane.test")],
    "unusable-clear.test": [(10, "unusable-clear.dane.test")],
    "dane-clear.test": [(10, "dane-clear.dane.test")],
    "dane-stripped.test": [(10, "stripped.dane.test")],
    "tlsa-fails.test": [(10, "servfail.dane.test")],
    "tlsa-fails-first.test": [(10, "servfail.dane.test"), (20, "pf12")],
    "tlsa-silent.test": [(10, "silent.dane.test")],
    "tlsa-bogus.test": [(10, "badsig.dane.test")],
    "dane-cname.test": [(10, "cname.dane.test")],
    "dane-cname-initial.test": [(10, "cname-initial.dane.test")],
    "dane-cname-bad.test": [(10, "cname-bad.dane.test")],
    "tlsa-cname.test": [(10, "tlsa-cname.dane.test")],
    "port.test": [(10, "sink55.dane.test")],
    "expired3.test": [(10, "expired3.dane.test")],
    "expired2.test": [(10, "expired2.dane.test")],
    "other-name3.test": [(10, "other-name3.dane.test")],
    "other-name2.test": [(10, "other-name2.dane.test")],
    "by-name.test": [(10, "by-name.dane.test")],
    "self-signed3.test": [(10, "self-signed3.dane.test")],
    "other-ca2.test": [(10, "other-ca2.mx.test")],
    "dane-second.test": [(10, "bad311.dane.test"), (20, "good311.dane.test")],
    "requiretls-dane.test": [(10, "sink54.dane.test")],
    "insecure-host.test": [(10, "host.insecure.test")],
    **{matrix_domain(row): [(10, matrix_domain(row).replace(".test", ".dane.test"))] for row in MATRIX},
    # MTA-STS
    "enforce.test": [(10, "pf17")],
    "enforce-untrusted.test": [(10, "untrusted")],
    "enforce-clear.test": [(10, "clear")],
    "enforce-stripped.test": [(10, "stripped")],
    "enforce-expired.test": [(10, "expired")],
    "enforce-other-name.test": [(10, "othername")],
    "enforce-mismatch.test": [(10, "pf18")],
    "enforce-second.test": [(10, "pf18"), (20, "pf17")],
    "enforce-untrusted-first.test": [(10, "untrusted"), (20, "pf17")],
    "wildcard.test": [(10, "pf19")],
    "wildcard-deep.test": [(10, "deep.pf19")],
    "testing.test": [(10, "untrusted")],
    "testing-good.test": [(10, "pf17")],
    "testing-clear.test": [(10, "clear")],
    "testing-mismatch.test": [(10, "pf18")],
    "mode-none.test": [(10, "untrusted")],
    "short.test": [(10, "untrusted")],
    "policy-gone.test": [(10, "untrusted")],
    "policy-down.test": [(10, "untrusted")],
    "policy-wrong.test": [(10, "untrusted")],
    "redirect.test": [(10, "untrusted")],
    "oversized.test": [(10, "untrusted")],
    "html.test": [(10, "untrusted")],
    "unknown-mode.test": [(10, "untrusted")],
    "two-records.test": [(10, "untrusted")],
    "both-good.test": [(10, "self-signed3.dane.test")],
    "both-bad.test": [(10, "bad311.dane.test")],
    "both-mismatch.test": [(10, "good311.dane.test")],
    "requiretls-sts.test": [(10, "sink53")],
    "sts-cname.test": [(10, "pf17")],
}

# 200 recipients in 20 domains: domain: its MX set, which is shared by those of the same
BULK = {
    **{f"bulk{i}.test": [(10, "pf10"), (20, "pf11")] for i in (0, 1, 2)},
    **{f"bulk{i}.test": [(10, "pf12")] for i in (3, 4)},
    **{f"bulk{i}.test": [(10, "pf13"), (10, "pf14")] for i in (5, 6)},
    **{f"bulk{i}.test": [(10, f"pf{i + 8}")] for i in (7, 8, 9, 10, 11)},
    "bulk12.test": [(10, "both")],
    "bulk13.test": [(10, "six")],
    "bulk14.test": [(10, "small")],
    "bulk15.test": [],                            # its own address
    "bulk16.nx.test": None,                       # does not exist
    "bulk17.test": [(0, ".")],
    "bulk18.test": [(10, "nobody")],
    "bulk19.lame.test": None,                     # its name server fails
}
# 17 and three that answer late
TARPITS = {f"slow{i}.test": [(10, f"sink6{i}")] for i in range(3)} | {f"quick{i}.test": [(10, f"pf{10 + i % 10}")] for i in range(17)}
# equal preferences, each pair of names another
COINS = {f"coin{i}.test": [(10, f"left{i}"), (10, f"right{i}")] for i in range(60)}

# host in mx.test or dane.test: its address
ADDRESSES = {
    **{f"pf{n}": [at(n)] for n in range(10, 20)},
    "both": [at(20), f"{IPV6}20"], "six": [f"{IPV6}21"], "expired": [at(22)], "othername": [at(23)], "basename": [at(24)],
    "selfsigned": [at(25)], "untrusted": [at(26)], "clear": [at(27)], "small": [at(28)],
    **{f"sink{n}": [at(n)] for n in range(50, 70)},
    "stripped": [at(49)], "nobody": [NOBODY], "ours": [OURS], "deep.pf19": [at(19)],
    **{f"dead{i}": [at(100 + i)] for i in range(1, 11)},
    "broken-family": [at(11), *(f"{IPV6}dead:{i}" for i in range(8))],
    **{f"left{i}": [at(10)] for i in range(60)}, **{f"right{i}": [at(11)] for i in range(60)},
}


def certificate_of(address):
    return {at(22): "mx-expired", at(23): "mx-other-name", at(24): "mx-base-name", at(25): "mx-self-signed",
            at(26): "mx-untrusted"}.get(address, "mx-good")


def dane_hosts(certs):
    """Host in dane.test: (address, data of its TLSA records)."""
    def good(u, s, m, spoilt=False, cert="mx-good"):
        """Spoilt: of another certificate, which is good for itself."""
        name = ("other-ca" if spoilt else "ca") if u == 2 else "mx-other-name" if spoilt else cert
        return tlsa(certs, name, u, s, m)

    some = good(3, 1, 1)[6:]
    return {
        **{matrix_domain(row)[:-5]: (at(10), [good(*row)]) for row in MATRIX},
        "mixed": (at(10), [good(3, 1, 1, True), good(3, 0, 1, True), good(2, 1, 1, True), good(3, 1, 2)]),
        "mixed-unusable": (at(10), [f"0 1 1 {some}", f"3 9 1 {some}", good(2, 0, 1)]),
        "mixed-bad": (at(10), [f"1 1 1 {some}", good(3, 1, 1, True)]),
        "unusable": (at(25), [f"0 1 1 {some}", f"1 1 1 {some}", f"3 9 1 {some}", f"3 1 9 {some}", f"4 1 1 {some}", "3 1 1 00"]),
        "unusable-clear": (at(27), [f"1 1 1 {some}"]),
        "dane-clear": (at(27), [good(3, 1, 1)]),
        "stripped": (at(49), [good(3, 1, 1)]),
        "servfail": (at(11), [good(3, 1, 1)]),
        "silent": (at(11), [good(3, 1, 1)]),
        "badsig": (at(11), [good(3, 1, 1)]),
        "cname-target": (at(10), [good(3, 1, 1)]),
        "cname-bad-target": (at(10), [good(3, 1, 1, True)]),
        "expired3": (at(22), [good(3, 1, 1, cert="mx-expired")]),
        "expired2": (at(22), [good(2, 0, 1)]),
        "other-name3": (at(23), [good(3, 0, 1, cert="mx-other-name")]),
        "other-name2": (at(23), [good(2, 0, 1)]),
        "by-name": (at(24), [good(2, 0, 1)]),
        "self-signed3": (at(25), [good(3, 1, 1, cert="mx-self-signed")]),
        "sink54": (at(54), [good(3, 1, 1)]),
    }


# domain: where its policy's server is, the policy
GOOD = "*.mx.test"
STS = {
    **{f"enforce{d}.test": (POLICIES, policy(GOOD)) for d in
       ("", "-untrusted", "-clear", "-stripped", "-expired", "-other-name", "-untrusted-first")},
    "enforce-mismatch.test": (POLICIES, policy("pf17.mx.test")),
    "enforce-second.test": (POLICIES, policy("pf17.mx.test")),
    "wildcard.test": (POLICIES, policy("other.example", GOOD)),
    "wildcard-deep.test": (POLICIES, policy(GOOD)),
    "testing.test": (POLICIES, policy(GOOD, mode="testing")),
    "testing-good.test": (POLICIES, policy(GOOD, mode="testing")),
    "testing-clear.test": (POLICIES, policy(GOOD, mode="testing")),
    "testing-mismatch.test": (POLICIES, policy("pf17.mx.test", mode="testing")),
    "mode-none.test": (POLICIES, policy(mode="none")),
    "short.test": (POLICIES, policy(GOOD, max_age=1)),
    "policy-gone.test": (POLICIES, policy(GOOD)),
    "policy-down.test": (NO_POLICIES, None),
    "policy-wrong.test": (WRONG_POLICIES, policy(GOOD)),
    "redirect.test": (POLICIES, None),
    "oversized.test": (POLICIES, policy(GOOD, *(f"host{i}.a-long-name-for-a-host.example" for i in range(3000)))),
    "html.test": (POLICIES, policy(GOOD)),
    "unknown-mode.test": (POLICIES, policy(GOOD, mode="strict")),
    "two-records.test": (POLICIES, policy(GOOD)),
    "both-good.test": (POLICIES, policy("*.dane.test")),
    "both-bad.test": (POLICIES, policy("*.dane.test")),
    "both-mismatch.test": (POLICIES, policy("pf17.mx.test")),
    "requiretls-sts.test": (POLICIES, policy(GOOD)),
    "sts-cname.test": (None, policy(GOOD)),       # record and server are behind CNAMEs
}


def served():
    """What the policies' server has, by domain."""
    found = {domain: p or Policy() for domain, (_, p) in STS.items()} | {"changes.test": policy(GOOD)}
    found["html.test"].type = "text/html"
    found["redirect.test"].location = "https://mta-sts.enforce.test/.well-known/mta-sts.txt"
    return found


def absolute(host):
    if host == ".":
        return host
    if host.endswith("."):
        return host
    return f"{host}." if "." in host and not host.startswith("deep.") else f"{host}.mx.test."


def address_lines(name, addresses):
    return [f"{name} {'AAAA' if ':' in a else 'A'} {a}" for a in addresses]


def zones(certs):
    """As DnsBed wants them."""
    lines = []
    for domain, exchangers in {**EXCHANGERS, **BULK, **TARPITS, **COINS}.items():
        lines += [f"{domain}. MX {preference} {absolute(host)}" for preference, host in exchangers or ()]
    for host, addresses in ADDRESSES.items():
        lines += address_lines(f"{host}.mx.test.", addresses)
    for domain, (address, _) in STS.items():
        lines += [*sts_record(domain, 1), f"mta-sts.{domain}. A {address}"] if address else [
            f"_mta-sts.{domain}. CNAME _mta-sts.enforce.test.", f"mta-sts.{domain}. CNAME mta-sts.enforce.test."]
    lines += [
        f"bulk15.test. A {at(10)}",
        "alias.mx.test. CNAME pf10.mx.test.",
        "alias.test. CNAME one.test.",
        "loop1.mx.test. CNAME loop2.mx.test.", "loop2.mx.test. CNAME loop1.mx.test.",
        *sts_record("two-records.test", 2),
        f"other-ca2.mx.test. A {at(26)}",
        f"_25._tcp.other-ca2.mx.test. TLSA {tlsa(certs, 'other-ca', 2, 0, 1)}",
        f"client.test. A {OURS}",
    ]
    good, bad = tlsa(certs, "mx-good", 3, 1, 1), tlsa(certs, "mx-other-name", 3, 1, 1)
    dane = [
        "cname CNAME cname-target", "cname-bad CNAME cname-bad-target", "cname-initial CNAME pf10.mx.test.",
        f"_25._tcp.cname-initial TLSA {good}",
        f"tlsa-cname A {at(10)}", "_25._tcp.tlsa-cname CNAME issuers", f"issuers TLSA {tlsa(certs, 'ca', 2, 0, 1)}",
        f"sink55 A {at(55)}", f"_2525._tcp.sink55 TLSA {good}",
    ]
    for host, (address, data) in dane_hosts(certs).items():
        dane += [f"{host} A {address}", *(f"_25._tcp.{host} TLSA {d}" for d in data)]
    return {
        "test": "\n".join(lines),
        "dane.test": ("bogus:_25._tcp.badsig.dane.test", "\n".join(dane)),
        "changes.test": "\n".join(changing(1)),
        "insecure.test": ("unsigned", "\n".join([
            "mx-good MX 10 good311.dane.test.",
            "mx-bad MX 10 bad311.dane.test.",
            "sink MX 10 sink50.mx.test.",
            f"host A {at(25)}",
            f"_25._tcp.host TLSA {bad}"])),
        "bogus.test": ("bogus", "@ MX 10 pf11.mx.test."),
        "lame.test": ("broken", ""),
        "100.51.198.in-addr.arpa": "1 PTR client.test.",
    }


def sts_record(domain, number):
    return [f'_mta-sts.{domain}. TXT "v=STSv1; id={number};"']


def changing(number):
    """The zone of the domain whose policy gets another id."""
    return ["@ MX 10 untrusted.mx.test.", f"mta-sts A {POLICIES}", *sts_record("changes.test", number)]
