/* SPDX-License-Identifier: MIT */
/* The plugin itself: configuration, life and tools of an instance. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundled.h"
#include "reading.h"
#include "text.h"

#define LARGEST_FILE (INT64_C(1) << 30)
#define ROOTS_MAX 64

static const char config_schema[] =
    "{\"type\":\"object\",\"required\":[\"allowed_paths\"],\"additionalProperties\":false,"
    "\"properties\":{"
    "\"allowed_paths\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,"
    "\"items\":{\"type\":\"string\",\"pattern\":\"^/\"},"
    "\"description\":\"Directories whose content clients may read, as absolute paths\"},"
    "\"read_only\":{\"type\":\"boolean\",\"default\":true,"
    "\"description\":\"false offers write_file and create_directory\"},"
    "\"max_file_size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1073741824,"
    "\"default\":10485760,\"description\":\"Bytes read or written at once, at most\"},"
    "\"max_entries\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000,\"default\":10000,"
    "\"description\":\"Entries listed at once, at most\"},"
    "\"allow_hard_links\":{\"type\":\"boolean\",\"default\":false,"
    "\"description\":\"Read also files with several names, of which some may be outside\"}}}";

/* ---- life ---- */

static void filesystem_free(struct filesystem *fs)
{
    if (fs == NULL)
        return;
    for (size_t i = 0; i < fs->root_count; i++)
        free(fs->roots[i].path);
    free(fs->roots);
    free(fs);
}

/* Takes one of allowed_paths. 1: done, 0: there are no more, -1: wrong. */
static int add_root(struct filesystem *fs, size_t index)
{
    char *path;
    int added = config_directory(fs->host, "/allowed_paths", index, &path);
    if (added > 0)
        fs->roots[fs->root_count++] = (struct root){.path = path, .fd = -1};
    return added;
}

static bool configure(struct filesystem *fs)
{
    const struct mcp_host *host = fs->host;
    if (!config_integer(host, "/max_file_size", 1, LARGEST_FILE, &fs->max_file_size) ||
        !config_integer(host, "/max_entries", 1, 1000000, &fs->max_entries) ||
        !config_bool(host, "/read_only", &fs->read_only) ||
        !config_bool(host, "/allow_hard_links", &fs->allow_hard_links))
        return false;
    int added = 1;
    for (size_t i = 0; added > 0; i++) {
        added = add_root(fs, i);
        if (fs->root_count > ROOTS_MAX)
            return config_fail(host, "/allowed_paths", "more than %d directories", ROOTS_MAX);
    }
    if (added < 0)
        return false;
    if (fs->root_count == 0)
        return config_fail(host, "",
                           "\"allowed_paths\" is missing or empty: name the directories "
                           "that clients may read, such as [\"/srv/files\"]");
    return true;
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)config; /* read through host->config */
    struct filesystem *fs = calloc(1, sizeof(*fs));
    if (fs == NULL)
        return MCP_ENOMEM;
    fs->host = host;
    fs->read_only = true;
    fs->max_file_size = 10 * 1024 * 1024;
    fs->max_entries = 10000;
    fs->roots = calloc(ROOTS_MAX + 1, sizeof(fs->roots[0])); /* and the one that is too many */
    if (fs->roots == NULL || !configure(fs)) {
        filesystem_free(fs);
        return MCP_EFAIL;
    }
    *instance = fs;
    return MCP_OK;
}

static int32_t start(void *self)
{
    const struct filesystem *fs = self;
    for (size_t i = 0; i < fs->root_count; i++) {
        struct root *root = &fs->roots[i];
        root->fd = open_allowed(fs->host, "/allowed_paths", i, root->path);
        if (root->fd < 0)
            return MCP_EFAIL;
    }
    return MCP_OK;
}

static void stop(void *self)
{
    const struct filesystem *fs = self;
    for (size_t i = 0; i < fs->root_count; i++) {
        if (fs->roots[i].fd >= 0)
            close(fs->roots[i].fd);
        fs->roots[i].fd = -1;
    }
}

static void destroy(void *self)
{
    stop(self);
    filesystem_free(self);
}

/* ---- tools ---- */

typedef int32_t tool_function(const struct filesystem *fs, struct mcp_call *call);

struct tool_row {
    tool_function *run;
    bool writes;
    const char *name;
    const char *title;
    const char *description; /* what follows it says which paths there are */
    const char *input; /* further properties, each with a comma before it */
    const char *required; /* further required arguments, likewise */
    const char *output; /* properties */
    const char *output_required;
    const char *hints; /* annotations */
};

#define ENCODING                                                                                   \
    ",\"encoding\":{\"type\":\"string\",\"enum\":[\"utf-8\",\"base64\"],\"default\":\"utf-8\","    \
    "\"description\":\"base64 for what is not text\"}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"

