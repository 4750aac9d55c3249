/* SPDX-License-Identifier: MIT */
/* git_diff_unstaged, git_diff_staged and git_diff; and what the text of a diff is. */
#include "git.h"

#include <string.h>

#include "encoding.h"
#include "reading.h"

/* ---- text that is cut to what one answer holds ---- */

/* A part of a longer text, line by line: what is before `skip` is passed over, what does
 * not fit is left for the next call. */
struct part {
    struct job *job;
    struct text *out;
    size_t skip, room;
    size_t done; /* bytes of the whole text that were passed over or taken */
    size_t taken;
    bool cut;
};

static void part_add(struct part *part, const char *data, size_t size)
{
    if (part->cut)
        return;
    if (part->done + size <= part->skip) {
        part->done += size;
        return;
    }
    if (part->done < part->skip) {
        size_t over = part->skip - part->done;
        part->done += over;
        data += over;
        size -= over;
    }
    size_t fits = size;
    if (size > part->room - part->taken) {
        part->cut = true;
        /* A line is cut only if it alone is too long. */
        fits = part->taken == 0 ? part->room : 0;
        while (fits > 0 && ((unsigned char)data[fits] & 0xc0) == 0x80)
            fits--;
    }
    text_add(part->out, data, fits);
    part->done += fits;
    part->taken += fits;
}

/* ---- options ---- */

static int on_progress(const git_diff *so_far, const char *old_path, const char *new_path,
                       void *payload)
{
    struct job *job = payload;
    (void)so_far;
    (void)old_path;
    (void)new_path;
    if (!job->call->ops->is_cancelled(job->call))
        return 0;
    job->trouble = TROUBLE_CANCELLED;
    return GIT_EUSER;
}

bool diff_arguments(struct job *job, struct diff_request *request)
{
    struct mcp_bytes format = MCP_STR("patch");
    *request = (struct diff_request){.context_lines = 3};
    if (!job_integer(job, "/context_lines", 0, 1000, &request->context_lines) ||
        !job_integer(job, "/offset", 0, INT64_MAX / 2, &request->offset) ||
        !job_string(job, "/format", &format) || !path_argument(job, "/path", request->path))
        return false;
    if (!bytes_are(format, "patch") && !bytes_are(format, "stat") &&
        !bytes_are(format, "name-status"))
        return job_fail(job, "The format must be \"patch\", \"stat\" or \"name-status\".");
    memcpy(request->format, format.data, format.size);
    return true;
}

/* The request must outlive the options: they point to its path. */
void diff_options(const struct job *job, struct diff_request *request, git_diff_options *options)
{
    git_diff_options_init(options, GIT_DIFF_OPTIONS_VERSION);
    options->flags = GIT_DIFF_INDENT_HEURISTIC | GIT_DIFF_DISABLE_PATHSPEC_MATCH;
    options->context_lines = (uint32_t)request->context_lines;
    options->max_size = job->instance->max_object_size;
    options->progress_cb = on_progress;
    options->payload = (void *)(uintptr_t)job;
    if (request->path[0] != '\0') {
        request->paths[0] = request->path;
        options->pathspec = (git_strarray){request->paths, 1};
    }
}

/* ---- the answer ---- */

/* Behind a name with a space in it git puts a tab, so that patch(1) finds its end. */
static void add_header(struct part *part, const char *data, size_t size)
{
    for (const char *end = data + size; data < end;) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        size_t length = (size_t)((stop != NULL ? stop : end) - data);
        bool names = length > 4 && (memcmp(data, "--- ", 4) == 0 || memcmp(data, "+++ ", 4) == 0);
        part_add(part, data, length);
        if (names && memchr(data + 4, ' ', length - 4) != NULL)
            part_add(part, "\t", 1);
        if (stop != NULL)
            part_add(part, "\n", 1);
        data += length + 1;
    }
}

