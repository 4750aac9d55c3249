/* SPDX-License-Identifier: MIT */
/* The plugin itself: configuration, life and tools of an instance. */
#include "git.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bundled.h"
#include "health.h"
#include "reading.h"

static const char config_schema[] =
    "{\"type\":\"object\",\"required\":[\"allowed_paths\"],\"additionalProperties\":false,"
    "\"properties\":{"
    "\"allowed_paths\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,"
    "\"items\":{\"type\":\"string\",\"pattern\":\"^/\"},"
    "\"description\":\"Directories whose repositories clients may read, as absolute paths\"},"
    "\"read_only\":{\"type\":\"boolean\",\"default\":true,"
    "\"description\":\"false offers git_add, git_commit and the others that write\"},"
    "\"author_name\":{\"type\":\"string\",\"default\":\"\","
    "\"description\":\"Author and committer of git_commit; required if read_only is false\"},"
    "\"author_email\":{\"type\":\"string\",\"default\":\"\",\"description\":\"Likewise\"},"
    "\"max_output\":{\"type\":\"integer\",\"minimum\":1024,\"maximum\":4194304,"
    "\"default\":262144,\"description\":\"Bytes of text in one answer, at most\"},"
    "\"max_entries\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100000,\"default\":1000,"
    "\"description\":\"Commits, files, branches, ... in one answer, at most\"},"
    "\"max_object_size\":{\"type\":\"integer\",\"minimum\":1024,\"maximum\":1073741824,"
    "\"default\":33554432,\"description\":\"Larger objects and files are not read\"}}}";

/* ---- libgit2 ---- */

static pthread_mutex_t libgit2_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned libgit2_users; /* instances; guarded by it */

/* What libgit2 keeps for the whole process: that it reads nobody's configuration. The
 * owner of a repository is not compared with mcpd's user, for the operator has named the
 * directory and nothing in a repository's configuration can have mcpd run anything. */
static bool set_up_libgit2(void)
{
    static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA,
                                                GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                                                GIT_CONFIG_LEVEL_GLOBAL};
    bool good = memory_begin() && git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) == 0;
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        good = good && git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "") == 0;
    return good && git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1) == 0 &&
           git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1) == 0;
}

static void end_libgit2(void)
{
    pthread_mutex_lock(&libgit2_mutex);
    git_libgit2_shutdown();
    if (--libgit2_users == 0)
        memory_end();
    pthread_mutex_unlock(&libgit2_mutex);
}

static bool begin_libgit2(const struct mcp_host *host)
{
    pthread_mutex_lock(&libgit2_mutex);
    bool starts = git_libgit2_init() >= 0;
    /* Only the first: others may be reading already. */
    bool good = starts && (libgit2_users > 0 || set_up_libgit2());
    libgit2_users += starts;
    pthread_mutex_unlock(&libgit2_mutex);
    if (starts && !good)
        end_libgit2();
    return good ||
           config_fail(host, "", "libgit2 %s", starts ? "cannot be set up" : "does not start");
}

/* ---- life ---- */

static void instance_free(struct instance *instance)
{
    roots_free(&instance->roots);
    free(instance->author_name);
    free(instance->author_email);
    free(instance);
}

/* Names and addresses go into a line of the commit: "NAME <ADDRESS> time". */
static bool configure_word(const struct mcp_host *host, const char *pointer, char **out)
{
    struct mcp_bytes value = {"", 0};
    if (!config_string(host, pointer, &value))
        return false;
    for (size_t i = 0; i < value.size; i++)
        if ((unsigned char)value.data[i] < 0x20 || strchr("<>\x7f", value.data[i]) != NULL)
            return config_fail(host, pointer, "must not have <, > or control characters in it");
    *out = strndup(value.data, value.size);
    return *out != NULL;
}

static bool configure_author(struct instance *instance)
{
    const struct mcp_host *host = instance->host;
    if (!configure_word(host, "/author_name", &instance->author_name) ||
        !configure_word(host, "/author_email", &instance->author_email))
        return false;
    if (!instance->read_only &&
        (instance->author_name[0] == '\0' || instance->author_email[0] == '\0'))
        return config_fail(host, "",
                           "\"read_only\" is false, and \"author_name\" or \"author_email\" is "
                           "missing: say whose the commits shall be");
    return true;
}

