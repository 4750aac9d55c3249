/* SPDX-License-Identifier: MIT */
/* Questions to the clients of sessions, while they are out. */
#include "mcp/asking.h"

#include <stdlib.h>

#include "mcp/answers.h"
#include "mcp/capabilities.h"
#include "mcp/questions.h"
#include "mcp/resumable.h"
#include "mcp/sessions.h"

#define BUCKETS 256
#define QUESTION_ID_SIZE (4 + 22) /* "ask-" and 16 random bytes in base64url */
/* Of one round: what is kept of the questions, the answers, what calling again
 * takes. */
#define ASKING_MAX ((size_t)256 << 20)

#define CANCELLED "The request was cancelled"
#define SESSION_ENDED "The session has ended"
#define SERVER_ENDING "The server is ending"

static const struct bytes no_data = {NULL, 0};

struct question {
    char id[QUESTION_ID_SIZE + 1];
    const struct json_node *name; /* its key, in `awaited`; what was asked is behind it */
    struct bytes answer; /* raw JSON, from malloc; guarded by askings.mutex */
};

struct asking {
    struct asking *next; /* in its bucket */
    atomic_uint references;
    const struct session *session; /* only to compare: inv.session is the reference */
    struct reply *reply; /* held */
    struct request request;
    struct message message; /* stands in for the one that has gone */
    struct arena arena;
    struct invocation inv;
    struct json awaited;
    struct question *questions;
    size_t count;
    int64_t due_ns;
    uint32_t limit_ms;
    /* Guarded by askings.mutex. */
    bool waiting; /* nobody has taken it */
    size_t missing; /* answers */
};

/* All of them, by their session, until their call has gone. */
struct askings {
    pthread_mutex_t mutex;
    struct asking *buckets[BUCKETS];
    bool ended; /* no further ones wait */
};

struct askings *askings_new(void)
{
    struct askings *askings = calloc(1, sizeof *askings);

    if (askings != NULL)
        pthread_mutex_init(&askings->mutex, NULL);
    return askings;
}

void askings_free(struct askings *askings)
{
    if (askings == NULL)
        return;
    pthread_mutex_destroy(&askings->mutex);
    free(askings);
}

static struct asking **bucket_of(struct askings *askings, const struct session *session)
{
    return &askings->buckets[bytes_hash((struct bytes){(const char *)&session, sizeof session}) %
                             BUCKETS];
}

/* ---- the life of one ---- */

static struct asking *asking_ref(struct asking *asking)
{
    atomic_fetch_add(&asking->references, 1);
    return asking;
}

static void asking_free(struct asking *asking)
{
    for (size_t i = 0; i < asking->count; i++)
        free((char *)(uintptr_t)asking->questions[i].answer.data);
    arena_free(&asking->arena);
    free(asking);
}

static void asking_unref(struct asking *asking)
{
    if (atomic_fetch_sub(&asking->references, 1) == 1)
        asking_free(asking);
}

void asking_done(struct asking *asking)
{
    struct askings *askings = asking->request.mcp->askings;

    pthread_mutex_lock(&askings->mutex);
    struct asking **place = bucket_of(askings, asking->session);
    while (*place != asking)
        place = &(*place)->next;
    *place = asking->next;
    pthread_mutex_unlock(&askings->mutex);
    asking_unref(asking);
}

/* What the next call needs of the one that asked. */
static void follow(struct asking *asking, const struct invocation *inv)
{
    asking->request = *inv->request;
    asking->request.message = &asking->message;
    asking->message = (struct message){.verb = MESSAGE_POST,
                                       .arena = &asking->arena,
                                       .takes_json = true,
                                       .takes_stream = inv->takes_stream};
    asking->inv.request = &asking->request;
    asking->inv.method = inv->method;
    asking->inv.log_level = inv->log_level;
    asking->inv.progress_token = inv->progress_token;
    asking->inv.progress = inv->progress;
    asking->inv.progress_ns = inv->progress_ns;
    asking->inv.caller = inv->caller;
    asking->inv.round = inv->round + 1;
    asking->inv.takes_stream = inv->takes_stream;
    asking->inv.arena = &asking->arena;
    asking->inv.asking = asking;
    atomic_init(&asking->inv.call, NULL);
}

