/* SPDX-License-Identifier: MIT */
/* From the text of a file to the struct: parsed, checked against the schema, and
 * read as far as it is right, so that one run finds all that is wrong. */
#include "config/reading.h"

#define SCRATCH_MAX ((size_t)4 << 20)

static const struct json_limits config_limits = {
    .max_size = CONFIG_FILE_MAX,
    .max_depth = 64,
    .max_nodes = 131072,
    .comments = true,
};

static struct schema *compile(struct reading *r, const struct json_node *root)
{
    struct error err;
    struct schema_options options = {.assert_format = false};
    struct schema *schema = schema_compile(&r->schema_json, root, &options, &err);
    if (schema == NULL)
        complaint(r, "the schema of mcpd.json inside this program is broken: %s", err.text);
    return schema;
}

static const struct json_node *provider_root(const struct reading *r)
{
    return json_at(&r->schema_json, r->schema_json.root, "/$defs/provider");
}

bool reading_start(struct reading *r, config_complain *complain, void *context)
{
    *r = (struct reading){.complain = complain, .context = context};
    arena_init(&r->scratch, SCRATCH_MAX);
    r->config = config_new();
    if (r->config == NULL) {
        complaint(r, "out of memory");
        return false;
    }
    r->arena = &r->config->private->arena;

    struct json_error err;
    if (!json_parse(&r->schema_json, config_schema(), &json_default_limits, &r->scratch, &err)) {
        complaint(r, "the schema of mcpd.json inside this program is broken: line %u: %s", err.line,
                  err.text);
        return false;
    }
    r->schema = compile(r, r->schema_json.root);
    r->provider_schema = compile(r, provider_root(r));
    return r->schema != NULL && r->provider_schema != NULL;
}

struct config *reading_finish(struct reading *r)
{
    schema_free(r->schema);
    schema_free(r->provider_schema);
    arena_free(&r->scratch);
    if (r->complaints == 0)
        return r->config;
    config_unref(r->config);
    return NULL;
}

static void out_of_memory(struct reading *r, const char *file)
{
    complaint(r, "%s: out of memory", file);
}

static const struct document *parse_document(struct reading *r, const char *file, struct bytes text)
{
    struct document *doc = arena_calloc(r->arena, 1, sizeof(*doc));
    if (doc == NULL) {
        out_of_memory(r, file);
        return NULL;
    }
    doc->file = file;
    struct json_error err;
    if (!json_parse(&doc->json, text, &config_limits, r->arena, &err)) {
        complaint(r, "%s:%u:%u: %s", file, err.line, err.column, err.text);
        return NULL;
    }
    return doc;
}

struct validation {
    struct reading *reading;
    const struct document *doc;
    const struct json_node *schema_root;
};

static bool on_failure(void *context, const struct schema_failure *failure)
{
    struct validation *v = context;
    complaint_failure(v->reading, v->doc, v->schema_root, failure);
    return v->reading->complaints <= COMPLAINTS_MAX;
}

static void validate(struct reading *r, const struct document *doc, const struct schema *schema,
                     const struct json_node *schema_root)
{
    struct validation v = {r, doc, schema_root};
    size_t before = r->complaints;
    if (!schema_validate(schema, &doc->json, doc->json.root, on_failure, &v) &&
        r->complaints == before)
        complaint(r, "%s: does not conform to the schema of mcpd.json", doc->file);
}

/* ---- values ---- */

bool config_name_legal(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return name.size >= 1 && name.size <= 64;
}

/* The string of a member; the default when there is none or it is no string. */
static const char *read_string(struct reading *r, const struct json *json,
                               const struct json_node *object, const char *name,
                               const char *otherwise)
{
    const struct json_node *value = json_get(json, object, name);
    if (value == NULL || value->type != JSON_STRING)
        return otherwise;
    return config_copy_string(r->arena, json_string(json, value, r->arena));
}

