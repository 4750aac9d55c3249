/* SPDX-License-Identifier: MIT */
/*
 * The database plugin: its configuration and its tools. What a database is, a
 * backend knows (backend.h); that clients only read is its work, never that of a
 * search for keywords.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend.h"
#include "bundled.h"
#include "health.h"
#include "reading.h"
#include "secret.h"

#define STATEMENTS_MAX 100

static const char config_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"url\":{\"type\":\"string\",\"description\":\"sqlite:/// and the absolute path of the "
    "file, or postgresql://user@host:port/database\"},"
    "\"host\":{\"type\":\"string\",\"description\":\"Of PostgreSQL: a name, an address, or "
    "the directory of a Unix socket\"},"
    "\"port\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535,\"default\":5432},"
    "\"user\":{\"type\":\"string\"},"
    "\"password\":" SECRET_SCHEMA(
        "Rather from a file or the environment than here") ","
                                                           "\"database\":{\"type\":\"string\"},"
                                                           "\"sslmode\":{\"type\":\"string\","
                                                           "\"enum\":[\"disable\","
                                                           "\"allow\",\"prefer\",\"require\","
                                                           "\"verify-ca\","
                                                           "\"verify-full\"],\"default\":"
                                                           "\"prefer\"},"
                                                           "\"sslrootcert\":{\"type\":\"string\"},"
                                                           "\"read_only\":{\"type\":\"boolean\","
                                                           "\"default\":true},"
                                                           "\"max_rows\":{\"type\":\"integer\","
                                                           "\"minimum\":1,\"maximum\":1000000,"
                                                           "\"default\":1000,"
                                                           "\"description\":\"Rows of one result, "
                                                           "at most\"},"
                                                           "\"max_bytes\":{\"type\":\"integer\","
                                                           "\"minimum\":1024,\"maximum\":16777216,"
                                                           "\"default\":1048576,\"description\":"
                                                           "\"Bytes of one result as JSON, at "
                                                           "most\"},"
                                                           "\"max_value_bytes\":{\"type\":"
                                                           "\"integer\",\"minimum\":1024,"
                                                           "\"maximum\":1000000000,"
                                                           "\"default\":4194304,\"description\":"
                                                           "\"Bytes of one string or blob that a "
                                                           "query handles\"},"
                                                           "\"timeout_ms\":{\"type\":\"integer\","
                                                           "\"minimum\":1,\"maximum\":3600000,"
                                                           "\"default\":10000,"
                                                           "\"description\":\"Longest time of one "
                                                           "call\"},"
                                                           "\"busy_timeout_ms\":{\"type\":"
                                                           "\"integer\",\"minimum\":0,\"maximum\":"
                                                           "3600000,"
                                                           "\"default\":2000,\"description\":\"How "
                                                           "long to wait for another writer\"},"
                                                           "\"min_connections\":{\"type\":"
                                                           "\"integer\",\"minimum\":0,\"maximum\":"
                                                           "64,\"default\":1},"
                                                           "\"max_connections\":{\"type\":"
                                                           "\"integer\",\"minimum\":1,\"maximum\":"
                                                           "64,\"default\":4},"
                                                           "\"temp_file_limit\":{\"type\":"
                                                           "\"integer\",\"minimum\":0,\"maximum\":"
                                                           "1099511627776,"
                                                           "\"default\":1073741824,\"description\":"
                                                           "\"Bytes of temporary files of one "
                                                           "query\"},"
                                                           "\"allow_privileged_role\":{\"type\":"
                                                           "\"boolean\",\"default\":false,"
                                                           "\"description\":\"Lets mcpd use a role "
                                                           "that can reach files or programs of "
                                                           "the server\"}}}";

struct database {
    struct settings settings;
    const struct backend_ops *ops;
    struct backend *backend;
};

static const struct backend_ops *const backends[] = {&sqlite_backend, &postgres_backend};

bool complain(struct complaint *complaint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->text, sizeof(complaint->text), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- jobs ---- */

