# SPDX-License-Identifier: MIT
# The programs of the bench; read by the Makefile.

bench_programs := $(B)/tests/bench/bare $(B)/tests/bench/streams $(B)/tests/bench/pg
bench-programs: $(bench_programs) $(B)/tests/bench/isolated $(B)/tests/bench/pool $(B)/tests/integration/load

# Beside it the program that it starts; it is made of mcpd's own parts.
$(B)/tests/bench/isolated: $(B)/tests/bench/isolated.o $(B)/libmcpd.a | $(B)/mcpd-worker
	@ln -sf ../../mcpd-worker $(@D)/mcpd-worker
	$(call say,LINK)$(link) -o $@ $(filter %.o %.a,$^) $(mcpd_ldlibs)

$(B)/tests/bench/pool: $(B)/tests/bench/pool.o $(B)/libmcpd.a
	$(call say,LINK)$(link) -o $@ $^ $(mcpd_ldlibs)

$(bench_programs): $(B)/tests/bench/%: tests/bench/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE $(warnings) $(CPPFLAGS) $(CFLAGS) $(if $(filter %/pg,$@),$(shell pkg-config --cflags libpq)) $(LDFLAGS) -o $@ $< \
	    $(if $(filter %/bare,$@),-lmicrohttpd -lcjson) $(if $(filter %/pg,$@),-lpq) -pthread

.PHONY: bench-programs
