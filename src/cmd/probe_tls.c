/* probe_tls: what swaks's TLS options say, which speak OpenSSL, in GnuTLS's terms. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "cmd/probe_parts.h"

enum { PEM_MAX = 1 << 20 };

static const struct {
    const char *name, *priority;
} versions[] = {
    { "sslv3", "SSL3.0" },   { "tlsv1", "TLS1.0" },   { "tlsv1_1", "TLS1.1" },
    { "tlsv1_2", "TLS1.2" }, { "tlsv1_3", "TLS1.3" },
};

/* Key exchange (NULL: TLS 1.3's), cipher, MAC. */
static const struct suite {
    const char *name, *exchange, *cipher, *mac;
} suites[] = {
    { "TLS_AES_256_GCM_SHA384", NULL, "AES-256-GCM", "AEAD" },
    { "TLS_AES_128_GCM_SHA256", NULL, "AES-128-GCM", "AEAD" },
    { "TLS_CHACHA20_POLY1305_SHA256", NULL, "CHACHA20-POLY1305", "AEAD" },
    { "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA", "AES-256-GCM", "AEAD" },
    { "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA", "AES-128-GCM", "AEAD" },
    { "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA", "CHACHA20-POLY1305", "AEAD" },
    { "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA", "AES-256-CBC", "SHA384" },
    { "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA", "AES-128-CBC", "SHA256" },
    { "ECDHE-RSA-AES256-SHA", "ECDHE-RSA", "AES-256-CBC", "SHA1" },
    { "ECDHE-RSA-AES128-SHA", "ECDHE-RSA", "AES-128-CBC", "SHA1" },
    { "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA", "AES-256-GCM", "AEAD" },
    { "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA", "AES-128-GCM", "AEAD" },
    { "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA", "CHACHA20-POLY1305", "AEAD" },
    { "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA", "AES-256-CBC", "SHA1" },
    { "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA", "AES-128-CBC", "SHA1" },
    { "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA", "AES-256-GCM", "AEAD" },
    { "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA", "AES-128-GCM", "AEAD" },
    { "DHE-RSA-CHACHA20-POLY1305", "DHE-RSA", "CHACHA20-POLY1305", "AEAD" },
    { "DHE-RSA-AES256-SHA256", "DHE-RSA", "AES-256-CBC", "SHA256" },
    { "DHE-RSA-AES128-SHA256", "DHE-RSA", "AES-128-CBC", "SHA256" },
    { "DHE-RSA-AES256-SHA", "DHE-RSA", "AES-256-CBC", "SHA1" },
    { "DHE-RSA-AES128-SHA", "DHE-RSA", "AES-128-CBC", "SHA1" },
    { "AES256-GCM-SHA384", "RSA", "AES-256-GCM", "AEAD" },
    { "AES128-GCM-SHA256", "RSA", "AES-128-GCM", "AEAD" },
    { "AES256-SHA256", "RSA", "AES-256-CBC", "SHA256" },
    { "AES128-SHA256", "RSA", "AES-128-CBC", "SHA256" },
    { "AES256-SHA", "RSA", "AES-256-CBC", "SHA1" },
    { "AES128-SHA", "RSA", "AES-128-CBC", "SHA1" },
    { "DES-CBC3-SHA", "RSA", "3DES-CBC", "SHA1" },
};

/* OpenSSL's words for a whole set, and the words a GnuTLS string begins with, which stand for themselves. */
static const struct {
    const char *word, *priority;
} sets[] = {
    { "DEFAULT", "NORMAL" }, { "HIGH", "NORMAL" }, { "ALL", "NORMAL:+3DES-CBC" },
    { "NORMAL", NULL }, { "PERFORMANCE", NULL }, { "PFS", NULL }, { "SECURE128", NULL }, { "SECURE192", NULL },
    { "SECURE256", NULL }, { "SUITEB128", NULL }, { "SUITEB192", NULL }, { "LEGACY", NULL },
    { "NONE", NULL }, { "SYSTEM", NULL },
};