static uint32_t read_number(const struct json *json, const struct json_node *object,
                            const char *name, uint32_t max, uint32_t otherwise)
{
    int64_t number;
    const struct json_node *value = json_get(json, object, name);
    if (value == NULL || !json_int64(json, value, &number) || number < 0 || number > max)
        return otherwise;
    return (uint32_t)number;
}

static bool read_bool(const struct json *json, const struct json_node *object, const char *name,
                      bool otherwise)
{
    const struct json_node *value = json_get(json, object, name);
    if (value == NULL || (value->type != JSON_TRUE && value->type != JSON_FALSE))
        return otherwise;
    return value->type == JSON_TRUE;
}

static bool read_listen(struct reading *r, const struct json *json)
{
    const struct json_node *array = json_get(json, json->root, "listen");
    if (array == NULL || array->type != JSON_ARRAY || array->count == 0)
        return true;
    struct config_listen *listen = arena_calloc(r->arena, array->count, sizeof(*listen));
    if (listen == NULL)
        return false;

    const struct json_node *end = array + array->span;
    struct config_listen *entry = listen;
    for (const struct json_node *item = json_first(array); item != NULL;
         item = json_next(item, end), entry++) {
        const struct config_listen *otherwise = &r->config->listen[0];
        entry->address = read_string(r, json, item, "address", otherwise->address);
        entry->port = (uint16_t)read_number(json, item, "port", UINT16_MAX, otherwise->port);
        entry->allow_remote = read_bool(json, item, "allow_remote", otherwise->allow_remote);
        if (entry->address == NULL)
            return false;
    }
    r->config->listen = listen;
    r->config->listens = array->count;
    return true;
}

/* ---- providers ---- */

static struct config_provider *add_provider(struct reading *r)
{
    struct config *config = r->config;
    size_t room = config->private->provider_room;
    if (config->provider_count == room) {
        size_t more = room == 0 ? 8 : room * 2;
        void *grown = arena_resize(r->arena, config->providers, room * sizeof(*config->providers),
                                   more * sizeof(*config->providers));
        if (grown == NULL)
            return NULL;
        config->providers = grown;
        config->private->provider_room = more;
    }
    return &config->providers[config->provider_count++];
}

/* The "config" object without white space and comments. */
static struct bytes read_plugin_config(struct reading *r, const struct json *json,
                                       const struct json_node *object)
{
    if (object == NULL)
        return BYTES("{}");
    struct buf text;
    buf_init(&text, CONFIG_FILE_MAX);
    json_write_compact(&text, json, object);
    struct bytes copy = {NULL, 0};
    if (!text.failed)
        copy = arena_copy(r->arena, buf_bytes(&text));
    buf_free(&text);
    return copy;
}

static enum isolation read_isolation(const struct json *json, const struct json_node *node)
{
    const struct json_node *value = json_get(json, node, "isolation");
    if (value == NULL)
        return ISOLATION_UNSAID;
    return json_is(json, value, "process") ? ISOLATION_PROCESS : ISOLATION_INPROC;
}

/* An array of strings. False: out of memory. */
static bool read_paths(struct reading *r, const struct json *json, const struct json_node *object,
                       const char *name, const char *const **paths, size_t *count)
{
    const struct json_node *array = json_get(json, object, name);
    if (array == NULL || array->type != JSON_ARRAY || array->count == 0)
        return true;
    const char **strings = arena_calloc(r->arena, array->count, sizeof(*strings));
    const struct json_node *end = array + array->span;
    *paths = strings;
    for (const struct json_node *item = json_first(array); strings != NULL && item != NULL;
         item = json_next(item, end)) {
        if (item->type != JSON_STRING)
            continue;
        const char *path = config_copy_string(r->arena, json_string(json, item, r->arena));
        if (path == NULL)
            return false;
        strings[(*count)++] = path;
    }
    return strings != NULL;
}

