/* SPDX-License-Identifier: MIT */
/*
 * Landlock as the kernel knows it, also where the C library's headers are older than
 * the kernel: numbers of linux/landlock.h, by the version of the ABI that brought
 * them; and which machines the filter of system calls knows.
 */
#ifndef PLUGIN_LANDLOCK_H
#define PLUGIN_LANDLOCK_H

#include <linux/audit.h>
#include <stdint.h>
#include <sys/syscall.h>

/* Since Linux 5.13, the same on every machine. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#ifndef LANDLOCK_CREATE_RULESET_VERSION
#define LANDLOCK_CREATE_RULESET_VERSION (1U << 0)
#endif

/* struct landlock_ruleset_attr, whole; the kernel takes more than it knows if the rest
 * is 0. */
struct sandbox_ruleset {
    uint64_t files;
    uint64_t network; /* since version 4 */
    uint64_t scoped; /* since version 6 */
};

/* struct landlock_path_beneath_attr */
struct sandbox_beneath {
    uint64_t access;
    int32_t parent_fd;
} __attribute__((packed));
#define SANDBOX_RULE_BENEATH 1

enum {
    LANDLOCK_ABI_REFER = 2,
    LANDLOCK_ABI_TRUNCATE = 3,
    LANDLOCK_ABI_NETWORK = 4,
    LANDLOCK_ABI_IOCTL = 5,
    LANDLOCK_ABI_SCOPE = 6
};

#define FILE_EXECUTE (UINT64_C(1) << 0)
#define FILE_WRITE (UINT64_C(1) << 1)
#define FILE_READ (UINT64_C(1) << 2)
#define DIRECTORY_READ (UINT64_C(1) << 3)
#define REMOVE_DIRECTORY (UINT64_C(1) << 4)
#define REMOVE_FILE (UINT64_C(1) << 5)
#define MAKE_CHARACTER (UINT64_C(1) << 6)
#define MAKE_DIRECTORY (UINT64_C(1) << 7)
#define MAKE_FILE (UINT64_C(1) << 8)
#define MAKE_SOCKET (UINT64_C(1) << 9)
#define MAKE_FIFO (UINT64_C(1) << 10)
#define MAKE_BLOCK (UINT64_C(1) << 11)
#define MAKE_SYMLINK (UINT64_C(1) << 12)
#define FILE_REFER (UINT64_C(1) << 13) /* link or rename to another directory */
#define FILE_TRUNCATE (UINT64_C(1) << 14)
#define DEVICE_IOCTL (UINT64_C(1) << 15)

#define TCP_BIND (UINT64_C(1) << 0)
#define TCP_CONNECT (UINT64_C(1) << 1)

#define SCOPE_ABSTRACT_SOCKETS (UINT64_C(1) << 0)
#define SCOPE_SIGNALS (UINT64_C(1) << 1)

/* Machines whose first argument of clone is the flags, and whose numbers we compiled. */
#if defined(__x86_64__)
#define SANDBOX_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SANDBOX_AUDIT_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define SANDBOX_AUDIT_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SANDBOX_AUDIT_ARCH AUDIT_ARCH_PPC64LE
#endif

#endif
