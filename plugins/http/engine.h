/* SPDX-License-Identifier: MIT */
/* What carries out requests: one thread, and libcurl. All of it but what is marked belongs
 * to that thread. */
#ifndef HTTP_ENGINE_H
#define HTTP_ENGINE_H

#include <curl/curl.h>

#include "http.h"

enum token_state { TOKEN_NONE, TOKEN_FETCHING, TOKEN_READY, TOKEN_FAILED };

/* An access token that was got with client credentials. */
struct token {
    enum token_state state;
    char *value;
    int64_t until_ms; /* of TOKEN_READY; of TOKEN_FAILED: when it failed */
    char why[200];
};

struct engine {
    const struct settings *settings;
    pthread_t thread;
    bool started;
    CURLM *multi;
    struct resolver *resolver;
    pthread_mutex_t mutex; /* guards the next two */
    struct job *incoming;
    bool stopping;
    struct job *jobs;
    struct token tokens[AUTH_MAX]; /* by the index of their auth */
};

enum step { STEP_READY, STEP_RUNNING };

/* One request, from its call to the end of that, with as many attempts as it takes. */
struct job {
    struct job *next;
    struct engine *engine;
    struct mcp_call *call; /* NULL: it gets a token */
    size_t token; /* the index of that */
    const struct operation *operation; /* NULL: likewise */
    struct request request;
    atomic_bool cancelled; /* set by any thread */
    enum step step;
    int64_t created_ms, deadline_ms, not_before_ms;
    int64_t tries, redirects;
    char *url; /* where it goes now */
    bool elsewhere; /* that is another origin than at first */
    bool as_get; /* a redirect made it one */
    bool renewed; /* its token was refused once */

    /* The attempt. */
    CURL *easy;
    struct curl_slist *headers, *resolve;
    struct text response;
    size_t header_size, sent;
    bool too_large, header_too_large;
    char refused[160]; /* an address that may not be connected to, and what it is */
    char error[CURL_ERROR_SIZE];
};

/* ---- engine.c ---- */

/* Ends the call with a failure, and the job. */
void job_fail(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the job, whose call has been ended. */
void job_end(struct job *job);
struct job *job_new(struct engine *engine, const char *base, struct request *request);
void engine_add(struct engine *engine, struct job *job);
/* Stars in place of every secret, tokens among them. */
void engine_wipe(const struct engine *engine, char *data, size_t size);

/* ---- transfer.c ---- */

/* The parts of a URL. */
struct url_place {
    char *scheme, *host, *port;
    char bare[256]; /* the host, without the brackets of an address */
};
/* To be freed in any case. */
bool url_place_read(struct url_place *place, const char *url);
void url_place_free(struct url_place *place);

enum start { START_RUNS, START_WAITS, START_FAILED };
/* Begins an attempt, if what it needs is there. Failed: the job has been ended. */
enum start transfer_start(struct job *job);
void transfer_clean(struct job *job);
/* What the method is now. */
const char *transfer_method(const struct job *job);
bool transfer_is_idempotent(const struct job *job);

/* ---- token.c ---- */

/* START_RUNS: there is one. */
enum start token_need(struct job *job, size_t index);
void token_received(struct job *job, CURLcode code);
void token_forget(struct engine *engine, size_t index);

/* ---- answer.c ---- */

/* A transfer has come to its end: ends the call, or makes the next attempt ready. */
void answer(struct job *job, CURLcode code);

#endif
