/* SPDX-License-Identifier: MIT */
/* Streams that outlive their connection: what is kept, for whom, and for how long. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "mcp/listeners.h"
#include "mcp/resumable.h"
#include "mcp/sessions.h"
#include "suite.h"

/* ---- a connection that remembers ---- */

struct wire {
    struct reply reply;
    int references;
    char said[4096]; /* each event as "id:retry:text|" */
    bool open, ended, refuses;
    int status; /* of a plain answer */
};

static struct wire *wire_of(struct reply *reply)
{
    return (struct wire *)(void *)reply;
}

static void wire_send(struct reply *reply, const struct answer *answer)
{
    wire_of(reply)->status = answer->status;
    free(answer->head);
}

static bool wire_open(struct reply *reply)
{
    struct wire *wire = wire_of(reply);

    return wire->open = !wire->refuses;
}

static bool wire_event(struct reply *reply, const struct event *event, struct bytes message)
{
    struct wire *wire = wire_of(reply);
    size_t size = strlen(wire->said);

    ck_assert(wire->open && !wire->ended);
    snprintf(wire->said + size, sizeof wire->said - size, "%s:%u:%.*s|", event->id, event->retry_ms,
             BYTES_FMT(message));
    return true;
}

static bool wire_push(struct reply *reply, struct bytes message)
{
    return wire_event(reply, &(struct event){.id = "none"}, message);
}

static void wire_end(struct reply *reply)
{
    ck_assert(!wire_of(reply)->ended);
    wire_of(reply)->ended = true;
}

static void wire_hold(struct reply *reply)
{
    wire_of(reply)->references++;
}

static void wire_release(struct reply *reply)
{
    struct wire *wire = wire_of(reply);

    if (--wire->references == 0 && reply->freed != NULL)
        reply->freed(reply);
}

static const struct reply_ops wire_ops = {.send = wire_send,
                                          .open = wire_open,
                                          .push = wire_push,
                                          .event = wire_event,
                                          .end = wire_end,
                                          .hold = wire_hold,
                                          .release = wire_release};

/* ---- one session ---- */

static struct listeners *listeners;
static struct sessions *sessions;
static struct session *session;
static struct wire wires[8];

static void begin(enum revision_id revision)
{
    session = sessions_begin(sessions, &revisions[revision], BYTES("{}"), listeners);
    ck_assert_ptr_nonnull(session);
}

static void setup(void)
{
    crypto_init();
    listeners = listeners_new(NULL);
    sessions = sessions_new();
    sessions_limit(sessions, 10, NS_PER_S);
    replay_limit(1000, 60 * NS_PER_S);
    for (size_t i = 0; i < 8; i++)
        wires[i] = (struct wire){.reply = {.ops = &wire_ops}, .references = 1};
    begin(REVISION_2025_11_25);
}

/* Nobody may hold a connection any more, or anything else (LeakSanitizer). */
static void teardown(void)
{
    sessions_end(sessions, session);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(wires[i].references, 1);
        wire_release(&wires[i].reply);
    }
    session_unref(session);
    sessions_free(sessions);
    listeners_free(listeners);
}

/* The resumable of a request that came over this connection. */
static struct reply *request_over(struct wire *wire)
{
    struct message message = {.takes_stream = true};
    struct request request = {.session = session, .message = &message, .reply = &wire->reply};

    ck_assert(resumable_begin(&request));
    ck_assert_ptr_ne(request.reply, &wire->reply);
    return request.reply;
}

static bool push(struct reply *reply, const char *text)
{
    return reply->ops->push(reply, bytes_of(text));
}

static void answer(struct reply *reply, const char *text)
{
    struct answer last = {.status = 200, .head = strdup(text), .head_size = strlen(text)};

    reply->ops->send(reply, &last);
    reply->ops->release(reply);
}

static void lose(struct wire *wire)
{
    wire->reply.gone(&wire->reply);
}

static enum resumed resume(const char *id, struct wire *wire)
{
    return resumable_resume(session, bytes_of(id), &wire->reply);
}

/* ---- tests ---- */

START_TEST(plain_answers_stay_plain)
{
    answer(request_over(&wires[0]), "1");
    ck_assert_int_eq(wires[0].status, 200);
    ck_assert(!wires[0].open);
    /* Also when the client has gone: nobody could come back for it. */
    struct reply *reply = request_over(&wires[1]);
    lose(&wires[1]);
    ck_assert(!push(reply, "lost"));
    answer(reply, "2");
    ck_assert_int_eq(wires[1].status, 0);
    ck_assert_int_eq(resume("p1-0", &wires[2]), RESUMED_UNKNOWN);
}
END_TEST

