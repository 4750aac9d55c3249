# mcpd - see README.md. `make help` lists the targets.

VERSION := 0.2.0

# ---- What people set --------------------------------------------------------
# The tools, their flags, and where things go; the GNU names. Where `prefix` is
# /usr, configuration and state are in /etc and /var.
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS     ?= -O2 -g
CPPFLAGS   ?=
LDFLAGS    ?=
DESTDIR    ?=
prefix     ?= /usr
bindir     ?= $(prefix)/bin
sbindir    ?= $(prefix)/sbin
libdir     ?= $(prefix)/lib
libexecdir ?= $(prefix)/libexec
includedir ?= $(prefix)/include
datadir    ?= $(prefix)/share
mandir     ?= $(datadir)/man
sysconfdir    ?= $(if $(filter /usr,$(prefix)),/etc,$(prefix)/etc)
localstatedir ?= $(if $(filter /usr,$(prefix)),/var,$(prefix)/var)
plugindir     ?= $(libdir)/mcp/plugins
pkgconfigdir  ?= $(libdir)/pkgconfig
unitdir       ?= $(prefix)/lib/systemd/system
sysusersdir   ?= $(prefix)/lib/sysusers.d
tmpfilesdir   ?= $(prefix)/lib/tmpfiles.d

# Switches: DEV=1 makes warnings errors; SANITIZE=address,undefined or thread;
# COVERAGE=1; FUZZ=1 instruments for libFuzzer (CC=clang); V=1 shows the commands.
# `make run PORT=8081`; `make fuzz FUZZ_SECONDS=600`; `make soak SOAK_SECONDS=3600`.
DEV      ?=
SANITIZE ?=
COVERAGE ?=
FUZZ     ?=
PORT     ?= 8080
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
FUZZ_TARGETS ?=

# ---- Where and how we build -------------------------------------------------
# Builds that differ in kind live beside the ordinary one.
comma := ,
B := build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(FUZZ),-fuzz)$(if $(COVERAGE),-coverage)$(if $(findstring clang,$(CC)),-clang)

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wformat=2 -Wundef $(if $(DEV),-Werror)
instrument := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) \
              $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=undefined) \
              $(if $(FUZZ),-fsanitize=fuzzer-no-link) $(if $(COVERAGE),--coverage -fprofile-update=prefer-atomic -O0)
# _FORTIFY_SOURCE needs an optimising compiler and confuses the sanitizers.
fortify := $(if $(SANITIZE)$(COVERAGE)$(FUZZ),,$(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))

mcpd_cflags := -std=c17 -D_GNU_SOURCE -Icore -Iplugin-api -DMCPD_VERSION='"$(VERSION)"' \
               -DMCPD_SYSCONFDIR='"$(sysconfdir)/mcp"' -DMCPD_PLUGIN_DIR='"$(plugindir)"' \
               -DMCPD_LIBEXEC_DIR='"$(libexecdir)/mcp"' \
               $(if $(SANITIZE),-DMCPD_SANITIZE) \
               -pthread -fPIE -fstack-protector-strong -fno-strict-aliasing $(fortify) $(warnings)
mcpd_ldflags := -pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed
mcpd_ldlibs := -lmicrohttpd -lsodium -lpcre2-8 -lsqlite3 -ldl -lm -pthread

compile = $(CC) $(mcpd_cflags) $(CPPFLAGS) $(CFLAGS) $(instrument)
link    = $(CC) $(mcpd_ldflags) $(LDFLAGS) $(instrument)

# One short line for each file made; with V=1 the whole command.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@; )

core_src := $(wildcard core/base/*.c core/json/*.c core/config/*.c core/store/*.c core/plugin/*.c core/mcp/*.c core/transport/*.c)
core_obj := $(core_src:%.c=$(B)/%.o)
worker_obj := $(patsubst %.c,$(B)/%.o,$(wildcard core/worker/*.c))
ctl_obj := $(patsubst %.c,$(B)/%.o,$(wildcard core/ctl/*.c))
plugin_names := $(notdir $(patsubst %/Makefile,%,$(wildcard plugins/*/Makefile)))
plugin_so := $(plugin_names:%=$(B)/plugins/%.so)

all: $(B)/mcpd $(B)/mcpd-worker $(B)/mcpctl plugins ## Build mcpd, its worker, mcpctl and the bundled plugins into build/ (the default)