int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void job_init(struct job *job, const struct settings *settings, struct mcp_call *call)
{
    *job = (struct job){.call = call};
    int64_t now = clock_now();
    job->deadline_ns = now + settings->timeout_ms * 1000000;
    if (call->deadline_ns != 0 && call->deadline_ns < job->deadline_ns)
        job->deadline_ns = call->deadline_ns;
    job->allowed_ms = (job->deadline_ns - now) / 1000000;
}

enum job_state job_state(const struct job *job)
{
    if (job->call->ops->is_cancelled(job->call))
        return JOB_CANCELLED;
    return clock_now() >= job->deadline_ns ? JOB_TIMED_OUT : JOB_RUNS;
}

bool job_complain(struct job *job, enum job_state state)
{
    if (state == JOB_TIMED_OUT)
        return complain(&job->complaint,
                        "It took longer than the %" PRId64 " ms that a call may take, and was "
                        "stopped. Ask for less, or let an index help.",
                        job->allowed_ms);
    return complain(&job->complaint, "The call was cancelled.");
}

/* ---- tools ---- */

/* Begins a call that uses the database. NULL: the call has been ended. */
static struct session *begin_call(struct database *database, struct mcp_call *call, struct job *job)
{
    job_init(job, &database->settings, call);
    job->numbers_as_text = database->ops->numbers_as_text;
    struct session *session = database->ops->acquire(database->backend, job);
    if (session == NULL)
        fail_call(call, "%s", job->complaint.text);
    return session;
}

/* Ends it, with the JSON or with what was complained about. */
static void end_call(const struct job *job, bool good, const struct text *json)
{
    if (good && !json->failed)
        job->call->ops->finish_structured(job->call, (struct mcp_bytes){NULL, 0}, text_bytes(json));
    else
        fail_call(job->call, "%s%s",
                  good || !job->uncertain ? ""
                                          : "It is not known whether the query took effect: look "
                                            "before trying again. ",
                  good ? "mcpd is out of memory." : job->complaint.text);
}

static void end_query(struct query *query, bool good)
{
    end_call(&query->job, good, &query->json);
    rows_free(&query->rows);
    text_free(&query->json);
    free(query);
}

static void run_query(struct query *query)
{
    const struct database *database = query->database;
    struct session *session = database->ops->acquire(database->backend, &query->job);
    bool good = session != NULL;
    if (good) {
        good = database->ops->execute(session, &query->statement, &query->rows);
        database->ops->release(session);
    }
    end_query(query, good);
}

static bool has_threads(const struct database *database)
{
    return database->ops->submit != NULL && database->settings.read_only;
}

static int32_t execute_query(struct database *database, struct mcp_call *call)
{
    const struct settings *settings = &database->settings;
    struct mcp_bytes sql = {NULL, 0};
    int64_t max_rows = settings->max_rows;
    if (!argument_string(call, "/query", &sql) ||
        !argument_integer(call, "/max_rows", 1, settings->max_rows, &max_rows))
        return MCP_OK;
    struct query *query = calloc(1, sizeof(*query));
    if (query == NULL)
        return fail_call(call, "mcpd is out of memory.");
    job_init(&query->job, settings, call);
    query->job.numbers_as_text = database->ops->numbers_as_text;
    query->job.sql = sql;
    query->database = database;
    query->end = end_query;
    text_init(&query->json, (size_t)settings->max_bytes + ROWS_FRAME);
    query->statement = (struct statement){.pointer = "", .sql = sql};
    query->rows = (struct rows){.json = &query->json,
                                .max_rows = (size_t)max_rows,
                                .max_size = (size_t)settings->max_bytes};
    if (has_threads(database))
        database->ops->submit(database->backend, query);
    else
        run_query(query);
    return MCP_OK;
}

static int32_t get_schema(struct database *database, struct mcp_call *call)
{
    const struct settings *settings = &database->settings;
    struct mcp_bytes table = {NULL, 0};
    if (!argument_string(call, "/table_name", &table))
        return MCP_OK;
    struct job job;
    struct session *session = begin_call(database, call, &job);
    if (session == NULL)
        return MCP_OK;
    struct text json;
    text_init(&json, (size_t)settings->max_bytes + ROWS_FRAME);
    bool good = database->ops->schema(session, table, &json, (size_t)settings->max_bytes);
    database->ops->release(session);
    end_call(&job, good, &json);
    text_free(&json);
    return MCP_OK;
}

