/* SPDX-License-Identifier: MIT */
/* The tools: what clients are told of them, and calling them. */
#include "filesystem.h"

#include "reading.h"

struct tool_row {
    tool_function *run;
    bool writes;
    const char *name;
    const char *title;
    const char *description; /* what follows it says which paths there are */
    const char *input; /* properties */
    const char *required; /* names of arguments */
    const char *output; /* properties */
    const char *output_required;
    const char *hints; /* annotations */
};

#define PATH "\"path\":{\"type\":\"string\",\"minLength\":1}"
#define ENCODING                                                                                   \
    ",\"encoding\":{\"type\":\"string\",\"enum\":[\"utf-8\",\"base64\"],\"default\":\"utf-8\","    \
    "\"description\":\"base64 for what is not text\"}"
#define PATTERNS(name, words)                                                                      \
    ",\"" name                                                                                     \
    "\":{\"type\":\"array\",\"maxItems\":64,\"items\":{\"type\":\"string\",\"minLength\":1},"      \
    "\"description\":\"" words "\"}"
#define EXCLUDE PATTERNS("excludePatterns", "Globs of what is left out, with what is below it")
#define TEXT "{\"type\":\"string\"}"
#define TRUNCATED ",\"truncated\":{\"type\":\"boolean\"},\"truncated_because\":" TEXT
#define READS "\"readOnlyHint\":true,\"openWorldHint\":false"
#define CHANGES                                                                                    \
    "\"readOnlyHint\":false,\"destructiveHint\":true,\"idempotentHint\":false,"                    \
    "\"openWorldHint\":false"
#define GLOB_WORDS                                                                                 \
    "* and ? stand for characters of a name, ** for any directories, [a-z] and {a,b} for one of "  \
    "them."
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"

