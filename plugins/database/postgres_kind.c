/* SPDX-License-Identifier: MIT */
/*
 * What kind of statement a client sends. That a reader cannot write is the work of the
 * role and of the transaction; but PostgreSQL has statements that neither holds (COMMIT
 * leaves the transaction, COPY starts programs), and those begin with a word of their own.
 */
#include "postgres.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Behind a comment; those between slashes nest. */
static const char *skip_comment(const char *sql)
{
    if (sql[0] == '-' && sql[1] == '-') {
        while (*sql != '\0' && *sql != '\n' && *sql != '\r')
            sql++;
        return sql;
    }
    size_t depth = 0;
    do {
        if (sql[0] == '/' && sql[1] == '*') {
            depth++;
            sql += 2;
        } else if (sql[0] == '*' && sql[1] == '/') {
            depth--;
            sql += 2;
        } else {
            sql++;
        }
    } while (depth > 0 && *sql != '\0');
    return sql;
}

/* To the first word: over blanks, comments, empty statements and parentheses. */
static const char *first_word(const char *sql)
{
    for (;;) {
        if (*sql != '\0' && strchr(" \t\n\r\f\v;(", *sql) != NULL)
            sql++;
        else if ((sql[0] == '-' && sql[1] == '-') || (sql[0] == '/' && sql[1] == '*'))
            sql = skip_comment(sql);
        else
            return sql;
    }
}

static bool is_one_of(const char *word, size_t size, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strlen(*list) == size && strncasecmp(word, *list, size) == 0)
            return true;
    return false;
}

const char *statement_refusal(const char *sql, bool read_only)
{
    static const char *const reading[] = {"SELECT", "WITH",    "VALUES", "TABLE",
                                          "SHOW",   "EXPLAIN", NULL};
    static const char *const transactions[] = {"BEGIN",   "START",    "COMMIT",  "END",
                                               "ABORT",   "ROLLBACK", "PREPARE", "SAVEPOINT",
                                               "RELEASE", NULL};
    static const char *const sessions[] = {"EXECUTE", "DEALLOCATE", "LISTEN", "UNLISTEN",
                                           "DISCARD", "LOAD",       NULL};
    static const char *const copies[] = {"COPY", NULL};
    const char *word = first_word(sql);
    size_t size = 0;
    while (isalpha((unsigned char)word[size]) || word[size] == '_')
        size++;
    if (*word == '\0')
        return "There is no SQL statement in the query.";
    if (is_one_of(word, size, transactions))
        return "Not allowed: each query has a transaction of its own here, which it can neither "
               "end nor divide; execute_transaction, where it is offered, runs several queries "
               "as one.";
    if (is_one_of(word, size, copies))
        return "Not allowed: COPY reads and writes files and programs of the server; use SELECT "
               "or INSERT.";
    if (is_one_of(word, size, sessions))
        return "Not allowed: nothing lasts from one query to the next here, for each may run on "
               "another connection.";
    if (read_only && !is_one_of(word, size, reading))
        return "Not allowed: this database is read-only here; a query begins with SELECT, WITH, "
               "VALUES, TABLE, SHOW or EXPLAIN.";
    return NULL;
}
