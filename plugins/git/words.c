/* SPDX-License-Identifier: MIT */
/* What git prints: names, dates, commits; and the same as JSON. */
#include "git.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "encoding.h"

void add_string(struct text *t, const char *nul_terminated)
{
    text_add_string(t, nul_terminated, strlen(nul_terminated));
}

void add_key(struct text *t, const char *key)
{
    if (t->size > 0 && t->data[t->size - 1] != '{' && t->data[t->size - 1] != '[')
        text_adds(t, ",");
    text_addf(t, "\"%s\":", key);
}

/* ---- names (git's quote_c_style) ---- */

static bool needs_quotes(const char *path, bool spaces)
{
    for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++)
        if (*c < 0x20 || *c >= 0x7f || *c == '"' || *c == '\\' || (spaces && *c == ' '))
            return true;
    return false;
}

void add_path(struct text *t, const char *path, bool quote_spaces)
{
    static const char letters[] = "abtnvfr"; /* of \007 to \015 */
    if (!needs_quotes(path, quote_spaces)) {
        text_adds(t, path);
        return;
    }
    text_adds(t, "\"");
    for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++) {
        if (*c >= 7 && *c <= 13)
            text_addf(t, "\\%c", letters[*c - 7]);
        else if (*c == '"' || *c == '\\')
            text_addf(t, "\\%c", *c);
        else if (*c < 0x20 || *c >= 0x7f)
            text_addf(t, "\\%03o", *c);
        else
            text_add(t, (const char *)c, 1);
    }
    text_adds(t, "\"");
}

/* ---- dates ---- */

static struct tm local_time(const git_time *when)
{
    struct tm tm = {0};
    time_t shifted = (time_t)(when->time + (int64_t)when->offset * 60);
    if (gmtime_r(&shifted, &tm) == NULL)
        tm = (struct tm){.tm_mday = 1, .tm_year = 70};
    return tm;
}

void add_date(struct text *t, const git_time *when)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm = local_time(when);
    int offset = when->offset < 0 ? -when->offset : when->offset;
    text_addf(t, "%s %s %d %02d:%02d:%02d %d %c%02d%02d", days[tm.tm_wday], months[tm.tm_mon],
              tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900,
              when->sign == '-' ? '-' : '+', offset / 60, offset % 60);
}

void add_date_iso(struct text *t, const git_time *when)
{
    struct tm tm = local_time(when);
    int offset = when->offset < 0 ? -when->offset : when->offset;
    text_addf(t, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
              tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, when->sign == '-' ? '-' : '+',
              offset / 60, offset % 60);
}

/* ---- commits ---- */

void add_short_id(struct text *t, git_repository *repo, const git_oid *id)
{
    git_object *object = NULL;
    git_buf name = {0};
    if (git_object_lookup(&object, repo, id, GIT_OBJECT_ANY) == 0 &&
        git_object_short_id(&name, object) == 0)
        text_adds(t, name.ptr);
    else
        text_addf(t, "%.7s", git_oid_tostr_s(id));
    git_buf_dispose(&name);
    git_object_free(object);
}

/* A line with its tabs made spaces up to the next multiple of eight, as git log does. */
static void add_untabbed(struct text *t, const char *line, size_t size)
{
    size_t column = 0;
    while (size > 0) {
        size_t step = utf8_character(line, size);
        if (step == 0)
            step = 1;
        if (*line == '\t') {
            do
                text_adds(t, " ");
            while (++column % 8 != 0);
        } else {
            text_add_utf8(t, line, step);
            column++;
        }
        line += step;
        size -= step;
    }
}

static size_t without_blanks(const char *line, size_t size)
{
    while (size > 0 && strchr(" \t\r\n\v\f", line[size - 1]) != NULL)
        size--;
    return size;
}

void add_message(struct text *t, const char *message)
{
    bool begun = false;
    size_t end = without_blanks(message, strlen(message));
    for (size_t at = 0; at < end;) {
        const char *line = message + at;
        size_t length = strcspn(line, "\n");
        size_t size = without_blanks(line, length);
        at += length + 1;
        if (size == 0 && !begun)
            continue;
        if (!begun)
            text_adds(t, "\n"); /* what is above it, and there is none if it is empty */
        begun = true;
        text_adds(t, "    ");
        add_untabbed(t, line, size);
        text_adds(t, "\n");
    }
}

static void add_person_words(struct text *t, const char *label, const git_signature *person)
{
    text_addf(t, "%s", label);
    text_add_utf8(t, person->name, strlen(person->name));
    text_adds(t, " <");
    text_add_utf8(t, person->email, strlen(person->email));
    text_adds(t, ">\n");
}

void add_commit_words(struct text *t, git_commit *commit)
{
    git_repository *repo = git_commit_owner(commit);
    unsigned parents = git_commit_parentcount(commit);
    text_addf(t, "commit %s\n", git_oid_tostr_s(git_commit_id(commit)));
    if (parents > 1) {
        text_adds(t, "Merge:");
        for (unsigned i = 0; i < parents; i++) {
            text_adds(t, " ");
            add_short_id(t, repo, git_commit_parent_id(commit, i));
        }
        text_adds(t, "\n");
    }
    const git_signature *author = git_commit_author(commit);
    add_person_words(t, "Author: ", author);
    text_adds(t, "Date:   ");
    add_date(t, &author->when);
    text_adds(t, "\n");
    add_message(t, git_commit_message_raw(commit));
}

static void add_person_json(struct text *t, const char *key, const git_signature *person)
{
    add_key(t, key);
    text_adds(t, "{\"name\":");
    add_string(t, person->name);
    text_adds(t, ",\"email\":");
    add_string(t, person->email);
    text_adds(t, ",\"date\":\"");
    add_date_iso(t, &person->when);
    text_adds(t, "\"}");
}

void add_commit_json(struct text *t, git_commit *commit)
{
    const char *message = git_commit_message_raw(commit);
    text_addf(t, "{\"sha\":\"%s\",\"parents\":[", git_oid_tostr_s(git_commit_id(commit)));
    for (unsigned i = 0; i < git_commit_parentcount(commit); i++)
        text_addf(t, "%s\"%s\"", i > 0 ? "," : "",
                  git_oid_tostr_s(git_commit_parent_id(commit, i)));
    text_adds(t, "]");
    add_person_json(t, "author", git_commit_author(commit));
    add_person_json(t, "committer", git_commit_committer(commit));
    add_key(t, "message");
    text_add_string(t, message, without_blanks(message, strlen(message)));
    text_adds(t, "}");
}