# ---- mcpd, mcpd-worker and mcpctl -------------------------------------------
$(B)/mcpd: $(B)/core/mcpd.o $(B)/libmcpd.a
$(B)/mcpd-worker: $(worker_obj) $(B)/libmcpd.a
$(B)/mcpctl: $(ctl_obj) $(B)/libmcpd.a
$(B)/mcpd $(B)/mcpd-worker $(B)/mcpctl:
	$(call say,LINK)$(link) -o $@ $^ $(mcpd_ldlibs)

$(B)/libmcpd.a: $(core_obj) $(B)/members
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $(core_obj)

$(B)/%.o: %.c $(B)/flags | $(B)/libraries
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -MMD -MP -c -o $@ $<

# The schema is part of the program.
$(B)/core/config/schema_text.o: etc/mcpd.schema.json

# Hold the command that compiles, and the names of the library's members: when
# one of them changes, what was made by it is made again.
$(B)/flags: remember = $(compile) : $(link)
$(B)/members: remember = $(core_obj)
$(B)/flags $(B)/members: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(remember))' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# One plain line when a library is missing, instead of a compiler's error.
$(B)/libraries:
	@mkdir -p $(@D)
	@scripts/find-libraries $(CC) $(CPPFLAGS) $(CFLAGS)
	@touch $@

# ---- The bundled plugins ----------------------------------------------------
# Each with plugin-api/plugin.mk alone, as a third party's would be.
plugins: $(plugin_so) ## Build only the bundled plugins
make_plugin = $(MAKE) --no-print-directory -C plugins/$* OUT=$(abspath $(B)/plugins/$*.so) \
    PLUGIN_API=$(abspath plugin-api) CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' LDFLAGS='$(LDFLAGS) $(instrument)' \
    CFLAGS='$(CFLAGS) $(fortify) $(warnings) $(instrument)'
$(plugin_so): $(B)/plugins/%.so: FORCE | $(B)/libraries
	+@$(make_plugin)
# The checks that plugin.mk makes of every plugin, and the plugin's own.
check-plugins: $(plugin_names:%=check-plugin-%) ## plugin.mk's checks of the bundled plugins
$(plugin_names:%=check-plugin-%): check-plugin-%: $(B)/plugins/%.so
	+@$(make_plugin) check

