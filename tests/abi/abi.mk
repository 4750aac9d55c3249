# SPDX-License-Identifier: MIT
# The plugin ABI through the years: tests/abi/1.0 has the header as it was then.
# Included by the Makefile. frozen.so is for the tests of the daemon.

abi_flags := -std=c17 -D_DEFAULT_SOURCE -O2 -g -fPIC -shared -pthread -fvisibility=hidden -Itests/abi/1.0 \
             -Wall -Wextra -Wl,-Bsymbolic,-z,defs,-z,now

$(B)/tests/abi/frozen.so: tests/abi/frozen.c tests/abi/1.0/mcp/plugin.h tests/abi/abi.mk $(B)/flags
	@mkdir -p $(@D)
	$(call say,SO)$(CC) $(abi_flags) -o $@ $<

check-abi: $(B)/tests/abi/frozen.so $(B)/tests/unit/test_abi ## Old plugins load in today's mcpd, and the other way round
	@B=$(B) tests/abi/run
.PHONY: check-abi