/* Adds ":+WORD" unless it is there. */
static void add_once(struct buf *out, const char *word)
{
    struct buf part = BUF_INIT;
    buf_printf(&part, ":+%s", word);
    const char *found = strstr(out->data, part.data);
    if (!found || (found[part.len] && found[part.len] != ':'))
        buf_addbuf(out, &part);
    buf_free(&part);
}

static bool unknown_cipher(const struct saying *s, const char *word, struct err *e)
{
    const char *names[sizeof suites / sizeof *suites + 1] = { NULL };
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        names[i] = suites[i].name;
    const char *near = ascii_nearest(word, names);
    said_wrong(s, e, "has no cipher '%s'", word);
    if (near)
        return err_hint(e, "did you mean '%s'?", near);
    return err_hint(e, "write names as AES256-SHA, or a GnuTLS priority string: NORMAL:-CIPHER-ALL:+AES-256-GCM");
}

/* "AES128-SHA:AES256-SHA": only these. */
static bool named_suites(const struct saying *s, struct buf *out, struct err *e)
{
    struct strlist names = STRLIST_INIT;
    bool ok = true, older = false, newer = false;
    strlist_split(&names, s->value, ":, ");
    struct buf parts = BUF_INIT;
    for (size_t i = 0; ok && i < names.n; i++) {
        const struct suite *suite = suites, *end = suites + sizeof suites / sizeof *suites;
        while (suite < end && !ascii_ieq(suite->name, names.v[i]))
            suite++;
        ok = suite < end || unknown_cipher(s, names.v[i], e);
        if (!ok)
            break;
        add_once(&parts, suite->cipher);
        add_once(&parts, suite->mac);
        if (suite->exchange)
            add_once(&parts, suite->exchange);
        older |= suite->exchange != NULL;
        newer |= !suite->exchange;
    }
    buf_printf(out, "NORMAL:-CIPHER-ALL:-MAC-ALL%s%s", older ? ":-KX-ALL" : "", parts.data);
    if (!newer)
        buf_adds(out, ":-VERS-TLS1.3");
    if (!older)
        buf_adds(out, ":-VERS-TLS-ALL:+VERS-TLS1.3");
    buf_free(&parts);
    strlist_free(&names);
    return ok;
}

static bool ciphers(const struct saying *s, struct buf *out, struct err *e)
{
    size_t len = strcspn(s->value, ":");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strlen(sets[i].word) == len && ascii_ieqn(s->value, sets[i].word, len) &&
            (!sets[i].priority || !s->value[len])) {
            buf_adds(out, sets[i].priority ? sets[i].priority : s->value);
            return true;
        }
    if (*s->value != '@')
        return named_suites(s, out, e);
    buf_adds(out, s->value);
    return true;
}

static const char *version(const char *word)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (ascii_ieq(versions[i].name, word))
            return versions[i].priority;
    return NULL;
}

/* "tlsv1_2,tlsv1_3": these only; "no_tlsv1_3": all but. */
static bool protocols(const struct saying *s, struct buf *out, struct err *e)
{
    struct strlist words = STRLIST_INIT;
    struct buf parts = BUF_INIT;
    size_t without = 0;
    bool ok = true;
    strlist_split(&words, s->value, ", ");
    for (size_t i = 0; ok && i < words.n; i++) {
        bool no = ascii_istarts(words.v[i], "no_");
        const char *name = version(words.v[i] + 3 * no);
        without += no;
        ok = name || (no && ascii_ieq(words.v[i], "no_sslv2"));
        if (!ok) {
            said_wrong(s, e, "has no version '%s'", words.v[i]);
            err_hint(e, "write sslv3, tlsv1, tlsv1_1, tlsv1_2 or tlsv1_3, or the same with no_");
        } else if (name) {
            buf_printf(&parts, ":%cVERS-%s", no ? '-' : '+', name);
        }
    }
    if (ok && without && without < words.n) {
        ok = said_wrong(s, e, "has both versions and no_ versions");
        err_hint(e, "say which ones are meant, or which ones are not");
    }
    buf_printf(out, "%s%s", without ? "" : ":-VERS-TLS-ALL", parts.data);
    buf_free(&parts);
    strlist_free(&words);
    return ok;
}

