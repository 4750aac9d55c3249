/* SPDX-License-Identifier: MIT */
/* The lock that everybody who changes the index holds. */
#ifndef GIT_STAGE_H
#define GIT_STAGE_H

#include "git.h"

struct locked_index {
    int directory; /* the git directory */
    bool held;
    git_index *index; /* a copy of the index, or NULL */
};

/* False: the call has been ended. index_unlock is due in both cases. */
bool index_lock(struct job *job, struct locked_index *locked);
void index_unlock(struct locked_index *locked);

#endif