/* Counts "queries". -1: the call has been ended. */
static int count_queries(struct mcp_call *call)
{
    int count = 0;
    for (; count <= STATEMENTS_MAX; count++) {
        char pointer[32];
        int32_t kind;
        struct mcp_bytes value;
        snprintf(pointer, sizeof(pointer), "/queries/%d", count);
        if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK)
            break;
    }
    if (count >= 1 && count <= STATEMENTS_MAX)
        return count;
    fail_call(call, "\"queries\" must be an array of 1 to %d objects with a \"query\".",
              STATEMENTS_MAX);
    return -1;
}

/* One of the statements. Adds its result. False: complained. */
static bool run_one(struct database *database, struct session *session, struct job *job, int index,
                    struct text *json)
{
    char pointer[32], query[48];
    int32_t kind;
    struct mcp_bytes sql;
    snprintf(pointer, sizeof(pointer), "/queries/%d", index);
    snprintf(query, sizeof(query), "%s/query", pointer);
    if (job->call->ops->argument(job->call, query, &kind, &sql) != MCP_OK ||
        kind != MCP_JSON_STRING)
        return complain(&job->complaint, "It has no \"query\".");
    const struct settings *settings = &database->settings;
    struct statement statement = {.pointer = pointer, .sql = sql};
    struct rows rows = {.json = json,
                        .max_rows = (size_t)settings->max_rows,
                        .max_size = (size_t)settings->max_bytes};
    if (index > 0)
        text_adds(json, ",");
    bool good = database->ops->execute(session, &statement, &rows);
    rows_free(&rows);
    return good && (!json->failed || complain(&job->complaint, "The results are too large."));
}

/* All of them, between begin and commit. *failed: the one that failed, or -1. */
static bool run_all(struct database *database, struct session *session, struct job *job, int count,
                    struct text *json, int *failed)
{
    *failed = -1;
    if (!database->ops->begin(session))
        return false;
    bool good = true;
    for (int i = 0; i < count && good; i++) {
        good = run_one(database, session, job, i, json);
        if (!good)
            *failed = i;
    }
    text_adds(json, "]}");
    if (good && json->failed)
        good = complain(&job->complaint, "The results are too large.");
    if (good && database->ops->commit(session))
        return true;
    database->ops->rollback(session);
    return false;
}

static int32_t execute_transaction(struct database *database, struct mcp_call *call)
{
    const struct settings *settings = &database->settings;
    int count = count_queries(call);
    if (count < 0)
        return MCP_OK;
    struct job job;
    struct session *session = begin_call(database, call, &job);
    if (session == NULL)
        return MCP_OK;
    struct text json;
    text_init(&json, (size_t)settings->max_bytes + STATEMENTS_MAX * ROWS_FRAME);
    text_adds(&json, "{\"results\":[");
    int failed;
    bool good = run_all(database, session, &job, count, &json, &failed);
    database->ops->release(session);
    if (good)
        call->ops->finish_structured(call, (struct mcp_bytes){NULL, 0}, text_bytes(&json));
    else if (job.uncertain)
        fail_call(call,
                  "It is not known whether the transaction took effect: look before trying "
                  "again. %s",
                  job.complaint.text);
    else if (failed >= 0)
        fail_call(call, "Query %d of %d failed, and everything was rolled back. %s", failed + 1,
                  count, job.complaint.text);
    else
        fail_call(call, "The transaction failed, and everything was rolled back. %s",
                  job.complaint.text);
    text_free(&json);
    return MCP_OK;
}

/* ---- what the tools are ---- */

typedef int32_t tool_function(struct database *database, struct mcp_call *call);