static bool priorities(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct saying *cipher = said_last(p->said, "tls_cipher"), *protocol = said_last(p->said, "tls_protocol");
    struct buf string = BUF_INIT;
    bool ok = !cipher || ciphers(cipher, &string, e);
    if (ok && protocol) {
        if (!cipher)
            buf_adds(&string, "NORMAL");
        ok = protocols(protocol, &string, e);
    }
    ok = ok && (!string.len || probe_say(account, "tls_priorities", string.data, cipher ? cipher : protocol, e));
    buf_free(&string);
    return ok;
}

/* ---- our own certificate ---- */

/* GnuTLS reads a chain from the certificate's own file: both in one, which has no name and is private. */
static bool with_chain(struct probe_plan *p, const char *cert, const char *chain, struct buf *path, struct err *e)
{
    struct buf pem = BUF_INIT;
    bool ok = file_read(cert, PEM_MAX, &pem, FAULT_USAGE, e);
    buf_addc(&pem, '\n');
    ok = ok && file_read(chain, PEM_MAX, &pem, FAULT_USAGE, e);
    int fd = ok ? file_unlinked(e) : -1;
    ok = fd >= 0 && (file_write_all(fd, pem.data, pem.len) || err_set(e, FAULT_IO, "cannot write a temporary file"));
    p->said->chain_fd = fd;
    buf_printf(path, "/proc/self/fd/%d", fd);
    buf_free(&pem);
    return ok;
}

static bool certificate(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct saying *cert = said_last(p->said, "tls_cert"), *key = said_last(p->said, "tls_key"),
                        *chain = said_last(p->said, "tls_chain");
    if (!cert != !key) {
        said_wrong(cert ? cert : key, e, "does not go without '--tls-%s'", cert ? "key" : "cert");
        return err_hint(e, "say both, the same file where it holds both");
    }
    if (chain && !cert)
        return said_wrong(chain, e, "does not go without '--tls-cert'");
    if (!cert)
        return true;
    struct buf path = BUF_INIT;
    bool ok = !chain || with_chain(p, cert->value, chain->value, &path, e);
    ok = ok && probe_say(account, "tls_cert_file", path.len ? path.data : cert->value, cert, e) &&
         probe_say(account, "tls_key_file", key->value, key, e);
    buf_free(&path);
    return ok;
}

/* ---- the server's ---- */

static bool trust(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct saying *s = said_last(p->said, "tls_ca_path");
    struct stat st;
    if (!s)
        return true;
    if (stat(s->value, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return said_wrong(s, e, "names neither a file nor a directory: '%s'", s->value);
    return probe_say(account, "tls_trust_file", s->value, s, e);
}

static bool verify(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct probe_options *said = p->said;
    bool all = said_flag(said, "tls_verify"), issuer = said_flag(said, "tls_verify_ca"),
         name = said_flag(said, "tls_verify_host");
    const struct saying *target = said_last(said, "tls_verify_target");
    p->probe.any_certificate = !all && !issuer && !name;
    p->probe.any_name = !all && issuer && !name;
    p->probe.any_issuer = !all && name && !issuer;
    p->probe.sni = said_text(said, "tls_sni");
    return !target || probe_say(account, "tls_host_override", target->value, target, e);
}

bool probe_tls(struct probe_plan *p, struct settings *account, struct err *e)
{
    return priorities(p, account, e) && certificate(p, account, e) && trust(p, account, e) && verify(p, account, e);
}
