/* SPDX-License-Identifier: MIT */
/* Batches of statements, and waiting for results. All in libpq's pipeline mode:
 * the extended protocol alone, one statement at a time, and nothing blocks. */
#include "postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long to wait for a statement to end that has been cancelled. */
#define GRACE_NS ((int64_t)2 * 1000000000)
/* How long to wait before it is cancelled once more; then twice as long. */
#define AGAIN_NS ((int64_t)50 * 1000000)
/* What of a row may stand in buffers beyond max_value_bytes. */
#define ROW_SLACK ((size_t)1 << 20)

int64_t wire_deadline(const struct session *session)
{
    return session->job != NULL ? session->job->deadline_ns : clock_now() + GRACE_NS;
}

static bool broke(struct session *session)
{
    session->broken = true;
    return false;
}

static const struct bound nothing;

bool wire_send(struct session *session, const char *sql, const struct bound *bound)
{
    const struct bound *b = bound != NULL ? bound : &nothing;
    return PQsendQueryParams(session->pg, sql, b->count, b->types, b->values, b->lengths,
                             b->formats, 0) == 1 ||
           broke(session);
}

bool wire_send_prepared(struct session *session, const char *name, const struct bound *bound)
{
    const struct bound *b = bound != NULL ? bound : &nothing;
    return PQsendQueryPrepared(session->pg, name, b->count, b->values, b->lengths, b->formats, 0) ==
               1 ||
           broke(session);
}

bool wire_prepare(struct session *session, const char *name, const char *sql)
{
    return PQsendPrepare(session->pg, name, sql, 0, NULL) == 1 || broke(session);
}

bool wire_sync(struct session *session)
{
    return PQpipelineSync(session->pg) == 1 || broke(session);
}

/* A server overlooks what comes while it reads the next message of a batch, so that it is
 * told again as long as the statement goes on. */
static void cancel(struct session *session)
{
    session->again_ns = clock_now() + session->pause_ns;
    session->pause_ns *= 2;
    if (!cancel_statement(session))
        session->broken = true;
}

void wire_cancel(struct session *session)
{
    if (session->grace_ns != 0)
        return;
    lane_leave(session);
    session->grace_ns = clock_now() + GRACE_NS;
    session->pause_ns = AGAIN_NS;
    session->stopped = true;
    cancel(session);
}

bool wire_alive(struct session *session)
{
    if (session->broken || PQstatus(session->pg) != CONNECTION_OK)
        return false;
    /* What a server says to a connection that waits is a farewell; it is read, and then
     * the end. */
    for (int i = 0; i < 3; i++) {
        struct pollfd pfd = {.fd = PQsocket(session->pg), .events = POLLIN};
        if (poll(&pfd, 1, 0) <= 0)
            return true;
        if (PQconsumeInput(session->pg) != 1)
            return false;
        if (session->unread == 0 && !PQisBusy(session->pg)) {
            PGnotify *notify;
            while ((notify = PQnotifies(session->pg)) != NULL)
                PQfreemem(notify);
        }
    }
    return session->unread > 0;
}

size_t wire_arrived(int fd)
{
    int size = 0;
    return ioctl(fd, FIONREAD, &size) == 0 && size > 0 ? (size_t)size : 0;
}

/* Reads what has arrived; libpq keeps a row until it is whole, however large it is, so
 * that bytes are counted here, from the second time on: the first takes what fits into
 * its buffer. */
static bool consume(struct session *session)
{
    size_t more = session->partial ? wire_arrived(PQsocket(session->pg)) : 0;
    if (PQconsumeInput(session->pg) != 1)
        return broke(session);
    session->row_bytes += more;
    size_t max = (size_t)session->backend->settings->max_value_bytes + ROW_SLACK;
    session->partial = PQisBusy(session->pg);
    if (session->row_bytes <= max || !session->partial)
        return true;
    wire_cancel(session);
    return broke(session);
}

/* The job is over: its statement is cancelled, once. */
static void look_at_job(struct session *session, int64_t deadline_ns)
{
    if (session->grace_ns != 0)
        return;
    bool over = clock_now() >= deadline_ns;
    if (session->job != NULL && job_state(session->job) != JOB_RUNS)
        over = true;
    if (over)
        wire_cancel(session);
}