static tool_function *const tools[] = {execute_query, get_schema, execute_transaction};
enum { EXECUTE_QUERY, GET_SCHEMA, EXECUTE_TRANSACTION };

/* With what the backend says of them. */
#define PARAMETERS                                                                                 \
    "\"parameters\":{\"anyOf\":[{\"type\":\"array\",\"items\":{}},{\"type\":\"object\"}],"         \
    "\"description\":\"%s\"}"
#define RESULT                                                                                     \
    "{\"type\":\"object\",\"properties\":{\"columns\":{\"type\":\"array\",\"items\":{"             \
    "\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"                          \
    "\"type\":{\"type\":\"string\"}},\"required\":[\"name\"]}},"                                   \
    "\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"                               \
    "\"row_count\":{\"type\":\"integer\"},\"truncated\":{\"type\":\"boolean\"},"                   \
    "\"truncated_because\":{\"type\":\"string\"},"                                                 \
    "\"changes\":{\"type\":\"integer\",\"description\":\"Rows inserted, updated or deleted\"},"    \
    "\"last_insert_id\":{\"type\":\"integer\"}},"                                                  \
    "\"required\":[\"columns\",\"rows\",\"row_count\",\"truncated\"]}"

static void define_execute_query(struct text *json, const struct database *database)
{
    const struct settings *settings = &database->settings;
    text_addf(json,
              "{\"name\":\"execute_query\",\"title\":\"Execute a query\",\"description\":"
              "\"Executes one %s statement%s and returns its rows, at most %" PRId64
              ". Put values into parameters, not into the query. %s\",",
              database->ops->dialect, settings->read_only ? ", which can only read," : "",
              settings->max_rows, database->ops->values);
    text_addf(json,
              "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
              "\"query\":{\"type\":\"string\",\"minLength\":1,\"description\":\"One statement\"}"
              "," PARAMETERS ",\"max_rows\":{\"type\":\"integer\",\"minimum\":1,"
              "\"maximum\":%" PRId64 ",\"default\":%" PRId64 "}},"
              "\"required\":[\"query\"],\"additionalProperties\":false},",
              database->ops->parameters, settings->max_rows, settings->max_rows);
    text_adds(json, "\"outputSchema\":" RESULT ",\"annotations\":{\"title\":\"Execute a query\",");
    text_adds(json, settings->read_only ? "\"readOnlyHint\":true,\"openWorldHint\":false}}"
                                        : "\"readOnlyHint\":false,\"destructiveHint\":true,"
                                          "\"idempotentHint\":false,\"openWorldHint\":false}}");
}

static void define_get_schema(struct text *json)
{
    text_adds(
        json,
        "{\"name\":\"get_schema\",\"title\":\"Get the schema\",\"description\":\"Tells the tables "
        "and views of the database, or one of them, with columns, keys and indexes.\","
        "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"table_name\":{\"type\":\"string\","
        "\"description\":\"Only this table or view\"}},\"additionalProperties\":false},"
        "\"outputSchema\":{\"type\":\"object\",\"properties\":{\"tables\":{\"type\":\"array\","
        "\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"
        "\"schema\":{\"type\":\"string\"},\"comment\":{\"type\":\"string\"},"
        "\"type\":{\"type\":\"string\",\"enum\":[\"table\",\"view\"]},"
        "\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
        "\"name\":{\"type\":\"string\"},\"type\":{\"type\":\"string\"},"
        "\"nullable\":{\"type\":\"boolean\"},"
        "\"default\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}],"
        "\"description\":\"As SQL\"},"
        "\"primary_key\":{\"type\":\"integer\",\"description\":\"Place in the primary key, "
        "from 1; 0: not in it\"},\"generated\":{\"type\":\"boolean\"},"
        "\"identity\":{\"type\":\"boolean\"},\"comment\":{\"type\":\"string\"}},"
        "\"required\":[\"name\",\"type\",\"nullable\",\"default\",\"primary_key\"]}},"
        "\"indexes\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
        "\"foreign_keys\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
        "\"sql\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]},"
        "\"problem\":{\"type\":\"string\"}},"
        "\"required\":[\"name\",\"type\",\"columns\"]}},"
        "\"truncated\":{\"type\":\"boolean\"},\"truncated_because\":{\"type\":\"string\"}},"
        "\"required\":[\"tables\",\"truncated\"]},"
        "\"annotations\":{\"title\":\"Get the schema\",\"readOnlyHint\":true,"
        "\"openWorldHint\":false}}");
}

