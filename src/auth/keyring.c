/* keyring: the desktop's secret service by libsecret, which brings GLib: loaded when the keyring is really asked.
 * Locked, missing and no service are three different answers. */
#include "auth/keyring.h"

#include <libsecret/secret.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/door.h"

#undef SECRET_ERROR /* libsecret's macro; ours is an enumerator */

#define SECRET_SYMBOLS(X)                                                                            \
    X(secret_service_get_sync) X(secret_service_search_sync) X(secret_service_unlock_sync)           \
    X(secret_service_store_sync) X(secret_service_clear_sync) X(secret_collection_for_alias_sync)    \
    X(secret_collection_get_locked) X(secret_item_get_locked) X(secret_item_load_secret_sync) \
    X(secret_item_get_secret)                                                                        \
    X(secret_value_new) X(secret_value_get) X(secret_value_unref)                                    \
    X(g_hash_table_new) X(g_hash_table_insert) X(g_hash_table_unref)                                 \
    X(g_str_hash) X(g_str_equal) X(g_list_free) X(g_list_free_full) X(g_object_unref) X(g_error_free)
DOOR_STRUCT(libsecret_api, SECRET_SYMBOLS);
const struct libsecret_api *libsecret_door(struct err *e);
DOOR_DEFINE(libsecret_door, libsecret_api, SECRET_SYMBOLS, "libsecret-1.so.0", "libsecret-1-0",
            "suggested", "keyring", "passwords from the desktop's keyring")

/* Asked in this order. msmtp's does not match by name: what secret-tool stores has another one. */
static const SecretSchema schemas[] = {
    { .name = "org.envoi.password", .attributes = { { "host", 0 }, { "service", 0 }, { "user", 0 } } },
    { .name = "de.marlam.msmtp.password", .flags = SECRET_SCHEMA_DONT_MATCH_NAME,
      .attributes = { { "host", 0 }, { "service", 0 }, { "user", 0 } } },
    { .name = "org.gnome.keyring.NetworkPassword",
      .attributes = { { "server", 0 }, { "protocol", 0 }, { "user", 0 } } },
};
static const SecretSchema *const own = &schemas[0];

struct keyring {
    const struct libsecret_api *api;
    SecretService *service; /* own */
};

/* Without a session bus the library would start one, and wait. */
static bool session_bus(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *address = getenv("DBUS_SESSION_BUS_ADDRESS");
    if (address)
        return *address != '\0';
    if (!runtime || !*runtime)
        return false;
    struct stat st;
    char *path = xasprintf("%s/bus", runtime);
    bool there = stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
    free(path);
    return there;
}

static enum secret_status fail(const struct libsecret_api *api, GError *error, enum secret_status status, struct err *e)
{
    err_set(e, FAULT_AUTH, "the keyring does not answer: %s", error ? error->message : "no reason given");
    if (error)
        api->g_error_free(error);
    return status;
}

static bool keyring_open(struct keyring *k, struct err *e)
{
    GError *error = NULL;
    if (!session_bus()) {
        err_set(e, FAULT_AUTH, "there is no D-Bus session");
        return err_hint(e, "a keyring is part of a desktop session; elsewhere 'passwordeval' or ~/.netrc will do");
    }
    k->api = libsecret_door(e);
    if (!k->api)
        return false;
    k->service = k->api->secret_service_get_sync(SECRET_SERVICE_OPEN_SESSION, NULL, &error);
    if (!k->service) {
        fail(k->api, error, SECRET_NONE, e);
        err_hint(e, "is one running (gnome-keyring-daemon, kwalletd, KeePassXC)?");
    }
    return k->service != NULL;
}

static void keyring_close(struct keyring *k)
{
    k->api->g_object_unref(k->service);
}

/* The three attributes, in the order of the schemas. */
static GHashTable *attributes_new(const struct libsecret_api *api, const SecretSchema *schema,
                                  const struct secret_params *p)
{
    const char *const values[] = {
        p->key_file ? p->key_file : p->host, p->key_file ? "tls-key" : "smtp", p->key_file ? "tls_key_file" : p->user,
    };
    GHashTable *attributes = api->g_hash_table_new(api->g_str_hash, api->g_str_equal);
    for (int i = 0; i < 3; i++)
        api->g_hash_table_insert(attributes, (char *)schema->attributes[i].name, (char *)values[i]);
    return attributes;
}

/* An unlocking dialogue is only opened where somebody could answer it. The object is an item or a collection. */
static void try_unlock(const struct keyring *k, void *object, const struct secret_params *p)
{
    GError *error = NULL;
    if (!p->may_prompt || !(getenv("DISPLAY") || getenv("WAYLAND_DISPLAY")))
        return;
    GList one = { .data = object }, *unlocked = NULL;
    k->api->secret_service_unlock_sync(k->service, &one, NULL, &unlocked, &error);
    k->api->g_list_free_full(unlocked, k->api->g_object_unref);
    if (error)
        k->api->g_error_free(error);
}

static void hint_unlock(struct err *e)
{
    err_hint(e, "unlock it: log in to the desktop, or open it with its program (seahorse, KWalletManager)");
}

static enum secret_status open_item(const struct keyring *k, SecretItem *item, const struct secret_params *p,
                                    struct buf *out, struct err *e)
{
    GError *error = NULL;
    if (k->api->secret_item_get_locked(item))
        try_unlock(k, item, p);
    if (k->api->secret_item_get_locked(item)) {
        if (p->key_file)
            err_set(e, FAULT_AUTH, "the keyring has the password of '%s' but is locked", p->key_file);
        else
            err_set(e, FAULT_AUTH, "the keyring has the password for '%s' at '%s' but is locked", p->user, p->host);
        hint_unlock(e);
        return SECRET_ERROR;
    }
    if (!k->api->secret_item_load_secret_sync(item, NULL, &error))
        return fail(k->api, error, SECRET_ERROR, e);
    SecretValue *value = k->api->secret_item_get_secret(item);
    gsize n = 0;
    const char *text = value ? k->api->secret_value_get(value, &n) : NULL;
    buf_add(out, text ? text : "", n);
    if (value)
        k->api->secret_value_unref(value);
    return out->len > 0 ? SECRET_FOUND : SECRET_NONE;
}

