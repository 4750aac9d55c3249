/* SPDX-License-Identifier: MIT */
/* A client without a transport, for fuzzers. */
#include "peer.h"

#include "base/crypto.h"
#include "base/log.h"
#include "mcp/channel.h"
#include "must.h"
#include "plugin/call.h"

#define END_OF_MESSAGE '\x1e'
#define KNOWN_MAX 400
#define SESSIONS_MAX 8
#define MESSAGES_MAX 40

struct registry *peer_registry;
static struct mcp *mcp;
static struct registry_reader reader;
static void (*settle_all)(void);

/* ---- what was learned from what came back ---- */

struct known {
    char letter;
    const char *before; /* it */
    char text[KNOWN_MAX];
};

static struct known known[] = {{'I', "\"id\":\"ask-", ""},
                               {'S', "\"requestState\":\"", ""},
                               {'C', "\"nextCursor\":\"", ""},
                               {'T', "\"taskId\":\"", ""},
                               {'E', NULL, ""}};
#define KNOWN (sizeof known / sizeof known[0])

static char sse_session[64];
static char begun_sessions[SESSIONS_MAX][64];
static size_t begun;
static char sessions[3][64]; /* of the three revisions */

static void learn(struct bytes message)
{
    for (size_t i = 0; i < KNOWN; i++) {
        size_t size = known[i].before != NULL ? strlen(known[i].before) : 0;
        const char *at =
            size > 0 ? memmem(message.data, message.size, known[i].before, size) : NULL;
        if (at == NULL)
            continue;
        at += known[i].letter == 'I' ? size - 4 : size; /* "ask-" is part of it */
        const char *end = memchr(at, '"', (size_t)(message.data + message.size - at));
        if (end != NULL && end - at < KNOWN_MAX) {
            memcpy(known[i].text, at, (size_t)(end - at));
            known[i].text[end - at] = '\0';
        }
    }
}

static void look_at(struct bytes message)
{
    struct json_error why;

    if (!json_check(message, &json_default_limits, &why)) {
        fprintf(stderr, "sent: %.*s\n%s\n", BYTES_FMT(message), why.text);
        abort();
    }
    learn(message);
}

/* Puts what is known in the place of @X. */
static void expand(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        size_t which = KNOWN;
        if (text.data[i] == '@' && i + 1 < text.size)
            for (which = 0; which < KNOWN && known[which].letter != text.data[i + 1];)
                which++;
        if (which == KNOWN) {
            buf_add_char(out, text.data[i]);
        } else {
            buf_add_bytes(out, bytes_of(known[which].text));
            i++;
        }
    }
}

/* ---- one exchange ---- */

struct exchanged {
    struct reply reply;
    int references;
    bool ended, open, gone;
    char session[64];
    struct buf text; /* of the message */
    struct arena arena;
    struct exchanged *next;
};

static struct exchanged *exchanges; /* of this conversation */

static struct exchanged *of(struct reply *reply)
{
    struct exchanged *ex = (struct exchanged *)(void *)reply;

    must(ex->references > 0);
    return ex;
}

static void reply_send(struct reply *reply, const struct answer *answer)
{
    struct exchanged *ex = of(reply);
    struct buf all;

    must(!ex->ended);
    ex->ended = true;
    must(answer->status >= 200 && answer->status < 600);
    buf_init(&all, SIZE_MAX);
    buf_add(&all, answer->head, answer->head_size);
    buf_add_bytes(&all, answer->shared);
    buf_add_bytes(&all, answer->tail);
    if (all.size > 0)
        look_at(buf_bytes(&all));
    buf_free(&all);
    if (answer->session_id != NULL)
        snprintf(ex->session, sizeof ex->session, "%s", answer->session_id);
    free(answer->head);
    if (answer->release != NULL)
        answer->release(answer->argument);
}

static bool reply_open(struct reply *reply)
{
    struct exchanged *ex = of(reply);

    if (ex->ended || ex->gone)
        return false;
    return ex->open = true;
}

static bool reply_push(struct reply *reply, struct bytes message)
{
    look_at(message);
    return reply_open(reply);
}

static bool reply_event(struct reply *reply, const struct event *event, struct bytes message)
{
    struct known *last = &known[KNOWN - 1];

    if (event->id != NULL)
        snprintf(last->text, sizeof last->text, "%s", event->id);
    if (event->name != NULL && strcmp(event->name, "endpoint") == 0)
        snprintf(sse_session, sizeof sse_session, "%.*s",
                 (int)(message.size - strlen("/messages?sessionId=")),
                 message.data + strlen("/messages?sessionId="));
    else if (message.size > 0)
        look_at(message);
    return reply_open(reply);
}

