/* SPDX-License-Identifier: MIT */
/* Writing and reading frames by the table of their types. */
#include "plugin/worker_frame.h"

#define TEXT_MAX UINT32_MAX /* no bound of its own: that of the frame */

struct layout {
    const char *name;
    uint8_t sender; /* enum frame_sender */
    uint8_t numbers;
    uint8_t texts;
    bool has_id;
    uint32_t text_max;
};

static const struct layout layouts[FRAME_TYPES] = {
    [FRAME_LOAD] = {"LOAD", FROM_MCPD, 6, 7, true, TEXT_MAX},
    [FRAME_GET_OFFERS] = {"GET_OFFERS", FROM_MCPD, 0, 0, true, 0},
    [FRAME_RECONFIGURE] = {"RECONFIGURE", FROM_MCPD, 0, 1, true, TEXT_MAX},
    [FRAME_STOP] = {"STOP", FROM_MCPD, 0, 0, true, 0},
    [FRAME_CALL] = {"CALL", FROM_MCPD, 5, 10, true, TEXT_MAX},
    [FRAME_CANCEL] = {"CANCEL", FROM_MCPD, 1, 0, true, 0},
    [FRAME_TASK_ANSWER] = {"TASK_ANSWER", FROM_MCPD, 1, 0, true, 0},
    [FRAME_STEP] = {"STEP", FROM_WORKER, 0, 1, false, 64},
    [FRAME_OFFER] = {"OFFER", FROM_WORKER, 5, 1, true, 256 * 1024},
    [FRAME_DONE] = {"DONE", FROM_WORKER, 2, 2, true, 2048},
    [FRAME_END] = {"END", FROM_WORKER, 2, 2, true, TEXT_MAX},
    [FRAME_PROGRESS] = {"PROGRESS", FROM_WORKER, 2, 1, true, TEXT_MAX},
    [FRAME_CALL_LOG] = {"CALL_LOG", FROM_WORKER, 1, 1, true, TEXT_MAX},
    [FRAME_TASK] = {"TASK", FROM_WORKER, 0, 0, true, 0},
    [FRAME_CLOSE_STREAM] = {"CLOSE_STREAM", FROM_WORKER, 0, 0, true, 0},
    [FRAME_LOG] = {"LOG", FROM_WORKER, 1, 1, false, 8192},
    [FRAME_CHANGED] = {"CHANGED", FROM_WORKER, 1, 0, false, 0},
    [FRAME_UPDATED] = {"UPDATED", FROM_WORKER, 0, 1, false, 2048},
    [FRAME_BROKEN] = {"BROKEN", FROM_WORKER, 0, 1, false, 2048},
};

size_t frame_texts(enum frame_type type)
{
    return layouts[type].texts;
}

const char *frame_name(enum frame_type type)
{
    return layouts[type].name;
}

/* ---- writing ---- */

size_t frame_write_head(const struct frame *frame, unsigned char out[FRAME_HEAD_MAX])
{
    const struct layout *layout = &layouts[frame->type];
    const unsigned char kind[4] = {(unsigned char)frame->type, layout->texts, 0, 0};
    size_t head = FRAME_HEAD + layout->texts * sizeof(uint32_t), size = head;

    for (size_t i = 0; i < layout->texts; i++) {
        if (frame->texts[i].size > UINT32_MAX - size)
            return 0;
        size += frame->texts[i].size;
    }
    const uint32_t whole = (uint32_t)size;
    memcpy(out, &whole, 4);
    memcpy(out + 4, kind, 4);
    memcpy(out + 8, &frame->id, 8);
    memcpy(out + 16, frame->numbers, sizeof(frame->numbers));
    for (size_t i = 0; i < layout->texts; i++) {
        const uint32_t text = (uint32_t)frame->texts[i].size;
        memcpy(out + FRAME_HEAD + i * 4, &text, 4);
    }
    return head;
}

void frame_write(struct buf *out, const struct frame *frame)
{
    unsigned char head[FRAME_HEAD_MAX];
    size_t size = frame_write_head(frame, head);

    if (size == 0) {
        out->failed = true;
        return;
    }
    buf_add(out, head, size);
    for (size_t i = 0; i < layouts[frame->type].texts; i++)
        buf_add_bytes(out, frame->texts[i]);
}

/* ---- reading ---- */

/* What can be said when only the head is there. */
static const char *head_fault(const struct frame *frame, const unsigned char kind[4], uint32_t size,
                              enum frame_sender sender, size_t max)
{
    if (kind[0] == 0 || kind[0] >= FRAME_TYPES)
        return "its type is unknown";
    const struct layout *layout = &layouts[kind[0]];
    if (layout->sender != sender)
        return "its type is not for this side to send";
    if (kind[1] != layout->texts || kind[2] != 0 || kind[3] != 0)
        return "its head does not fit its type";
    if (size < FRAME_HEAD + layout->texts * sizeof(uint32_t))
        return "it is smaller than its head";
    if (size > max)
        return "it is larger than it may be";
    if ((frame->id != 0) != layout->has_id)
        return layout->has_id ? "it has no id" : "it has an id";
    for (size_t i = layout->numbers; i < FRAME_NUMBERS; i++)
        if (frame->numbers[i] != 0)
            return "it has numbers that its type does not have";
    return NULL;
}

/* The frame is there whole. */
static const char *read_texts(struct frame *frame, struct bytes in, size_t size)
{
    const struct layout *layout = &layouts[frame->type];
    size_t at = FRAME_HEAD + layout->texts * sizeof(uint32_t);

    for (size_t i = 0; i < layout->texts; i++) {
        uint32_t text;
        memcpy(&text, in.data + FRAME_HEAD + i * 4, 4);
        if (text > size - at)
            return "its texts are larger than it is";
        if (text > layout->text_max)
            return "one of its texts is larger than it may be";
        frame->texts[i] = (struct bytes){in.data + at, text};
        at += text;
    }
    return at == size ? NULL : "its texts are smaller than it is";
}

enum frame_read frame_read(struct frame *frame, struct bytes in, enum frame_sender sender,
                           size_t max, size_t *size, const char **fault)
{
    unsigned char kind[4];
    uint32_t whole;

    *size = FRAME_HEAD;
    if (in.size < FRAME_HEAD)
        return FRAME_PART;
    *frame = (struct frame){.id = 0};
    memcpy(&whole, in.data, 4);
    memcpy(kind, in.data + 4, 4);
    memcpy(&frame->id, in.data + 8, 8);
    memcpy(frame->numbers, in.data + 16, sizeof(frame->numbers));
    *fault = head_fault(frame, kind, whole, sender, max);
    if (*fault != NULL)
        return FRAME_ILLEGAL;
    frame->type = (enum frame_type)kind[0];
    *size = whole;
    if (in.size < whole)
        return FRAME_PART;
    *fault = read_texts(frame, in, whole);
    return *fault == NULL ? FRAME_WHOLE : FRAME_ILLEGAL;
}
