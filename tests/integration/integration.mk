# SPDX-License-Identifier: MIT
# What the integration tests and the bench need besides mcpd; read by the
# Makefile. The plugins go where those of tests/plugins go.

integration_so := $(patsubst tests/integration/plugins/%.c,$(B)/tests/plugins/%.so,$(wildcard tests/integration/plugins/*.c))
integration_tools := $(patsubst tests/integration/%.c,$(B)/tests/integration/%,$(wildcard tests/integration/*.c))
test-plugins: $(integration_so) $(integration_tools)

$(integration_so): $(B)/tests/plugins/%.so: tests/integration/plugins/%.c $(wildcard plugin-api/mcp/*.h) $(B)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -Iplugin-api $(warnings) $(CPPFLAGS) $(CFLAGS) $(instrument) \
	    -fPIC -fvisibility=hidden -shared -Wl,-z,now $(LDFLAGS) -o $@ $< -pthread

$(integration_tools): $(B)/tests/integration/%: tests/integration/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE $(warnings) $(CPPFLAGS) -O2 $(if $(filter %/runaway,$@),$(shell pkg-config --cflags libpq)) $(LDFLAGS) -o $@ $< \
	    $(if $(filter %/runaway,$@),-lpq -pthread)

overload: ## Ten times the load for a minute, and 1,000 streams that nobody reads
	@scripts/install-dependencies build check
	@$(parallel) all test-plugins
	@B=$(B) PRESSURE_SECONDS=60 RESTARTS=100 tests/integration/run pressure restart

.PHONY: overload test-plugins
