/* tls_trust: loads the certificates that are trusted, and the list of those that were revoked. To parse a system's
 * whole store takes GnuTLS several times as long as all the rest of a handshake. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ascii.h"
#include "base/file.h"
#include "net/tls_session.h"
#include "net/trust_find.h"

/* --- some of them */

enum { STORE_MAX = 16 << 20, NAMES_MAX = 64 };

/* Read, not mapped: whoever writes the file anew at that moment shall not end us by a signal. */
static void find_in_file(const char *path, const struct der *names, size_t count, struct buf *found)
{
    struct buf pem = BUF_INIT;
    struct err unreadable = ERR_INIT;
    if (file_read(path, STORE_MAX, &pem, FAULT_NO_INPUT, &unreadable))
        trust_find(pem.data, pem.len, names, count, found);
    err_clear(&unreadable);
    buf_free(&pem);
}

static void find_in_directory(const char *path, const struct der *names, size_t count, struct buf *found)
{
    DIR *d = opendir(path);
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        char *file = xasprintf("%s/%s", path, entry->d_name);
        struct stat st;
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
            find_in_file(file, names, count, found);
        free(file);
    }
    if (d)
        closedir(d);
}

/* The names that lead from the chain into the store: of its issuers, and of its members, which may be trusted
 * themselves. */
static size_t names_of_chain(const struct tls *t, struct der *names)
{
    unsigned n = 0;
    const gnutls_datum_t *chain = t->api->gnutls_certificate_get_peers(t->session, &n);
    size_t count = 0;
    for (unsigned i = 0; i < n && count + 2 <= NAMES_MAX; i++)
        if (trust_names(chain[i].data, chain[i].size, &names[count], &names[count + 1]))
            count += 2;
    return count;
}

bool tls_trust_narrow(struct tls *t)
{
    const char *store = t->params->trust_file;
    struct der names[NAMES_MAX];
    struct buf found = BUF_INIT;
    struct stat st;
    if (!store || ascii_ieq(store, "system"))
        store = SYSTEM_TRUST_FILE;
    /* a revocation list is believed by the certificates that are there already */
    if (t->params->crl_file || stat(store, &st) != 0)
        return false;
    size_t count = names_of_chain(t, names);
    (S_ISDIR(st.st_mode) ? find_in_directory : find_in_file)(store, names, count, &found);
    const gnutls_datum_t pem = { (unsigned char *)found.data, (unsigned)found.len };
    bool some = found.len > 0
                && t->api->gnutls_certificate_set_x509_trust_mem(t->credentials, &pem, GNUTLS_X509_FMT_PEM) > 0;
    buf_free(&found);
    return some;
}

/* --- all */

static bool load_system(const struct gnutls_api *api, gnutls_certificate_credentials_t credentials, struct err *e)
{
    int n = api->gnutls_certificate_set_x509_system_trust(credentials);
    if (n > 0)
        return true;
    err_set(e, FAULT_NO_INPUT, "the system has no trusted certificates%s%s", n < 0 ? ": " : "",
            n < 0 ? api->gnutls_strerror(n) : "");
    return err_hint(e, "install the package 'ca-certificates', or set 'tls_trust_file' or 'tls_fingerprint'");
}

/* A directory: every PEM file in it, as OpenSSL's hashed ones have it. */
static bool load_file(const struct gnutls_api *api, gnutls_certificate_credentials_t credentials, const char *file,
                      struct err *e)
{
    struct stat st;
    bool directory = stat(file, &st) == 0 && S_ISDIR(st.st_mode);
    int n = directory ? api->gnutls_certificate_set_x509_trust_dir(credentials, file, GNUTLS_X509_FMT_PEM)
                      : api->gnutls_certificate_set_x509_trust_file(credentials, file, GNUTLS_X509_FMT_PEM);
    if (n > 0)
        return true;
    err_set(e, FAULT_NO_INPUT, "the trust %s '%s' holds no certificate: %s", directory ? "directory" : "file", file,
            n < 0 ? api->gnutls_strerror(n) : "it is empty");
    return err_hint(e, "'tls_trust_file' is a file of PEM certificates, a directory of such files, or 'system'");
}

bool tls_trust_load(const struct gnutls_api *api, gnutls_certificate_credentials_t credentials,
                    const struct tls_params *p, struct err *e)
{
    bool system = !p->trust_file || ascii_ieq(p->trust_file, "system");
    if (!(system ? load_system(api, credentials, e) : load_file(api, credentials, p->trust_file, e)))
        return false;
    if (!p->crl_file)
        return true;
    int n = api->gnutls_certificate_set_x509_crl_file(credentials, p->crl_file, GNUTLS_X509_FMT_PEM);
    if (n > 0)
        return true;
    err_set(e, FAULT_NO_INPUT, "the CRL file '%s' holds no revocation list: %s", p->crl_file,
            n < 0 ? api->gnutls_strerror(n) : "it is empty");
    return err_hint(e, "'tls_crl_file' is a file of PEM revocation lists");
}
