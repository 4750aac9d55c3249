/* SPDX-License-Identifier: MIT */
/*
 * The lane: how readers' queries run without a thread for each.
 *
 * The thread that takes a call from mcpd sends its query, if there is a connection for it,
 * and goes. One thread of ours, the leader, waits for all that is on its way, and ends what
 * is answered. Most is answered at once; where the leader finds that it would have to wait
 * - for further rows, for a query that is being cancelled - it lets another thread lead
 * (lane_leave), and is from then on a thread that waits for one query. So is the thread for
 * a query that has been on its way for a while: it looks after its deadline and its end.
 * What cannot be sent at once is run from its beginning by a thread of ours.
 */
#include "postgres.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS 32
#define SLOTS 128 /* more than max_connections, and those being closed */
/* After this time a query gets a thread. */
#define SLOW_NS INT64_C(3000000)
#define SLOW_MS 3
/* While nothing is on its way: how long the leader goes on looking each SLOW_MS, which
 * spares who sends something the waking of it. */
#define RECENT_NS INT64_C(100000000)
/* Threads for queries that wait for a connection. */
#define WAITING_MAX 8
/* Queries that wait for such a thread. */
#define PENDING_MAX 4096
/* Of a call that is sent by mcpd's own thread: it must not be long at it. */
#define ARGUMENTS_MAX ((size_t)16 * 1024)
#define STACK_SIZE ((size_t)1 << 20)

enum slot_state { SLOT_FREE, SLOT_IDLE, SLOT_SENDING, SLOT_FLYING };

/* One session that the epoll set knows. */
struct slot {
    enum slot_state state;
    bool early; /* something has come while it was being sent */
    uint32_t generation;
    struct query *query; /* that is on its way */
    int64_t since_ns;
};

struct lane {
    struct backend *backend;
    int epoll, wake;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t follow; /* there is no leader, or a pending query, or it is over */
    bool led, stopping, sleeping; /* the leader waits without end */
    pthread_t thread[SLOTS + WAITING_MAX]; /* they stay until lane_stop */
    int threads, idle, called; /* of the idle, those that need not wait any more */
    int waiting; /* threads with a query that waits for a connection */
    struct slot slots[SLOTS];
    int flying;
    int64_t looked_ns, used_ns;
    struct query *ready; /* answered, or slow */
    struct query *pending, **pending_end;
    int pending_count;
    /* The leader's. */
    struct epoll_event events[EVENTS];
    int event, event_count;
};

/* ---- threads ---- */

static void *work(void *data);

/* Mutex held. */
static void need_thread(struct lane *lane)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (lane->idle > lane->called) {
        lane->called++;
        pthread_cond_signal(&lane->follow);
        return;
    }
    if (lane->threads > lane->backend->settings->max_connections + WAITING_MAX ||
        lane->threads == SLOTS + WAITING_MAX)
        return;
    sigfillset(&all); /* signals are mcpd's */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&lane->thread[lane->threads], &attributes, work, lane) == 0)
        lane->threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* What the thread that has it may do with the session of a query: lead, until it must
 * wait. */
struct turn {
    struct lane *lane;
    bool leads;
};

void lane_leave(struct session *session)
{
    struct turn *turn = session->turn;
    if (turn == NULL || !turn->leads)
        return;
    struct lane *lane = turn->lane;
    turn->leads = false;
    pthread_mutex_lock(&lane->mutex);
    lane->led = false;
    need_thread(lane);
    pthread_mutex_unlock(&lane->mutex);
}

bool lane_leads(const struct session *session)
{
    return session->turn != NULL && session->turn->leads;
}

/* ---- what is on its way ---- */

static void take_off(struct lane *lane, struct slot *slot)
{
    slot->query->next = lane->ready;
    lane->ready = slot->query;
    slot->query = NULL;
    slot->state = SLOT_IDLE;
    lane->flying--;
}

/* Mutex held. */
static void handle(struct lane *lane, const struct epoll_event *event)
{
    uint64_t ignored;
    uint32_t index = (uint32_t)(event->data.u64 & 0xffffffff);
    if (index >= SLOTS) {
        (void)!read(lane->wake, &ignored, sizeof(ignored));
        return;
    }
    struct slot *slot = &lane->slots[index];
    if (slot->generation != (uint32_t)(event->data.u64 >> 32))
        return;
    if (slot->state == SLOT_SENDING)
        slot->early = true;
    else if (slot->state == SLOT_FLYING)
        take_off(lane, slot);
}

static void look_for_slow(struct lane *lane)
{
    int64_t now = clock_now();
    if (now - lane->looked_ns < SLOW_NS / 3)
        return;
    lane->looked_ns = now;
    for (int i = 0; i < SLOTS && lane->flying > 0; i++)
        if (lane->slots[i].state == SLOT_FLYING && now - lane->slots[i].since_ns > SLOW_NS)
            take_off(lane, &lane->slots[i]);
}

