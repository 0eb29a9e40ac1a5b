/* no_tls: the verbs of TLS and what else GnuTLS does in a build without it. */
#include "net/digest.h"
#include "net/stream.h"
#include "net/tls.h"

static bool without_tls(struct err *e)
{
    err_set(e, FAULT_CONFIG, "this envoi was built without TLS");
    err_hint(e, "build it with GnuTLS, or set 'tls off' where clear text is acceptable");
    return err_stage(e, STAGE_TLS);
}

bool tls_params_check(const struct tls_params *p, struct err *e)
{
    (void)p;
    return without_tls(e);
}

bool tls_load(struct err *e)
{
    (void)e;
    return true; /* whoever does without TLS is none the worse */
}

bool tls_tlsa_usable(const struct dns_record *r)
{
    (void)r;
    return false;
}

bool tls_tlsa_matches(const struct dns_record *r, const char *pem)
{
    (void)r, (void)pem;
    return false;
}

enum io stream_tls_client(struct stream *s, const struct tls_params *params, struct err *e)
{
    (void)s, (void)params;
    without_tls(e);
    return IO_ERROR;
}

enum io stream_tls_server(struct stream *s, struct tls_server *ctx, struct err *e)
{
    (void)s, (void)ctx;
    without_tls(e);
    return IO_ERROR;
}

struct tls_server *tls_server_new(const struct tls_server_params *p, struct err *e)
{
    (void)p;
    without_tls(e);
    return NULL;
}

void tls_server_free(struct tls_server *s)
{
    (void)s;
}

const char *tls_server_fingerprint(const struct tls_server *s)
{
    (void)s;
    return "";
}

bool stream_is_tls(const struct stream *s)
{
    (void)s;
    return false;
}

const struct tls_facts *stream_tls_facts(const struct stream *s)
{
    (void)s;
    return NULL;
}

bool stream_channel_binding(const struct stream *s, const char **type, struct buf *out)
{
    (void)s, (void)type, (void)out;
    return false;
}

void tls_facts_free(struct tls_facts *f)
{
    (void)f;
}

struct digest *digest_new(void)
{
    return NULL;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
    (void)d, (void)p, (void)n;
}

void digest_free(struct digest *d, struct buf *hex)
{
    (void)d, (void)hex;
}