static void reply_end(struct reply *reply)
{
    must(!of(reply)->ended);
    of(reply)->ended = true;
}

static void reply_close(struct reply *reply)
{
    of(reply);
}

static void reply_hold(struct reply *reply)
{
    of(reply)->references++;
}

static void reply_release(struct reply *reply)
{
    struct exchanged *ex = of(reply);

    if (--ex->references > 0)
        return;
    if (reply->freed != NULL)
        reply->freed(reply);
    buf_free(&ex->text);
    arena_free(&ex->arena);
    free(ex);
}

static const struct reply_ops reply_ops = {.send = reply_send,
                                           .open = reply_open,
                                           .push = reply_push,
                                           .end = reply_end,
                                           .event = reply_event,
                                           .close = reply_close,
                                           .hold = reply_hold,
                                           .release = reply_release};

static struct exchanged *receive(struct message *message, struct bytes body)
{
    struct exchanged *ex = calloc(1, sizeof *ex);

    must(ex != NULL);
    ex->reply.ops = &reply_ops;
    ex->references = 1;
    ex->next = exchanges;
    exchanges = ex;
    arena_init(&ex->arena, (size_t)1 << 24);
    buf_init(&ex->text, SIZE_MAX);
    expand(&ex->text, body);
    message->body = buf_bytes(&ex->text);
    message->arena = &ex->arena;
    message->reader = &reader;
    mcp_receive(mcp, message, &ex->reply);
    if (settle_all != NULL)
        settle_all();
    /* Or nobody would ever answer. */
    must(ex->ended || ex->open || ex->reply.gone != NULL || ex->references > 1);
    return ex;
}

/* The peer hangs up on everything that has not ended. */
static void hang_up(void)
{
    for (struct exchanged *ex = exchanges; ex != NULL; ex = ex->next) {
        bool told = ex->ended || ex->gone;
        ex->gone = true;
        if (!told && ex->reply.gone != NULL)
            ex->reply.gone(&ex->reply);
    }
}

/* Nobody holds any of them. */
static void forget(void)
{
    while (exchanges != NULL) {
        struct exchanged *ex = exchanges;
        exchanges = ex->next;
        must(ex->references == 1);
        reply_release(&ex->reply);
    }
}

/* ---- sessions ---- */

static const char *session_of(unsigned which)
{
    static const char *const versions[] = {"2025-03-26", "2025-06-18", "2025-11-25"};
    char body[400];

    if (sessions[which][0] == '\0') {
        snprintf(body, sizeof body,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                 "\"protocolVersion\":\"%s\",\"capabilities\":{\"elicitation\":{\"form\":{},"
                 "\"url\":{}},\"sampling\":{\"tools\":{}},\"roots\":{}}}}",
                 versions[which]);
        struct message message = {.takes_json = true};
        struct exchanged *ex = receive(&message, bytes_of(body));
        must(ex->session[0] != '\0');
        memcpy(sessions[which], ex->session, sizeof ex->session);
    }
    return sessions[which];
}

static void end_session(char *id)
{
    struct message message = {
        .verb = MESSAGE_DELETE, .takes_json = true, .session_id = bytes_of(id)};

    if (id[0] != '\0')
        receive(&message, BYTES(""));
    id[0] = '\0';
}

/* ---- a channel ---- */

static struct channel *channel;
static int channel_owners;

static bool channel_write(void *owner, struct bytes head, struct bytes shared, struct bytes tail,
                          bool dispensable)
{
    struct buf all;

    (void)owner;
    (void)dispensable;
    buf_init(&all, SIZE_MAX);
    buf_add_bytes(&all, head);
    buf_add_bytes(&all, shared);
    buf_add_bytes(&all, tail);
    look_at(buf_bytes(&all));
    buf_free(&all);
    return true;
}

static void channel_released(void *owner)
{
    (void)owner;
    channel_owners--;
}

static void say_over_channel(bool sessions_only, struct bytes body)
{
    static const struct channel_ops ops = {.write = channel_write, .release = channel_released};
    struct buf text;

    if (channel == NULL) {
        channel = channel_open(mcp, &ops, NULL, sessions_only);
        must(channel != NULL);
        channel_owners++;
    }
    while (body.size > 0) {
        const char *end = memchr(body.data, '\n', body.size);
        size_t size = end != NULL ? (size_t)(end - body.data) : body.size;
        buf_init(&text, SIZE_MAX);
        expand(&text, (struct bytes){body.data, size});
        if (text.size > 0)
            channel_receive(channel, buf_bytes(&text), &reader);
        buf_free(&text);
        if (settle_all != NULL)
            settle_all();
        body.data += size + (end != NULL);
        body.size -= size + (end != NULL);
    }
}

