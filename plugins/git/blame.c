/* SPDX-License-Identifier: MIT */
/* git_blame: what `git blame REVISION -- PATH` prints. */
#include "git.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "encoding.h"
#include "reading.h"

/* One blame, and the widths of its columns. */
struct blaming {
    struct job *job;
    char path[PATH_MAX];
    git_blame *blame;
    git_blob *blob;
    size_t first, last, lines; /* of the file, counted from 1 */
    size_t author_width, number_width, path_width; /* path_width 0: not shown */
};

/* Characters, not bytes. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void add_padded(struct text *t, const char *text, size_t width)
{
    text_add_utf8(t, text, strlen(text));
    for (size_t used = width_of(text); used < width; used++)
        text_adds(t, " ");
}

static size_t count_lines(const char *data, size_t size)
{
    size_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    return lines + (size > 0 && data[size - 1] != '\n');
}

/* ---- the columns ---- */

static void measure(struct blaming *b)
{
    bool elsewhere = false;
    size_t longest = 0;
    char number[24];
    for (uint32_t i = 0; i < git_blame_get_hunk_count(b->blame); i++) {
        const git_blame_hunk *hunk = git_blame_get_hunk_byindex(b->blame, i);
        const char *name = hunk->final_signature != NULL ? hunk->final_signature->name : "";
        size_t author = width_of(name), path = strlen(hunk->orig_path);
        b->author_width = author > b->author_width ? author : b->author_width;
        longest = path > longest ? path : longest;
        elsewhere = elsewhere || strcmp(hunk->orig_path, b->path) != 0;
    }
    b->path_width = elsewhere ? longest : 0;
    b->number_width = (size_t)snprintf(number, sizeof(number), "%zu", b->last);
}

static void add_when(struct text *t, const git_time *when)
{
    struct tm tm = {0};
    time_t shifted = (time_t)(when->time + (int64_t)when->offset * 60);
    int offset = when->offset < 0 ? -when->offset : when->offset;
    gmtime_r(&shifted, &tm);
    text_addf(t, "%04d-%02d-%02d %02d:%02d:%02d %c%02d%02d", tm.tm_year + 1900, tm.tm_mon + 1,
              tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, when->sign == '-' ? '-' : '+',
              offset / 60, offset % 60);
}

static void add_line(struct blaming *b, const git_blame_hunk *hunk, bool root, size_t number,
                     struct mcp_bytes line)
{
    struct text *t = &b->job->words;
    const git_signature *author = hunk->final_signature;
    text_addf(t, root ? "^%.7s " : "%.8s ", git_oid_tostr_s(&hunk->final_commit_id));
    if (b->path_width > 0) {
        add_padded(t, hunk->orig_path, b->path_width);
        text_adds(t, " ");
    }
    text_adds(t, "(");
    add_padded(t, author != NULL ? author->name : "", b->author_width);
    text_adds(t, " ");
    if (author != NULL)
        add_when(t, &author->when);
    text_addf(t, " %*zu) ", (int)b->number_width, number);
    text_add_utf8(t, line.data, line.size);
    text_adds(t, "\n");
}

/* ---- hunks ---- */

static void add_hunk_json(struct blaming *b, const git_blame_hunk *hunk, git_commit *commit,
                          size_t first, size_t count)
{
    struct text *t = &b->job->json;
    const git_signature *author = git_commit_author(commit);
    const char *summary = git_commit_summary(commit);
    text_addf(t, "{\"start_line\":%zu,\"lines\":%zu,\"sha\":\"%s\",\"author\":", first, count,
              git_oid_tostr_s(&hunk->final_commit_id));
    add_string(t, author->name);
    text_adds(t, ",\"email\":");
    add_string(t, author->email);
    text_adds(t, ",\"date\":\"");
    add_date_iso(t, &author->when);
    text_adds(t, "\",\"summary\":");
    add_string(t, summary != NULL ? summary : "");
    text_adds(t, ",\"path\":");
    add_string(t, hunk->orig_path);
    text_addf(t, ",\"path_line\":%zu}",
              hunk->orig_start_line_number + first - hunk->final_start_line_number);
}

static struct mcp_bytes take_line(const char **at, const char *end)
{
    const char *start = *at;
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    *at = stop != NULL ? stop + 1 : end;
    return (struct mcp_bytes){start, (size_t)((stop != NULL ? stop : end) - start)};
}

