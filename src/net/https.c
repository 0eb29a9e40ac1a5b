/* https: one document by libcurl, in our own poll loop. It looks nothing up, keeps nothing, and heeds no setting of the
 * environment. */
#include "net/https.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CURL_DISABLE_TYPECHECK /* its macros would stand between a door and its functions */
#include <curl/curl.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/door.h"

#define CURL_SYMBOLS(X)                                                                                           \
    X(curl_global_init) X(curl_easy_init) X(curl_easy_setopt) X(curl_easy_getinfo) X(curl_easy_strerror)           \
    X(curl_easy_cleanup) X(curl_multi_init) X(curl_multi_setopt) X(curl_multi_add_handle) X(curl_multi_info_read)  \
    X(curl_multi_remove_handle) X(curl_multi_socket_action) X(curl_multi_cleanup) X(curl_slist_append)             \
    X(curl_slist_free_all) X(curl_version_info)
DOOR_STRUCT(curl_api, CURL_SYMBOLS);
const struct curl_api *curl_door(struct err *e);
DOOR_DEFINE(curl_door, curl_api, CURL_SYMBOLS, LIBCURL_SONAME, LIBCURL_PACKAGE,
            "recommended", "mta-sts", "MTA-STS policies of mail domains")

enum {
    HEADERS_MAX = 64 << 10, /* octets of all header lines */
    CONNECT_MS = 15000,     /* for all addresses, and the handshake: a dead one leaves time for the next */
    SOCKETS_MAX = 8,        /* polled at a time; libcurl tries two addresses side by side */
};

struct https {
    const struct curl_api *api;
    struct https_params params;
    char *url;                 /* own */
    CURLM *multi;              /* own */
    CURL *easy;                /* own */
    struct curl_slist *places; /* own */
    char words[CURL_ERROR_SIZE];
    struct pollset sockets;    /* own: what libcurl waits for */
    usec timer;                /* when it wants to be called */
    size_t headers;            /* octets so far */
    struct buf body;           /* own */
    struct err err;            /* own: set before libcurl is told to stop, or before it began */
};

void https_document_free(struct https_document *d)
{
    free(d->type);
    buf_free(&d->body);
    *d = (struct https_document){ .body = BUF_INIT };
}

/* ---- what libcurl calls */

/* Its own sockets would be inherited by the programs that envoi starts. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)ctx, (void)purpose;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    (void)easy, (void)unused;
    struct pollset *ps = &((struct https *)ctx)->sockets;
    for (size_t i = 0; i < ps->n; i++)
        if (ps->v[i].fd == fd) {
            ps->v[i] = ps->v[--ps->n];
            break;
        }
    if (what != CURL_POLL_REMOVE)
        pollset_add(ps, fd, (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0)));
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    ((struct https *)ctx)->timer = ms < 0 ? USEC_NEVER : clock_now() + ms * (USEC_PER_SEC / 1000);
    return 0;
}

/* Endless header lines are no document, either. */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    struct https *h = ctx;
    h->headers += size * n;
    if (h->headers <= HEADERS_MAX)
        return size * n;
    err_set(&h->err, FAULT_UNAVAILABLE, "the answer to '%s' has a header of more than %d octets", h->url, HEADERS_MAX);
    return 0;
}

static bool good_status(struct https *h)
{
    long status = 0;
    h->api->curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return true;
    return err_set(&h->err, FAULT_UNAVAILABLE, "'%s' is answered with status %ld%s", h->url, status,
                   status / 100 == 3 ? ", a redirection, which is not followed" : "");
}

static bool too_long(struct https *h)
{
    return err_set(&h->err, FAULT_UNAVAILABLE, "'%s' is longer than %zu octets", h->url, h->params.max);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct https *h = ctx;
    if (!good_status(h))
        return 0;
    if (size * n > h->params.max - h->body.len) {
        too_long(h);
        return 0;
    }
    buf_add(&h->body, p, size * n);
    return size * n;
}

