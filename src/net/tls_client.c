/* tls_client: TLS as a client: what must be there before a connection is made, and the handshake. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "net/tls_session.h"

/* --- before a connection ----------------------------------------------------------------------------------------- */

static bool is_url(const char *name)
{
    return ascii_istarts(name, "pkcs11:") || ascii_istarts(name, "tpmkey:") || ascii_istarts(name, "system:");
}

static bool check_file(const char *file, const char *what, const char *option, struct err *e)
{
    if (!file || is_url(file))
        return true;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    int reason = errno;
    err_sys(e, FAULT_NO_INPUT, reason, "cannot read the %s '%s'", what, file);
    return err_hint(e, reason == EACCES ? "'%s' names it; it must be readable by you" : "'%s' names it", option);
}

static bool check_files(const struct tls_params *p, struct err *e)
{
    bool trusts_file = p->trust_file && !ascii_ieq(p->trust_file, "system");
    if (p->key_file && !p->cert_file) {
        err_set(e, FAULT_CONFIG, "there is a client key '%s' but no certificate", p->key_file);
        return err_hint(e, "set 'tls_cert_file', too");
    }
    if (p->cert_file && !p->key_file) {
        err_set(e, FAULT_CONFIG, "there is a client certificate '%s' but no key", p->cert_file);
        return err_hint(e, "set 'tls_key_file', too");
    }
    return check_file(p->key_file, "client key", "tls_key_file", e) &&
           check_file(p->cert_file, "client certificate", "tls_cert_file", e) &&
           (!trusts_file || check_file(p->trust_file, "trust file", "tls_trust_file", e)) &&
           check_file(p->crl_file, "CRL file", "tls_crl_file", e);
}

/* The password is asked for by GnuTLS, so only where the key is encrypted, and only once. */
struct pin_request {
    const struct tls_params *params; /* borrowed */
    bool ask;                        /* false: only find out whether it would be needed */
    bool needed;
    struct err *e;                   /* borrowed */
};

static int give_pin(void *ctx, int attempt, const char *token, const char *label, unsigned flags, char *pin,
                    size_t size)
{
    struct pin_request *r = ctx;
    char *password = NULL;
    (void)token, (void)label, (void)flags;
    r->needed = true;
    if (!r->ask || attempt > 0)
        return -1;
    if (!r->params->key_password) {
        err_set(r->e, FAULT_CONFIG, "the client key '%s' is encrypted", r->params->key_file);
        return -1;
    }
    if (!r->params->key_password(r->params->ctx, r->params->key_file, &password, r->e))
        return -1;
    bool fits = password && strlen(password) < size;
    if (fits)
        memcpy(pin, password, strlen(password) + 1);
    secret_free(password);
    return fits ? 0 : -1;
}

static bool load_key(const struct gnutls_api *api, gnutls_certificate_credentials_t credentials,
                     const struct tls_params *p, bool ask, struct err *e)
{
    struct pin_request request = { .params = p, .ask = ask, .e = e };
    if (!p->key_file || !p->cert_file)
        return true;
    api->gnutls_certificate_set_pin_function(credentials, give_pin, &request);
    int rc = api->gnutls_certificate_set_x509_key_file2(credentials, p->cert_file, p->key_file, GNUTLS_X509_FMT_PEM,
                                                        NULL, 0);
    api->gnutls_certificate_set_pin_function(credentials, NULL, NULL);
    if (rc >= 0 || (request.needed && !ask))
        return true;
    if (request.needed)
        err_set(e, FAULT_CONFIG, "the password of the client key '%s' is wrong", p->key_file);
    else if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        err_set(e, FAULT_CONFIG, "the client key '%s' does not belong to the certificate '%s'", p->key_file,
                p->cert_file);
    else
        err_set(e, FAULT_CONFIG, "cannot use the client key '%s' with the certificate '%s': %s", p->key_file,
                p->cert_file, api->gnutls_strerror(rc));
    return err_hint(e, "see 'tls_key_file' and 'tls_cert_file'; both are PEM files or PKCS#11 URLs");
}