static bool read_sandbox(struct reading *r, const struct json *json, const struct json_node *node,
                         struct config_sandbox *sandbox)
{
    const struct json_node *object = json_get(json, node, "sandbox");
    *sandbox = (struct config_sandbox)CONFIG_SANDBOX_DEFAULT;
    sandbox->enabled = read_bool(json, object, "enabled", true);
    sandbox->network = read_bool(json, object, "network", false);
    sandbox->unix_sockets = read_bool(json, object, "unix_sockets", false);
    sandbox->open_files = read_number(json, object, "open_files", UINT32_MAX, sandbox->open_files);
    sandbox->file_size_mib =
        read_number(json, object, "file_size_mib", UINT32_MAX, sandbox->file_size_mib);
    return read_paths(r, json, object, "read", &sandbox->read, &sandbox->read_count) &&
           read_paths(r, json, object, "write", &sandbox->write, &sandbox->write_count);
}

static bool read_provider(struct reading *r, const struct document *doc, const char *id,
                          const struct json_node *node)
{
    const struct json *json = &doc->json;
    struct config_provider *provider = id != NULL ? add_provider(r) : NULL;
    if (provider == NULL)
        return false;
    const struct json_node *config = json_get(json, node, "config");
    if (config != NULL && config->type != JSON_OBJECT)
        config = NULL;
    *provider = (struct config_provider){
        .id = id,
        .plugin = read_string(r, json, node, "plugin", id),
        .prefix = read_string(r, json, node, "prefix", ""),
        .isolation = read_isolation(json, node),
        .enabled = read_bool(json, node, "enabled", true),
        .timeout_ms = read_number(json, node, "timeout_ms", UINT32_MAX, 0),
        .memory_mib = read_number(json, node, "memory_mib", UINT32_MAX, 1024),
        .config = read_plugin_config(r, json, config),
        .file = doc->file,
        .document = json,
        .node = node,
        .config_node = config,
    };
    return read_sandbox(r, json, node, &provider->sandbox) && provider->plugin != NULL &&
           provider->prefix != NULL && provider->config.data != NULL;
}

static bool read_providers(struct reading *r, const struct document *doc)
{
    const struct json *json = &doc->json;
    const struct json_node *object = json_get(json, json->root, "providers");
    if (object == NULL || object->type != JSON_OBJECT)
        return true;
    const struct json_node *end = object + object->span;
    for (const struct json_node *name = json_first(object); name != NULL;
         name = json_next(name + 1, end)) {
        const char *id = config_copy_string(r->arena, json_string(json, name, r->arena));
        if (!read_provider(r, doc, id, name + 1))
            return false;
    }
    return true;
}

void config_read_main(struct reading *r, const char *file, struct bytes text)
{
    const struct document *doc = parse_document(r, file, text);
    if (doc == NULL)
        return;
    validate(r, doc, r->schema, r->schema_json.root);
    if (doc->json.root->type != JSON_OBJECT)
        return;
    if (!settings_read(r->config, r->arena, &doc->json) || !read_listen(r, &doc->json) ||
        !read_providers(r, doc)) {
        out_of_memory(r, file);
        return;
    }
    r->config->store.place = complaint_place_of(r, doc, "/store/url");
    config_read_keys(r, doc);
    config_check_main(r, doc);
}

static const struct config_provider *find_provider(const struct config *config, const char *id)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        if (strcmp(config->providers[i].id, id) == 0)
            return &config->providers[i];
    }
    return NULL;
}

void config_read_provider(struct reading *r, const char *file, const char *name, struct bytes text)
{
    const struct document *doc = parse_document(r, file, text);
    if (doc == NULL)
        return;
    validate(r, doc, r->provider_schema, provider_root(r));
    if (doc->json.root->type != JSON_OBJECT)
        return;

    const struct config_provider *other = find_provider(r->config, name);
    if (other != NULL) {
        char place[1024];
        config_place(other, "", place, sizeof(place));
        complaint_at(r, doc, doc->json.root, "",
                     "the provider \"%s\" is defined a second time, the first is at %s: remove one "
                     "of the two",
                     name, place);
        return;
    }
    if (!read_provider(r, doc, config_copy_string(r->arena, bytes_of(name)), doc->json.root))
        out_of_memory(r, file);
}