/* ---- the beginning */

/* Nothing but a host's name may stand for one in a URL. */
static bool is_host(const char *s)
{
    bool ok = *s && strlen(s) <= 253;
    for (; ok && *s; s++)
        ok = ascii_isalnum(*s) || *s == '-' || *s == '.' || *s == '_';
    return ok;
}

/* "host:443:192.0.2.1,[2001:db8::1]" */
static bool choose_places(struct https *h)
{
    struct buf b = BUF_INIT;
    const struct strlist *a = h->params.addresses;
    buf_printf(&b, "%s:443:", h->params.host);
    for (size_t i = 0; i < a->n; i++)
        buf_printf(&b, strchr(a->v[i], ':') ? "%s[%s]" : "%s%s", i > 0 ? "," : "", a->v[i]);
    h->places = h->api->curl_slist_append(NULL, b.data);
    buf_free(&b);
    return h->places != NULL;
}

/* A file in place of the system's certificates, or a directory of such files: never both. */
static bool set_trust(struct https *h)
{
    const char *file = h->params.trust_file;
    struct stat st;
    if (!file || ascii_ieq(file, "system"))
        return true;
    bool folder = stat(file, &st) == 0 && S_ISDIR(st.st_mode);
    return h->api->curl_easy_setopt(h->easy, CURLOPT_CAINFO, folder ? NULL : file) == CURLE_OK &&
           h->api->curl_easy_setopt(h->easy, CURLOPT_CAPATH, folder ? file : NULL) == CURLE_OK;
}

static bool set_source(struct https *h)
{
    if (!h->params.source_ip)
        return true;
    struct buf b = BUF_INIT;
    buf_printf(&b, "host!%s", h->params.source_ip);
    bool ok = h->api->curl_easy_setopt(h->easy, CURLOPT_INTERFACE, b.data) == CURLE_OK;
    buf_free(&b);
    return ok;
}

static bool set_options(struct https *h)
{
    const struct { CURLoption option; long value; } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_FOLLOWLOCATION, 0 },
        { CURLOPT_SSL_VERIFYPEER, 1 },
        { CURLOPT_SSL_VERIFYHOST, 2 },
        { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 }, /* or later */
        { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
        { CURLOPT_NETRC, CURL_NETRC_IGNORED },
        { CURLOPT_FRESH_CONNECT, 1 },
        { CURLOPT_FORBID_REUSE, 1 },
        { CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS },
        { CURLOPT_MAXFILESIZE, (long)h->params.max },
    };
    const struct { CURLoption option; const char *value; } strings[] = {
        { CURLOPT_URL, h->url },
        { CURLOPT_PROTOCOLS_STR, "https" },
        { CURLOPT_PROXY, "" }, /* not the environment's */
        { CURLOPT_USERAGENT, PACKAGE_NAME },
    };
    const struct { CURLoption option; void *value; } pointers[] = {
        { CURLOPT_RESOLVE, h->places }, { CURLOPT_ERRORBUFFER, h->words },
        { CURLOPT_HEADERDATA, h },      { CURLOPT_WRITEDATA, h },
    };
    CURLcode rc = CURLE_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && rc == CURLE_OK; i++)
        rc = h->api->curl_easy_setopt(h->easy, numbers[i].option, numbers[i].value);
    for (size_t i = 0; i < sizeof strings / sizeof *strings && rc == CURLE_OK; i++)
        rc = h->api->curl_easy_setopt(h->easy, strings[i].option, strings[i].value);
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers && rc == CURLE_OK; i++)
        rc = h->api->curl_easy_setopt(h->easy, pointers[i].option, pointers[i].value);
    return rc == CURLE_OK && set_trust(h) && set_source(h) &&
           h->api->curl_easy_setopt(h->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           h->api->curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           h->api->curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
}

