/* SPDX-License-Identifier: MIT */
#include "plugin/uri_template.h"
struct uri_template *uri_template_new(struct bytes text, struct error *err)
{
    (void)text;
    error_set(err, "x");
    return 0;
}
void uri_template_free(struct uri_template *t)
{
    (void)t;
}
bool uri_template_match(const struct uri_template *t, struct bytes uri, struct buf *v)
{
    (void)t;
    (void)uri;
    (void)v;
    return false;
}
bool uri_template_has_variable(const struct uri_template *t, struct bytes n)
{
    (void)t;
    (void)n;
    return false;
}
