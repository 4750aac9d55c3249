/* SPDX-License-Identifier: MIT */
/*
 * The operator's log: one line per event on standard error, in one write(2).
 * Under journald (JOURNAL_STREAM names our stderr) lines carry the "<3>" prefix
 * of sd-daemon(3) and no time; elsewhere an RFC 3339 time in UTC. As JSON, one
 * object a line: time, level, message. Newlines and control characters in what
 * is logged are escaped; invalid UTF-8 becomes U+FFFD. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/bytes.h"

/* The severities of syslog (RFC 5424, 6.2.1) that mcpd itself uses. */
enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };
enum log_format { LOG_TEXT, LOG_JSON };

/* What is less urgent than `level` is dropped. Before any thread starts. */
void log_setup(enum log_level level, enum log_format format);
bool log_wants(enum log_level level);

/* Lines go to `sink` instead, as they are, from the thread that logs. Before any
 * thread starts. */
typedef void log_sink(enum log_level level, struct bytes text);
void log_set_sink(log_sink *sink);

void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* Names as in MCP and syslog: "error", "warning", "notice", "info", "debug"
 * (and "emergency", "alert", "critical" for 0 to 2). */
const char *log_level_name(int level);
/* The level of a name; -1 for an unknown one. */
int log_level_from_name(struct bytes name);

#endif
