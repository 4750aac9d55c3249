/* SPDX-License-Identifier: MIT */
/*
 * What mcpd and a worker process say to each other, as bytes.
 *
 * A frame is a head of 64 bytes and then texts, one behind the other: all numbers as
 * this machine stores them, for both ends are on it.
 *
 *     0  uint32  size of the frame, head included
 *     4  uint8   type (enum frame_type)
 *     5  uint8   how many texts follow: what the type has
 *     6  uint16  0
 *     8  uint64  id: of the call or the request that it belongs to; else 0
 *    16  6 * uint64  numbers; those that the type does not have are 0
 *    64  uint32 * texts  their sizes; the sum is what is left of the frame
 *     .. the texts
 *
 * One table says what each type has, who may send it and how large it may be, and one
 * function reads them all: it accepts exactly what frame_write makes. mcpd reads what
 * a worker wrote as it would read a stranger's bytes, for that is what a plugin gone
 * wrong can make of them; whether a frame makes sense at this point is for those who
 * act on it (worker_link.c, worker_calls.c, core/worker/).
 *
 * FRAME_VERSION is in the first frame, and a worker that does not know it ends. It
 * changes with every change here, for both programs come from one build.
 */
#ifndef PLUGIN_WORKER_FRAME_H
#define PLUGIN_WORKER_FRAME_H

#include "base/buf.h"

#define FRAME_VERSION 4
#define FRAME_HEAD 64
#define FRAME_NUMBERS 6
#define FRAME_TEXTS 10

enum frame_type {
    /* ---- from mcpd ---- */
    FRAME_LOAD = 1, /* the first; answered by offers and FRAME_DONE */
    FRAME_GET_OFFERS, /* answered by offers and FRAME_DONE */
    FRAME_RECONFIGURE, /* text: the configuration; answered by FRAME_DONE */
    FRAME_STOP, /* answered by FRAME_DONE, then the worker ends */
    FRAME_CALL,
    FRAME_CANCEL, /* 1: nobody waits for its end; 0: somebody does */
    FRAME_TASK_ANSWER, /* code: what start_task returns */
    /* ---- from the worker ---- */
    FRAME_STEP, /* text: what of the plugin runs now: "create" */
    FRAME_OFFER,
    FRAME_DONE,
    FRAME_END, /* of a call; exactly one for each */
    FRAME_PROGRESS, /* progress and total are doubles, by their bits; text: message */
    FRAME_CALL_LOG, /* level; text: data */
    FRAME_TASK, /* answered by FRAME_TASK_ANSWER */
    FRAME_CLOSE_STREAM,
    FRAME_LOG, /* level; text: a line for the operator's log */
    FRAME_CHANGED, /* MCP_CHANGED_* */
    FRAME_UPDATED, /* text: a URI */
    FRAME_BROKEN, /* text: why the worker is about to end */
    FRAME_TYPES
};

/* Places of the numbers and texts. */
enum { LOAD_VERSION, LOAD_GENERATION, LOAD_WORKERS, LOAD_QUEUE, LOAD_MAX_RESULT, LOAD_FLAGS };
enum {
    LOAD_PATH,
    LOAD_SOURCE,
    LOAD_ID,
    LOAD_PLUGIN_VERSION,
    LOAD_PROVIDER,
    LOAD_CONFIG,
    LOAD_SANDBOX
};
#define LOAD_LOG_LEVEL 7u /* of the flags: a mask */
#define LOAD_WANTS_OFFERS 8u
#define LOAD_MEMORY_SHIFT 32 /* MiB it may use; 0: no bound */

/* Of FRAME_CALL. */
enum { ASK_FUNCTION, ASK_FLAGS, ASK_TAG, ASK_DEADLINE, ASK_OPTIONS };
enum {
    ASK_NAME,
    ASK_ARGUMENTS,
    ASK_META,
    ASK_SUBJECT,
    ASK_ISSUER,
    ASK_ROLES,
    ASK_CLIENT,
    ASK_STATE,
    ASK_INPUT_RESPONSES,
    ASK_CLIENT_CAPABILITIES
};
/* ASK_OPTIONS: the log level and 1 (0: none wanted), and flags. */
#define ASK_LOG_LEVEL 15u
#define ASK_WANTS_PROGRESS 16u
#define ASK_CAN_ASK 32u
#define ASK_AUTHENTICATED 64u
#define ASK_CLIENT_CARRIES 128u

/* Of FRAME_OFFER. */
enum { TERM_KIND, TERM_FLAGS, TERM_TAG, TERM_TIMEOUT, TERM_CONCURRENCY };

enum { DONE_RESULT, DONE_FLAGS };
enum { DONE_POINTER, DONE_WHY };
#define DONE_IN_CONFIG 1u
#define DONE_COMPLETES 2u
#define DONE_CHECKS 4u
#define DONE_CHECK_FLAGS 32 /* above: those of its struct mcp_health */
enum frame_done { DONE_WELL, DONE_FAILED, DONE_CANNOT };

enum { END_HOW, END_CODE };
enum { END_TEXT, END_JSON };

struct frame {
    enum frame_type type;
    uint64_t id;
    uint64_t numbers[FRAME_NUMBERS];
    struct bytes texts[FRAME_TEXTS];
};

enum frame_sender { FROM_MCPD = 1, FROM_WORKER = 2 };

/* How many texts a frame of this type has. */
size_t frame_texts(enum frame_type type);
const char *frame_name(enum frame_type type);

/* Writes head and sizes, everything but the texts, which go behind it in order.
 * Returns how many bytes it wrote; 0: the frame is larger than UINT32_MAX. */
#define FRAME_HEAD_MAX (FRAME_HEAD + FRAME_TEXTS * 4)
size_t frame_write_head(const struct frame *frame, unsigned char out[FRAME_HEAD_MAX]);
/* Appends the whole frame. */
void frame_write(struct buf *out, const struct frame *frame);

enum frame_read { FRAME_WHOLE, FRAME_PART, FRAME_ILLEGAL };

/* Reads one frame from the start of `in`, no larger than `max`. FRAME_WHOLE: *frame
 * points into `in`, *size is how much of it it took. FRAME_PART: more must come, *size
 * bytes in all as far as is known. FRAME_ILLEGAL: *fault says why. */
enum frame_read frame_read(struct frame *frame, struct bytes in, enum frame_sender sender,
                           size_t max, size_t *size, const char **fault);

#endif
