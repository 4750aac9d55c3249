/* SPDX-License-Identifier: MIT */
/* Multi round-trip requests of 2026-07-28 (basic/patterns/mrtr). */
#include "mcp/input.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "mcp/answers.h"
#include "mcp/capabilities.h"
#include "mcp/redeemed.h"
#include "mcp/request_state.h"

static const struct bytes no_data = {NULL, 0};

/* ---- keys ---- */

/* The keys in force, in a configuration that is referenced for it. */
static struct config *take_ring(const struct request *request, struct seal_ring *ring)
{
    struct mcp *mcp = request->mcp;

    pthread_mutex_lock(&mcp->mutex);
    struct config *config = config_ref(mcp->config);
    pthread_mutex_unlock(&mcp->mutex);
    *ring = (struct seal_ring){.keys = config->request_state.keys,
                               .count = config->request_state.key_count,
                               .own = &mcp->own_key};
    return config;
}

/* ---- what a state is bound to ---- */

/* A spelling of a member of params that does not depend on the client's. */
static void write_member(struct buf *out, const struct request *request, const char *name,
                         struct arena *scratch)
{
    const struct json_node *value = json_get(&request->json, request->params, name);

    if (value != NULL && !json_write_canonical(out, &request->json, value, scratch))
        out->failed = true;
}

/* The digest of the arguments; none at all are an empty object. */
static bool digest_arguments(const struct request *request, struct arena *scratch,
                             unsigned char digest[CRYPTO_DIGEST_SIZE])
{
    struct buf text;

    buf_init(&text, (size_t)1 << 30);
    write_member(&text, request, "arguments", scratch);
    if (text.size == 0)
        BUF_LIT(&text, "{}");
    crypto_digest(digest, text.data, text.size);
    bool done = !text.failed;
    buf_free(&text);
    return done;
}

static bool bind(const struct invocation *inv, struct buf *out)
{
    const struct request *request = inv->request;
    const struct mcp_caller *caller = &inv->caller;
    unsigned char digest[CRYPTO_DIGEST_SIZE];
    struct arena scratch;
    struct buf name;

    buf_init(out, (size_t)1 << 20);
    buf_init(&name, (size_t)1 << 20);
    arena_init(&scratch, SIZE_MAX); /* less than the request itself took */
    write_member(&name, request, inv->method->function == CALL_READ_RESOURCE ? "uri" : "name",
                 &scratch);
    bool done = digest_arguments(request, &scratch, digest) && !name.failed;
    if (done)
        request_state_bind(out, &(struct request_binding){
                                    .issuer = {caller->issuer.data, caller->issuer.size},
                                    .subject = {caller->subject.data, caller->subject.size},
                                    .method = request->method,
                                    .name = buf_bytes(&name),
                                    .plugin = bytes_of(inv->provider->plugin),
                                    .arguments = {(const char *)digest, sizeof digest},
                                });
    done = done && !out->failed;
    arena_free(&scratch);
    buf_free(&name);
    return done;
}

/* ---- reading ---- */

static bool invalid(const struct request *request, const char *where, const char *what)
{
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INVALID_PARAMS, no_data, "Invalid params: %s%s",
                  where, what);
    return false;
}

static bool no_memory(const struct request *request)
{
    respond_error(request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data, "Out of memory");
    return false;
}

static bool open_state(struct invocation *inv, const struct json_node *given,
                       struct request_state *state)
{
    const struct request *request = inv->request;
    struct bytes text = json_string(&request->json, given, inv->arena);
    struct seal_ring ring;
    struct error why;
    struct buf bound;

    if (text.data == NULL)
        return invalid(request, "", "requestState must be a string");
    struct config *config = take_ring(request, &ring);
    bool ok = bind(inv, &bound) || error_no_memory(&why);
    ok = ok && request_state_open(&ring, buf_bytes(&bound), text, clock_wall_ms(), inv->arena,
                                  state, &why);
    buf_free(&bound);
    config_unref(config);
    return ok || invalid(request, "", why.text);
}

