# SPDX-License-Identifier: MIT
# What one fuzzer needs besides mcpd: the part of plugins/skills that it feeds. Read by
# the Makefile. Some of its functions go by the names of mcpd's.

fuzz_skills := $(addprefix $(B)/tests/fuzz/skills/,front_matter.o yaml.o yaml_types.o text.o encoding.o)
fuzz_skills_flags := -Iplugins/common \
                     -Dbase64_encode=plugin_base64_encode -Dbase64_decode=plugin_base64_decode
build_fuzz_skills = @mkdir -p $(@D); $(compile) $(fuzz_skills_flags) -MMD -MP -c -o $@ $<

$(B)/tests/fuzz/skills/%.o: plugins/skills/%.c $(B)/flags
	$(build_fuzz_skills)
$(B)/tests/fuzz/skills/%.o: plugins/common/%.c $(B)/flags
	$(build_fuzz_skills)
$(B)/tests/fuzz/fuzz_front_matter.o: private override CPPFLAGS += $(fuzz_skills_flags)
$(B)/tests/fuzz/fuzz_front_matter: private override mcpd_ldlibs += -lyaml
$(B)/tests/fuzz/fuzz_front_matter: $(fuzz_skills)
