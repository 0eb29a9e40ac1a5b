/* version: what this binary is made of. Nothing is loaded to say it. */
#include "cmd/version.h"

#include <stdio.h>

#include "auth/sasl.h"
#include "conf/rc.h"

#ifdef ENVOI_DLOPEN
static const char loading[] = "loaded on first use";
#else
static const char loading[] = "linked";
#endif

/* VERSION_ macros come from configure: what was built against, "" for what was left out. */
static const struct { const char *name, *version, *purpose; } libraries[] = {
    { "GnuTLS", VERSION_GNUTLS, "TLS" },
    { "libidn2", VERSION_LIBIDN2, "internationalized domain names" },
    { "libgsasl", VERSION_LIBGSASL, "SCRAM, CRAM-MD5, DIGEST-MD5, GSSAPI, NTLM" },
    { "libunbound", VERSION_LIBUNBOUND, "MX and DNSSEC" },
    { "libcurl", VERSION_LIBCURL, "MTA-STS policies" },
    { "libsecret", VERSION_LIBSECRET, "keyring" },
    { "readline", VERSION_READLINE, "line editing in envoi talk" },
};

void version_print(void)
{
    struct strlist places = STRLIST_INIT;
    printf("envoi %s\n\nlibraries, %s:\n", PACKAGE_VERSION, loading);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        printf("  %-10s %-10s %s\n", libraries[i].name,
               *libraries[i].version ? libraries[i].version : "left out", libraries[i].purpose);
    printf("\nmechanisms:");
    for (const char *const *m = sasl_mechanisms(); *m; m++)
        printf(" %s", *m);
    printf("\n\nconfiguration, first found of each:\n");
    rc_places(&places);
    for (size_t i = 0; i < places.n; i++)
        printf("  %s\n", places.v[i]);
    strlist_free(&places);
    printf("\nGPL-3.0-or-later; no warranty\n");
}
