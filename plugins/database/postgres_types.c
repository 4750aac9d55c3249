/* SPDX-License-Identifier: MIT */
/* Which types there are: PostgreSQL's own by a table, others as the server tells of them,
 * once. */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More are asked for anew each time. */
#define TYPES_MAX 4096
/* How long to keep the canceller's connection. */
#define LENT_NS INT64_C(1000000000)

struct types {
    struct backend *backend;
    pthread_mutex_t mutex; /* guards what follows */
    struct type *list;
    size_t count;
};

/* Those of pg_type.dat, whose numbers never change. */
static const struct type builtin[] = {
    {16, TYPE_BOOLEAN, TYPE_TEXT, 0, "boolean"},
    {17, TYPE_BYTES, TYPE_TEXT, 0, "bytea"},
    {18, TYPE_TEXT, TYPE_TEXT, 0, "\"char\""},
    {19, TYPE_TEXT, TYPE_TEXT, 0, "name"},
    {20, TYPE_INTEGER, TYPE_TEXT, 0, "bigint"},
    {21, TYPE_INTEGER, TYPE_TEXT, 0, "smallint"},
    {23, TYPE_INTEGER, TYPE_TEXT, 0, "integer"},
    {25, TYPE_TEXT, TYPE_TEXT, 0, "text"},
    {26, TYPE_INTEGER, TYPE_TEXT, 0, "oid"},
    {114, TYPE_JSON, TYPE_TEXT, 0, "json"},
    {142, TYPE_TEXT, TYPE_TEXT, 0, "xml"},
    {600, TYPE_TEXT, TYPE_TEXT, 0, "point"},
    {650, TYPE_TEXT, TYPE_TEXT, 0, "cidr"},
    {700, TYPE_REAL, TYPE_TEXT, 0, "real"},
    {701, TYPE_REAL, TYPE_TEXT, 0, "double precision"},
    {705, TYPE_TEXT, TYPE_TEXT, 0, "unknown"},
    {790, TYPE_TEXT, TYPE_TEXT, 0, "money"},
    {869, TYPE_TEXT, TYPE_TEXT, 0, "inet"},
    {1000, TYPE_ARRAY, TYPE_BOOLEAN, ',', "boolean[]"},
    {1001, TYPE_ARRAY, TYPE_BYTES, ',', "bytea[]"},
    {1005, TYPE_ARRAY, TYPE_INTEGER, ',', "smallint[]"},
    {1007, TYPE_ARRAY, TYPE_INTEGER, ',', "integer[]"},
    {1009, TYPE_ARRAY, TYPE_TEXT, ',', "text[]"},
    {1015, TYPE_ARRAY, TYPE_TEXT, ',', "character varying[]"},
    {1016, TYPE_ARRAY, TYPE_INTEGER, ',', "bigint[]"},
    {1021, TYPE_ARRAY, TYPE_REAL, ',', "real[]"},
    {1022, TYPE_ARRAY, TYPE_REAL, ',', "double precision[]"},
    {1042, TYPE_TEXT, TYPE_TEXT, 0, "character"},
    {1043, TYPE_TEXT, TYPE_TEXT, 0, "character varying"},
    {1082, TYPE_TEXT, TYPE_TEXT, 0, "date"},
    {1083, TYPE_TEXT, TYPE_TEXT, 0, "time without time zone"},
    {1114, TYPE_TEXT, TYPE_TEXT, 0, "timestamp without time zone"},
    {1115, TYPE_ARRAY, TYPE_TEXT, ',', "timestamp without time zone[]"},
    {1182, TYPE_ARRAY, TYPE_TEXT, ',', "date[]"},
    {1184, TYPE_TEXT, TYPE_TEXT, 0, "timestamp with time zone"},
    {1185, TYPE_ARRAY, TYPE_TEXT, ',', "timestamp with time zone[]"},
    {1186, TYPE_TEXT, TYPE_TEXT, 0, "interval"},
    {1231, TYPE_ARRAY, TYPE_TEXT, ',', "numeric[]"},
    {1266, TYPE_TEXT, TYPE_TEXT, 0, "time with time zone"},
    {1560, TYPE_TEXT, TYPE_TEXT, 0, "bit"},
    {1562, TYPE_TEXT, TYPE_TEXT, 0, "bit varying"},
    {1700, TYPE_TEXT, TYPE_TEXT, 0, "numeric"},
    {2205, TYPE_TEXT, TYPE_TEXT, 0, "regclass"},
    {2278, TYPE_TEXT, TYPE_TEXT, 0, "void"},
    {2950, TYPE_TEXT, TYPE_TEXT, 0, "uuid"},
    {2951, TYPE_ARRAY, TYPE_TEXT, ',', "uuid[]"},
    {3802, TYPE_JSON, TYPE_TEXT, 0, "jsonb"},
    {3807, TYPE_ARRAY, TYPE_JSON, ',', "jsonb[]"},
};