/* Keeps what was asked, and the provider's state. */
static bool remember(struct asking *asking, const struct call_result *result)
{
    struct buf awaited;

    buf_init(&awaited, ASKING_MAX);
    awaited_write(&awaited, result->json);
    struct bytes text = awaited.failed ? no_data : arena_copy(&asking->arena, buf_bytes(&awaited));
    buf_free(&awaited);
    asking->inv.state = arena_copy(&asking->arena, result->text);
    if (text.data == NULL || asking->inv.state.data == NULL ||
        !json_parse(&asking->awaited, text, &json_default_limits, &asking->arena, NULL))
        return false;
    const struct json_node *root = asking->awaited.root;
    asking->questions = arena_calloc(&asking->arena, root->count, sizeof *asking->questions);
    if (asking->questions == NULL)
        return false;
    for (const struct json_node *name = json_first(root); name != NULL;
         name = json_next(name + 1, root + root->span)) {
        struct question *question = &asking->questions[asking->count++];
        unsigned char random[16];
        crypto_random(random, sizeof random);
        memcpy(question->id, "ask-", 4);
        base64url_encode(random, sizeof random, question->id + 4);
        question->name = name;
    }
    asking->missing = asking->count;
    return true;
}

/* One reference for the table, one for the caller. NULL: out of memory. */
static struct asking *asking_new(const struct invocation *inv, const struct call_result *result)
{
    struct asking *asking = calloc(1, sizeof *asking);

    if (asking == NULL)
        return NULL;
    atomic_init(&asking->references, 2);
    arena_init_counted(&asking->arena, ASKING_MAX);
    follow(asking, inv);
    if (!remember(asking, result)) {
        asking_free(asking);
        return NULL;
    }
    asking->session = inv->session;
    asking->reply = inv->request->reply;
    asking->limit_ms = atomic_load(&inv->request->mcp->input_timeout_ms);
    asking->due_ns = clock_now() + asking->limit_ms * NS_PER_MS;
    return asking;
}

/* ---- giving up ---- */

/* The client need not bother with what it has not answered. */
static void withdraw(const struct asking *asking, const char *why)
{
    struct buf out;

    for (size_t i = 0; i < asking->count; i++) {
        if (asking->questions[i].answer.data != NULL)
            continue;
        buf_init(&out, 4096);
        buf_addf(&out,
                 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
                 "\"requestId\":\"%s\",\"reason\":",
                 asking->questions[i].id);
        json_write_string(&out, bytes_of(why));
        BUF_LIT(&out, "}}");
        if (!out.failed)
            asking->reply->ops->push(asking->reply, buf_bytes(&out));
        buf_free(&out);
    }
}

/* Answers the request of one that has been taken. */
static void give_up(struct asking *asking, const char *why)
{
    struct reply *reply = asking->reply;

    invocation_leave(&asking->inv);
    asking->inv.method->finish(&asking->inv,
                               &(struct call_result){.end = CALL_FAILURE, .text = bytes_of(why)});
    asking_done(asking);
    reply->ops->release(reply);
}

static bool take(struct asking *asking)
{
    struct askings *askings = asking->request.mcp->askings;

    pthread_mutex_lock(&askings->mutex);
    bool mine = asking->waiting;
    asking->waiting = false;
    pthread_mutex_unlock(&askings->mutex);
    return mine;
}

/* Which of those that wait are meant. */
struct search {
    const struct session *session; /* NULL: any */
    const struct reply *reply; /* NULL: any */
    struct bytes id; /* of the request, raw JSON; .data NULL: any */
    int64_t due_ns; /* by then */
};

static bool is_meant(const struct asking *asking, const struct search *search)
{
    return asking->waiting && asking->due_ns <= search->due_ns &&
           (search->session == NULL || asking->session == search->session) &&
           (search->reply == NULL || asking->reply == search->reply) &&
           (search->id.data == NULL || bytes_equal(asking->request.id, search->id));
}

/* Takes one; NULL: there is none (any more). */
static struct asking *take_one(struct askings *askings, const struct search *search)
{
    struct asking *found = NULL;

    pthread_mutex_lock(&askings->mutex);
    size_t first = 0, last = BUCKETS - 1;
    if (search->session != NULL)
        first = last = (size_t)(bucket_of(askings, search->session) - askings->buckets);
    for (size_t i = first; i <= last && found == NULL; i++)
        for (struct asking *a = askings->buckets[i]; a != NULL && found == NULL; a = a->next)
            if (is_meant(a, search))
                found = a;
    if (found != NULL)
        found->waiting = false;
    pthread_mutex_unlock(&askings->mutex);
    return found;
}

