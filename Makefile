# mcpd - see README.md. `make help` lists the targets.

VERSION := 0.1.0

# What people set.
CC       ?= gcc
CFLAGS   ?= -O2 -g
prefix     ?= /usr/local
DESTDIR    ?=

# Builds with a sanitizer live beside the ordinary one.
comma := ,
SANITIZE ?=
B := build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(filter clang%,$(CC)),-clang)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wformat=2 -Wundef
DEV ?=
ifneq ($(DEV),)
WARNINGS += -Werror
endif

PKGS := libmicrohttpd libcjson libsodium
mcpd_cflags := -std=c17 -D_GNU_SOURCE -Icore -Iplugin-api -DMCPD_VERSION='"$(VERSION)"' \
               -pthread -fstack-protector-strong -fno-strict-aliasing $(WARNINGS)
mcpd_ldlibs := -lmicrohttpd -lcjson -lsodium -ldl -lm -pthread
ifneq ($(SANITIZE),)
mcpd_cflags += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -DMCPD_SANITIZE
mcpd_ldflags += -fsanitize=$(SANITIZE)
endif

core_src := $(wildcard core/base/*.c core/json/*.c core/config/*.c core/plugin/*.c core/mcp/*.c core/transport/*.c)
core_obj := $(core_src:%.c=$(B)/%.o)

all: $(B)/mcpd

$(B)/libmcpd.a: $(core_obj)
	rm -f $@ && $(AR) rcs $@ $^

$(B)/mcpd: $(B)/core/mcpd.o $(B)/libmcpd.a
	$(CC) $(mcpd_ldflags) $(LDFLAGS) -rdynamic -o $@ $^ $(mcpd_ldlibs)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(mcpd_cflags) $(CFLAGS) -MMD -MP -c -o $@ $<

# One Check program for each tests/unit/test_*.c.
unit_src := $(wildcard tests/unit/test_*.c)
unit_bin := $(unit_src:%.c=$(B)/%)
$(unit_bin): $(B)/%: $(B)/%.o $(B)/libmcpd.a
	$(CC) $(mcpd_ldflags) $(LDFLAGS) -rdynamic -o $@ $^ -lcheck -lsubunit -lrt $(mcpd_ldlibs)
unit: $(unit_bin)
	@set -e; for t in $(unit_bin); do echo "== $$t"; $$t; done

clean:
	rm -rf build build-*

.PHONY: all unit clean
-include $(shell find $(B) -name '*.d' 2>/dev/null)
