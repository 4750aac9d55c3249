/* SPDX-License-Identifier: MIT */
/* Frames: what is written is read as it was, all else is refused; and the socket that
 * carries them in pieces. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/worker_wire.h"
#include "suite.h"

static const enum frame_type first_of_worker = FRAME_STEP;

static enum frame_sender sender_of(enum frame_type type)
{
    return type < first_of_worker ? FROM_MCPD : FROM_WORKER;
}

/* Whether frames of this type carry an id: the reader says so. */
static bool takes(enum frame_type type, uint64_t id)
{
    struct frame frame = {.type = type, .id = id}, got;
    const char *fault = NULL;
    struct buf out;
    size_t size;
    buf_init(&out, SIZE_MAX);
    frame_write(&out, &frame);
    bool ok =
        frame_read(&got, buf_bytes(&out), sender_of(type), SIZE_MAX, &size, &fault) == FRAME_WHOLE;
    buf_free(&out);
    return ok;
}

static struct frame example(enum frame_type type)
{
    static const char *const texts[FRAME_TEXTS] = {"zero", "",  "two", "three", "4",
                                                   "five", "6", "",    "eight", "nine"};
    struct frame frame = {.type = type, .id = takes(type, 0) ? 0 : UINT64_C(0x100000002)};
    for (size_t i = 0; i < frame_texts(type); i++)
        frame.texts[i] = bytes_of(texts[i]);
    return frame;
}

/* The frame as bytes; the caller frees. */
static struct buf written(const struct frame *frame)
{
    struct buf out;
    buf_init(&out, SIZE_MAX);
    frame_write(&out, frame);
    ck_assert(!out.failed);
    return out;
}

START_TEST(every_type_comes_back)
{
    const struct frame frame = example((enum frame_type)_i);
    struct buf out = written(&frame);
    struct frame got;
    const char *fault;
    size_t size;
    ck_assert_int_eq(
        frame_read(&got, buf_bytes(&out), sender_of(frame.type), out.size, &size, &fault),
        FRAME_WHOLE);
    ck_assert_uint_eq(size, out.size);
    ck_assert_int_eq(got.type, frame.type);
    ck_assert_uint_eq(got.id, frame.id);
    ck_assert_int_eq(memcmp(got.numbers, frame.numbers, sizeof(got.numbers)), 0);
    for (size_t i = 0; i < frame_texts(frame.type); i++)
        ck_assert(bytes_equal(got.texts[i], frame.texts[i]));
    ck_assert_ptr_nonnull(frame_name(frame.type));
    buf_free(&out);
}
END_TEST

START_TEST(every_piece_is_a_part)
{
    const struct frame frame = example((enum frame_type)_i);
    struct buf out = written(&frame);
    struct frame got;
    const char *fault;
    size_t size;
    for (size_t part = 0; part < out.size; part++) {
        /* A copy that ends where the piece does, for those who look for faults. */
        char *piece = malloc(part + 1);
        memcpy(piece, out.data, part);
        ck_assert_int_eq(frame_read(&got, (struct bytes){piece, part}, sender_of(frame.type),
                                    SIZE_MAX, &size, &fault),
                         FRAME_PART);
        ck_assert_uint_gt(size, part);
        free(piece);
    }
    buf_free(&out);
}
END_TEST

START_TEST(the_other_side_may_not_say_it)
{
    const struct frame frame = example((enum frame_type)_i);
    struct buf out = written(&frame);
    struct frame got;
    const char *fault = NULL;
    size_t size;
    enum frame_sender other = sender_of(frame.type) == FROM_MCPD ? FROM_WORKER : FROM_MCPD;
    ck_assert_int_eq(frame_read(&got, buf_bytes(&out), other, SIZE_MAX, &size, &fault),
                     FRAME_ILLEGAL);
    ck_assert_str_eq(fault, "its type is not for this side to send");
    buf_free(&out);
}
END_TEST