/* The tag of a tool is its row. */
static const struct tool_row tools[] = {
    {read_file, false, "read_file", "Read a file",
     "Reads a file, or with offset and limit a part of it.",
     PATH ENCODING
     ",\"offset\":{\"type\":\"integer\",\"minimum\":0,\"default\":0,"
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
     PATH ",\"content\":{\"type\":\"string\"}" ENCODING, "\"path\",\"content\"",
     "\"path\":{\"type\":\"string\"},\"size\":" COUNT ","
     "\"created\":{\"type\":\"boolean\",\"description\":\"False: a file was replaced\"}",
     "[\"path\",\"size\",\"created\"]",
     "\"readOnlyHint\":false,\"destructiveHint\":true,\"idempotentHint\":true,"
     "\"openWorldHint\":false"},
    {list_directory, false, "list_directory", "List a directory",
     "Lists what is in a directory, sorted by name; symbolic links are listed, not followed.",
     PATH ",\"recursive\":{\"type\":\"boolean\",\"default\":false,"
          "\"description\":\"Also what is in directories below\"}",
     "\"path\"",
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
     "Creates a directory, and those on the way to it that are missing.", PATH, "\"path\"",
     "\"path\":{\"type\":\"string\"},"
     "\"created\":{\"type\":\"boolean\",\"description\":\"False: it was there already\"}",
     "[\"path\",\"created\"]",
     "\"readOnlyHint\":false,\"destructiveHint\":false,\"idempotentHint\":true,"
     "\"openWorldHint\":false"},
    {read_text_file, false, "read_text_file", "Read a text file",
     "Reads a text file, or the first (head) or last (tail) lines of it.",
     PATH
     ",\"head\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"Lines from the "
     "beginning\"},\"tail\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"Lines at the "
     "end\"}",
     "\"path\"",
     "\"path\":" TEXT ",\"content\":" TEXT ",\"size\":" COUNT
     ",\"truncated\":{\"type\":\"boolean\"}",
     "[\"path\",\"content\",\"size\",\"truncated\"]", READS},
    {read_media_file, false, "read_media_file", "Read a media file",
     "Reads a file as an image or a sound, and any other as a resource in Base64.", PATH,
     "\"path\"",
     "\"path\":" TEXT ",\"kind\":{\"type\":\"string\",\"enum\":[\"image\",\"audio\",\"resource\"]},"
     "\"mimeType\":" TEXT ",\"size\":" COUNT,
     "[\"path\",\"kind\",\"mimeType\",\"size\"]", READS},
    {read_multiple_files, false, "read_multiple_files", "Read several files",
     "Reads several text files; one that cannot be read does not keep the others.",
     "\"paths\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":{\"type\":"
     "\"string\"}}",
     "\"paths\"",
     "\"files\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"path\":" TEXT
     ",\"content\":" TEXT ",\"truncated\":{\"type\":\"boolean\"},\"error\":" TEXT
     "},\"required\":[\"path\"]}},\"truncated\":{\"type\":\"boolean\"}",
     "[\"files\",\"truncated\"]", READS},
    {list_directory_with_sizes, false, "list_directory_with_sizes", "List with sizes",
     "Lists what is in a directory with sizes and their sum.",
     PATH ",\"sortBy\":{\"type\":\"string\",\"enum\":[\"name\",\"size\"],\"default\":\"name\"}",
     "\"path\"",
     "\"path\":" TEXT ",\"entries\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
     "\"properties\":{\"name\":" TEXT ",\"type\":" TEXT ",\"size\":" COUNT "}}},\"files\":" COUNT
     ",\"directories\":" COUNT ",\"total_size\":" COUNT TRUNCATED,
     "[\"path\",\"entries\",\"files\",\"directories\",\"total_size\",\"truncated\"]", READS},
    {directory_tree, false, "directory_tree", "Directory tree",
     "What is in a directory and below it, as nested JSON.", PATH EXCLUDE, "\"path\"",
     "\"path\":" TEXT ",\"tree\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}" TRUNCATED,
     "[\"path\",\"tree\",\"truncated\"]", READS},
    {search_files, false, "search_files", "Search for files",
     "Finds files and directories below a directory by a glob of their path from "
     "there: " GLOB_WORDS,
     PATH ",\"pattern\":{\"type\":\"string\",\"minLength\":1,\"description\":\"Such as "
          "**/*.c\"}" EXCLUDE,
     "\"path\",\"pattern\"",
     "\"path\":" TEXT ",\"matches\":{\"type\":\"array\",\"items\":" TEXT "}" TRUNCATED,
     "[\"path\",\"matches\",\"truncated\"]", READS},
    {search_content, false, "search_content", "Search in files",
     "Finds the lines of text files below a directory that have a text in them, or match a "
     "regular expression.",
     PATH ",\"pattern\":{\"type\":\"string\",\"minLength\":1}"
          ",\"regex\":{\"type\":\"boolean\",\"default\":false,\"description\":\"The pattern is a "
          "regular expression (PCRE2)\"}"
          ",\"ignoreCase\":{\"type\":\"boolean\",\"default\":false}" PATTERNS(
              "filePatterns", "Globs of the files to look into; all without it") EXCLUDE
     ",\"maxResults\":{\"type\":\"integer\",\"minimum\":1,\"default\":100}",
     "\"path\",\"pattern\"",
     "\"path\":" TEXT ",\"matches\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
     "\"properties\":{\"path\":" TEXT ",\"line\":" COUNT ",\"text\":" TEXT
     ",\"cut\":{\"type\":\"boolean\"}}}},\"files\":" COUNT ",\"skipped\":" COUNT TRUNCATED,
     "[\"path\",\"matches\",\"files\",\"skipped\",\"truncated\"]", READS},
    {get_file_info, false, "get_file_info", "File info",
     "Type, size, times and permissions of a file or directory.", PATH, "\"path\"",
     "\"path\":" TEXT ",\"type\":" TEXT ",\"size\":" COUNT ",\"created\":" TEXT
     ",\"modified\":" TEXT ",\"accessed\":" TEXT ",\"isDirectory\":{\"type\":\"boolean\"},"
     "\"isFile\":{\"type\":\"boolean\"},\"permissions\":" TEXT ",\"hardLinks\":" COUNT,
     "[\"path\",\"type\",\"size\",\"modified\",\"accessed\",\"isDirectory\",\"isFile\","
     "\"permissions\"]",
     READS},
    {list_allowed_directories, false, "list_allowed_directories", "Allowed directories",
     "The directories that can be reached here.", "", "",
     "\"directories\":{\"type\":\"array\",\"items\":" TEXT "},\"read_only\":{\"type\":"
     "\"boolean\"}",
     "[\"directories\",\"read_only\"]", READS},
    {edit_file, true, "edit_file", "Edit a file",
     "Replaces texts in a text file, one after the other, and returns the changes as a diff. Each "
     "oldText is replaced where it first is. With dryRun nothing is written.",
     PATH ",\"edits\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":{\"type\":"
          "\"object\",\"properties\":{\"oldText\":" TEXT ",\"newText\":" TEXT
          "},\"required\":[\"oldText\",\"newText\"],\"additionalProperties\":false}},"
          "\"dryRun\":{\"type\":\"boolean\",\"default\":false}",
     "\"path\",\"edits\"",
     "\"path\":" TEXT ",\"diff\":" TEXT ",\"edits\":" COUNT
     ",\"written\":{\"type\":\"boolean\"}" TRUNCATED,
     "[\"path\",\"diff\",\"edits\",\"written\",\"truncated\"]", CHANGES},
    {move_file, true, "move_file", "Move a file",
     "Moves or renames a file or a directory. What is at the destination already is not replaced.",
     "\"source\":{\"type\":\"string\",\"minLength\":1},\"destination\":{\"type\":\"string\","
     "\"minLength\":1}",
     "\"source\",\"destination\"", "\"source\":" TEXT ",\"destination\":" TEXT,
     "[\"source\",\"destination\"]", CHANGES},
};

/* The sentence about paths, as text. */
static void add_where(struct text *t, const struct filesystem *fs)
{
    text_addf(t, " Paths are relative to %s, or absolute beneath ", fs->roots.items[0].path);
    text_adds(t, fs->roots.count == 1 ? "it" : "one of: ");
    if (fs->roots.count > 1)
        roots_add_list(t, &fs->roots, ", ");
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
              ",\"inputSchema\":{\"type\":\"object\",\"properties\":{%s},"
              "\"required\":[%s],\"additionalProperties\":false}",
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

int32_t tools_offer(const struct filesystem *fs, const struct mcp_tool_sink *sink)
{
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
        if (tools[i].writes && fs->read_only)
            continue;
        int32_t result = add_tool(fs, sink, i);
        if (result != MCP_OK)
            return result;
    }
    return MCP_OK;
}

int32_t tools_call(const struct filesystem *fs, struct mcp_call *call)
{
    size_t row = (size_t)call->tag;
    /* A client that remembers a tool from before is refused, too. */
    if (row >= sizeof(tools) / sizeof(tools[0]) || (tools[row].writes && fs->read_only))
        return MCP_ENOENT;
    if (was_cancelled(call))
        return MCP_OK;
    return tools[row].run(fs, call);
}