static bool is_over(const struct lane *lane)
{
    return lane->stopping && lane->flying == 0 && lane->ready == NULL && lane->pending == NULL;
}

/* For the leader, with the mutex held, which it gives away while it sleeps. NULL: it is
 * over. */
static struct query *next_ready(struct lane *lane)
{
    while (lane->ready == NULL && !is_over(lane)) {
        if (lane->event < lane->event_count) {
            handle(lane, &lane->events[lane->event++]);
            continue;
        }
        look_for_slow(lane);
        if (lane->ready != NULL)
            break;
        bool recent = lane->flying > 0 || lane->stopping || clock_now() - lane->used_ns < RECENT_NS;
        lane->sleeping = !recent;
        pthread_mutex_unlock(&lane->mutex);
        int count = epoll_wait(lane->epoll, lane->events, EVENTS, recent ? SLOW_MS : -1);
        pthread_mutex_lock(&lane->mutex);
        lane->sleeping = false;
        lane->event = 0;
        lane->event_count = count > 0 ? count : 0;
    }
    struct query *query = lane->ready;
    if (query != NULL)
        lane->ready = query->next;
    return query;
}

static void finish(struct query *query, struct turn *turn)
{
    struct session *session = query->session;
    session->turn = turn;
    bool good = query->execution != NULL && execution_end(session, query->execution);
    session->turn = NULL;
    pool_release(session);
    query->end(query, good);
}

/* Leads until it has had to wait. Mutex held. */
static void lead(struct lane *lane)
{
    struct turn turn = {.lane = lane, .leads = true};
    lane->led = true;
    while (turn.leads) {
        struct query *query = next_ready(lane);
        if (query == NULL)
            break;
        pthread_mutex_unlock(&lane->mutex);
        finish(query, &turn);
        pthread_mutex_lock(&lane->mutex);
    }
    if (turn.leads)
        lane->led = false;
}

static void run_alone(struct lane *lane, struct query *query)
{
    query->session = pool_acquire(lane->backend, &query->job);
    pthread_mutex_lock(&lane->mutex);
    lane->waiting--;
    if (lane->pending != NULL)
        need_thread(lane);
    pthread_mutex_unlock(&lane->mutex);
    if (query->session == NULL) {
        query->end(query, false);
        return;
    }
    query->execution = execution_begin(query->session, &query->statement, &query->rows);
    if (query->execution != NULL)
        execution_send(query->session, query->execution);
    finish(query, NULL);
}

/* Runs one that could not be sent. Mutex held. */
static void run_pending(struct lane *lane)
{
    struct query *query = lane->pending;
    lane->pending = query->next;
    if (lane->pending == NULL)
        lane->pending_end = &lane->pending;
    lane->pending_count--;
    lane->waiting++;
    pthread_mutex_unlock(&lane->mutex);
    run_alone(lane, query);
    pthread_mutex_lock(&lane->mutex);
}

static void *work(void *data)
{
    struct lane *lane = data;
    pthread_mutex_lock(&lane->mutex);
    pthread_setname_np(pthread_self(), "postgres-lane");
    while (!is_over(lane)) {
        if (lane->pending != NULL && lane->waiting < WAITING_MAX) {
            if (!lane->led)
                need_thread(lane);
            run_pending(lane);
        } else if (!lane->led) {
            lead(lane);
        } else if (lane->stopping) {
            break; /* the leader does the rest */
        } else {
            lane->idle++;
            while (lane->called == 0 && !lane->stopping)
                pthread_cond_wait(&lane->follow, &lane->mutex);
            lane->idle--;
            if (lane->called > 0)
                lane->called--;
        }
    }
    pthread_cond_broadcast(&lane->follow);
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* ---- sessions ---- */

/* False: it cannot be watched. Mutex held. */
static bool give_slot(struct lane *lane, struct session *session)
{
    int index = 0;
    while (index < SLOTS && lane->slots[index].state != SLOT_FREE)
        index++;
    if (index == SLOTS)
        return false;
    struct slot *slot = &lane->slots[index];
    slot->generation++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET,
                                .data.u64 =
                                    (uint64_t)slot->generation << 32 | (uint64_t)(unsigned)index};
    if (epoll_ctl(lane->epoll, EPOLL_CTL_ADD, PQsocket(session->pg), &event) != 0)
        return false;
    slot->state = SLOT_IDLE;
    session->slot = index + 1;
    return true;
}