/* A frame END with two texts of four bytes, in which one byte or number is changed. */
static const struct {
    size_t at;
    uint32_t value;
    size_t width;
    const char *fault;
} spoilt[] = {
    {4, 0, 1, "its type is unknown"},
    {4, FRAME_TYPES, 1, "its type is unknown"},
    {4, 255, 1, "its type is unknown"},
    {4, FRAME_CALL, 1, "its type is not for this side to send"},
    {5, 1, 1, "its head does not fit its type"},
    {5, 255, 1, "its head does not fit its type"},
    {6, 1, 1, "its head does not fit its type"},
    {7, 1, 1, "its head does not fit its type"},
    {0, 0, 4, "it is smaller than its head"},
    {0, FRAME_HEAD, 4, "it is smaller than its head"},
    {0, FRAME_HEAD + 7, 4, "it is smaller than its head"},
    {0, FRAME_HEAD + 8, 4, "its texts are larger than it is"},
    {0, FRAME_HEAD + 15, 4, "its texts are larger than it is"},
    {0, 4097, 4, "it is larger than it may be"},
    {0, UINT32_MAX, 4, "it is larger than it may be"},
    {8, 0, 1, "it has no id"},
    {32, 1, 1, "it has numbers that its type does not have"},
    {63, 1, 1, "it has numbers that its type does not have"},
    {FRAME_HEAD, 3, 4, "its texts are smaller than it is"},
    {FRAME_HEAD, 5, 4, "its texts are larger than it is"},
    {FRAME_HEAD, UINT32_MAX, 4, "its texts are larger than it is"},
    {FRAME_HEAD + 4, UINT32_MAX, 4, "its texts are larger than it is"},
};

START_TEST(spoilt_frames_are_illegal)
{
    const struct frame frame = {
        .type = FRAME_END, .id = 1, .texts = {BYTES("text"), BYTES("json")}};
    struct buf out = written(&frame);
    struct frame got;
    const char *fault = NULL;
    size_t size;
    memcpy(out.data + spoilt[_i].at, &spoilt[_i].value, spoilt[_i].width);
    ck_assert_int_eq(frame_read(&got, buf_bytes(&out), FROM_WORKER, 4096, &size, &fault),
                     FRAME_ILLEGAL);
    ck_assert_str_eq(fault, spoilt[_i].fault);
    buf_free(&out);
}
END_TEST

START_TEST(bounded_texts)
{
    char *text = calloc(1, 8193);
    struct frame frame = {.type = FRAME_LOG, .numbers = {4}, .texts = {{text, 8192}}}, got;
    const char *fault = NULL;
    size_t size;
    struct buf out = written(&frame);
    ck_assert_int_eq(frame_read(&got, buf_bytes(&out), FROM_WORKER, SIZE_MAX, &size, &fault),
                     FRAME_WHOLE);
    buf_free(&out);
    frame.texts[0].size++;
    out = written(&frame);
    ck_assert_int_eq(frame_read(&got, buf_bytes(&out), FROM_WORKER, SIZE_MAX, &size, &fault),
                     FRAME_ILLEGAL);
    ck_assert_str_eq(fault, "one of its texts is larger than it may be");
    buf_free(&out);
    free(text);
}
END_TEST

START_TEST(too_large_to_write)
{
    const struct frame frame = {.type = FRAME_RECONFIGURE, .id = 1, .texts = {{"", UINT32_MAX}}};
    unsigned char head[FRAME_HEAD_MAX];
    struct buf out;
    ck_assert_uint_eq(frame_write_head(&frame, head), 0);
    buf_init(&out, SIZE_MAX);
    frame_write(&out, &frame);
    ck_assert(out.failed);
    ck_assert_uint_eq(out.size, 0);
}
END_TEST

/* ---- the wire ---- */

static struct wire host, worker; /* mcpd's end, which does not wait, and the other */

static void open_wires(void)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    wire_init(&host, pair[0], false, FROM_WORKER, 1 << 20);
    wire_init(&worker, pair[1], true, FROM_MCPD, 64 << 20);
}

static void close_wires(void)
{
    wire_free(&host);
    wire_free(&worker);
}

