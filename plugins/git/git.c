/* SPDX-License-Identifier: MIT */
/* The plugin itself: configuration, life and tools of an instance. */
#include "git.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundled.h"
#include "health.h"
#include "reading.h"

#define ROOTS_MAX 64

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

/* What libgit2 keeps for the whole process: that it reads nobody's configuration. The
 * owner of a repository is not compared with mcpd's user, for the operator has named the
 * directory and nothing in a repository's configuration can have mcpd run anything. */
static bool begin_libgit2(const struct mcp_host *host)
{
    static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA,
                                                GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                                                GIT_CONFIG_LEVEL_GLOBAL};
    if (git_libgit2_init() < 0)
        return config_fail(host, "", "libgit2 does not start");
    bool good = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) == 0;
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        good = good && git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "") == 0;
    good = good && git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1) == 0 &&
           git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1) == 0;
    if (good)
        return true;
    git_libgit2_shutdown();
    return config_fail(host, "", "libgit2 cannot be set up");
}

/* ---- life ---- */

static void instance_free(struct instance *instance)
{
    for (size_t i = 0; instance->roots != NULL && i < instance->root_count; i++) {
        free(instance->roots[i].path);
        free(instance->roots[i].real);
    }
    free(instance->roots);
    free(instance->author_name);
    free(instance->author_email);
    free(instance);
}

static int add_root(struct instance *instance, size_t index)
{
    char *path;
    int added = config_directory(instance->host, "/allowed_paths", index, &path);
    if (added > 0)
        instance->roots[instance->root_count++] = (struct root){.path = path, .fd = -1};
    return added;
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
    int added = 1;
    for (size_t i = 0; added > 0; i++) {
        added = add_root(instance, i);
        if (instance->root_count > ROOTS_MAX)
            return config_fail(host, "/allowed_paths", "more than %d directories", ROOTS_MAX);
    }
    if (added < 0)
        return false;
    return instance->root_count > 0 ||
           config_fail(host, "",
                       "\"allowed_paths\" is missing or empty: name the directories whose "
                       "repositories clients may read, such as [\"/srv/git\"]");
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
    instance->roots = calloc(ROOTS_MAX + 1, sizeof(instance->roots[0])); /* and one too many */
    if (instance->roots == NULL || !configure(instance) || !begin_libgit2(host)) {
        instance_free(instance);
        return MCP_EFAIL;
    }
    *out = instance;
    return MCP_OK;
}

static int32_t start(void *self)
{
    struct instance *instance = self;
    for (size_t i = 0; i < instance->root_count; i++) {
        struct root *root = &instance->roots[i];
        root->fd = open_allowed(instance->host, "/allowed_paths", i, root->path);
        if (root->fd < 0)
            return MCP_EFAIL;
        root->real = realpath(root->path, NULL);
        if (root->real == NULL) {
            config_fail(instance->host, "", "cannot find the real path of %s: %s", root->path,
                        strerror(errno));
            return MCP_EFAIL;
        }
    }
    return MCP_OK;
}

static void stop(void *self)
{
    struct instance *instance = self;
    for (size_t i = 0; i < instance->root_count; i++) {
        if (instance->roots[i].fd >= 0)
            close(instance->roots[i].fd);
        instance->roots[i].fd = -1;
        free(instance->roots[i].real);
        instance->roots[i].real = NULL;
    }
}

static void destroy(void *self)
{
    stop(self);
    instance_free(self);
    git_libgit2_shutdown();
}

/* ---- tools ---- */

static void add_where(struct text *t, const struct instance *instance)
{
    text_adds(t, "The repository's directory, which has .git in it: relative to ");
    text_adds(t, instance->roots[0].path);
    text_adds(t, ", or absolute");
    for (size_t i = 0; i < instance->root_count; i++)
        text_addf(t, "%s%s", i > 0 ? " or " : " beneath ", instance->roots[i].path);
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
                    HEALTH_MANIFEST ",\"needs\":{\"read\":[{\"config\":\"/allowed_paths\"}],"
                    "\"write\":[{\"config\":\"/allowed_paths\",\"if_false\":\"/read_only\"}]}",
                    .get_extension = get_extension);