static void give_up_all(struct mcp *mcp, const struct search *search, const char *why)
{
    struct asking *asking;

    while ((asking = take_one(mcp->askings, search)) != NULL) {
        withdraw(asking, why);
        give_up(asking, why);
    }
}

void asking_cancel(struct mcp *mcp, const struct session *session, struct bytes id)
{
    give_up_all(mcp, &(struct search){.session = session, .id = id, .due_ns = INT64_MAX},
                CANCELLED);
}

void asking_end_session(struct mcp *mcp, const struct session *session)
{
    give_up_all(mcp, &(struct search){.session = session, .due_ns = INT64_MAX}, SESSION_ENDED);
}

void asking_lost(struct mcp *mcp, const struct session *session, const struct reply *reply,
                 bool cancel)
{
    struct askings *askings = mcp->askings;
    struct asking *running = NULL;

    give_up_all(mcp, &(struct search){.session = session, .reply = reply, .due_ns = INT64_MAX},
                "The client has gone");
    if (!cancel)
        return;
    pthread_mutex_lock(&askings->mutex);
    for (struct asking *a = *bucket_of(askings, session); a != NULL && running == NULL; a = a->next)
        if (a->reply == reply && !a->waiting)
            running = asking_ref(a);
    pthread_mutex_unlock(&askings->mutex);
    if (running != NULL) {
        invocation_cancel(&running->inv);
        asking_unref(running);
    }
}

void askings_expire(struct mcp *mcp)
{
    const struct search late = {.due_ns = clock_now()};
    struct asking *asking;
    struct error why;

    while ((asking = take_one(mcp->askings, &late)) != NULL) {
        error_set(&why, "The client was asked, and did not answer within %u ms", asking->limit_ms);
        withdraw(asking, why.text);
        give_up(asking, why.text);
    }
}

void askings_end(struct mcp *mcp)
{
    pthread_mutex_lock(&mcp->askings->mutex);
    mcp->askings->ended = true;
    pthread_mutex_unlock(&mcp->askings->mutex);
    give_up_all(mcp, &(struct search){.due_ns = INT64_MAX}, SERVER_ENDING);
}

/* ---- answers ---- */

/* The question with this id in this session, if its answer is awaited, with a
 * reference to its asking. */
static struct asking *find_question(const struct request *request, struct question **question)
{
    struct askings *askings = request->mcp->askings;
    const struct json_node *id = json_get(&request->json, request->root, "id");
    struct asking *found = NULL;

    pthread_mutex_lock(&askings->mutex);
    for (struct asking *a = *bucket_of(askings, request->session); a != NULL && found == NULL;
         a = a->next)
        for (size_t i = 0; i < a->count && a->session == request->session && a->waiting; i++)
            if (a->questions[i].answer.data == NULL &&
                json_is(&request->json, id, a->questions[i].id)) {
                *question = &a->questions[i];
                found = asking_ref(a);
                break;
            }
    pthread_mutex_unlock(&askings->mutex);
    return found;
}

/* Why the answer ends the request; "" when it does not. */
static void check_answer(const struct request *request, const struct asking *asking,
                         const struct question *question, struct error *why)
{
    const struct json *json = &request->json;
    const struct json_node *result = json_get(json, request->root, "result");
    struct bytes key = json_raw(&asking->awaited, question->name);

    why->text[0] = '\0';
    if (result == NULL) {
        const struct json_node *said =
            json_get(json, json_get(json, request->root, "error"), "message");
        struct bytes words = json_string(json, said, request->message->arena);
        error_set(why, "The client did not answer %.*s: %.*s", key.size > 66 ? 66 : (int)key.size,
                  key.data, words.size > 500 ? 500 : (int)words.size,
                  words.data != NULL ? words.data : "");
    } else if (result->type != JSON_OBJECT) {
        error_set(why, "The client's answer to %.*s is no object",
                  key.size > 66 ? 66 : (int)key.size, key.data);
    } else if (!answer_fits(&asking->awaited, question->name + 1, json, result, why)) {
        error_prefix(why, "The client's answer to %.*s is not legal",
                     key.size > 66 ? 66 : (int)key.size, key.data);
    }
}