START_TEST(events_have_numbers)
{
    struct reply *one = request_over(&wires[0]), *two = request_over(&wires[1]);

    push(one, "a");
    push(two, "x");
    push(one, "b");
    answer(one, "c");
    answer(two, "y");
    ck_assert_str_eq(wires[0].said, "p1-0:500:|p1-1:0:a|p1-2:0:b|p1-3:0:c|");
    ck_assert_str_eq(wires[1].said, "p2-0:500:|p2-1:0:x|p2-2:0:y|");
    ck_assert(wires[0].ended && wires[1].ended);
    ck_assert_int_eq(resume("p1-1", &wires[2]), RESUMED);
    ck_assert_str_eq(wires[2].said, "p1-2:0:b|p1-3:0:c|");
    ck_assert(wires[2].ended);
}
END_TEST

START_TEST(before_2025_11_25)
{
    sessions_end(sessions, session);
    session_unref(session);
    begin(REVISION_2025_06_18);
    struct reply *reply = request_over(&wires[0]);
    ck_assert(wires[0].reply.waits == NULL);
    reply->ops->close(reply);
    ck_assert(!wires[0].open && !wires[0].ended);
    push(reply, "a");
    reply->ops->close(reply);
    answer(reply, "b");
    ck_assert_str_eq(wires[0].said, "p1-1:0:a|p1-2:0:b|");
}
END_TEST

START_TEST(lost_and_found)
{
    struct reply *reply = request_over(&wires[0]);

    ck_assert(push(reply, "a"));
    lose(&wires[0]);
    ck_assert(!push(reply, "b"));
    ck_assert_int_eq(resume("p1-1", &wires[1]), RESUMED);
    ck_assert(!wires[1].ended);
    ck_assert(push(reply, "c"));
    /* It comes back before the old connection is known to be broken. */
    ck_assert_int_eq(resume("p1-2", &wires[2]), RESUMED);
    ck_assert(wires[1].ended);
    lose(&wires[1]);
    answer(reply, "d");
    ck_assert_str_eq(wires[1].said, "p1-2:0:b|p1-3:0:c|");
    ck_assert_str_eq(wires[2].said, "p1-3:0:c|p1-4:0:d|");
    ck_assert(wires[2].ended);
}
END_TEST

START_TEST(closed_by_the_server)
{
    struct reply *reply = request_over(&wires[0]);

    reply->ops->close(reply);
    ck_assert_str_eq(wires[0].said, "p1-0:500:|");
    ck_assert(wires[0].ended);
    reply->ops->close(reply); /* nothing more to close */
    answer(reply, "a");
    ck_assert_int_eq(resume("p1-0", &wires[1]), RESUMED);
    ck_assert_str_eq(wires[1].said, "p1-1:0:a|");
}
END_TEST

START_TEST(silence_opens_the_stream)
{
    struct reply *reply = request_over(&wires[0]);

    wires[0].reply.waits(&wires[0].reply);
    ck_assert_str_eq(wires[0].said, "p1-0:500:|");
    answer(reply, "a");
    ck_assert_str_eq(wires[0].said, "p1-0:500:|p1-1:0:a|");
    /* One that cannot be a stream is answered as it would have been. */
    wires[1].refuses = true;
    reply = request_over(&wires[1]);
    wires[1].reply.waits(&wires[1].reply);
    answer(reply, "b");
    ck_assert_int_eq(wires[1].status, 200);
}
END_TEST

/* What a client has probably seen goes first; the newest event stays. */
START_TEST(bounded_in_size)
{
    char big[400];
    struct reply *reply = request_over(&wires[0]);

    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    push(reply, "seen");
    push(reply, big);
    lose(&wires[0]);
    push(reply, "unseen");
    push(reply, big);
    push(reply, big); /* now there is too much, and what was sent goes */
    ck_assert_int_eq(resume("p1-0", &wires[1]), RESUMED);
    ck_assert_ptr_eq(strstr(wires[1].said, "p1-3:0:unseen|"), wires[1].said);
    ck_assert_ptr_nonnull(strstr(wires[1].said, "p1-5:0:xxx"));
    replay_limit(0, 60 * NS_PER_S);
    answer(reply, "last");
    ck_assert_int_eq(resume("p1-0", &wires[2]), RESUMED);
    ck_assert_str_eq(wires[2].said, "p1-6:0:last|");
}
END_TEST