/* The items of a schema; NULL where there are none, or with *e. To be freed with their objects. */
static GList *search(const struct keyring *k, const SecretSchema *schema, const struct secret_params *p, struct err *e)
{
    GError *error = NULL;
    GHashTable *attributes = attributes_new(k->api, schema, p);
    GList *items = k->api->secret_service_search_sync(k->service, schema, attributes, SECRET_SEARCH_NONE, NULL, &error);
    k->api->g_hash_table_unref(attributes);
    if (error)
        fail(k->api, error, SECRET_NONE, e);
    return items;
}

/* The items of the first schema that has some. */
static GList *search_all(const struct keyring *k, const struct secret_params *p, const SecretSchema **schema,
                         struct err *e)
{
    GList *items = NULL;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas && !items && !err_is_set(e); i++)
        items = search(k, *schema = &schemas[i], p, e);
    if (!items)
        err_set(e, FAULT_AUTH, p->key_file ? "it has no entry for this key" : "it has no entry for this host and user");
    return items;
}

enum secret_status secret_from_keyring(const struct secret_params *p, struct buf *out, struct err *e)
{
    struct keyring k;
    const SecretSchema *schema;
    if (!p->keyring || (!p->key_file && (!p->host || !p->user)) || !keyring_open(&k, e))
        return SECRET_NONE;
    GList *items = search_all(&k, p, &schema, e);
    enum secret_status status = items ? open_item(&k, items->data, p, out, e) : SECRET_NONE;
    k.api->g_list_free_full(items, k.api->g_object_unref);
    keyring_close(&k);
    return status;
}

enum secret_status keyring_look(const struct secret_params *p, struct keyring_entry *entry, struct err *e)
{
    struct keyring k;
    const SecretSchema *schema;
    if (!keyring_open(&k, e))
        return SECRET_ERROR;
    GList *items = search_all(&k, p, &schema, e);
    if (items)
        *entry = (struct keyring_entry){ schema == own, k.api->secret_item_get_locked(items->data) };
    k.api->g_list_free_full(items, k.api->g_object_unref);
    keyring_close(&k);
    return items ? SECRET_FOUND : SECRET_NONE;
}

/* Can something be stored? A prompt that nobody sees would be waited for. */
static bool check_collection(const struct keyring *k, const struct secret_params *p, struct err *e)
{
    GError *error = NULL;
    SecretCollection *collection =
        k->api->secret_collection_for_alias_sync(k->service, SECRET_COLLECTION_DEFAULT, SECRET_COLLECTION_NONE, NULL,
                                                 &error);
    if (error)
        return fail(k->api, error, SECRET_ERROR, e), false;
    if (!collection) {
        err_set(e, FAULT_AUTH, "there is no default keyring");
        return err_hint(e, "create one: log in to the desktop, or use its program (seahorse, KWalletManager)");
    }
    if (k->api->secret_collection_get_locked(collection))
        try_unlock(k, collection, p);
    if (k->api->secret_collection_get_locked(collection)) {
        err_set(e, FAULT_AUTH, "the keyring is locked");
        hint_unlock(e);
    }
    k->api->g_object_unref(collection);
    return !err_is_set(e);
}

bool keyring_store(const struct secret_params *p, const struct buf *secret, struct err *e)
{
    struct keyring k;
    GError *error = NULL;
    if (!keyring_open(&k, e))
        return false;
    if (check_collection(&k, p, e)) {
        char *label = p->key_file ? xasprintf("envoi: key %s", p->key_file)
                                  : xasprintf("envoi: %s at %s", p->user, p->host);
        GHashTable *attributes = attributes_new(k.api, own, p);
        SecretValue *value = k.api->secret_value_new(secret->data, (gssize)secret->len, "text/plain");
        if (!k.api->secret_service_store_sync(k.service, own, attributes, SECRET_COLLECTION_DEFAULT, label, value, NULL,
                                              &error))
            fail(k.api, error, SECRET_ERROR, e);
        k.api->secret_value_unref(value);
        k.api->g_hash_table_unref(attributes);
        free(label);
    }
    keyring_close(&k);
    return !err_is_set(e);
}

enum secret_status keyring_remove(const struct secret_params *p, struct err *e)
{
    struct keyring k;
    GError *error = NULL;
    enum secret_status status = SECRET_ERROR;
    if (!keyring_open(&k, e))
        return status;
    GList *items = search(&k, own, p, e);
    if (items && k.api->secret_item_get_locked(items->data))
        try_unlock(&k, items->data, p);
    if (items && k.api->secret_item_get_locked(items->data)) {
        err_set(e, FAULT_AUTH, "the keyring is locked");
        hint_unlock(e);
    } else if (!err_is_set(e)) {
        GHashTable *attributes = attributes_new(k.api, own, p);
        bool removed = k.api->secret_service_clear_sync(k.service, own, attributes, NULL, &error);
        status = error ? fail(k.api, error, SECRET_ERROR, e) : removed ? SECRET_FOUND : SECRET_NONE;
        k.api->g_hash_table_unref(attributes);
    }
    k.api->g_list_free_full(items, k.api->g_object_unref);
    keyring_close(&k);
    return status;
}