static int on_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
                   const git_diff_line *line, void *payload)
{
    struct part *part = payload;
    char whole[1024];
    (void)delta;
    (void)hunk;
    bool sign = line->origin == GIT_DIFF_LINE_ADDITION || line->origin == GIT_DIFF_LINE_DELETION ||
                line->origin == GIT_DIFF_LINE_CONTEXT;
    if (part->job->call->ops->is_cancelled(part->job->call)) {
        part->job->trouble = TROUBLE_CANCELLED;
        return GIT_EUSER;
    }
    if (line->origin == GIT_DIFF_LINE_FILE_HDR) {
        add_header(part, line->content, line->content_len);
    } else if (sign && line->content_len < sizeof(whole)) {
        whole[0] = line->origin;
        memcpy(whole + 1, line->content, line->content_len);
        part_add(part, whole, line->content_len + 1);
    } else {
        if (sign)
            part_add(part, &line->origin, 1);
        part_add(part, line->content, line->content_len);
    }
    return part->cut ? GIT_EUSER : 0;
}

static void add_name_status(struct part *part, git_diff *diff)
{
    struct text line;
    text_init(&line, 64 * 1024);
    for (size_t i = 0; i < git_diff_num_deltas(diff) && !part->cut; i++) {
        const git_diff_delta *delta = git_diff_get_delta(diff, i);
        text_cut(&line, 0);
        if (delta->status == GIT_DELTA_RENAMED) {
            text_addf(&line, "R%03d\t", delta->similarity);
            add_path(&line, delta->old_file.path, false);
            text_adds(&line, "\t");
        } else {
            text_addf(&line, "%c\t", git_diff_status_char(delta->status));
        }
        add_path(&line, delta->new_file.path, false);
        text_adds(&line, "\n");
        part_add(part, line.data, line.size);
    }
    text_free(&line);
}

static int add_stat(struct part *part, git_diff *diff)
{
    struct text text;
    text_init(&text, 64 * 1024 * 1024);
    int error = diff_stat(diff, &text);
    for (size_t at = 0; error == 0 && at < text.size && !part->cut;) {
        size_t size = strcspn(text.data + at, "\n") + 1;
        part_add(part, text.data + at, size);
        at += size;
    }
    text_free(&text);
    return error;
}

static void add_files(struct job *job, const git_diff *diff)
{
    size_t count = git_diff_num_deltas(diff), shown = 0;
    add_key(&job->json, "files");
    text_adds(&job->json, "[");
    for (; shown < count && shown < (uint64_t)job->instance->max_entries; shown++) {
        const git_diff_delta *delta = git_diff_get_delta(diff, shown);
        if (job->json.size > (uint64_t)job->instance->max_output)
            break;
        text_addf(&job->json, "%s{\"status\":\"%c\",\"path\":", shown > 0 ? "," : "",
                  git_diff_status_char(delta->status));
        add_string(&job->json, delta->new_file.path);
        if (delta->status == GIT_DELTA_RENAMED) {
            text_adds(&job->json, ",\"old_path\":");
            add_string(&job->json, delta->old_file.path);
            text_addf(&job->json, ",\"similarity\":%d", delta->similarity);
        }
        text_adds(&job->json, "}");
    }
    text_addf(&job->json, "],\"file_count\":%zu", count);
}

static int add_text(struct part *part, git_diff *diff, const char *format)
{
    if (strcmp(format, "stat") == 0)
        return add_stat(part, diff);
    if (strcmp(format, "name-status") == 0) {
        add_name_status(part, diff);
        return 0;
    }
    int error = git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, on_line, part);
    return part->cut ? 0 : error;
}

bool diff_answer(struct job *job, git_diff *diff, const struct diff_request *request,
                 size_t words_before)
{
    struct text text;
    size_t room = (size_t)job->instance->max_output;
    room = words_before < room / 2 ? room - words_before : room / 2;
    text_init(&text, room + 16);
    struct part part = {.job = job, .out = &text, .skip = (size_t)request->offset, .room = room};
    int error = find_renames(job, diff);
    if (error == 0)
        add_files(job, diff);
    if (error == 0)
        error = add_text(&part, diff, request->format);
    if (error == 0) {
        text_add_utf8(&job->words, text.data, text.size);
        add_key(&job->json, "text");
        text_add_string(&job->json, text.data, text.size);
        text_addf(&job->json, ",\"truncated\":%s", part.cut ? "true" : "false");
        if (part.cut) {
            text_addf(&job->json, ",\"next_offset\":%zu", part.done);
            text_addf(&job->words, "\n[cut here; the rest with \"offset\": %zu]\n", part.done);
        }
    }
    text_free(&text);
    git_diff_free(diff);
    return error == 0 || job_fail_git(job, error, "make the diff");
}