START_TEST(bounded_in_age)
{
    struct reply *reply = request_over(&wires[0]);

    push(reply, "a");
    replay_expire(session->replay, clock_now() + 61 * NS_PER_S);
    ck_assert_int_eq(resume("p1-0", &wires[1]), RESUMED); /* it is not over */
    ck_assert_str_eq(wires[1].said, "");
    answer(reply, "b");
    ck_assert_str_eq(wires[1].said, "p1-2:0:b|");
    replay_expire(session->replay, clock_now() + 61 * NS_PER_S);
    ck_assert_int_eq(resume("p1-0", &wires[2]), RESUMED_UNKNOWN);
}
END_TEST

static bool listener_left;

static void on_listener_left(struct reply *reply)
{
    (void)reply;
    listener_left = true;
}

START_TEST(listening)
{
    struct reply *stream = resumable_listen(session, &wires[0].reply);

    ck_assert_str_eq(wires[0].said, "g1-0:500:|");
    stream->gone = on_listener_left;
    ck_assert(push(stream, "a"));
    ck_assert(!replay_is_lost(session->replay));
    lose(&wires[0]);
    ck_assert(replay_is_lost(session->replay));
    ck_assert(!push(stream, "b")); /* he has to be told again, and is */
    ck_assert_int_eq(resume("g1-0", &wires[1]), RESUMED_LISTENS);
    ck_assert(!replay_is_lost(session->replay));
    ck_assert(push(stream, "b"));
    ck_assert_str_eq(wires[1].said, "g1-1:0:a|g1-2:0:b|");
    lose(&wires[1]);
    replay_expire(session->replay, clock_now() + 59 * NS_PER_S);
    ck_assert(!listener_left);
    replay_expire(session->replay, clock_now() + 62 * NS_PER_S);
    ck_assert(listener_left);
    ck_assert_int_eq(resume("g1-2", &wires[2]), RESUMED_ANEW);
    stream->ops->release(stream);
}
END_TEST

START_TEST(refused)
{
    wires[0].refuses = true;
    ck_assert_ptr_null(resumable_listen(session, &wires[0].reply));
    struct reply *reply = request_over(&wires[1]);
    push(reply, "a");
    wires[2].refuses = true;
    ck_assert_int_eq(resume("p1-0", &wires[2]), RESUMED_REFUSED);
    answer(reply, "b");
    ck_assert_int_eq(resume("p1-0", &wires[3]), RESUMED);
    ck_assert_str_eq(wires[3].said, "p1-1:0:a|p1-2:0:b|");
}
END_TEST

START_TEST(unknown)
{
    static const char *const ids[] = {
        "",
        "p",
        "p1",
        "p1-",
        "p1-x",
        "p2-0",
        "x1-0",
        "1-0",
        "p-1-0",
        "p1-0-0",
        " p1-0",
        "p1 -0",
        "p99999999999999999999-0",
        "p01x-0",
        "P1-0",
        "pp1-0",
        "p1-0\n",
    };
    struct reply *reply = request_over(&wires[0]);

    push(reply, "a");
    answer(reply, "b");
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ck_assert_msg(resume(ids[i], &wires[1]) == RESUMED_UNKNOWN, "\"%s\"", ids[i]);
    ck_assert(!wires[1].open);
    ck_assert_int_eq(resume("p1-7", &wires[1]), RESUMED); /* nothing came after that */
    ck_assert_str_eq(wires[1].said, "");
    ck_assert(wires[1].ended);
}
END_TEST

/* A request that goes on after its session is answered over the connection it has,
 * and nothing of it is kept. */
START_TEST(session_ends_first)
{
    struct reply *reply = request_over(&wires[0]), *away = request_over(&wires[1]);

    push(reply, "a");
    push(away, "x");
    lose(&wires[1]);
    sessions_end(sessions, session);
    push(reply, "b");
    answer(reply, "c");
    answer(away, "y");
    ck_assert_str_eq(wires[0].said, "p1-0:500:|p1-1:0:a|p1-2:0:b|p1-3:0:c|");
    ck_assert_int_eq(resume("p1-0", &wires[2]), RESUMED_UNKNOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resumable");

    suite_add(suite,
              &(struct suite_case){
                  .name = "streams",
                  .setup = setup,
                  .teardown = teardown,
                  .tests = SUITE_TESTS(plain_answers_stay_plain, events_have_numbers,
                                       before_2025_11_25, lost_and_found, closed_by_the_server,
                                       silence_opens_the_stream, bounded_in_size, bounded_in_age,
                                       listening, refused, unknown, session_ends_first)});
    return suite_run(suite);
}
