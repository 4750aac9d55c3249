# SPDX-License-Identifier: MIT
# What a build with COVERAGE=1 needs besides: programs that end by _exit write their
# counters first, and the sandbox of a worker lets it do that. Read by the Makefile.

ifneq ($(COVERAGE),)
counted := $(B)/mcpd $(B)/mcpd-worker $(B)/mcpctl $(unit_bin) $(fuzz_bin)
$(counted): $(B)/tests/coverage/at_exit.o
$(counted): private override LDFLAGS += -Wl,--wrap=_exit
$(B)/mcpd-worker: $(B)/tests/coverage/sandbox.o
$(B)/mcpd-worker: private override LDFLAGS += -Wl,--wrap=sandbox_restrict_files
$(B)/tests/coverage/sandbox.o: private override CPPFLAGS += -DCOUNTERS='"$(abspath $(B))"'
# These do not count themselves.
$(B)/tests/coverage/%.o: private override instrument :=
endif