static bool configure(struct instance *instance)
{
    const struct mcp_host *host = instance->host;
    if (!config_bool(host, "/read_only", &instance->read_only) ||
        !config_integer(host, "/max_output", 1024, 4194304, &instance->max_output) ||
        !config_integer(host, "/max_entries", 1, 100000, &instance->max_entries) ||
        !config_integer(host, "/max_object_size", 1024, 1073741824, &instance->max_object_size) ||
        !configure_author(instance))
        return false;
    return roots_configure(&instance->roots, host, "/allowed_paths",
                           "name the directories whose repositories clients may read, such as "
                           "[\"/srv/git\"]");
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **out)
{
    (void)config; /* read through host->config */
    struct instance *instance = calloc(1, sizeof(*instance));
    if (instance == NULL)
        return MCP_ENOMEM;
    instance->host = host;
    instance->read_only = true;
    instance->max_output = 262144;
    instance->max_entries = 1000;
    instance->max_object_size = 33554432;
    if (!configure(instance) || !begin_libgit2(host)) {
        instance_free(instance);
        return MCP_EFAIL;
    }
    *out = instance;
    return MCP_OK;
}

static int32_t start(void *self)
{
    struct instance *instance = self;
    return roots_open(&instance->roots) ? MCP_OK : MCP_EFAIL;
}

static void stop(void *self)
{
    struct instance *instance = self;
    roots_close(&instance->roots);
}

static void destroy(void *self)
{
    instance_free(self);
    end_libgit2();
}

/* ---- tools ---- */

static void add_where(struct text *t, const struct instance *instance)
{
    text_adds(t, "The repository's directory, which has .git in it: relative to ");
    text_adds(t, instance->roots.items[0].path);
    text_adds(t, ", or absolute beneath ");
    roots_add_list(t, &instance->roots, " or ");
}

static int32_t add_tool(const struct instance *instance, const struct mcp_tool_sink *sink,
                        size_t row)
{
    const struct tool_row *tool = &tools[row];
    struct text where, json;
    text_init(&where, 600 * 1024);
    text_init(&json, 700 * 1024);
    add_where(&where, instance);
    text_addf(&json, "{\"name\":\"%s\",\"title\":\"%s\",\"description\":", tool->name, tool->title);
    add_string(&json, tool->description);
    text_adds(&json, ",");
    text_adds(&json, "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"repo_path\":{\"type\":"
                     "\"string\",\"minLength\":1,\"default\":\".\",\"description\":");
    text_add_string(&json, where.data, where.size);
    text_addf(&json, "}%s},\"required\":[%s],\"additionalProperties\":false},", tool->input,
              tool->required);
    text_addf(&json,
              "\"outputSchema\":{\"type\":\"object\",\"properties\":{%s},\"required\":[%s]},"
              "\"annotations\":{\"title\":\"%s\",%s}}",
              tool->output, tool->output_required, tool->title, tool->hints);
    struct mcp_tool offer = {
        .struct_size = sizeof(offer),
        /* What writes is done one after the other. */
        .flags = tool->writes ? 0 : MCP_TOOL_THREAD_SAFE,
        .definition = text_bytes(&json),
        .tag = row,
    };
    int32_t result = json.failed || where.failed ? MCP_ENOMEM : sink->add(sink, &offer);
    text_free(&where);
    text_free(&json);
    return result;
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    const struct instance *instance = self;
    for (size_t i = 0; i < tool_count; i++) {
        if (tools[i].writes && instance->read_only)
            continue;
        int32_t result = add_tool(instance, sink, i);
        if (result != MCP_OK)
            return result;
    }
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    const struct instance *instance = self;
    size_t row = (size_t)call->tag;
    /* A client that remembers a tool from before is refused, too. */
    if (row >= tool_count || (tools[row].writes && instance->read_only))
        return MCP_ENOENT;
    return tools[row].run(instance, call);
}

HEALTH_ALONE(check_health);

BUNDLED_PLUGIN_WITH("git", "Git",
                    HEALTH_MANIFEST
                    ",\"needs\":{\"read\":[{\"config\":\"/allowed_paths\"}],"
                    "\"write\":[{\"config\":\"/allowed_paths\",\"if_false\":\"/read_only\"}]}",
                    .get_extension = get_extension);
