/* SPDX-License-Identifier: MIT */
/*
 * What a client was asked, and whether its answers fit (elicitation, sampling,
 * roots; client/elicitation and its neighbours in each revision).
 *
 * Of the questions only what answers are checked against is kept, as JSON:
 * {"KEY":{"form":SCHEMA},"KEY":{"url":{}},"KEY":{"sampling":{}},"KEY":{"roots":{}}}.
 * That travels inside a requestState.
 */
#ifndef MCP_ANSWERS_H
#define MCP_ANSWERS_H

#include "json/json.h"

/* Adds that of InputRequests whose form has been checked. */
void awaited_write(struct buf *out, const struct json *requests);

/* Whether `answer` fits one question (`what`: the value of its key in `awaited`).
 * False: err says where it does not. */
bool answer_fits(const struct json *awaited, const struct json_node *what, const struct json *json,
                 const struct json_node *answer, struct error *err);

/* The same when the question is not known: whether it is a legal answer of any
 * kind. */
bool answer_is_legal(const struct json *json, const struct json_node *answer, struct error *err);

#endif