static bool check_key(const struct gnutls_api *api, const struct tls_params *p, struct err *e)
{
    gnutls_certificate_credentials_t credentials;
    if (api->gnutls_certificate_allocate_credentials(&credentials) < 0)
        return err_set(e, FAULT_SYSTEM, "cannot prepare TLS");
    /* asking takes time that no server should wait */
    bool ok = load_key(api, credentials, p, p->key_password != NULL, e);
    api->gnutls_certificate_free_credentials(credentials);
    return ok;
}

bool tls_params_check(const struct tls_params *p, struct err *e)
{
    if (!check_files(p, e))
        return false;
    for (size_t i = 0; p->fingerprints && i < p->fingerprints->n; i++)
        if (!tls_fingerprint_check(p->fingerprints->v[i], e))
            return false;

    if (!p->key_file && !p->priorities)
        return true;
    const struct gnutls_api *api = gnutls_door(e);
    gnutls_priority_t parsed;
    if (!api)
        return false;
    if (p->key_file && !is_url(p->key_file) && !is_url(p->cert_file) && !check_key(api, p, e))
        return false;
    if (!p->priorities)
        return true;
    if (!tls_priorities_parse(api, p->priorities, &parsed, e))
        return false;
    api->gnutls_priority_deinit(parsed);
    return true;
}

bool tls_load(struct err *e)
{
    return gnutls_door(e) != NULL;
}

/* --- the handshake ------------------------------------------------------------------------------------------------ */

/* Nothing may have come before our first word: whoever injects octets behind the STARTTLS reply wants them to be
 * taken for the server's. A clear-text greeting where TLS was expected from the start is another mistake. */
static bool check_silence(struct stream *s, const struct tls_params *params, struct err *e)
{
    int waiting = 0;
    if (ioctl(s->fd_in, FIONREAD, &waiting) < 0 || waiting == 0)
        return true;
    unsigned char first[64];
    size_t n;
    if (!s->heard && wire_read(s, first, sizeof first, &n, e) == IO_DONE && tls_explain_clear_text(params, first, n, e))
        return err_stage(e, STAGE_TLS);
    err_set(e, FAULT_PROTOCOL, "the server sent octets before the TLS handshake began");
    err_hint(e, s->heard ? "somebody on the way may be injecting them; nothing was sent"
                         : "a server that speaks TLS from the start waits for the client; is the port right?");
    return err_stage(e, s->heard ? STAGE_STARTTLS : STAGE_TLS);
}

static bool start_session(struct stream *s, const struct tls_params *p, struct err *e)
{
    const struct tls *t = s->tls;
    const char *name = p->sni ? p->sni : p->host;
    const unsigned flags = GNUTLS_CLIENT | (p->session_name ? 0 : GNUTLS_NO_TICKETS);
    if (!tls_session_start(s, flags, p->priorities, t->credentials, e))
        return false;
    if (*name && !is_ip(name))
        t->api->gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, name, strlen(name));
    return true;
}

static bool start(struct stream *s, const struct tls_params *p, struct err *e)
{
    struct tls *t = tls_new(s, e);
    if (!t)
        return false;
    t->params = p;
    if (t->api->gnutls_certificate_allocate_credentials(&t->credentials) < 0)
        return err_set(e, FAULT_SYSTEM, "cannot prepare TLS");
    if (!load_key(t->api, t->credentials, p, true, e))
        return false;
    t->api->gnutls_certificate_set_verify_function(t->credentials, tls_verify);
    return start_session(s, p, e) && (!p->session_name || tls_resume_offer(t) || start_session(s, p, e));
}

enum io stream_tls_client(struct stream *s, const struct tls_params *params, struct err *e)
{
    if (!s->tls && (!check_silence(s, params, e) || !start(s, params, e))) {
        err_stage(e, STAGE_TLS);
        return IO_ERROR;
    }
    return tls_session_handshake(s, e);
}
