/* SPDX-License-Identifier: MIT */
/*
 * runaway HOST COUNT QUERY: starts a query on COUNT connections to PostgreSQL and cancels
 * all of them, through libpq alone; prints in milliseconds how long it takes until none is
 * in pg_stat_activity, first where each is cancelled with PQcancel by a thread of its own,
 * then where one connection, open before, does it for all. What the same through mcpd is
 * shown beside. As there, the server's compiler (jit) is off: it cannot be interrupted.
 */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_MAX 64

static PGconn *runaways[COUNT_MAX], *monitor, *control;
static int count;
static const char *host;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static PGconn *open_connection(const char *user)
{
    const char *keywords[] = {"host", "user", "dbname", "gssencmode", NULL};
    const char *values[] = {host, user, "test", "disable", NULL};
    PGconn *pg = PQconnectdbParams(keywords, values, 0);
    if (PQstatus(pg) == CONNECTION_OK)
        return pg;
    fprintf(stderr, "runaway: %s", PQerrorMessage(pg));
    exit(1);
}

/* Waits until so many run. */
static void await_running(int wanted)
{
    static const char sql[] = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                              "usename = 'reader' AND application_name = 'runaway'";
    const struct timespec nap = {.tv_nsec = 2000000};
    for (double end = now_ms() + 20000; now_ms() < end; nanosleep(&nap, NULL)) {
        PGresult *result = PQexec(monitor, sql);
        bool reached = PQntuples(result) == 1 && atoi(PQgetvalue(result, 0, 0)) == wanted;
        PQclear(result);
        if (reached)
            return;
    }
    fprintf(stderr, "runaway: there are not %d queries running\n", wanted);
    exit(1);
}

static void *cancel_one(void *argument)
{
    char why[256];
    PGcancel *cancel = argument;
    if (PQcancel(cancel, why, sizeof(why)) != 1)
        fprintf(stderr, "runaway: %s\n", why);
    return NULL;
}

static void cancel_by_threads(void)
{
    pthread_t threads[COUNT_MAX];
    PGcancel *cancels[COUNT_MAX];
    for (int i = 0; i < count; i++) {
        cancels[i] = PQgetCancel(runaways[i]);
        if (pthread_create(&threads[i], NULL, cancel_one, cancels[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        PQfreeCancel(cancels[i]);
    }
}

static void cancel_together(void)
{
    char sql[2048];
    size_t size =
        (size_t)snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(pid) FROM unnest('{%d",
                         PQbackendPID(runaways[0]));
    for (int i = 1; i < count; i++)
        size += (size_t)snprintf(sql + size, sizeof(sql) - size, ",%d", PQbackendPID(runaways[i]));
    snprintf(sql + size, sizeof(sql) - size, "}'::int[]) pid");
    PQclear(PQexec(control, sql));
}

static double measure(const char *query, void (*cancel)(void))
{
    for (int i = 0; i < count; i++)
        if (PQsendQuery(runaways[i], query) != 1)
            exit(1);
    await_running(count);
    double start = now_ms();
    cancel();
    await_running(0);
    double took = now_ms() - start;
    for (int i = 0; i < count; i++)
        for (PGresult *result; (result = PQgetResult(runaways[i])) != NULL;)
            PQclear(result);
    return took;
}

int main(int argc, char **argv)
{
    count = argc == 4 ? atoi(argv[2]) : 0;
    if (count < 1 || count > COUNT_MAX) {
        fprintf(stderr, "runaway HOST COUNT QUERY\n");
        return 2;
    }
    host = argv[1];
    for (int i = 0; i < count; i++) {
        runaways[i] = open_connection("reader");
        PQclear(PQexec(runaways[i], "SET application_name = 'runaway'; SET jit = off"));
    }
    control = open_connection("reader");
    monitor = open_connection("admin");
    double by_threads = measure(argv[3], cancel_by_threads);
    printf("{\"pqcancel_ms\":%.1f,\"together_ms\":%.1f}\n", by_threads,
           measure(argv[3], cancel_together));
    for (int i = 0; i < count; i++)
        PQfinish(runaways[i]);
    PQfinish(control);
    PQfinish(monitor);
    return 0;
}
