/* SPDX-License-Identifier: MIT */
/*
 * pg HOST QUERY COUNT: runs a query of one row COUNT times over one connection to
 * PostgreSQL, through libpq alone; prints each time's median in microseconds. What a
 * call through mcpd is measured beside.
 */
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int measure(PGconn *pg, const char *query, size_t count, int64_t *times)
{
    for (size_t i = 0; i < count; i++) {
        int64_t start = now_ns();
        PGresult *result = PQexecParams(pg, query, 0, NULL, NULL, NULL, NULL, 0);
        times[i] = now_ns() - start;
        if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
            fprintf(stderr, "%s", PQerrorMessage(pg));
            PQclear(result);
            return 1;
        }
        PQclear(result);
    }
    qsort(times, count, sizeof(times[0]), compare);
    printf("%.1f\n", (double)times[count / 2] / 1000);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "pg HOST QUERY COUNT\n");
        return 2;
    }
    const char *keywords[] = {"host", "user", "dbname", "gssencmode", NULL};
    const char *values[] = {argv[1], "reader", "test", "disable", NULL};
    size_t count = (size_t)strtoul(argv[3], NULL, 10);
    int64_t *times = calloc(count + 1, sizeof(times[0]));
    PGconn *pg = PQconnectdbParams(keywords, values, 0);
    int status = 1;
    if (times == NULL || count == 0 || PQstatus(pg) != CONNECTION_OK)
        fprintf(stderr, "%s", PQerrorMessage(pg));
    else
        status = measure(pg, argv[2], count, times);
    PQfinish(pg);
    free(times);
    return status;
}
