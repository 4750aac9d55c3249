/* SPDX-License-Identifier: MIT */
/* The plugin itself: configuration, life, what it offers, and reading. */
#include "skills.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <mcp/completion.h>
#include <mcp/skills.h>

#include "beneath.h"
#include "bundled.h"
#include "encoding.h"
#include "health.h"
#include "reading.h"

#define COMPLETIONS_MAX 100

static const char config_schema[] =
    "{\"type\":\"object\",\"required\":[\"directories\"],\"additionalProperties\":false,"
    "\"properties\":{"
    "\"directories\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,"
    "\"items\":{\"type\":\"string\",\"pattern\":\"^/\"},"
    "\"description\":\"Directories of skills, as absolute paths: each sub-directory with a "
    "SKILL.md is one\"}}}";

/* ---- the catalog ---- */

struct catalog *skills_catalog(struct skills *skills)
{
    pthread_mutex_lock(&skills->mutex);
    struct catalog *catalog = skills->catalog != NULL ? catalog_ref(skills->catalog) : NULL;
    pthread_mutex_unlock(&skills->mutex);
    return catalog;
}

void skills_log(const struct skills *skills, int32_t level, const char *format, ...)
{
    struct text line;
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    text_init(&line, 16 * 1024);
    text_add_utf8(&line, text, (size_t)size);
    free(text);
    skills->host->log(skills->host, level, text_bytes(&line));
    text_free(&line);
}

static bool has_complaint(const struct catalog *catalog, const char *sentence)
{
    for (size_t i = 0; catalog != NULL && i < catalog->complaint_count; i++)
        if (strcmp(catalog->complaints[i], sentence) == 0)
            return true;
    return false;
}

/* Those who have subscribed to a file hear that it is another one, or has gone. */
static void tell_updates(const struct skills *skills, const struct catalog *before,
                         const struct catalog *now)
{
    const struct mcp_resources_host *resources =
        skills->host->get_extension(skills->host, MCP_RESOURCES);
    struct text uri;

    text_init(&uri, 64 * 1024);
    for (size_t i = 0; resources != NULL && before != NULL && i < before->count; i++) {
        const struct skill *old = &before->skills[i];
        const struct skill *new = catalog_find(now, old->name, strlen(old->name));
        for (size_t k = 0; k < old->count; k++) {
            const struct file *file = new != NULL ? skill_file(new, old->files[k].path) : NULL;
            if (file != NULL && memcmp(file->digest, old->files[k].digest, DIGEST_SIZE) == 0)
                continue;
            text_cut(&uri, 0);
            add_uri(&uri, old->name, old->files[k].path);
            if (!uri.failed)
                resources->updated(skills->host, text_bytes(&uri));
        }
    }
    text_free(&uri);
}

void skills_set_catalog(struct skills *skills, struct catalog *catalog)
{
    pthread_mutex_lock(&skills->mutex);
    struct catalog *before = skills->catalog;
    skills->catalog = catalog_ref(catalog);
    pthread_mutex_unlock(&skills->mutex);
    for (size_t i = 0; i < catalog->complaint_count; i++)
        if (!has_complaint(before, catalog->complaints[i]))
            skills_log(skills, MCP_LOG_WARNING, "%s", catalog->complaints[i]);
    if (before != NULL && !catalog_same(before, catalog)) {
        skills_log(skills, MCP_LOG_INFO, "%zu skills, after a change in their directories",
                   catalog->count);
        skills->host->notify(skills->host, MCP_CHANGED_RESOURCES);
        tell_updates(skills, before, catalog);
    }
    catalog_unref(before);
    catalog_unref(catalog);
}

/* ---- life ---- */

static void skills_free(struct skills *skills)
{
    roots_free(&skills->roots);
    catalog_unref(skills->catalog);
    pthread_mutex_destroy(&skills->mutex);
    free(skills);
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    struct skills *skills = calloc(1, sizeof(*skills));

    (void)config; /* read through host->config */
    if (skills == NULL)
        return MCP_ENOMEM;
    skills->host = host;
    pthread_mutex_init(&skills->mutex, NULL);
    if (!roots_configure(&skills->roots, host, "/directories",
                         "name the directories whose sub-directories are skills, such as "
                         "[\"/srv/skills\"]")) {
        skills_free(skills);
        return MCP_EFAIL;
    }
    *instance = skills;
    return MCP_OK;
}

