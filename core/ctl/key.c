/* SPDX-License-Identifier: MIT */
/* mcpctl key new: a line for the file of keys that seal request states. */
#include <stdio.h>
#include <time.h>

#include "base/crypto.h"
#include "ctl/ctl.h"

#define KEY_SIZE 32
#define ID_MAX 32

static bool id_is_legal(struct bytes id)
{
    for (size_t i = 0; i < id.size; i++) {
        char c = id.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '-')
            return false;
    }
    return id.size >= 1 && id.size <= ID_MAX;
}

/* The day, to see how old a key is, and a part that two of one day do not share. */
static void make_id(char id[ID_MAX + 1])
{
    time_t now = time(NULL);
    struct tm day;
    unsigned char random[4];

    gmtime_r(&now, &day);
    crypto_random(random, sizeof(random));
    size_t size = strftime(id, ID_MAX + 1, "%Y%m%d-", &day);
    for (size_t i = 0; i < sizeof(random); i++)
        size += (size_t)snprintf(id + size, ID_MAX + 1 - size, "%02x", random[i]);
}

static enum ctl_status key_new(const struct ctl_command *command, int argc, char **argv)
{
    const char *id = NULL;
    const struct ctl_option options[] = {{.name = "--id", .value = &id}, {.name = NULL}};
    char made[ID_MAX + 1], text[(KEY_SIZE + 2) / 3 * 4 + 1];
    unsigned char key[KEY_SIZE];

    if (!ctl_read_options(command, &argc, argv, options))
        return CTL_UNUSABLE;
    if (argc > 0)
        return ctl_misuse(command, "unexpected argument \"%s\"", argv[0]);
    if (id != NULL && !id_is_legal(bytes_of(id)))
        return ctl_misuse(command, "--id: expected 1 to %d of A-Z a-z 0-9 _ -, got \"%s\"", ID_MAX,
                          id);
    if (id == NULL)
        make_id(made);
    crypto_random(key, sizeof(key));
    base64_encode(key, sizeof(key), text);
    printf("%s %s\n", id != NULL ? id : made, text);
    return CTL_YES;
}

const struct ctl_command ctl_key_new = {
    .name = "key new",
    .arguments = "[--id ID]",
    .summary = "make a key for request_state.key_file",
    .help = "Prints one line, \"ID KEY\": 32 random bytes in Base64, for the file that\n"
            "request_state.key_file names. To change keys, put the new line first: the\n"
            "first key seals, all of them open.\n"
            "\n"
            "      --id ID   how the key is called (today's date and a random part)\n"
            "\n"
            "  (umask 077; mcpctl key new >/etc/mcp/request-state.keys)\n",
    .run = key_new,
};
