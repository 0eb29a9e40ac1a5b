/* tls_trust: loads the certificates that are trusted, and the list of those that were revoked. */
#include <string.h>
#include <sys/stat.h>

#include "base/ascii.h"
#include "net/tls_session.h"

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