static int32_t start(void *self)
{
    struct skills *skills = self;

    if (!roots_open(&skills->roots))
        return MCP_EFAIL;
    roots_close(&skills->roots); /* they are there; each reading opens them again */
    if (watch_start(skills))
        return MCP_OK;
    config_fail(skills->host, "", "mcpd is out of memory, threads or descriptors");
    return MCP_EFAIL;
}

static void stop(void *self)
{
    watch_stop(self);
}

static void destroy(void *self)
{
    skills_free(self);
}

/* ---- what is offered ---- */

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    (void)self;
    (void)sink;
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    (void)self;
    (void)call;
    return MCP_ENOENT;
}

static int32_t add(const struct mcp_offer_sink *sink, const char *definition)
{
    const struct mcp_offer offer = {
        .struct_size = sizeof(offer),
        .flags = MCP_TOOL_THREAD_SAFE,
        .definition = {definition, strlen(definition)},
    };
    return sink->add(sink, &offer);
}

static int32_t get_skills(void *self, const struct mcp_offer_sink *sink)
{
    struct catalog *catalog = skills_catalog(self);

    for (size_t i = 0; i < catalog->count; i++)
        add(sink, catalog->skills[i].definition);
    catalog_unref(catalog);
    return MCP_OK;
}

/* What a client may begin with; the other files are read through the templates. */
static int32_t get_resources(void *self, const struct mcp_offer_sink *sink)
{
    struct catalog *catalog = skills_catalog(self);

    for (size_t i = 0; i < catalog->count; i++)
        add(sink, catalog->skills[i].resource);
    catalog_unref(catalog);
    return MCP_OK;
}

static int32_t get_resource_templates(void *self, const struct mcp_offer_sink *sink)
{
    struct catalog *catalog = skills_catalog(self);

    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->skills[i].count > 1)
            add(sink, catalog->skills[i].uri_template);
    catalog_unref(catalog);
    return MCP_OK;
}

/* ---- reading ---- */

