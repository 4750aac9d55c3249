/* SPDX-License-Identifier: MIT */
/* What clients are told of the tools. The tag of a tool is its row. */
#include "git.h"

#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define STRING "{\"type\":\"string\"}"
#define BOOLEAN "{\"type\":\"boolean\"}"
#define SHA "{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{40}$\"}"
#define LIST(properties, required)                                                                 \
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{" properties               \
    "},\"required\":[" required "]}}"

#define READS "\"readOnlyHint\":true,\"openWorldHint\":false"
#define WRITES(destructive, idempotent)                                                            \
    "\"readOnlyHint\":false,\"destructiveHint\":" destructive ",\"idempotentHint\":" idempotent    \
    ",\"openWorldHint\":false"

#define SKIP                                                                                       \
    ",\"skip\":{\"type\":\"integer\",\"minimum\":0,\"default\":0,"                                 \
    "\"description\":\"How many to pass over, to read on\"}"
#define MAX_COUNT(default_count)                                                                   \
    ",\"max_count\":{\"type\":\"integer\",\"minimum\":1" default_count                             \
    ",\"description\":\"How many at most\"}"
#define REVISION                                                                                   \
    ",\"revision\":{\"type\":\"string\",\"default\":\"HEAD\","                                     \
    "\"description\":\"A branch, a tag, a commit: main, v1.0, 1a2b3c4, HEAD~2\"}"
#define RANGE                                                                                      \
    ",\"revision\":{\"type\":\"string\",\"default\":\"HEAD\","                                     \
    "\"description\":\"Where to begin, or a range: main, v1.0..main\"}"
#define IN_PATH                                                                                    \
    ",\"path\":{\"type\":\"string\",\"description\":\"Only this file, or what is in this "         \
    "directory of the repository\"}"
#define FILE_PATH                                                                                  \
    ",\"path\":{\"type\":\"string\",\"minLength\":1,\"description\":\"In the repository\"}"
#define DIFF_OPTIONS                                                                               \
    ",\"context_lines\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000,\"default\":3}"       \
    ",\"format\":{\"type\":\"string\",\"enum\":[\"patch\",\"stat\",\"name-status\"],"              \
    "\"default\":\"patch\"}" IN_PATH                                                               \
    ",\"offset\":{\"type\":\"integer\",\"minimum\":0,\"default\":0,"                               \
    "\"description\":\"Where in the text to read on\"}"

#define DIFF_FILES                                                                                 \
    "\"files\":" LIST("\"status\":" STRING ",\"path\":" STRING ",\"old_path\":" STRING             \
                      ",\"similarity\":" COUNT,                                                    \
                      "\"status\",\"path\"") ",\"file_count\":" COUNT ",\"text\":" STRING
#define DIFF_OUTPUT DIFF_FILES ",\"truncated\":" BOOLEAN ",\"next_offset\":" COUNT
#define DIFF_REQUIRED "\"files\",\"file_count\",\"text\",\"truncated\""

#define PERSON                                                                                     \
    "{\"type\":\"object\",\"properties\":{\"name\":" STRING ",\"email\":" STRING                   \
    ",\"date\":" STRING "},\"required\":[\"name\",\"email\",\"date\"]}"
#define COMMIT_PROPERTIES                                                                          \
    "\"sha\":" SHA ",\"parents\":{\"type\":\"array\",\"items\":" SHA "},\"author\":" PERSON        \
    ",\"committer\":" PERSON ",\"message\":" STRING
#define COMMIT_REQUIRED "\"sha\",\"parents\",\"author\",\"committer\",\"message\""
#define COMMITS "\"commits\":" LIST(COMMIT_PROPERTIES, COMMIT_REQUIRED)
#define PAGED ",\"truncated\":" BOOLEAN ",\"next_skip\":" COUNT

