# SPDX-License-Identifier: MIT
# What some fuzzers need besides mcpd: the parts of the bundled plugins that they feed,
# and of mcpd-worker. Read by the Makefile. Some functions of the plugins go by the names
# of mcpd's.

fuzz_plugin_flags := -Iplugins/common \
                     -Dbase64_encode=plugin_base64_encode -Dbase64_decode=plugin_base64_decode
$(B)/tests/fuzz/plugins/%.o: plugins/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(compile) $(fuzz_plugin_flags) -MMD -MP -c -o $@ $<

fuzz_common := $(addprefix $(B)/tests/fuzz/plugins/common/,text.o encoding.o)
$(B)/tests/fuzz/fuzz_encoding: $(fuzz_common)

$(B)/tests/fuzz/fuzz_front_matter.o: private override CPPFLAGS += $(fuzz_plugin_flags)
$(B)/tests/fuzz/fuzz_front_matter: private override mcpd_ldlibs += -lyaml
$(B)/tests/fuzz/fuzz_front_matter: $(fuzz_common) \
    $(addprefix $(B)/tests/fuzz/plugins/,skills/front_matter.o common/document.o common/yaml.o common/yaml_types.o)

$(B)/tests/fuzz/fuzz_orders: $(B)/core/worker/calls.o

fuzz_peer := $(addprefix $(B)/tests/fuzz/,peer.o peer_provider.o)
$(B)/tests/fuzz/fuzz_message: $(fuzz_peer)

$(B)/tests/fuzz/fuzz_openapi.o: private override CPPFLAGS += $(fuzz_plugin_flags)
$(B)/tests/fuzz/fuzz_openapi: private override mcpd_ldlibs += -lyaml
$(B)/tests/fuzz/fuzz_openapi: $(fuzz_common) \
    $(addprefix $(B)/tests/fuzz/plugins/,http/openapi.o http/openapi_arguments.o http/openapi_schema.o http/table.o \
    http/words.o common/document.o common/json.o common/yaml.o common/yaml_types.o)

-include $(wildcard $(B)/tests/fuzz/*.d $(B)/tests/fuzz/plugins/*/*.d)
