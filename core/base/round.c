/* SPDX-License-Identifier: MIT */
#include "base/round.h"

static _Thread_local struct round *mine;

void round_join(struct round *round)
{
    if (round != NULL)
        round->count = 0;
    mine = round;
}

bool round_is_on(void)
{
    return mine != NULL;
}

bool round_later(void (*run)(void *data), void *data)
{
    if (mine == NULL || mine->count == ROUND_MAX)
        return false;
    mine->tasks[mine->count++] = (struct round_task){run, data};
    return true;
}

bool round_waits(void (*run)(void *data), const void *data)
{
    for (size_t i = 0; mine != NULL && i < mine->count; i++)
        if (mine->tasks[i].run == run && mine->tasks[i].data == data)
            return true;
    return false;
}

void round_end(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        round->tasks[i].run(round->tasks[i].data);
    round->count = 0;
}
