/* SPDX-License-Identifier: MIT */
/* Whatever a client can send, past HTTP's syntax: the first line of the input
 * chooses the header fields, the rest is the body. Every message must be
 * answered, or have made its reply a stream, and must let go of the reply. */
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/log.h"
#include "mcp/mcp.h"
#include "plugin/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
    struct reply reply;
    int references;
    bool ended, open;
    char session[64];
};

static struct sink *sink_of(struct reply *reply)
{
    return (struct sink *)(void *)reply;
}

/* What is sent must be JSON, whatever was received. */
static void must_be_json(struct bytes text)
{
    struct json_error why;

    if (!json_check(text, &json_default_limits, &why)) {
        fprintf(stderr, "sent: %.*s\n%s\n", BYTES_FMT(text), why.text);
        abort();
    }
}

static void sink_send(struct reply *reply, const struct answer *answer)
{
    struct sink *sink = sink_of(reply);
    struct buf all;

    if (sink->ended)
        abort();
    sink->ended = true;
    buf_init(&all, SIZE_MAX);
    buf_add(&all, answer->head, answer->head_size);
    buf_add_bytes(&all, answer->shared);
    buf_add_bytes(&all, answer->tail);
    if (all.size > 0)
        must_be_json(buf_bytes(&all));
    buf_free(&all);
    if (answer->session_id != NULL)
        snprintf(sink->session, sizeof sink->session, "%s", answer->session_id);
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
}

static bool sink_open(struct reply *reply)
{
    return sink_of(reply)->open = true;
}

static bool sink_push(struct reply *reply, struct bytes message)
{
    must_be_json(message);
    return sink_of(reply)->open = true;
}

static void sink_end(struct reply *reply)
{
    sink_of(reply)->ended = true;
}

static void sink_hold(struct reply *reply)
{
    sink_of(reply)->references++;
}

static void sink_release(struct reply *reply)
{
    sink_of(reply)->references--;
}

static const struct reply_ops ops = {.send = sink_send,
                                     .open = sink_open,
                                     .push = sink_push,
                                     .end = sink_end,
                                     .hold = sink_hold,
                                     .release = sink_release};

static void provider_call(struct provider *provider, struct call *call)
{
    struct mcp_call *abi = call_abi(call);
    struct mcp_bytes text = MCP_STR("");
    int32_t kind;

    (void)provider;
    abi->ops->argument(abi, "/text", &kind, &text);
    abi->ops->progress(abi, 1, 2, text);
    abi->ops->finish_text(abi, text);
}

static const struct provider_ops provider_ops = {.call = provider_call};

static struct registry *registry;
static struct registry_reader reader;
static struct mcp *mcp;
static char sessions[3][64];

static struct sink receive(struct message *message)
{
    struct sink sink = {.reply = {.ops = &ops}, .references = 1};
    struct arena arena;

    arena_init(&arena, (size_t)1 << 24);
    message->arena = &arena;
    message->reader = &reader;
    mcp_receive(mcp, message, &sink.reply);
    if (!sink.ended && !sink.open)
        abort(); /* nobody would ever answer */
    if (!sink.ended && sink.reply.gone != NULL)
        sink.reply.gone(&sink.reply);
    if (sink.references != 1)
        abort();
    arena_free(&arena);
    return sink;
}

static void set_up(void)
{
    static const char *const versions[] = {"2025-03-26", "2025-06-18", "2025-11-25"};
    static struct provider provider;
    struct provider *all = &provider;
    struct config *config = config_default();
    struct error err = {.text = "?"};
    char body[256];

    crypto_init();
    log_setup(LOG_ERROR, LOG_TEXT);
    config->server.page_size = 1;
    registry = registry_new();
    mcp = mcp_new(config, registry, &err);
    provider_init(&provider, &provider_ops);
    provider.id = strdup("fuzz");
    provider.offers = offers_new();
    offers_add(provider.offers, OFFER_TOOL,
               &(struct offer_terms){
                   BYTES("{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\",\"properties\":{"
                         "\"text\":{\"type\":\"string\",\"x-mcp-header\":\"Text\"}}}}"),
                   MCP_TOOL_NONBLOCKING, 0, 0, 0},
               &err);
    offers_add(
        provider.offers, OFFER_TOOL,
        &(struct offer_terms){BYTES("{\"name\":\"b\",\"inputSchema\":{\"type\":\"object\"}}"),
                              MCP_TOOL_NONBLOCKING, 0, 0, 0},
        &err);
    offers_seal(provider.offers);
    if (!registry_publish(registry, &all, 1, &err))
        abort();
    for (int i = 0; i < 3; i++) {
        snprintf(body, sizeof body,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                 "\"protocolVersion\":\"%s\"}}",
                 versions[i]);
        struct message message = {.takes_json = true, .body = bytes_of(body)};
        struct sink sink = receive(&message);
        memcpy(sessions[i], sink.session, sizeof sink.session);
    }
}

/* The first line: VERB SESSION ACCEPT VERSION|METHOD|NAME|PARAM, the first three
 * one character each. */
static void read_fields(struct message *message, struct bytes line, struct message_param *param)
{
    struct bytes *fields[] = {&message->protocol_version, &message->method, &message->name,
                              &param->value};

    if (line.size < 3)
        return;
    message->verb = (enum message_verb)((unsigned char)line.data[0] % 3);
    if (line.data[1] >= '0' && line.data[1] <= '2')
        message->session_id = bytes_of(sessions[line.data[1] - '0']);
    message->takes_json = (line.data[2] & 1) != 0;
    message->takes_stream = (line.data[2] & 2) != 0 || !message->takes_json;
    line.data += 3;
    line.size -= 3;
    for (size_t i = 0; i < 4 && line.size > 0; i++) {
        const char *bar = memchr(line.data, '|', line.size);
        size_t size = bar != NULL ? (size_t)(bar - line.data) : line.size;
        if (size > 0)
            *fields[i] = (struct bytes){line.data, size};
        line.data += size + (bar != NULL);
        line.size -= size + (bar != NULL);
    }
    if (param->value.data != NULL) {
        param->name = BYTES("Text");
        message->params = param;
        message->param_count = 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message = {.takes_json = true};
    struct message_param param = {.name = {NULL, 0}};
    struct bytes input = {(const char *)data, size};

    if (mcp == NULL)
        set_up();
    const char *line_end = size > 0 ? memchr(input.data, '\n', size) : NULL;
    if (line_end == NULL)
        return 0;
    size_t line = (size_t)(line_end - input.data);
    read_fields(&message, (struct bytes){input.data, line}, &param);
    message.body = (struct bytes){input.data + line + 1, size - line - 1};
    receive(&message);
    return 0;
}