/* The next frame, with what has to be received and, on the other side, sent for it. */
static struct frame next(struct wire *wire, struct wire *peer)
{
    struct frame frame;
    const char *fault = "";
    enum frame_read read;
    while ((read = wire_next(wire, &frame, &fault)) == FRAME_PART) {
        if (!peer->waits)
            wire_flush(peer);
        ck_assert_int_ne(wire_receive(wire), WIRE_CLOSED);
    }
    ck_assert_msg(read == FRAME_WHOLE, "%s", fault);
    return frame;
}

START_TEST(many_frames_in_order)
{
    for (uint64_t i = 1; i <= 500; i++) {
        const struct frame frame = {.type = FRAME_CANCEL, .id = i};
        ck_assert_int_le(wire_send(&host, &frame), WIRE_KEPT);
    }
    for (uint64_t i = 1; i <= 500; i++)
        ck_assert_uint_eq(next(&worker, &host).id, i);
    ck_assert_int_eq(wire_receive(&host), WIRE_NOTHING);
}
END_TEST

START_TEST(gathered_frames_go_together_and_in_order)
{
    char text[40000] = "";
    const struct frame small = {.type = FRAME_CANCEL, .id = 1};
    const struct frame large = {
        .type = FRAME_RECONFIGURE, .id = 3, .texts = {{text, sizeof(text)}}};
    ck_assert_int_eq(wire_gather(&host, &small), WIRE_KEPT);
    ck_assert_int_eq(wire_gather(&host, &(struct frame){.type = FRAME_CANCEL, .id = 2}), WIRE_KEPT);
    ck_assert_int_eq(recv(worker.fd, text, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    ck_assert_int_eq(wire_flush(&host), WIRE_SENT);
    ck_assert_int_eq(wire_gather(&host, &large), WIRE_KEPT);
    /* One that is too large to be gathered with what is there goes behind it, at once. */
    ck_assert_int_eq(wire_gather(&host, &large), WIRE_SENT);
    ck_assert_int_eq(wire_send(&host, &(struct frame){.type = FRAME_STOP, .id = 4}), WIRE_SENT);
    for (uint64_t id = 1; id <= 3; id++)
        ck_assert_uint_eq(next(&worker, &host).id, id);
    ck_assert_uint_eq(next(&worker, &host).id, 3);
    ck_assert_uint_eq(next(&worker, &host).id, 4);
}
END_TEST

START_TEST(a_large_frame_is_kept_and_comes_whole)
{
    const size_t size = 5 << 20;
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 31 >> 3);
    const struct frame large = {.type = FRAME_RECONFIGURE, .id = 7, .texts = {{text, size}}};
    const struct frame after = {.type = FRAME_STOP, .id = 8};
    ck_assert_int_eq(wire_send(&host, &large), WIRE_KEPT);
    ck_assert_int_eq(wire_send(&host, &after), WIRE_KEPT);
    ck_assert_int_eq(wire_flush(&host), WIRE_KEPT);
    struct frame got = next(&worker, &host);
    ck_assert_uint_eq(got.id, 7);
    ck_assert(bytes_equal(got.texts[0], large.texts[0]));
    ck_assert_uint_eq(next(&worker, &host).id, 8);
    ck_assert_int_eq(wire_flush(&host), WIRE_SENT);
    ck_assert_uint_eq(host.out.size, 0);
    free(text);
}
END_TEST

START_TEST(who_does_not_read_is_full_and_nothing_is_torn)
{
    const size_t size = 1 << 20;
    char *text = calloc(1, size);
    const struct frame frame = {.type = FRAME_RECONFIGURE, .id = 7, .texts = {{text, size}}};
    int kept = 0;
    while (wire_send(&host, &frame) == WIRE_KEPT)
        kept++;
    ck_assert_int_gt(kept, 32);
    ck_assert_int_eq(wire_send(&host, &frame), WIRE_FULL);
    for (int i = 0; i < kept; i++)
        ck_assert_uint_eq(next(&worker, &host).texts[0].size, size);
    ck_assert_int_eq(wire_flush(&host), WIRE_SENT);
    ck_assert_int_eq(wire_send(&host, &(struct frame){.type = FRAME_STOP, .id = 9}), WIRE_SENT);
    ck_assert_uint_eq(next(&worker, &host).id, 9);
    free(text);
}
END_TEST

START_TEST(what_is_held_goes_with_the_flush)
{
    const struct frame frame = {.type = FRAME_CHANGED, .numbers = {1}};
    wire_hold(&worker);
    ck_assert_int_eq(wire_send(&worker, &frame), WIRE_KEPT);
    ck_assert_int_eq(wire_receive(&host), WIRE_NOTHING);
    ck_assert_int_eq(wire_flush(&worker), WIRE_SENT);
    ck_assert_int_eq(next(&host, &worker).type, FRAME_CHANGED);
}
END_TEST

static void *send_one(void *unused)
{
    const struct frame frame = {.type = FRAME_CHANGED, .numbers = {2}};
    (void)unused;
    ck_assert_int_eq(wire_send(&worker, &frame), WIRE_SENT);
    return NULL;
}

START_TEST(another_thread_does_not_wait_for_the_flush)
{
    const struct frame frame = {.type = FRAME_CHANGED, .numbers = {1}};
    pthread_t thread;
    wire_hold(&worker);
    wire_send(&worker, &frame);
    ck_assert_int_eq(pthread_create(&thread, NULL, send_one, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(next(&host, &worker).numbers[0], 1);
    ck_assert_uint_eq(next(&host, &worker).numbers[0], 2);
}
END_TEST

START_TEST(the_other_end_has_gone)
{
    const struct frame frame = {.type = FRAME_STOP, .id = 1};
    close(worker.fd);
    worker.fd = -1;
    ck_assert_int_eq(wire_receive(&host), WIRE_CLOSED);
    ck_assert_int_eq(wire_send(&host, &frame), WIRE_BROKEN);
    ck_assert_int_eq(wire_flush(&host), WIRE_BROKEN);
}
END_TEST

START_TEST(a_frame_larger_than_allowed_takes_no_memory)
{
    char head[FRAME_HEAD] = {0};
    uint32_t size = (1 << 20) + 1;
    struct frame frame;
    const char *fault = NULL;
    memcpy(head, &size, sizeof(size));
    head[4] = FRAME_END;
    head[5] = 2;
    head[8] = 1;
    ck_assert_int_eq(write(worker.fd, head, sizeof(head)), (ssize_t)sizeof(head));
    ck_assert_int_eq(wire_receive(&host), WIRE_SOME);
    ck_assert_int_eq(wire_next(&host, &frame, &fault), FRAME_ILLEGAL);
    ck_assert_uint_le(host.capacity, 64 << 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_frame");
    TCase *loops = tcase_create("each");
    tcase_add_loop_test(loops, every_type_comes_back, FRAME_LOAD, FRAME_TYPES);
    tcase_add_loop_test(loops, every_piece_is_a_part, FRAME_LOAD, FRAME_TYPES);
    tcase_add_loop_test(loops, the_other_side_may_not_say_it, FRAME_LOAD, FRAME_TYPES);
    tcase_add_loop_test(loops, spoilt_frames_are_illegal, 0,
                        (int)(sizeof(spoilt) / sizeof(spoilt[0])));
    suite_add_tcase(suite, loops);
    const struct suite_case cases[] = {
        {"bounds", NULL, NULL, 20, SUITE_TESTS(bounded_texts, too_large_to_write)},
        {"wire", open_wires, close_wires, 60,
         SUITE_TESTS(many_frames_in_order, gathered_frames_go_together_and_in_order,
                     a_large_frame_is_kept_and_comes_whole,
                     who_does_not_read_is_full_and_nothing_is_torn,
                     what_is_held_goes_with_the_flush, another_thread_does_not_wait_for_the_flush,
                     the_other_end_has_gone, a_frame_larger_than_allowed_takes_no_memory)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        suite_add(suite, &cases[i]);
    return suite_run(suite);
}
