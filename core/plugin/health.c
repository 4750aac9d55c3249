/* SPDX-License-Identifier: MIT */
#include "plugin/health.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "plugin/call.h"

enum answer { ANSWER_NONE, ANSWER_WELL, ANSWER_FAILING };

/* What is known of one generation of a provider. */
struct record {
    atomic_uint references; /* the list's, and a call's */
    struct health *health; /* a reference */
    struct provider *provider; /* a reference */
    struct record *next;
    /* Guarded by health->mutex. */
    struct call *call; /* not answered yet; a reference */
    bool inside; /* the plugin may still be at it, answered or not */
    int64_t asked_ns; /* 0: never */
    int64_t answered_ms; /* of the wall clock */
    enum answer answer;
    char text[HEALTH_TEXT];
};

struct health {
    atomic_uint references; /* the owner's, and one of each record */
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    struct record *records;
    struct config *config; /* NULL: not configured, or stopped */
    struct buf missing; /* the ids of those that could not be loaded, each with a NUL */
    bool quiet; /* the answer is not logged */
};

/* ---- life ---- */

struct health *health_new(void)
{
    struct health *health = calloc(1, sizeof(*health));
    if (health == NULL)
        return NULL;
    atomic_init(&health->references, 1);
    pthread_mutex_init(&health->mutex, NULL);
    pthread_cond_init(&health->answered, NULL);
    buf_init(&health->missing, SIZE_MAX);
    return health;
}

static void health_unref(struct health *health)
{
    if (atomic_fetch_sub(&health->references, 1) != 1)
        return;
    buf_free(&health->missing);
    pthread_cond_destroy(&health->answered);
    pthread_mutex_destroy(&health->mutex);
    free(health);
}

static void record_unref(struct record *record)
{
    if (atomic_fetch_sub(&record->references, 1) != 1)
        return;
    provider_unref(record->provider);
    health_unref(record->health);
    free(record);
}

/* The call has gone for good. */
static void release(void *owner)
{
    struct record *record = owner;
    pthread_mutex_lock(&record->health->mutex);
    record->inside = false;
    pthread_mutex_unlock(&record->health->mutex);
    record_unref(record);
}

static struct record *record_new(struct health *health, struct provider *provider)
{
    struct record *record = calloc(1, sizeof(*record));
    if (record == NULL)
        return NULL;
    atomic_init(&record->references, 1);
    record->health = health;
    atomic_fetch_add(&health->references, 1);
    record->provider = provider_ref(provider);
    return record;
}

void health_configure(struct health *health, struct config *config)
{
    pthread_mutex_lock(&health->mutex);
    struct config *old = health->config;
    health->config = config != NULL ? config_ref(config) : NULL;
    pthread_mutex_unlock(&health->mutex);
    config_unref(old);
}

/* One that is under way, referenced; NULL: none. */
static struct call *find_running(struct health *health)
{
    struct call *call = NULL;
    pthread_mutex_lock(&health->mutex);
    for (struct record *r = health->records; r != NULL && call == NULL; r = r->next)
        if (r->call != NULL && !call_is_cancelled(r->call))
            call = call_ref(r->call);
    pthread_mutex_unlock(&health->mutex);
    return call;
}

void health_stop(struct health *health)
{
    struct call *call;
    health_configure(health, NULL);
    while ((call = find_running(health)) != NULL) {
        call_cancel(call);
        call_unref(call);
    }
}

void health_free(struct health *health)
{
    if (health == NULL)
        return;
    health_stop(health);
    pthread_mutex_lock(&health->mutex);
    struct record *records = health->records;
    health->records = NULL;
    pthread_mutex_unlock(&health->mutex);
    while (records != NULL) {
        struct record *next = records->next;
        record_unref(records);
        records = next;
    }
    health_unref(health);
}

/* ---- asking ---- */

static void tell_change(const struct record *record, enum answer before, enum answer now,
                        const char *text)
{
    if (now == ANSWER_FAILING && before != ANSWER_FAILING)
        log_warning("%s: not healthy: %s", record->provider->id, text);
    else if (now == ANSWER_WELL && before == ANSWER_FAILING)
        log_notice("%s: healthy again: %s", record->provider->id, text);
}

/* Nothing is known by that: the queue was full, or we have cancelled it. */
static bool says_nothing(const struct call *call, const struct call_result *result)
{
    return result->end == CALL_BUSY ||
           (call_is_cancelled(call) && result->end != CALL_TIMEOUT && result->end != CALL_TEXT);
}

