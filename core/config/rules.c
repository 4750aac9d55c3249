/* SPDX-License-Identifier: MIT */
/* What a schema cannot say: rules over several keys, and addresses. */
#include "config/reading.h"

#include <arpa/inet.h>
#include <stdio.h>

bool config_address_parse(const char *text, unsigned char address[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, text, address) == 1)
        return true;
    memcpy(address, mapped, sizeof(mapped));
    return inet_pton(AF_INET, text, address + sizeof(mapped)) == 1;
}

bool config_address_is_loopback(const unsigned char address[16])
{
    static const unsigned char mapped_127[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    static const unsigned char one[16] = {[15] = 1};
    return memcmp(address, mapped_127, sizeof(mapped_127)) == 0 ||
           memcmp(address, one, sizeof(one)) == 0;
}

/* ---- strings ---- */

/* JSON allows U+0000 in strings; what follows it would be lost on us. */
static void check_string(struct reading *r, const struct document *doc,
                         const struct json_node *value, const char *pointer)
{
    if (value == NULL || value->type != JSON_STRING || !value->escaped)
        return;
    struct bytes text = json_string(&doc->json, value, &r->scratch);
    if (text.data == NULL || memchr(text.data, '\0', text.size) == NULL)
        return;
    struct buf got;
    buf_init(&got, 1024);
    json_write_shown(&got, &doc->json, value);
    complaint_at(r, doc, value, pointer, "expected a string without the character U+0000, got %s",
                 got.data != NULL ? got.data : "one");
    buf_free(&got);
}

static void check_strings(struct reading *r, const struct document *doc)
{
    const struct json *json = &doc->json;
    for (size_t i = 0; i < config_setting_count; i++) {
        const char *pointer = config_settings[i].pointer;
        if (config_settings[i].kind == SETTING_STRING)
            check_string(r, doc, json_at(json, json->root, pointer), pointer);
    }
}

/* ---- addresses ---- */

/* One entry of "listen" as rules see it. */
struct entry {
    const struct json_node *node;
    unsigned char address[16];
    uint16_t port;
    bool legal;
};

/* Whether the schema has already complained about what would allow it. */
static bool consent_is_unclear(const struct json *json, const struct json_node *entry)
{
    const struct json_node *allow = json_get(json, entry, "allow_remote");
    return allow != NULL && allow->type != JSON_TRUE && allow->type != JSON_FALSE;
}

static void check_entry(struct reading *r, const struct document *doc, size_t index,
                        struct entry *entry)
{
    const struct json *json = &doc->json;
    const struct config_listen *listen = &r->config->listen[index];
    const struct json_node *address = json_get(json, entry->node, "address");
    char pointer[64];
    snprintf(pointer, sizeof(pointer), "/listen/%zu/address", index);

    if (address == NULL)
        address = entry->node;
    else if (address->type != JSON_STRING)
        return;
    check_string(r, doc, address, pointer);
    entry->port = listen->port;
    entry->legal = config_address_parse(listen->address, entry->address);
    if (!entry->legal) {
        complaint_at(r, doc, address, pointer,
                     "expected a numeric IPv4 or IPv6 address, such as \"127.0.0.1\" or \"::1\", "
                     "got \"%s\"",
                     listen->address);
    } else if (!config_address_is_loopback(entry->address) && !listen->allow_remote &&
               !consent_is_unclear(json, entry->node)) {
        complaint_at(r, doc, address, pointer, REMOTE_REFUSED);
    }
}

static void check_twice(struct reading *r, const struct document *doc, const struct entry *entries,
                        size_t index)
{
    const struct entry *entry = &entries[index];
    for (size_t i = 0; i < index; i++) {
        if (!entries[i].legal || !entry->legal || entry->port == 0 ||
            entries[i].port != entry->port ||
            memcmp(entries[i].address, entry->address, sizeof(entry->address)) != 0)
            continue;
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/listen/%zu", index);
        complaint_at(r, doc, entry->node, pointer,
                     "the same address and port as listen[%zu]: remove one of the two", i);
        return;
    }
}

#define LISTENS_CHECKED 16 /* "maxItems" in the schema */

static void check_listen(struct reading *r, const struct document *doc)
{
    struct entry entries[LISTENS_CHECKED] = {0};
    const struct json_node *array = json_get(&doc->json, doc->json.root, "listen");
    if (array == NULL || array->type != JSON_ARRAY)
        return;
    const struct json_node *end = array + array->span;
    size_t i = 0;
    for (const struct json_node *item = json_first(array); item != NULL && i < LISTENS_CHECKED;
         item = json_next(item, end), i++) {
        entries[i].node = item;
        if (item->type != JSON_OBJECT)
            continue;
        check_entry(r, doc, i, &entries[i]);
        check_twice(r, doc, entries, i);
    }
}

void config_check_main(struct reading *r, const struct document *doc)
{
    check_strings(r, doc);
    check_listen(r, doc);
}

/* ---- providers ---- */

/* Where a key of a provider stands, from the root of its file. */
static void provider_pointer(const struct config_provider *provider, const char *key, char *out,
                             size_t size)
{
    if (provider->node != provider->document->root)
        snprintf(out, size, "/providers/%.64s%s", provider->id, key);
    else
        snprintf(out, size, "%s", key);
}

static void check_timeout(struct reading *r, const struct config_provider *provider)
{
    const struct json_node *value = json_get(provider->document, provider->node, "timeout_ms");
    struct document doc = {provider->file, *provider->document};
    char pointer[128];
    if (provider->timeout_ms <= r->config->calls.timeout_ms)
        return;
    provider_pointer(provider, "/timeout_ms", pointer, sizeof(pointer));
    complaint_at(r, &doc, value, pointer,
                 "expected at most calls.timeout_ms, which is %u, got %u: raise that or lower "
                 "this",
                 r->config->calls.timeout_ms, provider->timeout_ms);
}

/* Two words of one operator against each other. */
static void check_sandbox(struct reading *r, const struct config_provider *provider)
{
    const struct json_node *value = json_at(provider->document, provider->node, "/sandbox/enabled");
    struct document doc = {provider->file, *provider->document};
    char pointer[128];
    if (provider->sandbox.enabled || !r->config->plugins.require_sandbox)
        return;
    provider_pointer(provider, "/sandbox/enabled", pointer, sizeof(pointer));
    complaint_at(r, &doc, value, pointer,
                 "expected true, for plugins.require_sandbox is true, got false: take one of the "
                 "two back");
}

/* What is for worker processes, of a provider that is to have none. */
static void check_unused(struct reading *r, const struct config_provider *provider, const char *key)
{
    const struct json_node *value = json_get(provider->document, provider->node, key);
    struct document doc = {provider->file, *provider->document};
    char name[32], pointer[128];
    if (value == NULL || provider->isolation != ISOLATION_INPROC)
        return;
    snprintf(name, sizeof(name), "/%s", key);
    provider_pointer(provider, name, pointer, sizeof(pointer));
    complaint_at(r, &doc, value, pointer,
                 "has no effect in mcpd's own process: say \"isolation\": \"process\" or take it "
                 "away");
}

void config_check_providers(struct reading *r)
{
    for (size_t i = 0; i < r->config->provider_count; i++) {
        check_timeout(r, &r->config->providers[i]);
        check_sandbox(r, &r->config->providers[i]);
        check_unused(r, &r->config->providers[i], "sandbox");
        check_unused(r, &r->config->providers[i], "memory_mib");
    }
}
