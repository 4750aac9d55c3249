/* SPDX-License-Identifier: MIT */
/* The protocol layer without a transport and without plugins: messages go into
 * mcp_receive, and a reply of our own keeps what comes back. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "mcp/headers.h"
#include "mcp/mcp.h"
#include "mcp/revision.h"
#include "plugin/call.h"

/* ---- a reply that remembers ---- */

struct fake {
    struct reply reply;
    struct arena arena; /* of the message */
    int references;
    int status; /* 0: not ended */
    char body[65536]; /* the last message */
    char events[16][1024];
    int event_count;
    bool open, ended;
    char session[64];
};

static struct fake *fake_of(struct reply *reply)
{
    return (struct fake *)(void *)reply;
}

static void fake_send(struct reply *reply, const struct answer *answer)
{
    struct fake *fake = fake_of(reply);

    ck_assert_int_eq(fake->status, 0);
    fake->status = answer->status;
    snprintf(fake->body, sizeof fake->body, "%.*s%.*s%.*s", (int)answer->head_size,
             answer->head != NULL ? answer->head : "", BYTES_FMT(answer->shared),
             BYTES_FMT(answer->tail));
    if (answer->session_id != NULL)
        snprintf(fake->session, sizeof fake->session, "%s", answer->session_id);
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
}

static bool fake_open(struct reply *reply)
{
    return fake_of(reply)->open = true;
}

static void (*while_pushing)(void); /* what another thread does meanwhile */

static bool push_fails; /* the socket is broken */

static bool fake_push(struct reply *reply, struct bytes message)
{
    struct fake *fake = fake_of(reply);
    void (*act)(void) = while_pushing;

    while_pushing = NULL;
    if (act != NULL)
        act();

    if (push_fails)
        return false;
    fake->open = true;
    ck_assert_int_lt(fake->event_count, 16);
    snprintf(fake->events[fake->event_count++], 1024, "%.*s", BYTES_FMT(message));
    return true;
}

static void fake_end(struct reply *reply)
{
    fake_of(reply)->ended = true;
}

static void fake_hold(struct reply *reply)
{
    fake_of(reply)->references++;
}

static void fake_release(struct reply *reply)
{
    fake_of(reply)->references--;
}

static const struct reply_ops fake_ops = {.send = fake_send,
                                          .open = fake_open,
                                          .push = fake_push,
                                          .end = fake_end,
                                          .hold = fake_hold,
                                          .release = fake_release};

/* ---- a provider of our own ---- */

static struct mcp_call *waiting; /* a call of "wait" that has not been ended */

static void provider_call(struct provider *provider, struct call *call)
{
    struct mcp_call *abi = call_abi(call);

    (void)provider;
    switch (abi->tag) {
    case 0: { /* echo */
        struct mcp_bytes text;
        int32_t kind;
        ck_assert_int_eq(abi->ops->argument(abi, "/text", &kind, &text), MCP_OK);
        abi->ops->finish_text(abi, text);
        break;
    }
    case 1: /* structured */
        abi->ops->finish_structured(abi, MCP_STR("three"), MCP_STR("{\"n\":3}"));
        break;
    case 2: /* result */
        abi->ops->finish_result(abi, MCP_STR("{\"content\":[],\"structuredContent\":[1],"
                                             "\"_meta\":{\"a\":1},\"resultType\":\"x\"}"));
        break;
    case 3: /* progress */
        abi->ops->progress(abi, 1, 2, MCP_STR("half"));
        abi->ops->log(abi, MCP_LOG_INFO, MCP_STR("\"hello\""));
        abi->ops->finish_failure(abi, MCP_STR("no"));
        break;
    default:
        waiting = abi;
        break;
    }
}

static bool provider_stop(struct provider *provider)
{
    (void)provider;
    return true;
}

static void provider_free(struct provider *it)
{
    free(it);
}

static const struct provider_ops provider_ops = {
    .call = provider_call, .stop = provider_stop, .free = provider_free};