/* Keeps a copy. *last: it was the last one, and the asking is the caller's. False:
 * out of memory. */
static bool keep_answer(struct asking *asking, struct question *question, struct bytes raw,
                        bool *last)
{
    struct askings *askings = asking->request.mcp->askings;
    char *copy = malloc(raw.size + 1);

    if (copy == NULL)
        return false;
    memcpy(copy, raw.data, raw.size);
    pthread_mutex_lock(&askings->mutex);
    if (asking->waiting && question->answer.data == NULL) {
        question->answer.data = copy;
        question->answer.size = raw.size;
        copy = NULL;
        *last = --asking->missing == 0;
        if (*last)
            asking->waiting = false;
    }
    pthread_mutex_unlock(&askings->mutex);
    free(copy);
    return true;
}

/* Calls the provider again; the asking has been taken. */
static void go_on(struct asking *asking, struct registry_reader *reader)
{
    struct buf out;

    buf_init(&out, ASKING_MAX);
    for (size_t i = 0; i < asking->count; i++) {
        buf_add_char(&out, i == 0 ? '{' : ',');
        buf_add_bytes(&out, json_raw(&asking->awaited, asking->questions[i].name));
        BUF_LIT(&out, ":");
        buf_add_bytes(&out, asking->questions[i].answer);
    }
    BUF_LIT(&out, "}");
    if (!out.failed)
        asking->inv.input_responses = arena_copy(&asking->arena, buf_bytes(&out));
    buf_free(&out);
    if (asking->inv.input_responses.data == NULL) {
        give_up(asking, "Out of memory");
        return;
    }
    asking->message.reader = reader;
    invoke_again(&asking->inv);
}

void asking_answer(const struct request *request)
{
    const struct json *json = &request->json;
    struct question *question;
    struct asking *asking = find_question(request, &question);
    struct error why;
    bool last = false;

    if (asking == NULL)
        return; /* too late, or nobody asked */
    check_answer(request, asking, question, &why);
    const struct json_node *result = json_get(json, request->root, "result");
    if (why.text[0] == '\0' && !keep_answer(asking, question, json_raw(json, result), &last))
        error_set(&why, "Out of memory");
    if (last) {
        go_on(asking, request->message->reader);
    } else if (why.text[0] != '\0' && take(asking)) {
        question->answer = (struct bytes){strdup("{}"), 2}; /* it is not to be withdrawn */
        withdraw(asking, "Another question was not answered");
        give_up(asking, why.text);
    }
    asking_unref(asking);
}

/* ---- asking ---- */

/* Without a stream the pages can still be named in an error (2025-11-25, schema,
 * URLElicitationRequiredError): the client shows them and comes back. */
static void respond_urls(struct invocation *inv, const struct json *requests)
{
    const struct json_node *root = requests->root, *end = root + root->span;
    unsigned char random[16];
    char id[QUESTION_ID_SIZE + 1];
    struct buf data;

    buf_init(&data, ASKING_MAX);
    BUF_LIT(&data, "{\"elicitations\":[");
    for (const struct json_node *name = json_first(root); name != NULL;
         name = json_next(name + 1, end)) {
        if (name != root + 1)
            BUF_LIT(&data, ",");
        crypto_random(random, sizeof random);
        base64url_encode(random, sizeof random, id);
        question_write_url(&data, requests, name + 1, id);
    }
    BUF_LIT(&data, "]}");
    respond_error(inv->request, STATUS_IN_PROTOCOL, RPC_URL_ELICITATION_REQUIRED,
                  data.failed ? no_data : buf_bytes(&data),
                  "This needs the user at a web page first; then try again");
    buf_free(&data);
}

/* Whether it can be asked; else why says why not. */
static bool may_ask(const struct invocation *inv, const struct json *requests, struct error *why)
{
    const struct request *request = inv->request;
    const struct json_node *root = requests->root, *end = root + root->span;
    unsigned declared = abilities_declared(request->revision, client_capabilities(request));
    unsigned missing = abilities_needed(requests) & ~declared;
    struct buf names;

    if (declared == ABILITIES_UNREAD)
        return error_set(why, "Out of memory");
    if (missing != 0) {
        buf_init(&names, 1024);
        abilities_describe(&names, missing);
        error_set(why,
                  "This has to ask the client, which has not declared that it can be asked so: "
                  "%.*s (MCP %s)",
                  BYTES_FMT(names), request->revision->version);
        buf_free(&names);
        return false;
    }
    for (const struct json_node *name = json_first(root); name != NULL;
         name = json_next(name + 1, end))
        if (!question_is_known(request->revision, requests, name + 1))
            return error_set(why, "This asks with a form that MCP %s does not have",
                             request->revision->version);
    return true;
}