/* The lines of one hunk that were asked for and have room; *number is the next line. */
static int add_hunk(struct blaming *b, const git_blame_hunk *hunk, const char **at, const char *end,
                    size_t *number)
{
    git_commit *commit = NULL;
    size_t stop = hunk->final_start_line_number + hunk->lines_in_hunk, first = *number;
    int error = git_commit_lookup(&commit, b->job->repo, &hunk->final_commit_id);
    if (error != 0)
        return error;
    bool root = git_commit_parentcount(commit) == 0;
    for (; *number < stop && *number <= b->last && !job_full(b->job); (*number)++)
        add_line(b, hunk, root, *number, take_line(at, end));
    if (*number > first) {
        if (first > b->first)
            text_adds(&b->job->json, ",");
        add_hunk_json(b, hunk, commit, first, *number - first);
    }
    git_commit_free(commit);
    return 0;
}

static int add_hunks(struct blaming *b)
{
    const char *at = git_blob_rawcontent(b->blob), *end = at + git_blob_rawsize(b->blob);
    size_t number = b->first;
    int error = 0;
    for (size_t i = 1; i < b->first; i++)
        (void)take_line(&at, end);
    text_adds(&b->job->json, "{\"path\":");
    add_string(&b->job->json, b->path);
    text_addf(&b->job->json, ",\"total_lines\":%zu,\"hunks\":[", b->lines);
    while (error == 0 && number <= b->last && !job_full(b->job)) {
        const git_blame_hunk *hunk = git_blame_get_hunk_byline(b->blame, number);
        if (hunk == NULL)
            break;
        error = add_hunk(b, hunk, &at, end, &number);
    }
    bool truncated = number <= b->last;
    text_addf(&b->job->json, "],\"truncated\":%s", truncated ? "true" : "false");
    if (truncated) {
        text_addf(&b->job->json, ",\"next_line\":%zu", number);
        text_addf(&b->job->words, "[cut here; the rest with \"start_line\": %zu]\n", number);
    }
    text_adds(&b->job->json, "}");
    return error;
}

/* ---- the tool ---- */

/* The file at the commit, and how many lines it has. */
static bool find_blob(struct blaming *b, git_commit *commit, const char *revision)
{
    git_tree *tree = NULL;
    git_tree_entry *entry = NULL;
    int error = git_commit_tree(&tree, commit);
    if (error == 0)
        error = git_tree_entry_bypath(&entry, tree, b->path);
    bool is_file = error == 0 && git_tree_entry_type(entry) == GIT_OBJECT_BLOB;
    if (is_file)
        error = git_blob_lookup(&b->blob, b->job->repo, git_tree_entry_id(entry));
    git_tree_entry_free(entry);
    git_tree_free(tree);
    if (error == GIT_ENOTFOUND || (error == 0 && !is_file))
        return job_fail(b->job, "There is no file %s at %s.", b->path, revision);
    if (error != 0)
        return job_fail_git(b->job, error, "read the file");
    b->lines = count_lines(git_blob_rawcontent(b->blob), (size_t)git_blob_rawsize(b->blob));
    return true;
}

static bool lines_argument(struct blaming *b)
{
    int64_t first = 1, last = (int64_t)b->lines;
    if (!job_integer(b->job, "/start_line", 1, INT32_MAX, &first) ||
        !job_integer(b->job, "/end_line", 1, INT32_MAX, &last))
        return false;
    if (b->lines > 0 && (first > (int64_t)b->lines || last < first))
        return job_fail(b->job, "The file %s has %zu lines; there is none from %lld to %lld.",
                        b->path, b->lines, (long long)first, (long long)last);
    b->first = (size_t)first;
    b->last = last < (int64_t)b->lines ? (size_t)last : b->lines;
    return true;
}

static bool blame_commit(struct blaming *b, git_commit *commit, const char *revision)
{
    if (!find_blob(b, commit, revision) || !lines_argument(b))
        return false;
    git_blame_options options;
    git_blame_options_init(&options, GIT_BLAME_OPTIONS_VERSION);
    options.newest_commit = *git_commit_id(commit);
    options.min_line = b->first;
    options.max_line = b->last;
    int error = b->lines > 0 ? git_blame_file(&b->blame, b->job->repo, b->path, &options) : 0;
    if (error == 0 && b->lines > 0)
        measure(b);
    if (error == 0)
        error = add_hunks(b);
    return error == 0 || job_fail_git(b->job, error, "find out who wrote the lines");
}

static bool blame(struct job *job)
{
    struct blaming b = {.job = job};
    struct mcp_bytes given = MCP_STR("HEAD");
    char revision[REVISION_MAX];
    git_commit *commit;
    if (!path_argument(job, "/path", b.path) || !job_string(job, "/revision", &given) ||
        !revision_word(job, "revision", given, revision) ||
        !revision_commit(job, revision, &commit))
        return false;
    bool good = blame_commit(&b, commit, revision);
    git_blame_free(b.blame);
    git_blob_free(b.blob);
    git_commit_free(commit);
    return good;
}

int32_t git_tool_blame(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && blame(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
