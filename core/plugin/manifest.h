/* SPDX-License-Identifier: MIT */
/*
 * What a plugin file says of itself before one instruction of it runs: its ELF
 * headers and the note .note.mcp. The bytes are foreign; nothing here trusts an
 * offset or a size in them.
 */
#ifndef PLUGIN_MANIFEST_H
#define PLUGIN_MANIFEST_H

#include "base/bytes.h"
#include "base/error.h"

/* 1 to 64 of a-z 0-9 - _ */
bool plugin_id_legal(struct bytes id);

#define MANIFEST_NEEDS_MAX 8192

struct manifest {
    char id[65];
    char version[65]; /* printable ASCII */
    unsigned abi_major, abi_minor; /* built against */
    char required[65]; /* the first host extension of "requires"; "" when there is none */
    char needs[MANIFEST_NEEDS_MAX]; /* "needs" as JSON (plugin/needs.h); "" when there is none */
};

/* Checks that `file` is a whole ELF shared object that this process can load
 * and unload (this machine; no executable stack, no writable code, no text
 * relocations, no DF_1_NODELETE, no static TLS), and reads its manifest. False:
 * err is one sentence without the file's name, such as "has no manifest ...".
 * The ABI's version is read, not judged. `file` need not be aligned. */
bool manifest_read(struct manifest *manifest, struct bytes file, struct error *err);

#endif