/* All questions as texts, one behind the other. */
static bool write_questions(const struct asking *asking, const struct json *requests,
                            struct buf *texts, size_t *ends)
{
    const struct json_node *root = requests->root, *end = root + root->span;
    size_t i = 0;

    for (const struct json_node *name = json_first(root); name != NULL;
         name = json_next(name + 1, end), i++) {
        question_write(texts, asking->request.revision, asking->questions[i].id, requests,
                       name + 1);
        ends[i] = texts->size;
    }
    return !texts->failed;
}

/* Puts it where answers find it, and in the place of the invocation. */
static void publish(struct asking *asking, struct invocation *inv)
{
    struct askings *askings = asking->request.mcp->askings;

    invocation_replace(inv, &asking->inv);
    pthread_mutex_lock(&askings->mutex);
    struct asking **bucket = bucket_of(askings, asking->session);
    asking->next = *bucket;
    *bucket = asking;
    asking->waiting = true;
    pthread_mutex_unlock(&askings->mutex);
}

/* Why not to wait; NULL: wait. Who ended the session or cancelled the request before
 * we were there to be found has not told us. */
static const char *is_over(struct session *session, const struct invocation *inv)
{
    struct askings *askings = inv->request->mcp->askings;

    pthread_mutex_lock(&askings->mutex);
    bool ending = askings->ended;
    pthread_mutex_unlock(&askings->mutex);
    pthread_mutex_lock(&session->mutex);
    bool ended = session->ended, cancelled = inv->cancelled;
    pthread_mutex_unlock(&session->mutex);
    if (ended)
        return SESSION_ENDED;
    return cancelled ? CANCELLED : ending ? SERVER_ENDING : NULL;
}

/* The questions are out, or their request has been answered. False: out of memory. */
static bool send_questions(struct invocation *inv, const struct call_result *result)
{
    struct asking *asking = asking_new(inv, result);
    size_t ends[CALL_REQUESTS_MAX] = {0};
    const char *over;
    struct buf texts;
    bool sent = true;

    if (asking == NULL)
        return false;
    buf_init(&texts, ASKING_MAX);
    if (!write_questions(asking, result->json, &texts, ends)) {
        buf_free(&texts);
        asking_free(asking);
        return false;
    }
    struct session *session = session_ref(inv->session);
    struct reply *reply = asking->reply;
    reply->ops->hold(reply); /* for the call to come */
    reply->ops->hold(reply); /* for us, while we send */
    publish(asking, inv);
    for (size_t i = 0, from = 0; i < asking->count && sent; from = ends[i++])
        sent = reply->ops->push(reply, (struct bytes){texts.data + from, ends[i] - from}) ||
               resumable_keeps(reply); /* for a client that comes back */
    if (!sent && take(asking)) {
        give_up(asking, "This has to ask the client, which cannot be reached");
    } else if ((over = is_over(session, &asking->inv)) != NULL && take(asking)) {
        withdraw(asking, over);
        give_up(asking, over);
    }
    reply->ops->release(reply);
    session_unref(session);
    asking_unref(asking); // NOLINT(clang-analyzer-unix.Malloc)
    buf_free(&texts);
    return true;
}

void ask(struct invocation *inv, const struct call_result *result)
{
    struct error why;

    if (may_ask(inv, result->json, &why)) {
        if (!inv->takes_stream && abilities_needed(result->json) == ABILITY_URL) {
            invocation_leave(inv);
            respond_urls(inv, result->json);
            return;
        }
        if (!inv->takes_stream)
            error_set(&why, "This has to ask the client, which takes no event stream");
        else if (send_questions(inv, result))
            return;
        else
            error_no_memory_for(&why, "This has to ask the client");
    }
    invocation_leave(inv);
    inv->method->finish(inv,
                        &(struct call_result){.end = CALL_FAILURE, .text = bytes_of(why.text)});
}