const struct tool_row tools[] = {
    {git_tool_status, false, "git_status", "Status of the work tree",
     "Shows the branch, what is staged, what has changed and what is not tracked, as git status "
     "--short --branch does.",
     SKIP, "",
     "\"branch\":" STRING ",\"head\":" SHA ",\"upstream\":" STRING ",\"ahead\":" COUNT
     ",\"behind\":" COUNT ",\"entries\":" LIST(
         "\"path\":" STRING ",\"old_path\":" STRING ",\"index\":" STRING ",\"worktree\":" STRING,
         "\"path\",\"index\",\"worktree\"") ",\"total\":" COUNT PAGED,
     "\"entries\",\"total\",\"truncated\"", READS},
    {git_tool_diff_unstaged, false, "git_diff_unstaged", "Changes that are not staged",
     "Shows what has changed in the work tree and is not staged, as git diff does.", DIFF_OPTIONS,
     "", DIFF_OUTPUT, DIFF_REQUIRED, READS},
    {git_tool_diff_staged, false, "git_diff_staged", "Changes that are staged",
     "Shows what is staged for the next commit, as git diff --cached does.", DIFF_OPTIONS, "",
     DIFF_OUTPUT, DIFF_REQUIRED, READS},
    {git_tool_diff, false, "git_diff", "Differences of revisions",
     "Shows the differences of the work tree to a revision (\"main\"), of two revisions "
     "(\"v1.0..main\"), or of a revision to where it left another (\"main...topic\").",
     ",\"target\":{\"type\":\"string\",\"minLength\":1,\"description\":\"A revision or a "
     "range\"}" DIFF_OPTIONS,
     "\"target\"", DIFF_OUTPUT, DIFF_REQUIRED, READS},
    {git_tool_log, false, "git_log", "History", "Shows commits, newest first, as git log does.",
     RANGE MAX_COUNT(",\"default\":10") SKIP IN_PATH
     ",\"author\":{\"type\":\"string\",\"description\":\"A part of the name or address\"}"
     ",\"start_timestamp\":{\"type\":\"string\",\"description\":\"Not before: 2024-01-15, "
     "2024-01-15T14:30:25+01:00 or @SECONDS\"}"
     ",\"end_timestamp\":{\"type\":\"string\",\"description\":\"Not after\"}"
     ",\"first_parent\":{\"type\":\"boolean\",\"default\":false,"
     "\"description\":\"Of merges, follow only the first parent\"}",
     "", COMMITS PAGED, "\"commits\",\"truncated\"", READS},
    {git_tool_show, false, "git_show", "A commit, tag or directory",
     "Shows a commit with what it changed (a merge: against its first parent), a tag, or what is "
     "in a directory (\"HEAD:src\"), as git show does.",
     REVISION DIFF_OPTIONS, "",
     "\"type\":" STRING ",\"sha\":" SHA
     ",\"commit\":{\"type\":\"object\",\"properties\":{" COMMIT_PROPERTIES
     "},\"required\":[" COMMIT_REQUIRED "]},\"tag\":{\"type\":\"object\","
     "\"properties\":{\"name\":" STRING ",\"message\":" STRING
     "}},\"entries\":" LIST("\"mode\":" STRING ",\"sha\":" SHA ",\"name\":" STRING,
                            "\"mode\",\"sha\",\"name\"") "," DIFF_OUTPUT,
     "\"type\",\"sha\",\"truncated\"", READS},
    {git_tool_show_file, false, "git_show_file", "A file at a revision",
     "Reads a file as it was at a revision, as git show REVISION:PATH does.",
     FILE_PATH REVISION
     ",\"offset\":{\"type\":\"integer\",\"minimum\":0,\"default\":0,\"description\":\"Byte to "
     "begin "
     "at\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"Bytes at most\"}"
     ",\"encoding\":{\"type\":\"string\",\"enum\":[\"utf-8\",\"base64\"],\"default\":\"utf-8\","
     "\"description\":\"base64 for what is not text\"}",
     "\"path\"",
     "\"path\":" STRING ",\"sha\":" SHA ",\"mode\":" STRING ",\"size\":" COUNT ",\"offset\":" COUNT
     ",\"encoding\":" STRING ",\"content\":" STRING ",\"truncated\":" BOOLEAN
     ",\"next_offset\":" COUNT,
     "\"path\",\"sha\",\"mode\",\"size\",\"offset\",\"encoding\",\"content\",\"truncated\"", READS},
    {git_tool_blame, false, "git_blame", "Who wrote each line",
     "Shows for each line of a file the commit that last changed it, as git blame does.",
     FILE_PATH REVISION ",\"start_line\":{\"type\":\"integer\",\"minimum\":1,\"default\":1}"
                        ",\"end_line\":{\"type\":\"integer\",\"minimum\":1}",
     "\"path\"",
     "\"path\":" STRING ",\"total_lines\":" COUNT ",\"hunks\":" LIST(
         "\"start_line\":" COUNT ",\"lines\":" COUNT ",\"sha\":" SHA ",\"author\":" STRING
         ",\"email\":" STRING ",\"date\":" STRING ",\"summary\":" STRING ",\"path\":" STRING
         ",\"path_line\":" COUNT,
         "\"start_line\",\"lines\",\"sha\",\"author\",\"date\",\"path\"") ",\"truncated\":" BOOLEAN
                                                                          ",\"next_line\":" COUNT,
     "\"path\",\"total_lines\",\"hunks\",\"truncated\"", READS},
    {git_tool_branch, false, "git_branch", "Branches", "Lists branches, as git branch does.",
     ",\"branch_type\":{\"type\":\"string\",\"enum\":[\"local\",\"remote\",\"all\"],"
     "\"default\":\"local\"}"
     ",\"contains\":{\"type\":\"string\",\"description\":\"Only those that have this commit\"}"
     ",\"not_contains\":{\"type\":\"string\",\"description\":\"Only those that have not\"}" SKIP
         MAX_COUNT(""),
     "",
     "\"branches\":" LIST("\"name\":" STRING ",\"remote\":" BOOLEAN ",\"current\":" BOOLEAN
                          ",\"sha\":" SHA,
                          "\"name\",\"remote\",\"current\",\"sha\"") PAGED,
     "\"branches\",\"truncated\"", READS},
    {git_tool_tags, false, "git_tags", "Tags", "Lists tags, as git tag does.", SKIP MAX_COUNT(""),
     "",
     "\"tags\":" LIST("\"name\":" STRING ",\"sha\":" SHA ",\"type\":" STRING
                      ",\"annotated\":" BOOLEAN ",\"tagger\":" STRING ",\"date\":" STRING
                      ",\"message\":" STRING,
                      "\"name\",\"sha\",\"type\",\"annotated\"") PAGED,
     "\"tags\",\"truncated\"", READS},
    {git_tool_search, false, "git_search", "Search",
     "Searches a text: in the files of a revision (as git grep -F), in the messages of commits "
     "(git "
     "log --grep -F), or in what commits added or took away (git log -S).",
     ",\"query\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1000,"
     "\"description\":\"A text of one line, not a pattern\"}"
     ",\"in\":{\"type\":\"string\",\"enum\":[\"files\",\"messages\",\"changes\"],"
     "\"default\":\"files\"}" RANGE IN_PATH
     ",\"ignore_case\":{\"type\":\"boolean\",\"default\":false,\"description\":\"Of ASCII "
     "letters\"}" MAX_COUNT(",\"default\":50") SKIP,
     "\"query\"",
     COMMITS ",\"matches\":" LIST("\"path\":" STRING ",\"line\":" COUNT ",\"text\":" STRING
                                  ",\"binary\":" BOOLEAN,
                                  "\"path\"") PAGED ",\"left_out\":" STRING,
     "\"truncated\"", READS},
    {git_tool_add, true, "git_add", "Stage files",
     "Stages files for the next commit: what was changed, is new, or was deleted.",
     ",\"files\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":{\"type\":"
     "\"string\",\"minLength\":1},\"description\":\"Files and directories of the repository; "
     "\\\".\\\" "
     "for all\"}",
     "\"files\"", "\"staged\":{\"type\":\"array\",\"items\":" STRING "}", "\"staged\"",
     WRITES("false", "true")},
    {git_tool_reset, true, "git_reset", "Unstage all",
     "Takes back all that is staged; files in the work tree stay as they are.", "", "",
     "\"reset\":" BOOLEAN, "\"reset\"", WRITES("true", "true")},
    {git_tool_commit, true, "git_commit", "Commit", "Commits what is staged. No hooks run.",
     ",\"message\":{\"type\":\"string\",\"minLength\":1}", "\"message\"",
     "\"sha\":" SHA ",\"branch\":" STRING, "\"sha\",\"branch\"", WRITES("false", "false")},
    {git_tool_create_branch, true, "git_create_branch", "Create a branch",
     "Creates a branch, without changing to it.",
     ",\"branch_name\":{\"type\":\"string\",\"minLength\":1}"
     ",\"base_branch\":{\"type\":\"string\",\"default\":\"HEAD\",\"description\":\"The revision it "
     "begins at\"}",
     "\"branch_name\"", "\"branch\":" STRING ",\"sha\":" SHA, "\"branch\",\"sha\"",
     WRITES("false", "false")},
    {git_tool_checkout, true, "git_checkout", "Change to a branch",
     "Changes the work tree to a branch, or to a tag or commit. What is not committed is never "
     "overwritten.",
     ",\"branch_name\":{\"type\":\"string\",\"minLength\":1}", "\"branch_name\"",
     "\"sha\":" SHA ",\"detached\":" BOOLEAN ",\"branch\":" STRING, "\"sha\",\"detached\"",
     WRITES("true", "true")},
};
const size_t tool_count = COUNT_OF(tools);