/* Sleeps until something can be read or written, or the job is over. */
static bool wait_for_more(struct session *session, int64_t deadline_ns)
{
    int unsent = PQflush(session->pg);
    if (unsent < 0)
        return broke(session);
    bool cancelled = session->grace_ns != 0;
    int64_t until = cancelled ? session->again_ns : deadline_ns;
    int64_t left_ms = (until - clock_now()) / 1000000 + 1;
    if (cancelled && clock_now() >= session->grace_ns)
        return broke(session);
    struct pollfd fds[2] = {
        {.fd = PQsocket(session->pg), .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))},
        {.fd = cancelled ? -1 : session->wake, .events = POLLIN},
    };
    int ready = lane_leads(session) ? poll(fds, 2, 0) : 0;
    if (ready == 0) {
        lane_leave(session);
        ready = poll(fds, 2, left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms);
    }
    if (ready < 0 && errno != EINTR)
        return broke(session);
    if (ready > 0 && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !consume(session))
        return false;
    if (ready > 0 && fds[1].revents != 0) {
        uint64_t times;
        (void)!read(session->wake, &times, sizeof(times));
    }
    /* Also when something has come, for more may come without end. */
    if (cancelled && clock_now() >= session->again_ns)
        cancel(session);
    look_at_job(session, deadline_ns);
    return true;
}

/* Only a bad server begins one: no statement that gets there does. */
static bool is_copy(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* The next result of any batch; after one of COPY, the connection is broken. */
static bool any_result(struct session *session, int64_t deadline_ns, PGresult **out)
{
    *out = NULL;
    while (!session->broken && PQisBusy(session->pg))
        if (!wait_for_more(session, deadline_ns))
            return false;
    if (session->broken)
        return false;
    *out = PQgetResult(session->pg);
    session->row_bytes = 0;
    session->partial = false;
    if (is_copy(*out)) /* libpq would give it again and again */
        session->broken = true;
    if (PQstatus(session->pg) == CONNECTION_OK)
        return true;
    PQclear(*out);
    *out = NULL;
    return broke(session);
}

static bool is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return result != NULL && (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE);
}

bool wire_drain(struct session *session, int64_t deadline_ns)
{
    while (session->unread > 0) {
        PGresult *result;
        if (!any_result(session, deadline_ns, &result))
            return false;
        if (is_error(result)) /* of our own ROLLBACK or DISCARD ALL */
            session->broken = true;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            session->unread--;
        PQclear(result);
    }
    return !session->broken;
}

bool wire_result(struct session *session, int64_t deadline_ns, PGresult **out)
{
    *out = NULL;
    if (session->unread > 0 && !wire_drain(session, deadline_ns))
        return false;
    return any_result(session, deadline_ns, out);
}

bool wire_finish(struct session *session, int64_t deadline_ns, PGresult **error)
{
    for (;;) {
        PGresult *result;
        if (!wire_result(session, deadline_ns, &result))
            return false;
        ExecStatusType status = PQresultStatus(result);
        if (error != NULL && *error == NULL && is_error(result)) {
            *error = result;
            continue;
        }
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            return true;
    }
}

bool wire_own(struct session *session)
{
    int64_t deadline = wire_deadline(session);
    for (;;) {
        PGresult *result;
        if (!wire_result(session, deadline, &result))
            return false;
        if (result == NULL)
            return !session->broken;
        if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
            complain_result(session, result);
            session->broken = true; /* it does not fail on a whole connection */
        }
        PQclear(result);
    }
}

bool wire_is_table(const PGresult *result, int rows, int columns)
{
    return PQresultStatus(result) == PGRES_TUPLES_OK && PQnfields(result) == columns &&
           (rows < 0 || PQntuples(result) == rows);
}

PGresult *wire_run(struct session *session, int64_t deadline_ns, const char *sql,
                   const struct bound *bound, struct complaint *complaint)
{
    PGresult *result = NULL, *kept = NULL;
    bool good = wire_send(session, sql, bound) && wire_sync(session);
    while (good && (good = wire_result(session, deadline_ns, &result))) {
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            break;
        if (result != NULL && kept == NULL)
            kept = result;
        else
            PQclear(result);
        result = NULL;
    }
    PQclear(result);
    if (!good) {
        complain(complaint, "the connection was lost");
    } else if (kept == NULL) {
        complain(complaint, "the server has not answered");
    } else if (is_error(kept)) {
        good = complain_plainly(complaint, kept);
    }
    if (good)
        return kept;
    PQclear(kept);
    return NULL;
}
