/* tls_explain: why a TLS handshake or session ended, in plain words and with what to do.
 * Certificates have a file of their own: tls_verify.c. */
#include <stdlib.h>
#include <string.h>

#include "net/tls_session.h"

/* What the peer's alerts mean to us (RFC 8446 6.2). */
static const struct {
    gnutls_alert_description_t alert;
    const char *words, *hint;
} alerts[] = {
    { GNUTLS_A_HANDSHAKE_FAILURE, "no TLS version, cipher or key exchange in common",
      "the server may be old or strict; 'tls_priorities' widens the choice, 'NORMAL' is the default" },
    { GNUTLS_A_PROTOCOL_VERSION, "no TLS version in common",
      "envoi offers TLS 1.2 and 1.3; 'tls_priorities NORMAL:+VERS-TLS1.1' would allow an older one" },
    { GNUTLS_A_INSUFFICIENT_SECURITY, "it wants stronger ciphers than are allowed here", "see 'tls_priorities'" },
    { GNUTLS_A_UNRECOGNIZED_NAME, "it does not serve a host of that name",
      "set 'tls_host_override' to the name that its certificate has" },
    { GNUTLS_A_CERTIFICATE_REQUIRED, "it wants a client certificate", "set 'tls_key_file' and 'tls_cert_file'" },
    { GNUTLS_A_BAD_CERTIFICATE, "it does not accept our certificate", "see 'tls_cert_file'" },
    { GNUTLS_A_UNSUPPORTED_CERTIFICATE, "it does not accept our certificate's kind", "see 'tls_cert_file'" },
    { GNUTLS_A_CERTIFICATE_EXPIRED, "it says that our certificate has expired", "renew the one in 'tls_cert_file'" },
    { GNUTLS_A_CERTIFICATE_REVOKED, "it says that our certificate was revoked", "see 'tls_cert_file'" },
    { GNUTLS_A_UNKNOWN_CA, "it does not know who issued our certificate", "see 'tls_cert_file'" },
    { GNUTLS_A_ACCESS_DENIED, "it does not let our certificate in", "see 'tls_cert_file'" },
};

/* What GnuTLS finds out by itself. */
static const struct {
    int code;
    enum fault fault;
    const char *words, *hint;
} failures[] = {
    { GNUTLS_E_PREMATURE_TERMINATION, FAULT_LOST, "it closed the connection",
      "is TLS what it expects on this port? implicit TLS is usual on 465, STARTTLS on 587 and 25" },
    { GNUTLS_E_UNEXPECTED_PACKET_LENGTH, FAULT_TLS, "what it sends is not TLS", NULL },
    { GNUTLS_E_UNEXPECTED_PACKET, FAULT_TLS, "what it sends is not TLS", NULL },
    { GNUTLS_E_RECORD_OVERFLOW, FAULT_TLS, "what it sends is not TLS", NULL },
    { GNUTLS_E_UNSUPPORTED_VERSION_PACKET, FAULT_TLS, "no TLS version in common",
      "envoi offers TLS 1.2 and 1.3; 'tls_priorities NORMAL:+VERS-TLS1.1' would allow an older one" },
    { GNUTLS_E_NO_CIPHER_SUITES, FAULT_TLS, "no cipher in common", "see 'tls_priorities'" },
    { GNUTLS_E_UNKNOWN_CIPHER_SUITE, FAULT_TLS, "no cipher in common", "see 'tls_priorities'" },
    { GNUTLS_E_UNWANTED_ALGORITHM, FAULT_TLS, "it insists on an algorithm that is not allowed here",
      "see 'tls_priorities'" },
    { GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM, FAULT_TLS, "its signature algorithm is not allowed here",
      "see 'tls_priorities'" },
    { GNUTLS_E_DH_PRIME_UNACCEPTABLE, FAULT_TLS, "its Diffie-Hellman prime is too small",
      "the server needs better parameters; 'tls_priorities NORMAL:-DHE-RSA' avoids them" },
    { GNUTLS_E_NO_CERTIFICATE_FOUND, FAULT_TLS, "it has no certificate", NULL },
    { GNUTLS_E_CERTIFICATE_REQUIRED, FAULT_TLS, "it has no certificate", NULL },
    { GNUTLS_E_DECRYPTION_FAILED, FAULT_PROTOCOL, "a record was damaged on the way", NULL },
};

static const char *peer_name(const struct tls *t)
{
    return t->params && t->params->host ? t->params->host : "the peer";
}

static void set(const struct tls *t, enum fault fault, const char *words, const char *hint, struct err *e)
{
    if (t->up)
        err_set(e, fault == FAULT_TLS ? FAULT_PROTOCOL : fault, "the TLS connection ended: %s", words);
    else
        err_set(e, fault, "the TLS handshake with '%s' failed: %s", peer_name(t), words);
    if (hint)
        err_hint(e, "%s", hint);
}

static void explain_alert(const struct tls *t, struct err *e)
{
    gnutls_alert_description_t alert = t->api->gnutls_alert_get(t->session);
    const char *words = NULL, *hint = NULL, *name = t->api->gnutls_alert_get_name(alert);
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
        if (alerts[i].alert == alert) {
            words = alerts[i].words;
            hint = alerts[i].hint;
        }
    char *text = xasprintf("%s%sthe alert '%s' came", words ? words : "", words ? "; " : "", name ? name : "unknown");
    set(t, FAULT_TLS, text, hint, e);
    free(text);
}

bool tls_explain_clear_text(const struct tls_params *params, const unsigned char *first, size_t n, struct err *e)
{
    size_t len = 0;
    while (len < n && first[len] >= ' ' && first[len] < 0x7f)
        len++;
    bool whole_line = len < n && (first[len] == '\r' || first[len] == '\n');
    if (len < 3 || (!whole_line && len < n))
        return false;
    char *line = xstrndup((const char *)first, len);
    bool smtp = strncmp(line, "220", 3) == 0 || strncmp(line, "421", 3) == 0 || strncmp(line, "554", 3) == 0;
    err_set(e, FAULT_TLS, "the server '%s' does not speak TLS here: it %s in clear text",
            params->host ? params->host : "", smtp ? "greeted" : "answered");
    err_server(e, line);
    if (smtp)
        err_hint(e, "this port wants 'tls_starttls on' (usual on 587 and 25) instead of TLS from the start (usual on "
                    "465)");
    free(line);
    return true;
}

enum io tls_explain(struct stream *s, int rc, struct err *e)
{
    struct tls *t = s->tls;
    bool told = false;
    if (err_is_set(&t->why)) { /* the wire's own words, or tls_verify's */
        err_move(e, &t->why);
        told = true;
    } else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        explain_alert(t, e);
        told = true;
    } else if (!t->up && t->params && tls_explain_clear_text(t->params, t->first, t->first_n, e)) {
        told = true;
    }
    for (size_t i = 0; i < sizeof failures / sizeof *failures && !told; i++)
        if (failures[i].code == rc) {
            set(t, failures[i].fault, failures[i].words, failures[i].hint, e);
            told = true;
        }
    if (!told)
        set(t, FAULT_TLS, t->api->gnutls_strerror(rc), NULL, e);
    if (!t->up)
        err_stage(e, STAGE_TLS);
    return IO_ERROR;
}
