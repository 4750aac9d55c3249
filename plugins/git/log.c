/* SPDX-License-Identifier: MIT */
/* git_log: what `git log` prints, page by page. */
#include "git.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reading.h"

struct listing {
    int64_t skip, max, seen, shown;
    bool more;
};

static int list_commit(struct job *job, git_commit *commit, void *data)
{
    struct listing *listing = data;
    if (listing->seen++ < listing->skip)
        return 0;
    if (listing->shown == listing->max || job_full(job)) {
        listing->more = true;
        return 1;
    }
    if (listing->shown > 0) {
        text_adds(&job->words, "\n");
        text_adds(&job->json, ",");
    }
    add_commit_words(&job->words, commit);
    add_commit_json(&job->json, commit);
    listing->shown++;
    return 0;
}

/* ---- dates ---- */

static bool digits(const char **at, int count, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool one_of(const char **at, const char *characters)
{
    if (**at == '\0' || strchr(characters, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

/* "", "Z", "+02:00", "+0200": seconds east. */
static bool parse_zone(const char **at, int *east)
{
    int hours, minutes;
    *east = 0;
    if (**at == '\0' || (one_of(at, "Zz") && **at == '\0'))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (!one_of(at, "+-") || !digits(at, 2, &hours))
        return false;
    one_of(at, ":");
    if (!digits(at, 2, &minutes))
        return false;
    *east = sign * (hours * 3600 + minutes * 60);
    return true;
}

/* "2024-01-15", "2024-01-15T14:30:25+01:00", "2024-01-15 14:30", "@1700000000". Without
 * a zone: UTC. */
static bool parse_date(const char *at, int64_t *out)
{
    struct tm tm = {0};
    int east;
    if (*at == '@') {
        char *end;
        *out = strtoll(at + 1, &end, 10);
        return end > at + 1 && *end == '\0';
    }
    if (!digits(&at, 4, &tm.tm_year) || !one_of(&at, "-") || !digits(&at, 2, &tm.tm_mon) ||
        !one_of(&at, "-") || !digits(&at, 2, &tm.tm_mday))
        return false;
    if (one_of(&at, "T ") &&
        (!digits(&at, 2, &tm.tm_hour) || !one_of(&at, ":") || !digits(&at, 2, &tm.tm_min)))
        return false;
    if (one_of(&at, ":") && !digits(&at, 2, &tm.tm_sec))
        return false;
    one_of(&at, " ");
    if (!parse_zone(&at, &east) || *at != '\0')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *out = (int64_t)timegm(&tm) - east;
    return true;
}

static bool date_argument(struct job *job, const char *pointer, bool *has, int64_t *out)
{
    struct mcp_bytes given = {NULL, 0};
    char date[REVISION_MAX];
    *has = false;
    if (!job_string(job, pointer, &given))
        return false;
    if (given.data == NULL)
        return true;
    *has = true;
    if (!revision_word(job, pointer + 1, given, date))
        return false;
    return parse_date(date, out) ||
           job_fail(job,
                    "The %s \"%s\" is not a date; write \"2024-01-15\", "
                    "\"2024-01-15T14:30:25+01:00\" or \"@1705325425\" (seconds since 1970).",
                    pointer + 1, date);
}

/* ---- the tool ---- */

static bool list_history(struct job *job)
{
    struct walk_filter filter = {.path = NULL};
    struct range range;
    struct listing listing = {.max = 10};
    struct mcp_bytes given = MCP_STR("HEAD"), author = {NULL, 0};
    char revision[REVISION_MAX], path[PATH_MAX], name[REVISION_MAX];
    if (!job_string(job, "/revision", &given) || !revision_word(job, "revision", given, revision) ||
        !path_argument(job, "/path", path) || !job_string(job, "/author", &author) ||
        !job_integer(job, "/max_count", 1, job->instance->max_entries, &listing.max) ||
        !job_integer(job, "/skip", 0, INT32_MAX, &listing.skip) ||
        !job_bool(job, "/first_parent", &filter.first_parent) ||
        !date_argument(job, "/start_timestamp", &filter.has_since, &filter.since) ||
        !date_argument(job, "/end_timestamp", &filter.has_until, &filter.until))
        return false;
    if (author.data != NULL && !revision_word(job, "author", author, name))
        return false;
    filter.author = author.data != NULL ? name : NULL;
    filter.path = path;
    if (!revision_range(job, revision, &range))
        return false;
    text_adds(&job->json, "{\"commits\":[");
    if (!walk_history(job, &range, &filter, list_commit, &listing))
        return false;
    text_addf(&job->json, "],\"truncated\":%s", listing.more ? "true" : "false");
    if (listing.more) {
        text_addf(&job->json, ",\"next_skip\":%lld", (long long)listing.skip + listing.shown);
        text_addf(&job->words, "\n[there are more; the next with \"skip\": %lld]\n",
                  (long long)listing.skip + listing.shown);
    }
    text_adds(&job->json, "}");
    return true;
}

int32_t git_tool_log(const struct instance *instance, struct mcp_call *call)
{
    struct job job;
    if (job_open(&job, instance, call, 0) && list_history(&job))
        job_finish(&job);
    job_close(&job);
    return MCP_OK;
}
