/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the reading of a plugin file before it is loaded. Any bytes may be
 * refused, with a sentence; what is accepted has a legal id and a version, and
 * is accepted again wherever in memory it lies.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/utf8.h"
#include "plugin/manifest.h"
#include "must.h"

static bool legal(const char *text, const char *characters)
{
    size_t size = strlen(text);
    return size >= 1 && size <= 64 && strspn(text, characters) == size;
}

/* At an odd address, exactly as long. */
static void check_elsewhere(const struct manifest *expected, const uint8_t *data, size_t size)
{
    struct manifest manifest;
    struct error err;
    char *copy = malloc(size + 1);
    must(copy != NULL);
    memcpy(copy + 1, data, size);
    must(manifest_read(&manifest, (struct bytes){copy + 1, size}, &err));
    must(strcmp(manifest.id, expected->id) == 0);
    must(strcmp(manifest.version, expected->version) == 0);
    must(strcmp(manifest.required, expected->required) == 0);
    must(manifest.abi_major == expected->abi_major && manifest.abi_minor == expected->abi_minor);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        ready = crypto_init();

    struct manifest manifest;
    struct error err = {.text = ""};
    if (!manifest_read(&manifest, (struct bytes){(const char *)data, size}, &err)) {
        must(err.text[0] != '\0' && utf8_valid(bytes_of(err.text)));
        return 0;
    }
    must(legal(manifest.id, "abcdefghijklmnopqrstuvwxyz0123456789-_"));
    must(legal(manifest.version,
               "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
               "abcdefghijklmnopqrstuvwxyz{|}~"));
    must(strlen(manifest.required) <= 64);
    check_elsewhere(&manifest, data, size);
    return 0;
}
