/* keyring: the desktop's secret service by libsecret, which brings GLib: loaded when the keyring is really asked. Locked, missing
 * and no service are three different answers. */
#include "auth/secret.h"

#include <libsecret/secret.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/door.h"

#undef SECRET_ERROR /* libsecret's macro; ours is an enumerator */

#define SECRET_SYMBOLS(X)                                                                            \
    X(secret_service_get_sync) X(secret_service_search_sync) X(secret_service_unlock_sync)           \
    X(secret_item_get_locked) X(secret_item_load_secret_sync) X(secret_item_get_secret)              \
    X(secret_value_get) X(secret_value_unref) X(g_hash_table_new) X(g_hash_table_insert) X(g_hash_table_unref) \
    X(g_str_hash) X(g_str_equal) X(g_list_free) X(g_list_free_full) X(g_object_unref) X(g_error_free)
DOOR_STRUCT(libsecret_api, SECRET_SYMBOLS);
const struct libsecret_api *libsecret_door(struct err *e);
DOOR_DEFINE(libsecret_door, libsecret_api, SECRET_SYMBOLS, "libsecret-1.so.0", "libsecret-1-0")

/* Asked in this order. msmtp's does not match by name: what secret-tool stores has another one. */
static const SecretSchema schemas[] = {
    { .name = "org.envoi.password", .attributes = { { "host", 0 }, { "service", 0 }, { "user", 0 } } },
    { .name = "de.marlam.msmtp.password", .flags = SECRET_SCHEMA_DONT_MATCH_NAME,
      .attributes = { { "host", 0 }, { "service", 0 }, { "user", 0 } } },
    { .name = "org.gnome.keyring.NetworkPassword",
      .attributes = { { "server", 0 }, { "protocol", 0 }, { "user", 0 } } },
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

/* The secret of one item. An unlocking dialogue is only opened where somebody could answer it. */
static enum secret_status open_item(const struct libsecret_api *api, SecretService *service, SecretItem *item,
                                    const struct secret_params *p, struct buf *out, struct err *e)
{
    GError *error = NULL;
    bool desktop = getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
    if (api->secret_item_get_locked(item) && desktop && p->may_prompt) {
        GList one = { .data = item }, *unlocked = NULL;
        api->secret_service_unlock_sync(service, &one, NULL, &unlocked, &error);
        api->g_list_free_full(unlocked, api->g_object_unref);
        if (error)
            api->g_error_free(error);
        error = NULL;
    }
    if (api->secret_item_get_locked(item)) {
        err_set(e, FAULT_AUTH, "the keyring has the password for '%s' at '%s' but is locked", p->user, p->host);
        err_hint(e, "unlock it: log in to the desktop, or open it with its program (seahorse, KWalletManager)");
        return SECRET_ERROR;
    }
    if (!api->secret_item_load_secret_sync(item, NULL, &error))
        return fail(api, error, SECRET_ERROR, e);
    SecretValue *value = api->secret_item_get_secret(item);
    gsize n = 0;
    const char *text = value ? api->secret_value_get(value, &n) : NULL;
    buf_add(out, text ? text : "", n);
    if (value)
        api->secret_value_unref(value);
    return out->len > 0 ? SECRET_FOUND : SECRET_NONE;
}

static enum secret_status search(const struct libsecret_api *api, SecretService *service, const SecretSchema *schema,
                                 const struct secret_params *p, struct buf *out, struct err *e)
{
    const char *const values[] = { p->host, "smtp", p->user };
    GError *error = NULL;
    GHashTable *attributes = api->g_hash_table_new(api->g_str_hash, api->g_str_equal);
    for (int i = 0; i < 3; i++)
        api->g_hash_table_insert(attributes, (char *)schema->attributes[i].name, (char *)values[i]);
    GList *items = api->secret_service_search_sync(service, schema, attributes, SECRET_SEARCH_NONE, NULL, &error);
    api->g_hash_table_unref(attributes);
    if (error)
        return fail(api, error, SECRET_NONE, e);
    enum secret_status status = items ? open_item(api, service, items->data, p, out, e) : SECRET_NONE;
    api->g_list_free_full(items, api->g_object_unref);
    return status;
}

enum secret_status secret_from_keyring(const struct secret_params *p, struct buf *out, struct err *e)
{
    if (!p->keyring || !p->host || !p->user)
        return SECRET_NONE;
    if (!session_bus()) {
        err_set(e, FAULT_AUTH, "there is no D-Bus session");
        return SECRET_NONE;
    }
    const struct libsecret_api *api = libsecret_door(e);
    if (!api)
        return SECRET_NONE;
    GError *error = NULL;
    SecretService *service = api->secret_service_get_sync(SECRET_SERVICE_OPEN_SESSION, NULL, &error);
    if (!service)
        return fail(api, error, SECRET_NONE, e);
    enum secret_status status = SECRET_NONE;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas && status == SECRET_NONE && !err_is_set(e); i++)
        status = search(api, service, &schemas[i], p, out, e);
    if (status == SECRET_NONE)
        err_set(e, FAULT_AUTH, "it has no entry for this host and user");
    api->g_object_unref(service);
    return status;
}