static bool begin(struct https *h)
{
    const struct curl_api *api = h->api;
    if (api->curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(h->multi = api->curl_multi_init()) ||
        !(h->easy = api->curl_easy_init()) || !choose_places(h) || !set_options(h))
        return false;
    return api->curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           api->curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) == CURLM_OK &&
           api->curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
           api->curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) == CURLM_OK &&
           api->curl_multi_add_handle(h->multi, h->easy) == CURLM_OK;
}

struct https *https_start(const struct https_params *p)
{
    struct https *h = xcalloc(1, sizeof *h);
    *h = (struct https){ .params = *p, .sockets = POLLSET_INIT, .timer = USEC_NEVER, .body = BUF_INIT };
    h->url = xasprintf("https://%s%s", p->host, p->path);
    if (!is_host(p->host))
        err_set(&h->err, FAULT_CONNECT, "'%s' is no name of a host", p->host);
    else if (p->addresses->n == 0)
        err_set(&h->err, FAULT_CONNECT, "'%s' has no address", p->host);
    else if ((h->api = curl_door(&h->err)) && !begin(h))
        err_set(&h->err, FAULT_SYSTEM, "libcurl cannot be started");
    return h;
}

void https_free(struct https *h)
{
    if (!h)
        return;
    if (h->easy && h->multi)
        h->api->curl_multi_remove_handle(h->multi, h->easy);
    if (h->easy)
        h->api->curl_easy_cleanup(h->easy);
    if (h->multi)
        h->api->curl_multi_cleanup(h->multi);
    if (h->places)
        h->api->curl_slist_free_all(h->places);
    pollset_free(&h->sockets);
    buf_free(&h->body);
    err_clear(&h->err);
    free(h->url);
    free(h);
}

/* ---- the end */

static const struct { CURLcode code; enum fault fault; } failures[] = {
    { CURLE_COULDNT_CONNECT, FAULT_CONNECT },
    { CURLE_INTERFACE_FAILED, FAULT_CONNECT },
    { CURLE_OPERATION_TIMEDOUT, FAULT_TIMEOUT },
    { CURLE_SSL_CONNECT_ERROR, FAULT_TLS },
    { CURLE_SSL_CIPHER, FAULT_TLS },
    { CURLE_PEER_FAILED_VERIFICATION, FAULT_CERTIFICATE },
    { CURLE_SSL_CACERT_BADFILE, FAULT_CERTIFICATE },
    { CURLE_OUT_OF_MEMORY, FAULT_SYSTEM },
    { CURLE_FAILED_INIT, FAULT_SYSTEM },
};

static enum fault fault_of(CURLcode code)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (failures[i].code == code)
            return failures[i].fault;
    return FAULT_LOST;
}

/* Where libcurl tells only that something is wrong with a certificate, GnuTLS knows what. Worst first. */
static const struct { long status; const char *words; } gnutls_problems[] = {
    { 1 << 5, "its certificate was revoked" },                       /* GNUTLS_CERT_REVOKED */
    { 1 << 11, "its certificate has a bad signature" },              /* GNUTLS_CERT_SIGNATURE_FAILURE */
    { 1 << 6, "nobody who is trusted issued its certificate" },      /* GNUTLS_CERT_SIGNER_NOT_FOUND */
    { 1 << 7, "who issued its certificate may not" },                /* GNUTLS_CERT_SIGNER_NOT_CA */
    { 1 << 8, "its certificate is signed with a weak algorithm" },   /* GNUTLS_CERT_INSECURE_ALGORITHM */
    { 1 << 10, "its certificate has expired" },                      /* GNUTLS_CERT_EXPIRED */
    { 1 << 9, "its certificate is not valid yet" },                  /* GNUTLS_CERT_NOT_ACTIVATED */
};