static void define_execute_transaction(struct text *json, const struct database *database)
{
    text_addf(json,
              "{\"name\":\"execute_transaction\",\"title\":\"Execute a transaction\","
              "\"description\":\"Executes several %s statements as one transaction: all of them "
              "take effect, or, if one fails, none.\",",
              database->ops->dialect);
    text_addf(json,
              "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"queries\":{"
              "\"type\":\"array\",\"minItems\":1,\"maxItems\":%d,\"items\":{\"type\":\"object\","
              "\"properties\":{\"query\":{\"type\":\"string\",\"minLength\":1}," PARAMETERS "},"
              "\"required\":[\"query\"],\"additionalProperties\":false}}},"
              "\"required\":[\"queries\"],\"additionalProperties\":false},",
              STATEMENTS_MAX, database->ops->parameters);
    text_adds(json, "\"outputSchema\":{\"type\":\"object\",\"properties\":{\"results\":{"
                    "\"type\":\"array\",\"items\":" RESULT "}},\"required\":[\"results\"]},"
                    "\"annotations\":{\"title\":\"Execute a transaction\",\"readOnlyHint\":false,"
                    "\"destructiveHint\":true,\"idempotentHint\":false,\"openWorldHint\":false}}");
}

static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
{
    const struct database *database = self;
    int last = database->settings.read_only ? GET_SCHEMA : EXECUTE_TRANSACTION;
    int32_t result = MCP_OK;
    for (int tool = EXECUTE_QUERY; tool <= last && result == MCP_OK; tool++) {
        struct text json;
        text_init(&json, 64 * 1024);
        if (tool == EXECUTE_QUERY)
            define_execute_query(&json, database);
        else if (tool == GET_SCHEMA)
            define_get_schema(&json);
        else
            define_execute_transaction(&json, database);
        struct mcp_tool offer = {
            .struct_size = sizeof(offer),
            .flags = tool == EXECUTE_QUERY && has_threads(database) ? MCP_TOOL_NONBLOCKING
                                                                    : MCP_TOOL_THREAD_SAFE,
            .definition = text_bytes(&json),
            .tag = (uint64_t)tool,
            /* Our own limit comes first, for its sentence says more. */
            .timeout_ms = (uint32_t)database->settings.timeout_ms + 1000,
        };
        result = json.failed ? MCP_ENOMEM : sink->add(sink, &offer);
        text_free(&json);
    }
    return result;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    struct database *database = self;
    if (call->tag > EXECUTE_TRANSACTION ||
        (call->tag == EXECUTE_TRANSACTION && database->settings.read_only))
        return MCP_ENOENT;
    return tools[call->tag](database, call);
}

/* ---- health ---- */

static int32_t check(void *self, struct mcp_call *call)
{
    const struct database *database = self;
    struct job job;
    struct text found;
    job_init(&job, &database->settings, call);
    text_init(&found, 1024);
    struct session *session = database->ops->acquire(database->backend, &job);
    bool good = session != NULL && database->ops->check(session, &found);
    if (session != NULL)
        database->ops->release(session);
    if (good)
        pass_call(call, "%.*s.", SHOW(found));
    else
        fail_call(call, "%s", job.complaint.text);
    text_free(&found);
    return MCP_OK;
}

HEALTH_ALONE(check);

/* ---- life ---- */