static void finished(struct call *call, const struct call_result *result)
{
    struct record *record = call_owner(call);
    struct health *health = record->health;
    enum answer answer = result->end == CALL_TEXT ? ANSWER_WELL : ANSWER_FAILING;
    char text[HEALTH_TEXT];
    struct bytes said = {result->text.data, result->text.size};

    if (said.size > sizeof(text) - 1)
        said.size = sizeof(text) - 1;
    said.size = utf8_valid_prefix(said);
    snprintf(text, sizeof(text), "%.*s", BYTES_FMT(said));
    pthread_mutex_lock(&health->mutex);
    enum answer before = record->answer;
    if (says_nothing(call, result)) {
        answer = before;
    } else {
        record->answer = answer;
        record->answered_ms = clock_wall_ms();
        memcpy(record->text, text, sizeof(text));
    }
    record->call = NULL;
    bool quiet = health->quiet;
    pthread_cond_broadcast(&health->answered);
    pthread_mutex_unlock(&health->mutex);
    if (!quiet)
        tell_change(record, before, answer, text);
    call_unref(call);
}

static const struct call_events events = {.finished = finished};

static struct call *make_call(struct record *record, uint32_t timeout_ms)
{
    static const struct json no_json;
    static const struct mcp_caller nobody = {.struct_size = sizeof(nobody)};
    struct provider *provider = record->provider;
    bool apart = (provider->check_flags & MCP_TOOL_THREAD_SAFE) == 0;
    const struct offer offer = {.name = BYTES("health"),
                                .terms = {.flags = apart ? 0 : MCP_TOOL_THREAD_SAFE}};
    const struct registry_entry entry = {
        .offer = &offer, .provider = provider, .gate = apart ? provider->serial : NULL};
    const struct call_request request = {
        .entry = &entry,
        .function = CALL_HEALTH,
        .json = &no_json,
        .meta_json = &no_json,
        .caller = &nobody,
        .max_time_ms = timeout_ms,
        .log_level = -1,
        .events = &events,
        .owner = record,
        .release = release,
    };
    return call_new(&request);
}

/* The record has been marked. */
static void ask(struct record *record, uint32_t timeout_ms)
{
    struct health *health = record->health;
    atomic_fetch_add(&record->references, 1);
    struct call *call = make_call(record, timeout_ms);
    pthread_mutex_lock(&health->mutex);
    record->call = call;
    record->inside = call != NULL;
    pthread_mutex_unlock(&health->mutex);
    if (call != NULL)
        call_start(call);
    else /* retired meanwhile */
        record_unref(record);
}

static bool is_out_of_service(const struct provider *provider)
{
    return atomic_load(&provider->broken) || !breaker_is_closed(&provider->breaker);
}

/* Mutex held. */
static struct record *find(const struct health *health, const struct provider *provider)
{
    struct record *record = health->records;
    while (record != NULL && record->provider != provider)
        record = record->next;
    return record;
}

/* Mutex held. NULL: no memory. */
static struct record *find_or_add(struct health *health, struct provider *provider)
{
    struct record *record = find(health, provider);
    if (record == NULL && (record = record_new(health, provider)) != NULL) {
        record->next = health->records;
        health->records = record;
    }
    return record;
}

static void ask_if_due(struct health *health, struct provider *provider)
{
    int64_t now = clock_now();
    uint32_t timeout_ms = 0;

    pthread_mutex_lock(&health->mutex);
    const struct config *config = health->config;
    struct record *record =
        config != NULL && config->health.interval_ms > 0 ? find_or_add(health, provider) : NULL;
    bool due = record != NULL && !record->inside &&
               (record->asked_ns == 0 ||
                now - record->asked_ns >= (int64_t)config->health.interval_ms * NS_PER_MS);
    if (due) {
        record->inside = true;
        record->asked_ns = now;
        timeout_ms = config->health.timeout_ms;
    }
    pthread_mutex_unlock(&health->mutex);
    if (due) /* only this thread takes it off the list */
        ask(record, timeout_ms);
}

static bool is_in(const struct snapshot *snapshot, const struct provider *provider)
{
    for (size_t i = 0; i < snapshot->provider_count; i++)
        if (snapshot->providers[i] == provider)
            return true;
    return false;
}

/* Those that have been replaced or removed. */
static void forget(struct health *health, const struct snapshot *snapshot)
{
    struct record *gone = NULL;
    pthread_mutex_lock(&health->mutex);
    for (struct record **place = &health->records; *place != NULL;) {
        struct record *record = *place;
        if (record->inside || is_in(snapshot, record->provider)) {
            place = &record->next;
            continue;
        }
        *place = record->next;
        record->next = gone;
        gone = record;
    }
    pthread_mutex_unlock(&health->mutex);
    while (gone != NULL) {
        struct record *next = gone->next;
        record_unref(gone);
        gone = next;
    }
}

void health_tick(struct health *health, const struct snapshot *snapshot)
{
    forget(health, snapshot);
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        struct provider *provider = snapshot->providers[i];
        if (provider->checks && !is_out_of_service(provider))
            ask_if_due(health, provider);
    }
}