/* ---- a conversation ---- */

static void read_fields(struct message *message, struct bytes line, struct message_param *param)
{
    struct bytes *fields[] = {&message->protocol_version, &message->method, &message->name,
                              &param->value, &message->last_event_id};

    for (size_t i = 0; i < 5 && line.size > 0; i++) {
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

static void remember_session(const struct exchanged *ex)
{
    if (ex->session[0] != '\0' && begun < SESSIONS_MAX)
        memcpy(begun_sessions[begun++], ex->session, sizeof ex->session);
}

static struct bytes pick_session(char which)
{
    if (which >= '0' && which <= '2')
        return bytes_of(session_of((unsigned)(which - '0')));
    if (which == 's' && begun > 0)
        return bytes_of(begun_sessions[begun - 1]);
    if (which == 'm' && sse_session[0] != '\0')
        return bytes_of(sse_session);
    return (struct bytes){NULL, 0};
}

static void say(struct bytes line, struct bytes body)
{
    static const struct bytes nothing = {NULL, 0};
    struct message_param param = {.name = nothing};
    struct message message = {.takes_json = true};
    struct buf fields;

    if (line.size >= 1 && (line.data[0] == 'c' || line.data[0] == 'C')) {
        say_over_channel(line.data[0] == 'C', body);
        return;
    }
    if (line.size >= 1 && line.data[0] == 'u') {
        registry_resource_updated(peer_registry, body);
        return;
    }
    buf_init(&fields, SIZE_MAX);
    if (line.size >= 3) {
        message.verb = (enum message_verb)((unsigned char)(line.data[0] - '0') % 5);
        message.session_id = pick_session(line.data[1]);
        message.takes_json = (line.data[2] & 1) != 0;
        message.takes_stream = (line.data[2] & 2) != 0 || !message.takes_json;
        expand(&fields, (struct bytes){line.data + 3, line.size - 3});
        read_fields(&message, buf_bytes(&fields), &param);
    }
    remember_session(receive(&message, body));
    buf_free(&fields);
}

static void finish(void)
{
    hang_up();
    if (channel != NULL)
        channel_close(channel);
    channel = NULL;
    mcp_tick(mcp);
    for (unsigned i = 0; i < 3; i++)
        end_session(sessions[i]);
    while (begun > 0)
        end_session(begun_sessions[--begun]);
    hang_up();
    forget();
    must(channel_owners == 0);
    sse_session[0] = '\0';
    for (size_t i = 0; i < KNOWN; i++)
        known[i].text[0] = '\0';
}

void peer_converse(struct bytes input, void (*settle)(void))
{
    settle_all = settle;
    for (int i = 0; i < MESSAGES_MAX && input.size > 0; i++) {
        const char *stop = memchr(input.data, END_OF_MESSAGE, input.size);
        size_t size = stop != NULL ? (size_t)(stop - input.data) : input.size;
        const char *line = memchr(input.data, '\n', size);
        if (line != NULL)
            say((struct bytes){input.data, (size_t)(line - input.data)},
                (struct bytes){line + 1, size - (size_t)(line + 1 - input.data)});
        input.data += size + (stop != NULL);
        input.size -= size + (stop != NULL);
    }
    finish();
}

/* ---- mcpd's inside ---- */

static void no_line(enum log_level level, struct bytes text)
{
    (void)level;
    (void)text;
}

struct mcp *peer_set_up(bool tasks)
{
    struct config *config = config_default();
    struct error err = {.text = "?"};

    must(crypto_init());
    log_setup(LOG_DEBUG, LOG_TEXT);
    log_set_sink(no_line);
    config->server.title = "\"Title\"";
    config->server.page_size = 1;
    config->sessions.replay_max_bytes = 400;
    /* One that nobody speaks to leaves nothing behind. */
    peer_registry = registry_new();
    mcp = mcp_new(config, peer_registry, &err);
    must(mcp != NULL);
    mcp_end_streams(mcp);
    mcp_free(mcp);
    registry_free(peer_registry);
    peer_registry = registry_new();
    mcp = mcp_new(config, peer_registry, &err);
    must(mcp != NULL);
    call_set_limits(1u << 16);
    struct provider *provider = peer_provider(tasks);
    must(registry_publish(peer_registry, &provider, 1, &err));
    return mcp;
}