struct types *types_new(struct backend *backend)
{
    struct types *types = calloc(1, sizeof(*types));
    if (types == NULL)
        return NULL;
    types->backend = backend;
    pthread_mutex_init(&types->mutex, NULL);
    return types;
}

void types_free(struct types *types)
{
    if (types == NULL)
        return;
    pthread_mutex_destroy(&types->mutex);
    free(types->list);
    free(types);
}

static int compare(const void *key, const void *element)
{
    Oid a = *(const Oid *)key, b = ((const struct type *)element)->oid;
    return (a > b) - (a < b);
}

static const struct type *find_builtin(Oid oid)
{
    return bsearch(&oid, builtin, sizeof(builtin) / sizeof(builtin[0]), sizeof(builtin[0]),
                   compare);
}

static bool find(struct types *types, Oid oid, struct type *out)
{
    const struct type *known = find_builtin(oid);
    if (known != NULL) {
        *out = *known;
        return true;
    }
    bool found = false;
    pthread_mutex_lock(&types->mutex);
    for (size_t i = 0; i < types->count && !found; i++)
        if ((found = types->list[i].oid == oid))
            *out = types->list[i];
    pthread_mutex_unlock(&types->mutex);
    return found;
}

static void keep(struct types *types, const struct type *type)
{
    pthread_mutex_lock(&types->mutex);
    if (types->count < TYPES_MAX) {
        struct type *list = realloc(types->list, (types->count + 1) * sizeof(list[0]));
        if (list != NULL) {
            types->list = list;
            list[types->count++] = *type;
        }
    }
    pthread_mutex_unlock(&types->mutex);
}

/* Behind a domain stands a type; an array says which one is in it. */
static const char type_sql[] =
    "SELECT pg_catalog.format_type(t.oid, NULL), t.typcategory = 'A' AND t.typelem <> 0, "
    "CASE WHEN e.typtype = 'd' THEN e.typbasetype ELSE e.oid END, e.typdelim "
    "FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem "
    "WHERE t.oid = $1::pg_catalog.oid";

enum { NAME, IS_ARRAY, ELEMENT, DELIMITER, TYPE_COLUMNS };

static void read_type(const PGresult *result, struct type *out)
{
    snprintf(out->name, sizeof(out->name), "%s", PQgetvalue(result, 0, NAME));
    if (strlen(PQgetvalue(result, 0, NAME)) >= sizeof(out->name))
        out->name[0] = '\0'; /* rather none than a part of one */
    if (PQgetvalue(result, 0, IS_ARRAY)[0] != 't')
        return;
    const struct type *element =
        find_builtin((Oid)strtoul(PQgetvalue(result, 0, ELEMENT), NULL, 10));
    out->kind = TYPE_ARRAY;
    out->element = element != NULL ? element->kind : TYPE_TEXT;
    out->delimiter = PQgetvalue(result, 0, DELIMITER)[0];
}

static void ask_over(struct types *types, struct session *session, const Oid *oids, size_t count,
                     int64_t deadline_ns, struct type *out)
{
    struct complaint why;
    for (size_t i = 0; i < count && !session->broken; i++) {
        char digits[24];
        const char *values[] = {digits};
        if (out[i].oid != 0 || find(types, oids[i], &out[i]))
            continue;
        snprintf(digits, sizeof(digits), "%u", oids[i]);
        struct bound bound = {.count = 1, .values = values};
        PGresult *result = wire_run(session, deadline_ns, type_sql, &bound, &why);
        if (wire_is_table(result, 1, TYPE_COLUMNS)) {
            out[i] = (struct type){.oid = oids[i]};
            read_type(result, &out[i]);
            keep(types, &out[i]);
        }
        PQclear(result);
    }
}

/* The connection of the call is busy sending rows. Rather over one that is open already:
 * the role may have no other left. */
static void ask(struct types *types, const Oid *oids, size_t count, int64_t deadline_ns,
                struct type *out)
{
    struct complaint why;
    struct session *session = cancel_lend(types->backend);
    if (session != NULL) {
        int64_t soon = clock_now() + LENT_NS;
        ask_over(types, session, oids, count, soon < deadline_ns ? soon : deadline_ns, out);
        bool whole = !session->broken;
        cancel_take_back(session);
        if (whole)
            return;
    }
    if (session_open(types->backend, NULL, deadline_ns, &session, &why) != CONNECT_DONE)
        return;
    ask_over(types, session, oids, count, deadline_ns, out);
    session_close(session);
}

void types_look_up(struct session *session, const Oid *oids, size_t count, int64_t deadline_ns,
                   struct type *out)
{
    struct types *types = session->backend->types;
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct type){.oid = 0};
        all &= find(types, oids[i], &out[i]);
    }
    if (all)
        return;
    lane_leave(session);
    ask(types, oids, count, deadline_ns, out);
}