bool health_ask(struct provider *provider, uint32_t timeout_ms, char text[HEALTH_TEXT])
{
    struct health *health = health_new();
    snprintf(text, HEALTH_TEXT, "out of memory");
    if (health == NULL)
        return false;
    health->quiet = true;
    struct record *record = find_or_add(health, provider);
    bool well = false;
    if (record != NULL) {
        record->inside = true;
        ask(record, timeout_ms);
        pthread_mutex_lock(&health->mutex);
        /* `health` has a reference, too; clang's analyser does not see atomics. */
        while (record->call != NULL) // NOLINT(clang-analyzer-unix.Malloc)
            pthread_cond_wait(&health->answered, &health->mutex);
        well = record->answer == ANSWER_WELL;
        if (record->answer != ANSWER_NONE)
            memcpy(text, record->text, HEALTH_TEXT);
        pthread_mutex_unlock(&health->mutex);
    }
    health_free(health);
    return well;
}

/* ---- telling ---- */

struct report {
    struct buf *out;
    bool messages;
    unsigned working, failing;
};

static void write_one(struct report *report, const char *id, const char *status, bool works,
                      int64_t answered_ms, const char *text)
{
    if (report->working + report->failing > 0)
        BUF_LIT(report->out, ",");
    if (works)
        report->working++;
    else
        report->failing++;
    json_write_string(report->out, bytes_of(id));
    buf_addf(report->out, ":{\"status\":\"%s\"", status);
    if (answered_ms > 0) {
        const time_t seconds = (time_t)(answered_ms / 1000);
        struct tm parts;
        char checked[40];
        if (gmtime_r(&seconds, &parts) != NULL &&
            strftime(checked, sizeof(checked), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0)
            buf_addf(report->out, ",\"checked\":\"%s\"", checked);
    }
    if (report->messages && text[0] != '\0') {
        BUF_LIT(report->out, ",\"message\":");
        json_write_string(report->out, bytes_of(text));
    }
    BUF_LIT(report->out, "}");
}

static void write_provider(struct health *health, struct report *report, struct provider *provider)
{
    static const struct record nothing = {.text = "it has not been asked yet"};
    char out_of_service[BREAKER_TEXT] = "it has ended its process and is not called again";

    if (is_out_of_service(provider)) {
        if (!atomic_load(&provider->broken))
            breaker_describe(&provider->breaker, clock_now(), out_of_service);
        write_one(report, provider->id, "out of service", false, 0, out_of_service);
        return;
    }
    if (!provider->checks) {
        write_one(report, provider->id, "unknown", true, 0, "its plugin has no check");
        return;
    }
    pthread_mutex_lock(&health->mutex);
    const struct record *record = find(health, provider);
    if (record == NULL || record->answer == ANSWER_NONE)
        record = &nothing;
    write_one(report, provider->id,
              record->answer == ANSWER_NONE   ? "unknown"
              : record->answer == ANSWER_WELL ? "ok"
                                              : "failing",
              record->answer != ANSWER_FAILING, record->answered_ms, record->text);
    pthread_mutex_unlock(&health->mutex);
}

void health_missing(struct health *health, struct bytes list)
{
    pthread_mutex_lock(&health->mutex);
    buf_clear(&health->missing);
    buf_add_bytes(&health->missing, list);
    pthread_mutex_unlock(&health->mutex);
}

/* Who is still in this snapshot has been written already. */
static void write_missing(struct health *health, const struct snapshot *snapshot,
                          struct report *report)
{
    pthread_mutex_lock(&health->mutex);
    const struct bytes list = buf_bytes(&health->missing);
    for (size_t at = 0; at < list.size;) {
        const char *id = list.data + at, *why = id + strlen(id) + 1;
        struct error text;
        at += strlen(id) + strlen(why) + 2;
        error_set(&text, "it could not be loaded: %s", why[0] != '\0' ? why : "the log says why");
        bool there = false;
        for (size_t i = 0; i < snapshot->provider_count && !there; i++)
            there = strcmp(snapshot->providers[i]->id, id) == 0;
        if (!there)
            write_one(report, id, "out of service", false, 0, text.text);
    }
    pthread_mutex_unlock(&health->mutex);
}

enum health_status health_write(struct health *health, const struct snapshot *snapshot,
                                bool messages, struct buf *out)
{
    static const char *const names[] = {"ok", "degraded", "unhealthy"};
    struct buf providers;
    struct report report = {.out = &providers, .messages = messages};

    buf_init(&providers, out->max);
    for (size_t i = 0; i < snapshot->provider_count; i++)
        write_provider(health, &report, snapshot->providers[i]);
    write_missing(health, snapshot, &report);
    enum health_status status = report.failing == 0   ? HEALTH_OK
                                : report.working == 0 ? HEALTH_UNHEALTHY
                                                      : HEALTH_DEGRADED;
    buf_addf(out, "{\"status\":\"%s\",\"version\":\"" MCPD_VERSION "\",\"providers\":{",
             names[status]);
    if (providers.failed)
        out->failed = true;
    else if (providers.size > 0)
        buf_add_bytes(out, buf_bytes(&providers));
    BUF_LIT(out, "}}\n");
    buf_free(&providers);
    return status;
}