/* One answer, if it is one to a question that was asked. `awaited`: NULL when
 * that is not known. Adds it to `out`. */
static bool read_answer(const struct request *request, const struct json *awaited,
                        const struct json_node *name, struct buf *out)
{
    const struct json *json = &request->json;
    const struct json_node *what = NULL;
    struct error why;
    char where[128];

    struct bytes raw = json_raw(json, name); /* with its quotes */
    snprintf(where, sizeof where, "inputResponses/%.*s: ", raw.size > 66 ? 64 : (int)raw.size - 2,
             raw.data + 1);
    if (name[1].type != JSON_OBJECT)
        return invalid(request, where, "expected an object");
    if (awaited != NULL) {
        struct arena scratch;
        arena_init(&scratch, SIZE_MAX);
        what = json_get_bytes(awaited, awaited->root, json_string(json, name, &scratch));
        arena_free(&scratch);
        if (what == NULL)
            return true; /* nobody asked: "ignore" (Error Handling) */
    }
    bool fits = awaited != NULL ? answer_fits(awaited, what, json, name + 1, &why)
                                : answer_is_legal(json, name + 1, &why);
    if (!fits)
        return invalid(request, where, why.text);
    if (out->size > 1)
        BUF_LIT(out, ",");
    buf_add_bytes(out, raw);
    BUF_LIT(out, ":");
    buf_add_bytes(out, json_raw(json, name + 1));
    return true;
}

static bool read_answers(struct invocation *inv, const struct json_node *given,
                         const struct json *awaited)
{
    const struct request *request = inv->request;
    struct buf out;
    bool ok = true;

    if (given != NULL && given->type != JSON_OBJECT)
        return invalid(request, "", "inputResponses must be an object of objects");
    buf_init(&out, request->json.text.size + 16);
    BUF_LIT(&out, "{");
    if (given != NULL) {
        const struct json_node *end = given + given->span;
        for (const struct json_node *name = json_first(given); name != NULL && ok;
             name = json_next(name + 1, end))
            ok = read_answer(request, awaited, name, &out);
    }
    BUF_LIT(&out, "}");
    if (ok && !out.failed)
        inv->input_responses = arena_copy(inv->arena, buf_bytes(&out));
    buf_free(&out);
    if (ok && inv->input_responses.data == NULL)
        return no_memory(request);
    return ok;
}

/* A state that counts once (MCP_TOOL_STATE_ONCE). */
static bool redeem(struct invocation *inv, const struct request_state *state)
{
    const struct request *request = inv->request;

    if (inv->redeemed)
        return true;
    switch (redeemed_take(request->mcp->redeemed, state->id, state->expires_ms, clock_wall_ms())) {
    case REDEEMED_NOW:
        inv->redeemed = true;
        memcpy(inv->state_id, state->id, sizeof inv->state_id);
        return true;
    case REDEEMED_BEFORE:
        return invalid(request, "",
                       "requestState has been used, and counts only once: begin the "
                       "request anew");
    case REDEEMED_FULL:
        break;
    }
    respond_busy(request, STATUS_IN_PROTOCOL,
                 "Server busy: too many single-use states are under way");
    return false;
}

bool input_read(struct invocation *inv, const struct invoke_target *target)
{
    const struct request *request = inv->request;
    const struct json_node *given = json_get(&request->json, request->params, "inputResponses");
    const struct json_node *sealed = json_get(&request->json, request->params, "requestState");
    bool once = (target->entry->offer->terms.flags & MCP_TOOL_STATE_ONCE) != 0;
    struct request_state state = {.round = 0};
    struct json awaited;

    if (given == NULL && sealed == NULL)
        return true;
    if (sealed == NULL)
        return once ? invalid(request, "",
                              "requestState is missing: it was given together with "
                              "the questions")
                    : read_answers(inv, given, NULL);
    if (!open_state(inv, sealed, &state))
        return false;
    if (!json_parse(&awaited, state.awaited, &json_default_limits, inv->arena, NULL))
        return no_memory(request);
    if (!read_answers(inv, given, &awaited) || (once && !redeem(inv, &state)))
        return false;
    inv->state = state.state;
    inv->round = state.round;
    return true;
}