# ---- Tests ------------------------------------------------------------------
# One Check program for each tests/unit/test_*.c; the other files there help them all.
unit_bin := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
unit_help := $(patsubst %.c,$(B)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
$(B)/tests/unit/libhelp.a: $(unit_help) $(B)/flags
	@mkdir -p $(@D)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $(unit_help)
$(unit_bin): $(B)/%: $(B)/%.o $(B)/tests/unit/libhelp.a $(B)/libmcpd.a
	$(call say,LINK)$(link) -o $@ $^ -lcheck -lsubunit -lrt $(mcpd_ldlibs)
unit-programs: $(unit_bin)
unit: $(unit_bin) all ## Build and run the unit tests only
	@B=$(B) scripts/check --only unit

# One program for each tests/fuzz/fuzz_*.c: with FUZZ=1 (and clang) libFuzzer
# drives it, else replay_main.c feeds it the files that it is given.
fuzz_bin := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(fuzz_bin): $(B)/%: $(B)/%.o $(if $(FUZZ),,$(B)/tests/fuzz/replay_main.o) $(B)/libmcpd.a
	$(call say,LINK)$(link) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(mcpd_ldlibs)
fuzz-programs: $(fuzz_bin)

# What each kind of test builds besides: test-plugins, check-abi, ...
include $(wildcard tests/*/*.mk)

JOBS := $(shell nproc 2>/dev/null || echo 2)
parallel = $(MAKE) --no-print-directory -j$(JOBS)

check: ## Install what is missing and run every test
	@scripts/install-dependencies build check
	@scripts/check
check-sanitizers: ## The whole test run again under ASan + UBSan, then TSan
	@scripts/install-dependencies build check
	@scripts/check --sanitizers
check-valgrind: ## The unit tests and the daemon under valgrind
	@scripts/install-dependencies build check
	@scripts/check --valgrind
check-isolated: ## The integration tests with every provider in a worker process
	@scripts/install-dependencies build check
	@scripts/check --isolated
bench: ## Measure mcpd beside a bare handler and the TypeScript server
	@scripts/install-dependencies build bench
	@$(parallel) all
	@B=$(B) tests/bench/run
fuzz: ## Fuzz each parser for FUZZ_SECONDS (60) with libFuzzer (FUZZ_TARGETS="json http")
	@scripts/install-dependencies build fuzz
	@$(parallel) CC=clang SANITIZE=address,undefined FUZZ=1 fuzz-programs
	@scripts/fuzz build-address-undefined-fuzz-clang $(FUZZ_SECONDS) $(FUZZ_TARGETS)
torture: ## Fail each allocation and system call in turn, kill -9 workers and mcpd, under ASan + UBSan too
	@scripts/install-dependencies build check
	@$(parallel) all test-plugins
	@$(parallel) SANITIZE=address,undefined all test-plugins
	@LONG=1 B=$(B) tests/torture/run
	@LONG=1 B=build-address-undefined tests/torture/run alloc files
soak: ## Everything at once for SOAK_SECONDS (3600): load, reloads, kills; memory and descriptors stay
	@scripts/install-dependencies build check
	@$(parallel) all test-plugins
	@SOAK_SECONDS=$(SOAK_SECONDS) B=$(B) tests/torture/run soak
fuzz-coverage: ## Which part of its parser each fuzz target's corpus reaches; fails under 90 %
	@scripts/install-dependencies build
	@$(parallel) COVERAGE=1 B=build-fuzz-coverage fuzz-programs
	@tests/fuzz/coverage build-fuzz-coverage $(FUZZ_TARGETS)
coverage: ## Line and branch coverage of core/ by the whole test run; fails under 85 % of lines
	@scripts/install-dependencies build check coverage
	@$(parallel) COVERAGE=1 all unit-programs test-plugins fuzz-programs
	@scripts/coverage build-coverage
coverage-quick: ## The same by the unit tests and the corpora of fuzzing alone; never fails
	@scripts/install-dependencies build check coverage
	@$(parallel) COVERAGE=1 all unit-programs test-plugins fuzz-programs
	@scripts/coverage build-coverage quick
lint: ## Layers, clang-tidy, cppcheck, format, long functions, scripts, man pages
	@scripts/install-dependencies build lint
	@B=$(B) scripts/lint
format: ## Lay out the C sources with clang-format
	@scripts/install-dependencies lint
	@clang-format -i $$(scripts/c-files)

# ---- Running ----------------------------------------------------------------
run: ## Install what is missing, build, and serve a demo on 127.0.0.1:8080 (PORT=)
	@scripts/install-dependencies build run
	@$(parallel) all
	@B=$(B) PORT=$(PORT) scripts/run-demo
deps: ## Only install what building, running and testing need
	@scripts/install-dependencies build run check

# ---- Installing -------------------------------------------------------------
install_env = B='$(B)' DESTDIR='$(DESTDIR)' libexecdir='$(libexecdir)' bindir='$(bindir)' sbindir='$(sbindir)' plugindir='$(plugindir)' \
    includedir='$(includedir)' pkgconfigdir='$(pkgconfigdir)' datadir='$(datadir)' mandir='$(mandir)' \
    sysconfdir='$(sysconfdir)' localstatedir='$(localstatedir)' unitdir='$(unitdir)' \
    sysusersdir='$(sysusersdir)' tmpfilesdir='$(tmpfilesdir)' prefix='$(prefix)' VERSION='$(VERSION)'
install: all ## Install below $(DESTDIR)$(prefix); never overwrites a configuration
	@$(install_env) scripts/install install
uninstall: ## Remove what install made, and the configuration only if unchanged
	@$(install_env) scripts/install uninstall
dist: ## The committed tree as mcpd-VERSION.tar.gz
	git archive --prefix=mcpd-$(VERSION)/ -o mcpd-$(VERSION).tar.gz HEAD

clean: ## Remove every build directory
	rm -rf build build-*
help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile tests/*/*.mk | expand -t 18
	@echo
	@echo "DEV=1           warnings are errors"
	@echo "SANITIZE=LIST   address,undefined or thread, in a build directory of its own"
	@echo "CC=clang        likewise"
	@echo "V=1             show the commands"
	@echo "prefix= DESTDIR= CFLAGS= LDFLAGS= ... as everywhere"

FORCE:
.DELETE_ON_ERROR:
.PHONY: all plugins check-plugins $(plugin_names:%=check-plugin-%) unit unit-programs fuzz-programs check check-sanitizers check-valgrind check-isolated bench fuzz torture soak \
        fuzz-coverage coverage coverage-quick lint format run deps install uninstall dist clean help FORCE
-include $(patsubst %.o,%.d,$(core_obj) $(ctl_obj) $(worker_obj) $(B)/core/mcpd.o $(unit_bin:=.o) $(unit_help) $(fuzz_bin:=.o))