static const char *const definitions[] = {
    ("{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":"
     "\"string\"},\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}},"
     "\"required\":[\"text\"]},\"icons\":[{\"src\":\"https://example.com/i.png\"}]}"),
    ("{\"name\":\"structured\",\"inputSchema\":{\"type\":\"object\"},"
     "\"outputSchema\":{\"type\":\"object\"}}"),
    "{\"name\":\"result\",\"inputSchema\":{\"type\":\"object\"}}",
    "{\"name\":\"progress\",\"inputSchema\":{\"type\":\"object\"}}",
    "{\"name\":\"wait\",\"inputSchema\":{\"type\":\"object\"}}",
};

#define FAKES 32
static struct fake fakes[FAKES];
static int fake_count; /* in this test */

static struct registry *registry;
static struct registry_reader reader;
static struct provider *provider;
static struct config *config;
static struct mcp *mcp;

static void setup(void)
{
    struct error err;

    ck_assert(crypto_init());
    config = config_default();
    config->server.page_size = 2;
    registry = registry_new();
    mcp = mcp_new(config, registry, &err);
    ck_assert_msg(mcp != NULL, "%s", err.text);
    provider = calloc(1, sizeof *provider);
    ck_assert_ptr_nonnull(provider);
    provider_init(provider, &provider_ops);
    provider->id = strdup("demo");
    provider->offers = offers_new();
    for (uint64_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++)
        ck_assert_msg(offers_add(provider->offers, OFFER_TOOL,
                                 &(struct offer_terms){bytes_of(definitions[i]),
                                                       MCP_TOOL_NONBLOCKING, i, 0, 0},
                                 &err),
                      "%s", err.text);
    offers_seal(provider->offers);
    ck_assert(registry_publish(registry, &provider, 1, &err));
}

static void teardown(void)
{
    registry_reader_close(&reader);
    mcp_free(mcp);
    registry_free(registry);
    provider_unref(provider);
    config_unref(config);
    while (fake_count > 0)
        arena_free(&fakes[--fake_count].arena);
}

/* ---- sending ---- */

static struct message modern(const char *method, const char *name)
{
    return (struct message){.verb = MESSAGE_POST,
                            .takes_json = true,
                            .takes_stream = true,
                            .protocol_version = BYTES("2026-07-28"),
                            .method = bytes_of(method),
                            .name = bytes_of(name)};
}

static struct message legacy(const char *session)
{
    return (struct message){.verb = MESSAGE_POST,
                            .takes_json = true,
                            .takes_stream = true,
                            .session_id = bytes_of(session)};
}

static struct fake *post(struct message message, const char *body)
{
    ck_assert_int_lt(fake_count, FAKES);
    struct fake *fake = &fakes[fake_count++];

    *fake = (struct fake){.reply = {.ops = &fake_ops}, .references = 1};
    arena_init(&fake->arena, 1u << 20);
    message.body = bytes_of(body);
    message.arena = &fake->arena;
    message.reader = &reader;
    mcp_receive(mcp, &message, &fake->reply);
    return fake;
}

#define META                                                                                       \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                       \
    "\"io.modelcontextprotocol/clientCapabilities\":{}"
#define CALL(id, tool, more)                                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"" tool    \
    "\"" more "," META "}}}"

static void expect(const struct fake *fake, int status, const char *part)
{
    ck_assert_msg(fake->status == status && strstr(fake->body, part) != NULL,
                  "wanted %d and %s, got %d and %s", status, part, fake->status, fake->body);
}

static void expect_not(const struct fake *fake, const char *part)
{
    ck_assert_msg(strstr(fake->body, part) == NULL, "did not want %s in %s", part, fake->body);
}

static const char *begin_session(const char *version)
{
    char body[512];

    snprintf(body, sizeof body,
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
             "\"protocolVersion\":\"%s\",\"capabilities\":{},\"clientInfo\":{}}}",
             version);
    struct fake *fake = post(legacy(NULL), body);
    ck_assert_int_eq(fake->status, 200);
    ck_assert_uint_eq(strlen(fake->session), 43);
    return fake->session;
}

/* ---- tests ---- */

