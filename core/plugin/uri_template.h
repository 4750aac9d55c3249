/* SPDX-License-Identifier: MIT */
/*
 * URI templates (RFC 6570), read backwards: does a URI come from this template,
 * and from which values?
 */
#ifndef PLUGIN_URI_TEMPLATE_H
#define PLUGIN_URI_TEMPLATE_H

#include "base/buf.h"
#include "base/error.h"

struct uri_template;

/* NULL: not a template, or one that would fit any URI, or no memory; err says
 * what is wrong and at which byte. All four levels of the RFC are understood.
 * Immutable: any thread may match. */
struct uri_template *uri_template_new(struct bytes text, struct error *err);
void uri_template_free(struct uri_template *uri_template); /* NULL is allowed */

/* Whether expanding the template with some values gives `uri`. If so, appends
 * the values to `variables` as a JSON object, percent-decoded: strings, arrays
 * for exploded lists, objects for exploded name=value pairs; a variable that
 * has no value is left out. Where several sets of values would do, earlier
 * variables take as much as they can, but what separates the variables of one
 * expression ("," in "{x,y}", "." in "{.x,y}") is no part of their values. A list
 * that is not exploded is a string with commas in it.
 *
 * What people and some clients leave unencoded is understood when the URI has no
 * strict reading: "mail://me@example.org" for "mail://{address}", and characters
 * outside ASCII (RFC 3987, 3.1).
 *
 * The time is bounded: a URI that would need more steps does not match, nor does
 * one of more than URI_MAX bytes. */
bool uri_template_match(const struct uri_template *uri_template, struct bytes uri,
                        struct buf *variables);

/* Whether the template has a variable of this name (completion/complete). */
bool uri_template_has_variable(const struct uri_template *uri_template, struct bytes name);

#endif