static const char *gnutls_words(const struct https *h)
{
    long status = 0;
    const char *backend = h->api->curl_version_info(CURLVERSION_NOW)->ssl_version;
    if (!backend || strncmp(backend, "GnuTLS/", strlen("GnuTLS/")) != 0)
        return NULL;
    h->api->curl_easy_getinfo(h->easy, CURLINFO_SSL_VERIFYRESULT, &status);
    for (size_t i = 0; i < sizeof gnutls_problems / sizeof *gnutls_problems; i++)
        if (status & gnutls_problems[i].status)
            return gnutls_problems[i].words;
    return NULL;
}

static const char *connect_words(const struct https *h)
{
    long number = 0;
    h->api->curl_easy_getinfo(h->easy, CURLINFO_OS_ERRNO, &number);
    return number ? strerror((int)number) : NULL;
}

static void tell_failure(struct https *h, CURLcode code)
{
    struct buf words = BUF_INIT;
    const char *ours = code == CURLE_PEER_FAILED_VERIFICATION ? gnutls_words(h)
                     : code == CURLE_COULDNT_CONNECT ? connect_words(h) : NULL;
    const char *all = ours ? ours : *h->words ? h->words : h->api->curl_easy_strerror(code);
    visible_encode(&words, all, strlen(all));
    err_set(&h->err, fault_of(code), "cannot fetch '%s': %s", h->url, words.data);
    buf_free(&words);
}

static bool is_good(struct https *h, CURLcode code)
{
    if (err_is_set(&h->err))
        return false;
    if (code == CURLE_FILESIZE_EXCEEDED)
        return good_status(h) && too_long(h);
    if (code == CURLE_OK)
        return good_status(h);
    tell_failure(h, code);
    return false;
}

static void drive(struct https *h)
{
    struct pollfd ready[SOCKETS_MAX]; /* a copy: what is called changes the set */
    nfds_t n = h->sockets.n < SOCKETS_MAX ? h->sockets.n : SOCKETS_MAX;
    int running;
    if (n > 0)
        memcpy(ready, h->sockets.v, n * sizeof *ready);
    if (n > 0 && poll(ready, n, 0) > 0)
        for (nfds_t i = 0; i < n; i++) {
            int what = (ready[i].revents & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
                       (ready[i].revents & POLLOUT ? CURL_CSELECT_OUT : 0) |
                       (ready[i].revents & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);
            if (what)
                h->api->curl_multi_socket_action(h->multi, ready[i].fd, what, &running);
        }
    if (h->timer <= clock_now()) {
        h->timer = USEC_NEVER;
        h->api->curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
}

static bool is_over(struct https *h, CURLcode *code)
{
    int left;
    for (CURLMsg *m; (m = h->api->curl_multi_info_read(h->multi, &left));)
        if (m->msg == CURLMSG_DONE) {
            *code = m->data.result;
            return true;
        }
    return false;
}

static void take(struct https *h, struct https_document *d)
{
    const char *type = NULL;
    h->api->curl_easy_getinfo(h->easy, CURLINFO_CONTENT_TYPE, &type);
    *d = (struct https_document){ .type = xstrdup(type), .body = h->body };
    buf_init(&h->body);
}

enum io https_step(struct https *h, struct https_document *d, struct err *e)
{
    CURLcode code = CURLE_OK;
    if (!err_is_set(&h->err)) {
        drive(h);
        if (!is_over(h, &code)) {
            if (clock_now() < h->params.deadline)
                return IO_AGAIN;
            err_set(&h->err, FAULT_TIMEOUT, "'%s' was not fetched in time", h->url);
        }
    }
    if (is_good(h, code)) {
        take(h, d);
        return IO_DONE;
    }
    err_move(e, &h->err);
    return IO_ERROR;
}

void https_waits(const struct https *h, struct pollset *ps)
{
    for (size_t i = 0; i < h->sockets.n; i++)
        pollset_add(ps, h->sockets.v[i].fd, h->sockets.v[i].events);
    pollset_until(ps, usec_min(h->timer, h->params.deadline));
}