void input_give_back(struct invocation *inv)
{
    if (inv->redeemed)
        redeemed_give_back(inv->request->mcp->redeemed, inv->state_id);
    inv->redeemed = false;
}

/* ---- asking ---- */

static void respond_missing(const struct invocation *inv, unsigned missing)
{
    struct buf data, names;

    buf_init(&data, 1024);
    buf_init(&names, 1024);
    BUF_LIT(&data, "{\"requiredCapabilities\":");
    abilities_write(&data, missing);
    BUF_LIT(&data, "}");
    abilities_describe(&names, missing);
    respond_error(inv->request, 400, RPC_MISSING_CAPABILITY, buf_bytes(&data),
                  "This needs a capability that the client has not declared: %.*s",
                  BYTES_FMT(names));
    buf_free(&data);
    buf_free(&names);
}

/* Adds the requestState as a JSON string; it needs no escapes. */
static bool seal(const struct invocation *inv, const struct call_result *result, struct buf *out,
                 struct error *err)
{
    struct request_state state = {.round = inv->round + 1, .state = result->text};
    struct buf awaited, bound;
    struct seal_ring ring;

    buf_init(&awaited, REQUEST_STATE_MAX);
    awaited_write(&awaited, result->json);
    crypto_random(state.id, sizeof state.id);
    struct config *config = take_ring(inv->request, &ring);
    state.expires_ms = clock_wall_ms() + config->request_state.lifetime_ms;
    state.awaited = buf_bytes(&awaited);
    BUF_LIT(out, "\"");
    bool done = bind(inv, &bound) || error_no_memory(err);
    if (done && awaited.failed)
        done = error_set(err, "the requestedSchemas have more than %zu bytes", REQUEST_STATE_MAX);
    done = done && request_state_seal(&ring, buf_bytes(&bound), &state, out, err);
    BUF_LIT(out, "\"");
    buf_free(&bound);
    buf_free(&awaited);
    config_unref(config);
    return done;
}

/* A provider without a state of its own gets the answers alone; the client has
 * nothing to carry then. Not where a state counts once. */
static bool needs_state(const struct invocation *inv, const struct call_result *result)
{
    return result->text.size > 0 || (inv->flags & MCP_TOOL_STATE_ONCE) != 0;
}

void input_require(struct invocation *inv, const struct call_result *result)
{
    const struct request *request = inv->request;
    unsigned declared = abilities_declared(request->revision, client_capabilities(request));
    unsigned missing = abilities_needed(result->json) & ~declared;
    struct error why;
    struct buf out;

    if (missing != 0) {
        if (declared == ABILITIES_UNREAD)
            no_memory(request);
        else
            respond_missing(inv, missing);
        return;
    }
    respond_begin(request, &out);
    buf_reserve(&out, result->json_text.size + result->text.size * 2 + 1024);
    BUF_LIT(&out, "{\"resultType\":\"input_required\",\"inputRequests\":");
    buf_add_bytes(&out, result->json_text);
    if (needs_state(inv, result)) {
        BUF_LIT(&out, ",\"requestState\":");
        if (!seal(inv, result, &out, &why)) {
            log_warning("%s: cannot ask the client: %s", inv->provider->id, why.text);
            buf_free(&out);
            respond_error(request, STATUS_IN_PROTOCOL, RPC_INTERNAL_ERROR, no_data,
                          "The provider %s cannot ask: %s", inv->provider->id, why.text);
            return;
        }
    }
    BUF_LIT(&out, ",");
    buf_add_bytes(&out, server_meta(request->mcp));
    BUF_LIT(&out, "}");
    respond_finish(request, &out);
}