START_TEST(messages_that_are_none)
{
    static const struct {
        const char *body;
        int status;
        const char *part;
    } cases[] = {
        {"", 400, "-32700"},
        {"{", 400, "-32700"},
        {"{} x", 400, "-32700"},
        {"[]", 400, "-32600"},
        {"1", 400, "-32600"},
        {"{\"id\":1,\"method\":\"ping\"}", 400, "\"id\":1,\"error\":{\"code\":-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", 400, "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", 400, "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"ping\"}", 400, "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", 400, "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", 400, "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}", 400, "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", 400, "-32600"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(post(legacy(NULL), cases[i].body), cases[i].status, cases[i].part);
}
END_TEST

START_TEST(modern_ladder)
{
    struct message m = modern("tools/list", NULL);
    const char *list =
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/list\",\"params\":{" META "}}}";

    expect(post(m, list), 200, "\"resultType\":\"complete\"");
    m.protocol_version = (struct bytes){NULL, 0};
    expect(post(m, list), 400, "\"id\":7,\"error\":{\"code\":-32020");
    m.protocol_version = BYTES("v999");
    expect(post(m, list), 400, "-32020");
    expect(post(m, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/list\",\"params\":{\"_meta\":{"
                   "\"io.modelcontextprotocol/protocolVersion\":\"v999\","
                   "\"io.modelcontextprotocol/clientCapabilities\":{}}}}"),
           400, "-32022,\"message\":\"Unsupported protocol version\",\"data\":{\"supported\":[");
    m = modern("tools/list", NULL);
    expect(post(m, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/list\"}"), 400, "-32602");
    m = modern("TOOLS/LIST", NULL);
    expect(post(m, list), 400, "-32020");
    m = modern("initialize", NULL);
    expect(
        post(m, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"initialize\",\"params\":{" META "}}}"),
        404, "-32601");
    expect(post(modern("tools/call", "other"), CALL("7", "echo", "")), 400, "-32020");
    expect(post(modern("tools/call", NULL), CALL("7", "echo", "")), 400, "-32020");
    expect(post(modern("notifications/cancelled", NULL),
                "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}"),
           202, "");
}
END_TEST

START_TEST(modern_calls)
{
    struct message m = modern("tools/call", "echo");
    struct fake *fake;

    fake = post(m, CALL("9007199254740993", "echo", ",\"arguments\":{\"text\":\"a\\u00e9\"}"));
    expect(fake, 200, "\"id\":9007199254740993,");
    expect(fake, 200, "\"content\":[{\"type\":\"text\",\"text\":\"a\xc3\xa9\"}]");
    expect(fake, 200, "io.modelcontextprotocol/serverInfo");
    ck_assert_int_eq(fake->references, 1);
    fake = post(m, CALL("\"x\"", "echo", ",\"arguments\":{\"text\":5}"));
    expect(fake, 200, "\"isError\":true");
    expect(fake, 200, "text: ");
    expect(post(m, CALL("1", "echo", ",\"arguments\":[]")), 200, "-32602");
    m = modern("tools/call", "none");
    expect(post(m, CALL("1", "none", "")), 200, "-32602");
    m = modern("tools/call", "=?base64?c3RydWN0dXJlZA==?=");
    fake = post(m, CALL("1", "structured", ""));
    expect(fake, 200, "\"text\":\"three\"}],\"structuredContent\":{\"n\":3}");
    fake = post(modern("tools/call", "result"), CALL("1", "result", ""));
    expect(fake, 200, "\"structuredContent\":[1]");
    expect(fake, 200, "\"version\":\"" MCPD_VERSION "\"},\"a\":1}");
    expect_not(fake, "\"x\"");
}
END_TEST

START_TEST(parameters_in_headers)
{
    struct message_param param = {BYTES("REGION"), BYTES("eu")};
    struct message m = modern("tools/call", "echo");
    const char *call = CALL("1", "echo", ",\"arguments\":{\"text\":\"\",\"region\":\"eu\"}");

    expect(post(m, call), 400, "-32020");
    m.params = &param;
    m.param_count = 1;
    expect(post(m, call), 200, "\"result\"");
    param.value = BYTES("=?base64?ZXU=?=");
    expect(post(m, call), 200, "\"result\"");
    param.value = BYTES("=?base64?ZXU?=");
    expect(post(m, call), 400, "-32020");
    param.value = BYTES("EU");
    expect(post(m, call), 400, "-32020");
    param.value = BYTES("eu");
    expect(post(m, CALL("1", "echo", ",\"arguments\":{\"text\":\"\"}")), 400, "-32020");
}
END_TEST

START_TEST(progress_and_log)
{
    struct fake *fake = post(modern("tools/call", "progress"),
                             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{"
                             "\"name\":\"progress\"," META ",\"progressToken\":\"t\","
                             "\"io.modelcontextprotocol/logLevel\":\"info\"}}}");

    ck_assert_int_eq(fake->event_count, 2);
    ck_assert_ptr_nonnull(
        strstr(fake->events[0], "\"progressToken\":\"t\",\"progress\":1,\"total\":2"));
    ck_assert_ptr_nonnull(strstr(fake->events[1], "\"level\":\"info\",\"data\":\"hello\""));
    expect(fake, 200, "\"isError\":true");
    fake = post(modern("tools/call", "progress"), CALL("1", "progress", ""));
    ck_assert_int_eq(fake->event_count, 0);
}
END_TEST

START_TEST(pages)
{
    char body[512], cursor[64] = "";
    int tools = 0, page_count = 0;

    do {
        snprintf(body, sizeof body,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{%s%s%s" META
                 "}}}",
                 cursor[0] ? "\"cursor\":\"" : "", cursor, cursor[0] ? "\"," : "");
        struct fake *fake = post(modern("tools/list", NULL), body);
        ck_assert_int_eq(fake->status, 200);
        for (const char *p = fake->body; (p = strstr(p, "\"inputSchema\"")) != NULL; p++)
            tools++;
        const char *next = strstr(fake->body, "\"nextCursor\":\"");
        if (next == NULL)
            cursor[0] = '\0';
        else
            snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(next + 14, "\""), next + 14);
        page_count++;
    } while (cursor[0] != '\0' && page_count < 10);
    ck_assert_int_eq(tools, 5);
    ck_assert_int_eq(page_count, 3);
    expect(post(modern("tools/list", NULL),
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{"
                "\"cursor\":\"AAAA\"," META "}}}"),
           200, "-32602");
}
END_TEST

START_TEST(legacy_sessions)
{
    const char *session = begin_session("2025-06-18");
    char id[64];
    struct fake *fake;

    snprintf(id, sizeof id, "%s", session);
    expect(post(legacy(NULL), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"), 400, "error");
    expect(post(legacy("unknown"), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"), 404,
           "error");
    expect(post(legacy(id), "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"), 202,
           "");
    expect(post(legacy(id), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"), 200,
           "\"result\":{}}");
    fake = post(legacy(id), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
    expect(fake, 200, "\"dev.mcpd/provider\":\"demo\"");
    expect_not(fake, "icons");
    expect_not(fake, "resultType");
    fake = post(legacy(id), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{"
                            "\"name\":\"result\"}}");
    expect(fake, 200, "\"content\":[]");
    expect_not(fake, "structuredContent"); /* not an object */
    expect_not(fake, "serverInfo");
    expect(post(legacy(id), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}"), 200,
           "-32601");
    expect(post(legacy(id), "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]"), 400, "-32600");
    struct message end = legacy(id);
    end.verb = MESSAGE_DELETE;
    expect(post(end, ""), 200, "");
    expect(post(legacy(id), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"), 404, "error");
}
END_TEST

START_TEST(legacy_versions)
{
    expect(post(legacy(NULL), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                              "\"protocolVersion\":\"1999-01-01\"}}"),
           200, "\"protocolVersion\":\"2025-11-25\"");
    expect(post(legacy(NULL), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                              "\"protocolVersion\":\"2025-03-26\"}}"),
           200, "\"protocolVersion\":\"2025-03-26\"");
}
END_TEST

START_TEST(batches)
{
    char id[64];
    struct fake *fake;

    snprintf(id, sizeof id, "%s", begin_session("2025-03-26"));
    fake = post(legacy(id), "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
                            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"},"
                            "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{"
                            "\"name\":\"echo\",\"arguments\":{\"text\":\"t\"}}},7]");
    expect(fake, 200, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}},{");
    expect(fake, 200, "\"id\":2,\"result\":{\"content\"");
    expect(fake, 200, "-32600");
    ck_assert_int_eq(fake->references, 1);
    fake = post(legacy(id), "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}]");
    expect(fake, 202, "");
}
END_TEST

START_TEST(listening)
{
    struct fake *fake = post(
        modern("subscriptions/listen", NULL),
        "{\"jsonrpc\":\"2.0\",\"id\":\"L\",\"method\":\"subscriptions/listen\",\"params\":{"
        "\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":true}," META "}}}");
    struct error err;

    ck_assert_int_eq(fake->event_count, 1);
    ck_assert_ptr_nonnull(strstr(fake->events[0], "subscriptionId\":\"L\"},\"notifications\":{"
                                                  "\"toolsListChanged\":true,"
                                                  "\"promptsListChanged\":true}"));
    ck_assert(registry_publish(registry, &provider, 1, &err)); /* the same */
    ck_assert_int_eq(fake->event_count, 1);
    ck_assert(registry_publish(registry, &provider, 0, &err)); /* nothing left */
    ck_assert_int_eq(fake->event_count, 2);
    ck_assert_ptr_nonnull(strstr(fake->events[1], "notifications/tools/list_changed"));
    ck_assert_ptr_nonnull(strstr(fake->events[1], "subscriptionId\":\"L\""));
    fake->reply.gone(&fake->reply);
    ck_assert_int_eq(fake->references, 1);
    ck_assert(registry_publish(registry, &provider, 1, &err));
    ck_assert_int_eq(fake->event_count, 2);
}
END_TEST

static void peer_leaves(void)
{
    struct reply *reply = &fakes[fake_count - 1].reply;

    if (reply->gone != NULL)
        reply->gone(reply);
}

START_TEST(a_peer_may_leave_while_its_stream_begins)
{
    struct error err;

    while_pushing = peer_leaves;
    struct fake *fake = post(
        modern("subscriptions/listen", NULL),
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"subscriptions/listen\",\"params\":{"
        "\"notifications\":{\"toolsListChanged\":true,\"resourceSubscriptions\":[\"x:1\"]}," META
        "}}}");
    ck_assert_int_eq(fake->references, 1);
    ck_assert(registry_publish(registry, &provider, 0, &err));
    ck_assert_int_eq(fake->event_count, 1);
}
END_TEST

START_TEST(a_stream_may_break_at_once)
{
    push_fails = true;
    struct fake *fake = post(
        modern("subscriptions/listen", NULL),
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"subscriptions/listen\",\"params\":{"
        "\"notifications\":{\"toolsListChanged\":true,\"resourceSubscriptions\":[\"x:1\"]}," META
        "}}}");
    push_fails = false;
    ck_assert(fake->ended);
    ck_assert_int_eq(fake->references, 1);
    ck_assert_ptr_null(fake->reply.owner); /* which has been freed */
    fake->reply.gone(&fake->reply);
    ck_assert_int_eq(fake->references, 1);
}
END_TEST

START_TEST(listening_ends_with_a_result)
{
    struct fake *fake =
        post(modern("subscriptions/listen", NULL),
             "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"subscriptions/listen\",\"params\":{"
             "\"notifications\":{}," META "}}}");

    mcp_end_streams(mcp);
    expect(fake, 200, "\"id\":5,\"result\":{\"resultType\":\"complete\"");
    ck_assert_int_eq(fake->references, 1);
}
END_TEST

START_TEST(get_stream)
{
    char id[64];
    struct error err;

    snprintf(id, sizeof id, "%s", begin_session("2025-11-25"));
    struct message get = legacy(id);
    get.verb = MESSAGE_GET;
    struct fake *first = post(get, "");
    ck_assert(first->open);
    struct fake *second = post(get, "");
    ck_assert(second->open && first->ended);
    ck_assert(registry_publish(registry, &provider, 0, &err));
    ck_assert_int_eq(first->event_count, 0);
    ck_assert_int_eq(second->event_count, 1);
    ck_assert_ptr_null(strstr(second->events[0], "subscriptionId"));
    second->reply.gone(&second->reply);
    ck_assert_int_eq(second->references, 1);
    /* What changed while nobody listened is told to the next stream. */
    ck_assert(registry_publish(registry, &provider, 1, &err));
    struct fake *third = post(get, "");
    ck_assert_int_eq(third->event_count, 1);
    get.session_id = (struct bytes){NULL, 0};
    expect(post(get, ""), 405, "");
}
END_TEST

static char ending[64]; /* a session's id */

static void end_session(void)
{
    struct message end = legacy(ending);

    end.verb = MESSAGE_DELETE;
    expect(post(end, ""), 200, "");
}

START_TEST(session_ends_while_its_stream_is_told)
{
    struct error err;

    snprintf(ending, sizeof(ending), "%s", begin_session("2025-11-25"));
    ck_assert(registry_publish(registry, &provider, 0, &err));
    struct message get = legacy(ending);
    get.verb = MESSAGE_GET;
    while_pushing = end_session;
    struct fake *fake = post(get, "");
    ck_assert_int_eq(fake->event_count, 1);
    ck_assert(fake->ended);
    ck_assert_int_eq(fake->references, 1);
}
END_TEST

/* Its transport has begun to say so before, and goes on after. */
START_TEST(the_peer_of_an_ended_stream_leaves)
{
    snprintf(ending, sizeof(ending), "%s", begin_session("2025-11-25"));
    struct message get = legacy(ending);
    get.verb = MESSAGE_GET;
    struct fake *fake = post(get, "");
    end_session();
    ck_assert_int_eq(fake->references, 1);
    ck_assert_ptr_null(fake->reply.owner); /* which has been freed */
    fake->reply.gone(&fake->reply);
    ck_assert_int_eq(fake->references, 1);
}
END_TEST

START_TEST(leaving_cancels_only_in_2026)
{
    char id[64];
    struct fake *fake = post(modern("tools/call", "wait"), CALL("1", "wait", ""));

    ck_assert_int_eq(fake->status, 0);
    ck_assert_int_eq(waiting->ops->is_cancelled(waiting), 0);
    fake->reply.gone(&fake->reply);
    ck_assert_int_eq(waiting->ops->is_cancelled(waiting), 1);
    waiting->ops->finish_text(waiting, MCP_STR("late"));

    snprintf(id, sizeof id, "%s", begin_session("2025-11-25"));
    fake = post(legacy(id), "{\"jsonrpc\":\"2.0\",\"id\":\"w\",\"method\":\"tools/call\","
                            "\"params\":{\"name\":\"wait\"}}");
    fake->reply.gone(&fake->reply);
    ck_assert_int_eq(waiting->ops->is_cancelled(waiting), 0);
    post(legacy(id), "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
                     "\"params\":{\"requestId\":\"other\"}}");
    ck_assert_int_eq(waiting->ops->is_cancelled(waiting), 0);
    /* One that names no request. */
    expect(post(legacy(id), "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}"), 202,
           "");
    expect(post(legacy(id), "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
                            "\"params\":{\"reason\":\"none\"}}"),
           202, "");
    ck_assert_int_eq(waiting->ops->is_cancelled(waiting), 0);
    post(legacy(id), "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
                     "\"params\":{\"requestId\":\"w\"}}");
    ck_assert_int_eq(waiting->ops->is_cancelled(waiting), 1);
    waiting->ops->finish_text(waiting, MCP_STR("late"));
    ck_assert_int_eq(fake->references, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mcp");
    TCase *tests = tcase_create("messages");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, messages_that_are_none);
    tcase_add_test(tests, modern_ladder);
    tcase_add_test(tests, modern_calls);
    tcase_add_test(tests, parameters_in_headers);
    tcase_add_test(tests, progress_and_log);
    tcase_add_test(tests, pages);
    tcase_add_test(tests, legacy_sessions);
    tcase_add_test(tests, legacy_versions);
    tcase_add_test(tests, batches);
    tcase_add_test(tests, listening);
    tcase_add_test(tests, a_peer_may_leave_while_its_stream_begins);
    tcase_add_test(tests, a_stream_may_break_at_once);
    tcase_add_test(tests, listening_ends_with_a_result);
    tcase_add_test(tests, get_stream);
    tcase_add_test(tests, session_ends_while_its_stream_is_told);
    tcase_add_test(tests, the_peer_of_an_ended_stream_leaves);
    tcase_add_test(tests, leaving_cancels_only_in_2026);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