static bool configure(struct settings *settings)
{
    const struct mcp_host *host = settings->host;
    struct mcp_bytes url = {NULL, 0};
    if (!config_string(host, "/url", &url) ||
        !config_bool(host, "/read_only", &settings->read_only) ||
        !config_integer(host, "/max_rows", 1, 1000000, &settings->max_rows) ||
        !config_integer(host, "/max_bytes", 1024, 16 << 20, &settings->max_bytes) ||
        !config_integer(host, "/max_value_bytes", 1024, 1000000000, &settings->max_value_bytes) ||
        !config_integer(host, "/timeout_ms", 1, 3600000, &settings->timeout_ms) ||
        !config_integer(host, "/busy_timeout_ms", 0, 3600000, &settings->busy_timeout_ms) ||
        !config_integer(host, "/max_connections", 1, 64, &settings->max_connections))
        return false;
    if (url.size == 0) {
        int32_t kind;
        struct mcp_bytes name;
        return host->config(host, "/database", &kind, &name) == MCP_OK ||
               config_fail(host, "",
                           "\"url\" is missing: name the database, such as "
                           "\"sqlite:///srv/sales.db\" or "
                           "\"postgresql://reader@localhost/sales\"");
    }
    if (memchr(url.data, '\0', url.size) != NULL)
        return config_fail(host, "/url", "there is a NUL character in it");
    settings->url = strndup(url.data, url.size);
    return settings->url != NULL;
}

static const struct backend_ops *choose_backend(const struct settings *settings)
{
    if (settings->url == NULL)
        return &postgres_backend;
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        size_t length = strlen(backends[i]->scheme);
        if (strncmp(settings->url, backends[i]->scheme, length) == 0 &&
            settings->url[length] == ':')
            return backends[i];
    }
    if (strncmp(settings->url, "postgres:", strlen("postgres:")) == 0)
        return &postgres_backend;
    config_fail(settings->host, "/url",
                "expected sqlite:/// and a path, or postgresql://user@host/database; no other "
                "kind of database is known to this plugin");
    return NULL;
}

static void destroy(void *self)
{
    struct database *database = self;
    if (database->backend != NULL)
        database->ops->destroy(database->backend);
    secret_free(database->settings.url); /* it may have a password */
    free(database);
}

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    (void)config; /* read through host->config */
    struct database *database = calloc(1, sizeof(*database));
    if (database == NULL)
        return MCP_ENOMEM;
    database->settings = (struct settings){
        .host = host,
        .read_only = true,
        .max_rows = 1000,
        .max_bytes = 1 << 20,
        .max_value_bytes = 4 << 20,
        .timeout_ms = 10000,
        .busy_timeout_ms = 2000,
        .max_connections = 4,
    };
    if (configure(&database->settings) &&
        (database->ops = choose_backend(&database->settings)) != NULL)
        database->backend = database->ops->create(&database->settings);
    if (database->backend == NULL) {
        destroy(database);
        return MCP_EFAIL;
    }
    *instance = database;
    return MCP_OK;
}

static int32_t start(void *self)
{
    struct database *database = self;
    return database->ops->start(database->backend) ? MCP_OK : MCP_EFAIL;
}

static void stop(void *self)
{
    struct database *database = self;
    database->ops->stop(database->backend);
}

/* The directory of the file: -wal and -shm are beside it, and another file may be renamed
 * into its place. */
BUNDLED_PLUGIN_WITH(
    "database", "Database",
    HEALTH_MANIFEST
    ",\"needs\":{"
    "\"environment\":[{\"config\":\"/password/environment\"}],"
    "\"read\":[{\"config\":\"/url\",\"prefix\":\"sqlite://\",\"parent\":true},"
    "{\"config\":\"/password/file\"},{\"config\":\"/sslrootcert\"}],"
    "\"write\":[{\"config\":\"/url\",\"prefix\":\"sqlite://\",\"parent\":true,"
    "\"if_false\":\"/read_only\"}],"
    "\"network\":[{\"config\":\"/url\",\"prefix\":\"postgres\"},{\"config\":\"/host\"}],"
    "\"unix_sockets\":[{\"config\":\"/host\",\"prefix\":\"/\"},{\"config\":\"/"
    "url\",\"prefix\":\"postgresql:///\"},"
    "{\"config\":\"/url\",\"prefix\":\"postgres:///\"}]}",
    .get_extension = get_extension);
