/* SPDX-License-Identifier: MIT */
/* Telling listeners of changes. */
#include "mcp/listeners.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/sessions.h"

#define BATCH 64 /* listeners taken from the list at a time */

struct listener {
    struct listener *next, *previous;
    struct listeners *home;
    struct reply *reply; /* held */
    struct session *session; /* NULL: 2026-07-28 */
    atomic_uint references; /* one is the list's */
    uint32_t wants;
    bool linked; /* and then it is reply->owner, too */
    bool marker; /* no listener, but the place a walk has come to */
    uint16_t id_size;
    char *id; /* behind the struct, in the same allocation */
};

struct listeners {
    struct listener head; /* of a ring */
    atomic_uint epoch;
};

/* Guards the rings, listener.linked and the owners of the listeners' replies. Not
 * one for each home: when the peer of a reply has gone it has to be had before
 * it is known whether there is a listener still. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void link_last(struct listeners *home, struct listener *listener)
{
    listener->next = &home->head;
    listener->previous = home->head.previous;
    listener->previous->next = listener;
    home->head.previous = listener;
}

static void link_after(struct listener *place, struct listener *listener)
{
    listener->previous = place;
    listener->next = place->next;
    listener->next->previous = listener;
    place->next = listener;
}

static void unlink_it(struct listener *listener)
{
    listener->previous->next = listener->next;
    listener->next->previous = listener->previous;
}

struct listeners *listeners_new(void)
{
    struct listeners *home = calloc(1, sizeof *home);

    if (home == NULL)
        return NULL;
    home->head.next = home->head.previous = &home->head;
    home->head.marker = true;
    return home;
}

void listeners_free(struct listeners *home)
{
    free(home);
}

struct listener *listener_ref(struct listener *listener)
{
    atomic_fetch_add(&listener->references, 1);
    return listener;
}

void listener_unref(struct listener *listener)
{
    if (listener == NULL || atomic_fetch_sub(&listener->references, 1) != 1)
        return;
    listener->reply->ops->release(listener->reply);
    session_unref(listener->session);
    free(listener);
}

/* Off the list. With the mutex held. */
static void take_off(struct listener *listener)
{
    unlink_it(listener);
    listener->linked = false;
    listener->reply->owner = NULL;
}

static void listener_gone(struct reply *reply)
{
    pthread_mutex_lock(&mutex);
    struct listener *listener = reply->owner;
    if (listener != NULL)
        take_off(listener);
    pthread_mutex_unlock(&mutex);
    if (listener == NULL)
        return; /* its stream was ended meanwhile */
    if (listener->session != NULL)
        session_lose_stream(listener->session, listener);
    listener_unref(listener);
}

struct listener *listeners_add(struct listeners *home, struct reply *reply, uint32_t wants,
                               struct bytes id, struct session *session)
{
    struct listener *listener = calloc(1, sizeof *listener + id.size);

    if (listener == NULL)
        return NULL;
    listener->home = home;
    listener->reply = reply;
    reply->ops->hold(reply);
    listener->session = session != NULL ? session_ref(session) : NULL;
    listener->wants = wants;
    listener->id_size = (uint16_t)id.size;
    listener->id = (char *)(listener + 1);
    if (id.size > 0)
        memcpy(listener->id, id.data, id.size);
    atomic_init(&listener->references, 2);
    listener->linked = true;
    reply->gone = listener_gone;
    pthread_mutex_lock(&mutex);
    reply->owner = listener;
    link_last(home, listener);
    pthread_mutex_unlock(&mutex);
    return listener;
}

/* ---- what is said ---- */

bool listener_tell(struct listener *listener, uint32_t what)
{
    static const struct {
        uint32_t what;
        const char *name;
    } kinds[] = {{MCP_CHANGED_TOOLS, "tools"},
                 {MCP_CHANGED_RESOURCES, "resources"},
                 {MCP_CHANGED_PROMPTS, "prompts"}};
    char text[512];
    bool told = true;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if ((what & kinds[i].what & listener->wants) == 0)
            continue;
        int size = snprintf(text, sizeof text,
                            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/%s/list_changed\"",
                            kinds[i].name);
        if (listener->session == NULL)
            size += snprintf(text + size, sizeof text - (size_t)size,
                             ",\"params\":{\"_meta\":{"
                             "\"io.modelcontextprotocol/subscriptionId\":%.*s}}",
                             (int)listener->id_size, listener->id);
        size += snprintf(text + size, sizeof text - (size_t)size, "}");
        told =
            listener->reply->ops->push(listener->reply, (struct bytes){text, (size_t)size}) && told;
    }
    if (listener->session != NULL && told)
        session_told(listener->session, listeners_epoch(listener->home));
    return told;
}

void listener_end(struct listener *listener)
{
    struct answer answer = {.status = 200};
    struct buf out;

    pthread_mutex_lock(&mutex);
    bool mine = listener->linked; /* and with it the list's reference */
    if (mine)
        take_off(listener);
    pthread_mutex_unlock(&mutex);
    if (!mine)
        return;
    if (listener->session != NULL) {
        listener->reply->ops->end(listener->reply);
    } else {
        buf_init(&out, 4096);
        buf_addf(&out,
                 "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"resultType\":\"complete\","
                 "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":%.*s}}}",
                 (int)listener->id_size, listener->id, (int)listener->id_size, listener->id);
        answer.head = buf_detach(&out, &answer.head_size);
        listener->reply->ops->send(listener->reply, &answer);
    }
    listener_unref(listener);
}

/* ---- to all ---- */

/* Takes up to BATCH listeners behind the marker, with a reference each, and
 * moves the marker behind them. */
static size_t take_batch(struct listeners *home, struct listener *marker,
                         struct listener *batch[BATCH])
{
    size_t count = 0;

    pthread_mutex_lock(&mutex);
    struct listener *at = marker->next;
    unlink_it(marker);
    while (at != &home->head && count < BATCH) {
        if (!at->marker) {
            batch[count++] = listener_ref(at);
        }
        at = at->next;
    }
    link_after(at->previous, marker);
    pthread_mutex_unlock(&mutex);
    return count;
}

static void for_all(struct listeners *home, void (*act)(struct listener *, uint32_t),
                    uint32_t argument)
{
    struct listener marker = {.marker = true};
    struct listener *batch[BATCH];
    size_t count;

    pthread_mutex_lock(&mutex);
    link_after(&home->head, &marker);
    pthread_mutex_unlock(&mutex);
    while ((count = take_batch(home, &marker, batch)) > 0)
        for (size_t i = 0; i < count; i++) {
            act(batch[i], argument);
            /* take_batch took this reference; clang's analyser does not see atomics. */
            listener_unref(batch[i]); // NOLINT(clang-analyzer-unix.Malloc)
        }
    pthread_mutex_lock(&mutex);
    unlink_it(&marker);
    pthread_mutex_unlock(&mutex);
}

static void tell_one(struct listener *listener, uint32_t what)
{
    listener_tell(listener, what);
}

static void end_one(struct listener *listener, uint32_t unused)
{
    (void)unused;
    listener_end(listener);
}

void listeners_tell(struct listeners *home, uint32_t what)
{
    atomic_fetch_add(&home->epoch, 1);
    for_all(home, tell_one, what);
}

void listeners_end(struct listeners *home)
{
    for_all(home, end_one, 0);
}

uint32_t listeners_epoch(struct listeners *home)
{
    return atomic_load(&home->epoch);
}
