/* gnutls_door: the functions of GnuTLS that envoi calls, loaded when TLS is first needed.
 * Loading initializes the library; gnutls_global_init has nothing left to do. */
#ifndef NET_GNUTLS_DOOR_H
#define NET_GNUTLS_DOOR_H

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "base/door.h"

#define GNUTLS_SYMBOLS(X)                          \
    X(gnutls_check_version)                        \
    X(gnutls_strerror)                             \
    X(gnutls_error_is_fatal)                       \
    /* sessions */                                 \
    X(gnutls_init)                                 \
    X(gnutls_deinit)                               \
    X(gnutls_session_set_ptr)                      \
    X(gnutls_session_get_ptr)                      \
    X(gnutls_priority_init)                        \
    X(gnutls_priority_deinit)                      \
    X(gnutls_priority_set_direct)                  \
    X(gnutls_priority_set)                         \
    X(gnutls_credentials_set)                      \
    X(gnutls_server_name_set)                      \
    X(gnutls_transport_set_ptr)                    \
    X(gnutls_transport_set_pull_function)          \
    X(gnutls_transport_set_vec_push_function)      \
    X(gnutls_transport_set_errno)                  \
    X(gnutls_handshake)                            \
    X(gnutls_record_send)                          \
    X(gnutls_record_recv)                          \
    X(gnutls_record_check_pending)                 \
    X(gnutls_bye)                                  \
    X(gnutls_alert_get)                            \
    X(gnutls_alert_get_name)                       \
    X(gnutls_alert_send_appropriate)               \
    X(gnutls_session_channel_binding)              \
    X(gnutls_session_ext_master_secret_status)     \
    X(gnutls_session_is_resumed)                   \
    X(gnutls_session_get_flags)                    \
    X(gnutls_session_get_data2)                    \
    X(gnutls_session_set_data)                     \
    X(gnutls_db_set_cache_expiration)              \
    X(gnutls_session_ticket_key_generate)          \
    X(gnutls_session_ticket_enable_server)         \
    X(gnutls_session_ticket_send)                  \
    X(gnutls_session_get_desc)                     \
    X(gnutls_protocol_get_version)                 \
    X(gnutls_protocol_get_name)                    \
    X(gnutls_cipher_get)                           \
    X(gnutls_cipher_get_name)                      \
    X(gnutls_group_get)                            \
    X(gnutls_group_get_name)                       \
    /* credentials and trust */                    \
    X(gnutls_certificate_allocate_credentials)     \
    X(gnutls_certificate_free_credentials)         \
    X(gnutls_certificate_set_x509_system_trust)    \
    X(gnutls_certificate_set_x509_trust_file)      \
    X(gnutls_certificate_set_x509_trust_mem)       \
    X(gnutls_certificate_set_x509_trust_dir)       \
    X(gnutls_certificate_set_x509_crl_file)        \
    X(gnutls_certificate_set_x509_key_file2)       \
    X(gnutls_certificate_set_x509_key)             \
    X(gnutls_certificate_get_crt_raw)              \
    X(gnutls_certificate_set_pin_function)         \
    X(gnutls_certificate_set_verify_function)      \
    X(gnutls_certificate_get_ours)                 \
    X(gnutls_certificate_get_peers)                \
    X(gnutls_certificate_get_issuer)               \
    X(gnutls_certificate_verify_peers)             \
    X(gnutls_x509_trust_list_init)                 \
    X(gnutls_x509_trust_list_deinit)               \
    X(gnutls_x509_trust_list_add_cas)              \
    X(gnutls_x509_trust_list_verify_crt2)          \
    /* certificates */                             \
    X(gnutls_fingerprint)                          \
    X(gnutls_hash_fast)                            \
    X(gnutls_pem_base64_encode2)                   \
    X(gnutls_x509_crt_init)                        \
    X(gnutls_x509_crt_deinit)                      \
    X(gnutls_x509_crt_import)                      \
    X(gnutls_x509_crt_verify)                      \
    X(gnutls_x509_crt_get_dn3)                     \
    X(gnutls_x509_crt_get_issuer_dn3)              \
    X(gnutls_x509_crt_get_dn_by_oid)               \
    X(gnutls_x509_crt_get_subject_alt_name)        \
    X(gnutls_x509_crt_get_activation_time)         \
    X(gnutls_x509_crt_get_expiration_time)         \
    X(gnutls_x509_crt_get_pk_algorithm)            \
    X(gnutls_x509_crt_get_key_id)                  \
    X(gnutls_pubkey_init)                          \
    X(gnutls_pubkey_deinit)                        \
    X(gnutls_pubkey_import)                        \
    X(gnutls_pk_get_name)                          \
    /* the made certificate of a server */         \
    X(gnutls_rnd)                                  \
    X(gnutls_hash_init)                            \
    X(gnutls_hash)                                 \
    X(gnutls_hash_deinit)                          \
    X(gnutls_x509_privkey_init)                    \
    X(gnutls_x509_privkey_deinit)                  \
    X(gnutls_x509_privkey_generate)                \
    X(gnutls_x509_crt_set_version)                 \
    X(gnutls_x509_crt_set_serial)                  \
    X(gnutls_x509_crt_set_dn_by_oid)               \
    X(gnutls_x509_crt_set_subject_alt_name)        \
    X(gnutls_x509_crt_set_activation_time)         \
    X(gnutls_x509_crt_set_expiration_time)         \
    X(gnutls_x509_crt_set_key_usage)               \
    X(gnutls_x509_crt_set_key_purpose_oid)         \
    X(gnutls_x509_crt_set_key)                     \
    X(gnutls_x509_crt_sign2)

DOOR_STRUCT(gnutls_api, GNUTLS_SYMBOLS);

const struct gnutls_api *gnutls_door(struct err *e);

#endif