/* ---- the tools ---- */

static int32_t answer(struct job *job, bool good)
{
    if (good) {
        text_adds(&job->json, "}");
        job_finish(job);
    }
    job_close(job);
    return MCP_OK;
}

/* Nobody looks into submodules: they are repositories of their own, and their paths are
 * told by a file. */
static void leave_submodules(git_diff_options *options)
{
    options->flags |= GIT_DIFF_IGNORE_SUBMODULES;
    options->ignore_submodules = GIT_SUBMODULE_IGNORE_ALL;
}

static bool diff_index(struct job *job, bool staged)
{
    struct diff_request request;
    git_diff_options options;
    git_diff *diff = NULL;
    git_object *tree = NULL;
    if (!diff_arguments(job, &request))
        return false;
    diff_options(job, &request, &options);
    int error = 0;
    if (staged && git_repository_head_unborn(job->repo) != 1)
        error = revision_head(job, GIT_OBJECT_TREE, &tree);
    if (error == 0 && staged) {
        error = git_diff_tree_to_index(&diff, job->repo, (git_tree *)tree, NULL, &options);
    } else if (error == 0) {
        leave_submodules(&options);
        error = git_diff_index_to_workdir(&diff, job->repo, NULL, &options);
    }
    git_object_free(tree);
    text_adds(&job->json, "{");
    return error == 0 ? diff_answer(job, diff, &request, 0)
                      : job_fail_git(job, error, "make the diff");
}

int32_t git_tool_diff_unstaged(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    return answer(&job, job_open(&job, instance, call, NEEDS_WORKTREE) && diff_index(&job, false));
}

int32_t git_tool_diff_staged(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    return answer(&job, job_open(&job, instance, call, NEEDS_WORKTREE) && diff_index(&job, true));
}

static int tree_of(struct job *job, const git_oid *commit_id, git_tree **out)
{
    git_commit *commit = NULL;
    int error = git_commit_lookup(&commit, job->repo, commit_id);
    if (error == 0)
        error = git_commit_tree(out, commit);
    git_commit_free(commit);
    return error;
}

static int diff_range(struct job *job, const struct range *range, const git_diff_options *options,
                      git_diff **diff)
{
    git_tree *from = NULL, *to = NULL;
    git_oid base = range->from;
    int error = 0;
    if (range->symmetric)
        error = git_merge_base(&base, job->repo, &range->from, &range->to);
    if (error == 0)
        error = tree_of(job, &base, &from);
    if (error == 0)
        error = tree_of(job, &range->to, &to);
    if (error == 0)
        error = git_diff_tree_to_tree(diff, job->repo, from, to, options);
    git_tree_free(from);
    git_tree_free(to);
    return error;
}

/* As `git diff A`: from the tree of A to the files as they are. */
static int diff_worktree(struct job *job, const git_oid *from, git_diff_options *options,
                         git_diff **diff)
{
    git_tree *tree = NULL;
    leave_submodules(options);
    int error = tree_of(job, from, &tree);
    if (error == 0)
        error = git_diff_tree_to_workdir_with_index(diff, job->repo, tree, options);
    git_tree_free(tree);
    return error;
}

static bool diff_target(struct job *job)
{
    struct diff_request request;
    git_diff_options options;
    git_diff *diff = NULL;
    struct range range;
    struct mcp_bytes given = {"", 0};
    char target[REVISION_MAX];
    if (!job_string(job, "/target", &given) || !revision_word(job, "target", given, target) ||
        !diff_arguments(job, &request) || !revision_range(job, target, &range))
        return false;
    if (!range.is_range && job->bare)
        return job_fail(job, "%.*s is a bare repository: give two revisions, as \"a..b\".",
                        SHOW(job->given));
    if (!range.is_range && !guard_worktree(job))
        return false;
    diff_options(job, &request, &options);
    int error = range.is_range ? diff_range(job, &range, &options, &diff)
                               : diff_worktree(job, &range.to, &options, &diff);
    text_adds(&job->json, "{");
    return error == 0 ? diff_answer(job, diff, &request, 0)
                      : job_fail_git(job, error, "make the diff");
}

int32_t git_tool_diff(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    return answer(&job, job_open(&job, instance, call, 0) && diff_target(&job));
}
