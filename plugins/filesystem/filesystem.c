/* SPDX-License-Identifier: MIT */
/* The plugin itself: configuration and life of an instance. */
#include "filesystem.h"

#include <stdlib.h>
#include <string.h>

#include <mcp/completion.h>
#include <mcp/resources.h>

#include "bundled.h"
#include "health.h"
#include "reading.h"
#include "text.h"

#define LARGEST_FILE (INT64_C(1) << 30)

static const char config_schema[] =
    "{\"type\":\"object\",\"required\":[\"allowed_paths\"],\"additionalProperties\":false,"
    "\"properties\":{"
    "\"allowed_paths\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,"
    "\"items\":{\"type\":\"string\",\"pattern\":\"^/\"},"
    "\"description\":\"Directories whose content clients may read, as absolute paths\"},"
    "\"read_only\":{\"type\":\"boolean\",\"default\":true,"
    "\"description\":\"false offers write_file, edit_file, create_directory and move_file\"},"
    "\"max_file_size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1073741824,"
    "\"default\":10485760,\"description\":\"Bytes read or written at once, at most\"},"
    "\"max_output\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1073741824,"
    "\"default\":1048576,\"description\":\"Bytes of text in one answer, at most; what is cut "
    "is marked\"},"
    "\"max_entries\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000,\"default\":10000,"
    "\"description\":\"Entries listed at once, at most\"},"
    "\"max_resources\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":4000,\"default\":100,"
    "\"description\":\"Files listed as resources, at most; every file can be read as one\"},"
    "\"max_watches\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":100000,\"default\":1024,"
    "\"description\":\"Directories watched for changes of files that clients subscribed to\"},"
    "\"allow_hard_links\":{\"type\":\"boolean\",\"default\":false,"
    "\"description\":\"Read also files with several names, of which some may be outside\"},"
    "\"allow_mounts\":{\"type\":\"boolean\",\"default\":false,"
    "\"description\":\"Enter also file systems that are mounted below allowed_paths\"}}}";

/* ---- life ---- */

static void filesystem_free(struct filesystem *fs)
{
    if (fs == NULL)
        return;
    roots_free(&fs->roots);
    if (fs->editing != NULL)
        pthread_mutex_destroy(fs->editing);
    free(fs->editing);
    free(fs);
}

static bool configure(struct filesystem *fs)
{
    const struct mcp_host *host = fs->host;
    bool allow_mounts = false;
    if (!config_integer(host, "/max_file_size", 1, LARGEST_FILE, &fs->max_file_size) ||
        !config_integer(host, "/max_entries", 1, 1000000, &fs->max_entries) ||
        !config_bool(host, "/read_only", &fs->read_only) ||
        !config_integer(host, "/max_output", 1, LARGEST_FILE, &fs->max_output) ||
        !config_integer(host, "/max_resources", 0, 4000, &fs->max_resources) ||
        !config_integer(host, "/max_watches", 0, 100000, &fs->max_watches) ||
        !config_bool(host, "/allow_mounts", &allow_mounts) ||
        !config_bool(host, "/allow_hard_links", &fs->allow_hard_links))
        return false;
    fs->roots.stay_on_mount = !allow_mounts;
    return roots_configure(&fs->roots, host, "/allowed_paths",
                           "name the directories that clients may read, such as "
                           "[\"/srv/files\"]");
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
    fs->max_output = 1024 * 1024;
    fs->max_entries = 10000;
    fs->max_resources = 100;
    fs->max_watches = 1024;
    fs->editing = calloc(1, sizeof(pthread_mutex_t));
    if (fs->editing != NULL)
        pthread_mutex_init(fs->editing, NULL);
    if (fs->editing == NULL || !configure(fs)) {
        filesystem_free(fs);
        return MCP_EFAIL;
    }
    *instance = fs;
    return MCP_OK;
}

static int32_t start(void *self)
{
    struct filesystem *fs = self;
    if (!roots_open(&fs->roots))
        return MCP_EFAIL;
    watch_start(fs);
    return MCP_OK;
}

static void stop(void *self)
{
    struct filesystem *fs = self;
    watch_stop(fs);
    roots_close(&fs->roots);
}

static void destroy(void *self)
{
    stop(self);
    filesystem_free(self);
}

/* ---- tools ---- */

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    return tools_offer(self, sink);
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    return tools_call(self, call);
}

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_resources resources = {
        .struct_size = sizeof(resources),
        .get_resources = resources_list,
        .get_resource_templates = resources_templates,
        .read_resource = resources_read,
    };
    static const struct mcp_completion completion = {.struct_size = sizeof(completion),
                                                     .complete = resources_complete};
    static const struct mcp_health health = HEALTH_CHECK(check_health);

    (void)self;
    if (strcmp(id, MCP_HEALTH) == 0)
        return &health;
    if (strcmp(id, MCP_COMPLETION) == 0)
        return &completion;
    return strcmp(id, MCP_RESOURCES) == 0 ? &resources : NULL;
}

BUNDLED_PLUGIN_WITH(
    "filesystem", "Files",
    "\"abi\":\"1.1\",\"extensions\":[\"mcp.resources/1\",\"mcp.completion/1\",\"mcp.health/1\"],"
    "\"needs\":{\"read\":[{\"config\":\"/allowed_paths\"}],"
    "\"write\":[{\"config\":\"/allowed_paths\",\"if_false\":\"/read_only\"}]}",
    .get_extension = get_extension);