static const char *type_of(const char *path, bool is_text)
{
    static const struct {
        const char *ending, *type;
    } known[] = {
        {".md", "text/markdown"},
        {".txt", "text/plain"},
        {".html", "text/html"},
        {".css", "text/css"},
        {".csv", "text/csv"},
        {".xml", "application/xml"},
        {".json", "application/json"},
        {".yaml", "application/yaml"},
        {".yml", "application/yaml"},
        {".toml", "application/toml"},
        {".py", "text/x-python"},
        {".js", "text/javascript"},
        {".mjs", "text/javascript"},
        {".sh", "application/x-sh"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".pdf", "application/pdf"},
        {".zip", "application/zip"},
        {".gz", "application/gzip"},
        {".ttf", "font/ttf"},
        {".otf", "font/otf"},
        {".wav", "audio/wav"},
        {".mp3", "audio/mpeg"},
        {".mp4", "video/mp4"},
        {".xsd", "application/xml"},
        {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
        {".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
        {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    };
    const char *ending = strrchr(path, '.');

    for (size_t i = 0; ending != NULL && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcasecmp(ending, known[i].ending) == 0)
            return known[i].type;
    return is_text ? "text/plain" : "application/octet-stream";
}

/* The path in a URI of ours, decoded; false: it is none, or no path of a file. */
static bool decode_path(struct mcp_bytes encoded, char out[PATH_MAX])
{
    struct text path;

    text_init(&path, PATH_MAX - 1);
    bool good = text_add_unescaped(&path, encoded.data, encoded.size) && !path.failed &&
                path.size > 0 && memchr(path.data, '\0', path.size) == NULL;
    if (good)
        memcpy(out, path.data, path.size + 1);
    text_free(&path);
    return good;
}

/* Only what the catalog has: hidden files and files of other directories are not there. */
static const struct skill *find_file(const struct catalog *catalog, struct mcp_bytes uri,
                                     char path[PATH_MAX])
{
    static const char scheme[] = "skill://";
    const size_t size = sizeof(scheme) - 1;

    if (uri.size <= size || memcmp(uri.data, scheme, size) != 0)
        return NULL;
    const char *name = uri.data + size;
    const char *slash = memchr(name, '/', uri.size - size);
    if (slash == NULL)
        return NULL;
    struct mcp_bytes rest = {slash + 1, (size_t)(uri.data + uri.size - slash - 1)};
    const struct skill *skill = catalog_find(catalog, name, (size_t)(slash - name));
    if (skill == NULL || !decode_path(rest, path) || skill_file(skill, path) == NULL)
        return NULL;
    return skill;
}

static int32_t finish(struct mcp_call *call, const char *path, const struct text *content)
{
    bool is_text =
        content->size == 0 || (memchr(content->data, '\0', content->size) == NULL &&
                               utf8_prefix(content->data, content->size) == content->size);
    return finish_contents(call, type_of(path, is_text), is_text, content);
}

static int32_t read_resource(void *self, struct mcp_call *call)
{
    struct catalog *catalog = skills_catalog(self);
    char path[PATH_MAX], beneath[PATH_MAX + 300];
    struct text content;
    struct stat st;
    const struct skill *skill = find_file(catalog, call->name, path);
    bool found = skill != NULL;

    text_init(&content, (size_t)FILES_BYTES_MAX + (1 << 17));
    if (found) {
        snprintf(beneath, sizeof(beneath), "%s/%s", skill->directory, path);
        found = file_read(catalog->roots[skill->root], beneath, FILES_BYTES_MAX, &content, &st);
    }
    if (found)
        finish(call, path, &content);
    else if (skill == NULL || errno == ENOENT)
        call->ops->finish_error(call, MCP_ERROR_RESOURCE_NOT_FOUND,
                                MCP_STR("No skill has such a file"), MCP_STR(""));
    else
        fail_call(call, "%.*s cannot be read now: %s", (int)call->name.size, call->name.data,
                  strerror(errno));
    text_free(&content);
    catalog_unref(catalog);
    return MCP_OK;
}

/* ---- completion: the paths of a skill's files ---- */

static int32_t complete(void *self, struct mcp_call *call)
{
    struct catalog *catalog = skills_catalog(self);
    struct mcp_bytes typed = {"", 0}, name = call->name;
    int32_t kind;
    struct text json;
    size_t total = 0;

    call->ops->argument(call, "/argument/value", &kind, &typed);
    /* skill://NAME/{+path} */
    const struct skill *skill =
        name.size > 16 ? catalog_find(catalog, name.data + 8, name.size - 8 - 8) : NULL;
    text_init(&json, 1 << 20);
    text_adds(&json, "{\"values\":[");
    for (size_t i = 0; skill != NULL && i < skill->count; i++) {
        const char *path = skill->files[i].path;
        size_t size = strlen(path);
        if (size < typed.size || memcmp(path, typed.data, typed.size) != 0 ||
            utf8_prefix(path, size) != size || total++ >= COMPLETIONS_MAX)
            continue;
        text_adds(&json, total > 1 ? "," : "");
        text_add_string(&json, path, size);
    }
    text_addf(&json, "],\"total\":%zu}", total);
    call->ops->finish_result(call, text_bytes(&json));
    text_free(&json);
    catalog_unref(catalog);
    return MCP_OK;
}

/* ---- health ---- */

static int32_t check(void *self, struct mcp_call *call)
{
    struct skills *skills = self;

    for (size_t i = 0; i < skills->roots.count; i++) {
        int fd = open(skills->roots.items[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return fail_call(call, "%s cannot be read: %s.", skills->roots.items[i].path,
                             strerror(errno));
        close(fd);
    }
    struct catalog *catalog = skills_catalog(skills);
    size_t count = catalog->count, complaints = catalog->complaint_count;
    catalog_unref(catalog);
    return pass_call(call, "%zu %s in %zu %s, %zu %s.", count, count == 1 ? "skill" : "skills",
                     skills->roots.count, skills->roots.count == 1 ? "directory" : "directories",
                     complaints, complaints == 1 ? "complaint" : "complaints");
}

/* ---- the plugin ---- */

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_resources resources = {
        .struct_size = sizeof(resources),
        .get_resources = get_resources,
        .get_resource_templates = get_resource_templates,
        .read_resource = read_resource,
    };
    static const struct mcp_completion completion = {.struct_size = sizeof(completion),
                                                     .complete = complete};
    static const struct mcp_skills skills = {.struct_size = sizeof(skills),
                                             .get_skills = get_skills};
    static const struct mcp_health health = HEALTH_CHECK(check);

    (void)self;
    if (strcmp(id, MCP_RESOURCES) == 0)
        return &resources;
    if (strcmp(id, MCP_COMPLETION) == 0)
        return &completion;
    if (strcmp(id, MCP_HEALTH) == 0)
        return &health;
    return strcmp(id, MCP_SKILLS) == 0 ? &skills : NULL;
}

BUNDLED_PLUGIN_WITH(
    "skills", "Skills",
    "\"abi\":\"1.1\",\"extensions\":[\"mcp.resources/1\",\"mcp.completion/1\","
    "\"mcp.skills/1\",\"mcp.health/1\"],\"needs\":{\"read\":[{\"config\":\"/directories\"}]}",
    .get_extension = get_extension);
