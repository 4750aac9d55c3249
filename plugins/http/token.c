/* SPDX-License-Identifier: MIT */
/* Access tokens by OAuth 2.0 client credentials (RFC 6749, 4.4): got when one is needed,
 * kept until shortly before they expire, got once more when an API refuses one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine.h"

#define EARLY_MS 10000 /* a token is not used up to its last second */
#define LIFE_MS 300000 /* of a token that does not tell */

static const struct document_limits limits = {.values = 10000, .depth = 16};

static void add_field(struct text *body, const char *name, const char *value)
{
    if (value == NULL)
        return;
    text_addf(body, "%s%s=", body->size > 0 ? "&" : "", name);
    text_add_percent(body, value, strlen(value), "");
}

/* RFC 6749, 2.3.1: the two are form-encoded before they become a user and a password. */
static void add_client(struct request *request, const struct auth *auth)
{
    struct text pair;

    if (auth->in_body) {
        add_field(&request->body, "client_id", auth->name);
        add_field(&request->body, "client_secret", auth->secret);
        return;
    }
    text_init(&pair, 65536);
    text_add_percent(&pair, auth->name, strlen(auth->name), "");
    text_adds(&pair, ":");
    text_add_percent(&pair, auth->secret, strlen(auth->secret), "");
    text_adds(&request->headers, "Authorization: Basic ");
    text_add_base64(&request->headers, pair.data, pair.size);
    text_add(&request->headers, "", 1);
    request->headers.failed = request->headers.failed || pair.failed;
    text_free(&pair);
}

static bool fetch(struct engine *engine, size_t index)
{
    const struct auth *auth = &engine->settings->auth[index];
    struct request request = {.method = "POST",
                              .content_type = "application/x-www-form-urlencoded"};

    text_init(&request.target, 16);
    text_init(&request.headers, 131072);
    text_init(&request.cookies, 16);
    text_init(&request.body, 131072);
    text_adds(&request.body, "grant_type=client_credentials");
    add_field(&request.body, "scope", auth->scope);
    add_field(&request.body, "audience", auth->audience);
    add_client(&request, auth);
    if (request.body.failed || request.headers.failed) {
        request_free(&request);
        return false;
    }
    struct job *job = job_new(engine, auth->token_url, &request);
    if (job == NULL)
        return false;
    job->token = index;
    engine->tokens[index].state = TOKEN_FETCHING;
    engine_add(engine, job);
    transfer_start(job);
    return true;
}

enum start token_need(struct job *job, size_t index)
{
    struct engine *engine = job->engine;
    struct token *token = &engine->tokens[index];

    if (token->state == TOKEN_READY && clock_ms() < token->until_ms)
        return START_RUNS;
    if (token->state == TOKEN_FAILED && token->until_ms >= job->created_ms) {
        job_fail(job, "No access token was got: %s", token->why);
        return START_FAILED;
    }
    if (token->state == TOKEN_FETCHING || fetch(engine, index)) {
        job->not_before_ms = 0;
        return START_WAITS;
    }
    job_fail(job, "mcpd is out of memory.");
    return START_FAILED;
}

void token_forget(struct engine *engine, size_t index)
{
    if (engine->tokens[index].state == TOKEN_READY)
        engine->tokens[index].state = TOKEN_NONE;
}

/* A token goes into a header. */
static bool is_token(const struct value *value)
{
    if (!value_is(value, VALUE_STRING) || value->size == 0 || strlen(value->text) != value->size)
        return false;
    for (size_t i = 0; i < value->size; i++)
        if ((unsigned char)value->text[i] <= 0x20 || (unsigned char)value->text[i] >= 0x7f)
            return false;
    return true;
}

static void keep_token(struct job *job, const struct value *answer)
{
    struct token *token = &job->engine->tokens[job->token];
    const struct value *life = value_member(answer, "expires_in");
    const char *type = member_string(answer, "token_type");
    double seconds = value_is(life, VALUE_NUMBER) || value_is(life, VALUE_STRING)
                         ? strtod(life->text, NULL)
                         : (double)LIFE_MS / 1000;

    if (type != NULL && strcasecmp(type, "bearer") != 0) {
        job_fail(job, "its type is not \"Bearer\".");
        return;
    }
    char *value = strdup(value_member(answer, "access_token")->text);
    if (value == NULL) {
        job_fail(job, "mcpd is out of memory.");
        return;
    }
    int64_t life_ms = seconds > 0 && seconds < 1e7 ? (int64_t)(seconds * 1000) : LIFE_MS;
    secret_free(token->value);
    token->value = value;
    token->state = TOKEN_READY;
    token->until_ms = clock_ms() + (life_ms > 2 * EARLY_MS ? life_ms - EARLY_MS : life_ms / 2);
    job_end(job);
}

void token_received(struct job *job, CURLcode code)
{
    struct document document;
    long status = 0;

    if (code != CURLE_OK) {
        job_fail(job, "%s.",
                 job->refused[0] != '\0' ? job->refused
                 : job->error[0] != '\0' ? job->error
                                         : curl_easy_strerror(code));
        return;
    }
    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    bool good = document_read_json(&document, job->response.data, job->response.size, &limits);
    if (status != 200 || !good || !is_token(value_member(document.root, "access_token"))) {
        const struct value *error = value_member(document.root, "error");
        bool told = value_is(error, VALUE_STRING);
        if (told) /* before it is cut */
            engine_wipe(job->engine, error->text, error->size);
        job_fail(job, "the token server answered %ld%s%.60s.", status,
                 told ? ", " : " without a token in JSON", told ? error->text : "");
    } else {
        keep_token(job, document.root);
    }
    document_free(&document);
}