/* The tag of a tool is its row. */
static const struct tool_row tools[] = {
    {read_file, false, "read_file", "Read a file",
     "Reads a file, or with offset and limit a part of it.",
     ENCODING ",\"offset\":{\"type\":\"integer\",\"minimum\":0,\"default\":0,"
              "\"description\":\"Byte to begin at\"}"
              ",\"limit\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"Bytes at most\"}",
     "",
     "\"path\":{\"type\":\"string\"},\"content\":{\"type\":\"string\"},"
     "\"encoding\":{\"type\":\"string\",\"enum\":[\"utf-8\",\"base64\"]},"
     "\"size\":{\"type\":\"integer\",\"minimum\":0,\"description\":\"Bytes of the whole file\"},"
     "\"offset\":" COUNT ",\"bytes\":{\"type\":\"integer\",\"minimum\":0,"
     "\"description\":\"Bytes of the file in content\"},"
     "\"eof\":{\"type\":\"boolean\",\"description\":\"False: go on at next_offset\"},"
     "\"next_offset\":" COUNT,
     "[\"path\",\"content\",\"encoding\",\"size\",\"offset\",\"bytes\",\"eof\"]",
     "\"readOnlyHint\":true,\"openWorldHint\":false"},
    {write_file, true, "write_file", "Write a file",
     "Creates a file, or replaces one, atomically. The directory must exist.",
     ",\"content\":{\"type\":\"string\"}" ENCODING, ",\"content\"",
     "\"path\":{\"type\":\"string\"},\"size\":" COUNT ","
     "\"created\":{\"type\":\"boolean\",\"description\":\"False: a file was replaced\"}",
     "[\"path\",\"size\",\"created\"]",
     "\"readOnlyHint\":false,\"destructiveHint\":true,\"idempotentHint\":true,"
     "\"openWorldHint\":false"},
    {list_directory, false, "list_directory", "List a directory",
     "Lists what is in a directory, sorted by name; symbolic links are listed, not followed.",
     ",\"recursive\":{\"type\":\"boolean\",\"default\":false,"
     "\"description\":\"Also what is in directories below\"}",
     "",
     "\"path\":{\"type\":\"string\"},\"entries\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\","
     "\"description\":\"Relative to path\"},"
     "\"type\":{\"type\":\"string\",\"enum\":[\"file\",\"directory\",\"symlink\",\"other\"]},"
     "\"size\":" COUNT ",\"modified\":{\"type\":\"string\"},"
     "\"invalid_name\":{\"type\":\"boolean\",\"description\":\"The name is not UTF-8 and was "
     "changed; it cannot be used as a path\"}},"
     "\"required\":[\"name\",\"type\",\"size\",\"modified\"]}},\"count\":" COUNT ","
     "\"truncated\":{\"type\":\"boolean\"},\"truncated_because\":{\"type\":\"string\"}",
     "[\"path\",\"entries\",\"count\",\"truncated\"]",
     "\"readOnlyHint\":true,\"openWorldHint\":false"},
    {create_directory, true, "create_directory", "Create a directory",
     "Creates a directory, and those on the way to it that are missing.", "", "",
     "\"path\":{\"type\":\"string\"},"
     "\"created\":{\"type\":\"boolean\",\"description\":\"False: it was there already\"}",
     "[\"path\",\"created\"]",
     "\"readOnlyHint\":false,\"destructiveHint\":false,\"idempotentHint\":true,"
     "\"openWorldHint\":false"},
};

/* The sentence about paths, as text. */
static void add_where(struct text *t, const struct filesystem *fs)
{
    if (fs->root_count == 1) {
        text_addf(t, " Paths are relative to %s, or absolute beneath it.", fs->roots[0].path);
        return;
    }
    text_addf(t, " Paths are relative to %s, or absolute beneath one of:", fs->roots[0].path);
    for (size_t i = 0; i < fs->root_count; i++)
        text_addf(t, "%s %s", i > 0 ? "," : "", fs->roots[i].path);
    text_adds(t, ".");
}

static int32_t add_tool(const struct filesystem *fs, const struct mcp_tool_sink *sink, size_t row)
{
    const struct tool_row *tool = &tools[row];
    struct text description, json;
    text_init(&description, 200 * 1024);
    text_init(&json, 250 * 1024);
    text_adds(&description, tool->description);
    add_where(&description, fs);
    text_addf(&json, "{\"name\":\"%s\",\"title\":\"%s\",\"description\":", tool->name, tool->title);
    text_add_string(&json, description.data, description.size);
    text_addf(&json,
              ",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\","
              "\"minLength\":1}%s},\"required\":[\"path\"%s],\"additionalProperties\":false}",
              tool->input, tool->required);
    text_addf(&json,
              ",\"outputSchema\":{\"type\":\"object\",\"properties\":{%s},\"required\":%s},"
              "\"annotations\":{\"title\":\"%s\",%s}}",
              tool->output, tool->output_required, tool->title, tool->hints);
    struct mcp_tool offer = {
        .struct_size = sizeof(offer),
        .flags = MCP_TOOL_THREAD_SAFE,
        .definition = text_bytes(&json),
        .tag = row,
    };
    int32_t result = json.failed || description.failed ? MCP_ENOMEM : sink->add(sink, &offer);
    text_free(&description);
    text_free(&json);
    return result;
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    const struct filesystem *fs = self;
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
        if (tools[i].writes && fs->read_only)
            continue;
        int32_t result = add_tool(fs, sink, i);
        if (result != MCP_OK)
            return result;
    }
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    const struct filesystem *fs = self;
    size_t row = (size_t)call->tag;
    /* A client that remembers a tool from before is refused, too. */
    if (row >= sizeof(tools) / sizeof(tools[0]) || (tools[row].writes && fs->read_only))
        return MCP_ENOENT;
    if (was_cancelled(call))
        return MCP_OK;
    return tools[row].run(fs, call);
}

BUNDLED_PLUGIN_WITH("filesystem", "Files",
                    "\"abi\":\"1.0\",\"needs\":{\"read\":[{\"config\":\"/allowed_paths\"}],"
                    "\"write\":[{\"config\":\"/allowed_paths\",\"if_false\":\"/read_only\"}]}",
                    .get_extension = NULL);
