# SPDX-License-Identifier: MIT
# What scripts/check preloads under valgrind; read by the Makefile.

openat2 := $(B)/tests/valgrind/openat2.so $(B)/tests/valgrind/openat2
test-plugins: $(openat2)

$(openat2): openat2_flags = -std=c17 -D_GNU_SOURCE $(warnings) $(CPPFLAGS) -O2 -g
$(B)/tests/valgrind/openat2.so: tests/valgrind/openat2.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,SO)$(CC) $(openat2_flags) -fPIC -fvisibility=hidden -shared $(LDFLAGS) -o $@ $< -ldl -pthread
$(B)/tests/valgrind/openat2: tests/valgrind/openat2.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(openat2_flags) -DOPENAT2_PROGRAM $(LDFLAGS) -o $@ $<
