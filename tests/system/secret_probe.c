/* secret_probe: for test_secrets.py. `get HOST USER` asks envoi's sources; `store SCHEMA NAME VALUE …` (the password on stdin) and
 * `lock` use libsecret as any other program does. */
#include <libsecret/secret.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#undef SECRET_ERROR
#include "auth/secret.h"

static int get(const char *host, const char *user)
{
    struct buf out = BUF_SECRET_INIT;
    struct err e = ERR_INIT;
    const char *source = "-";
    struct secret_params p = { .account = "a", .host = host, .user = user, .keyring = true };
    static const char *const words[] = { "found", "none", "error" };
    int status = secret_get(&p, &out, &source, &e);
    printf("%s\n%s\n%s\n%s\n", words[status], source, status ? e.text : out.data, e.hint ? e.hint : "");
    buf_free(&out);
    err_clear(&e);
    return 0;
}

static int fail(GError *error)
{
    fprintf(stderr, "%s\n", error ? error->message : "failed");
    return 1;
}

static int store(char **argv)
{
    SecretSchema schema = { .name = argv[0] };
    GHashTable *attributes = g_hash_table_new(g_str_hash, g_str_equal);
    GError *error = NULL;
    char password[256] = "";
    ssize_t n = read(0, password, sizeof password - 1);
    for (int i = 0; n > 0 && argv[1 + 2 * i] && argv[2 + 2 * i]; i++) {
        schema.attributes[i].name = argv[1 + 2 * i];
        g_hash_table_insert(attributes, argv[1 + 2 * i], argv[2 + 2 * i]);
    }
    gboolean ok = secret_password_storev_sync(&schema, attributes, SECRET_COLLECTION_DEFAULT, "test", password, NULL, &error);
    g_hash_table_unref(attributes);
    return ok ? 0 : fail(error);
}

static int lock(void)
{
    GError *error = NULL;
    SecretService *service = secret_service_get_sync(SECRET_SERVICE_LOAD_COLLECTIONS, NULL, &error);
    if (!service)
        return fail(error);
    GList *collections = secret_service_get_collections(service);
    int n = secret_service_lock_sync(service, collections, NULL, NULL, &error);
    g_list_free_full(collections, g_object_unref);
    g_object_unref(service);
    return n > 0 ? 0 : fail(error);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "get") == 0)
        return get(argv[2], argv[3]);
    if (argc > 4 && strcmp(argv[1], "store") == 0)
        return store(argv + 2);
    if (argc == 2 && strcmp(argv[1], "lock") == 0)
        return lock();
    return 2;
}