void lane_forget(struct session *session)
{
    struct lane *lane = session->backend->lane;
    if (lane == NULL || session->slot == 0)
        return;
    pthread_mutex_lock(&lane->mutex);
    struct slot *slot = &lane->slots[session->slot - 1];
    slot->generation++;
    slot->state = SLOT_FREE;
    pthread_mutex_unlock(&lane->mutex);
    epoll_ctl(lane->epoll, EPOLL_CTL_DEL, PQsocket(session->pg), NULL);
}

/* ---- calls ---- */

static void wake_leader(struct lane *lane)
{
    uint64_t one = 1;
    (void)!write(lane->wake, &one, sizeof(one));
}

/* The slot of a session, in which nothing is on its way. NULL: it cannot be watched. */
static struct slot *find_slot(struct lane *lane, struct session *session)
{
    struct slot *slot = NULL;
    pthread_mutex_lock(&lane->mutex);
    if (session->slot != 0 || give_slot(lane, session)) {
        slot = &lane->slots[session->slot - 1];
        slot->state = SLOT_SENDING;
        slot->early = false;
    }
    pthread_mutex_unlock(&lane->mutex);
    return slot;
}

/* It has been sent, or could not be: from here on it is the leader's. */
static void let_fly(struct lane *lane, struct slot *slot, struct query *query, bool sent)
{
    pthread_mutex_lock(&lane->mutex);
    slot->state = SLOT_FLYING;
    slot->query = query;
    slot->since_ns = lane->used_ns = clock_now();
    lane->flying++;
    bool ready = slot->early || !sent;
    if (ready)
        take_off(lane, slot);
    bool wakes = lane->sleeping || ready;
    pthread_mutex_unlock(&lane->mutex);
    if (wakes)
        wake_leader(lane);
}

/* Sends it, if there is a connection. False: it must be run by a thread. */
static bool take_flight(struct lane *lane, struct query *query)
{
    struct session *session = pool_take_idle(lane->backend, &query->job);
    if (session == NULL)
        return false;
    struct slot *slot = find_slot(lane, session);
    if (slot == NULL) {
        pool_release(session);
        return false;
    }
    query->session = session;
    query->execution = execution_begin(session, &query->statement, &query->rows);
    if (query->execution != NULL) {
        let_fly(lane, slot, query, execution_send(session, query->execution));
        return true;
    }
    pthread_mutex_lock(&lane->mutex);
    slot->state = SLOT_IDLE;
    pthread_mutex_unlock(&lane->mutex);
    finish(query, NULL);
    return true;
}

void lane_submit(struct backend *backend, struct query *query)
{
    struct lane *lane = backend->lane;
    if (query->job.call->arguments.size <= ARGUMENTS_MAX && take_flight(lane, query))
        return;
    query->next = NULL;
    pthread_mutex_lock(&lane->mutex);
    bool room = lane->pending_count < PENDING_MAX;
    if (room) {
        *lane->pending_end = query;
        lane->pending_end = &query->next;
        lane->pending_count++;
        if (lane->waiting < WAITING_MAX)
            need_thread(lane);
    }
    pthread_mutex_unlock(&lane->mutex);
    if (!room) {
        complain(&query->job.complaint, "Too many calls wait for the database. Try again later.");
        query->end(query, false);
    }
}

/* ---- life ---- */

struct lane *lane_new(struct backend *backend)
{
    struct lane *lane = calloc(1, sizeof(*lane));
    if (lane == NULL)
        return NULL;
    lane->backend = backend;
    lane->pending_end = &lane->pending;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->follow, NULL);
    lane->epoll = epoll_create1(EPOLL_CLOEXEC);
    lane->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SLOTS};
    if (epoll_ctl(lane->epoll, EPOLL_CTL_ADD, lane->wake, &event) == 0)
        return lane;
    lane_free(lane);
    return NULL;
}

bool lane_start(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    lane->stopping = false;
    need_thread(lane);
    bool started = lane->threads > 0;
    pthread_mutex_unlock(&lane->mutex);
    return started;
}

void lane_stop(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    lane->stopping = true;
    pthread_cond_broadcast(&lane->follow);
    wake_leader(lane);
    /* Joined, for the plugin's code may go from the memory after this. */
    for (int i = 0; i < lane->threads; i++) {
        pthread_mutex_unlock(&lane->mutex);
        pthread_join(lane->thread[i], NULL);
        pthread_mutex_lock(&lane->mutex);
    }
    lane->threads = lane->called = 0;
    pthread_mutex_unlock(&lane->mutex);
}

void lane_free(struct lane *lane)
{
    if (lane == NULL)
        return;
    if (lane->epoll >= 0)
        close(lane->epoll);
    if (lane->wake >= 0)
        close(lane->wake);
    pthread_cond_destroy(&lane->follow);
    pthread_mutex_destroy(&lane->mutex);
    free(lane);
}
