# SPDX-License-Identifier: MIT
# make, make check, make demo, make lint, make help; V=1 shows whole commands.
include config.mk

# Another variant (sanitizers, coverage, another compiler) is another BUILD.
BUILD = build
BIN = $(if $(filter build,$(BUILD)),hako,$(BUILD)/hako)
JOBS = $(shell nproc)
FUZZ_SECONDS = 60
PYTHON = PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3

MAIN = src/main.c
# Stands in for libmnl's archive where there is none: see the probe below.
MNL = src/sys/mnl.c
SOURCES = $(filter-out $(MNL),$(sort $(wildcard src/cmd/*.c src/oci/*.c src/run/*.c src/layer/*.c src/sys/*.c)))
UNITS = $(sort $(wildcard tests/unit/test_*.c))
FUZZERS = $(sort $(wildcard tests/fuzz/fuzz_*.c))
MANUALS = $(sort $(wildcard man/*.[1-8]))

OBJECTS = $(SOURCES:%.c=$(BUILD)/%.o)
UNIT_PROGRAMS = $(UNITS:%.c=$(BUILD)/%)
FUZZ_PROGRAMS = $(FUZZERS:%.c=$(BUILD)/%)

PIE = -fPIE
LINK_PIE = -pie
WARNINGS = -Wall -Wextra -Wformat=2 -Wvla -Wshadow -Wconversion -Wmissing-prototypes \
	-Wstrict-prototypes -Wno-missing-field-initializers
PREPROCESS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DHAKO_VERSION='"$(VERSION)"' -Iinclude $(PKG_CFLAGS)
COMPILE = $(CC) -std=gnu11 $(PREPROCESS) $(WARNINGS) $(KNOWN_HARDENING) $(PIE) \
	-ffunction-sections -fdata-sections $(CFLAGS)
# -z now: binding all 175 symbols at once costs 0.02 of 0.86 ms when libc is shared,
# and nothing in a static hako; worth a table that cannot be written to.
LINK = $(LINK_ANY) $(LINK_PIE)
LINK_ANY = $(CC) $(KNOWN_HARDENING) $(CFLAGS) -Wl,-z,relro,-z,now,-z,noexecstack \
	-Wl,--gc-sections -Wl,--as-needed -Wl,--hash-style=gnu $(LDFLAGS)

silent = $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(filter 1,$(V)),,@$(if $(silent),,printf '  %-7s %s\n' $(1) $@;))
submake = $(MAKE) --no-print-directory

all: $(BIN)

# --- the machine -------------------------------------------------------------

# What this compiler knows and which libraries have an archive is asked once, and
# again when the answer could be another one. Wrappers below need no answer. The one
# library that distributions seldom have as an archive would make every start slower
# by its loader: for a static hako, the few functions of it are at hand.
WRAPPERS = help format check check-unit check-integration check-guest check-engines memcheck lint format san fuzz cov bench demo \
	dist clean uninstall
ifneq ($(filter-out $(WRAPPERS),$(or $(MAKECMDGOALS),all)),)
PROBED_FOR := $(subst ",,$(CC) $(CFLAGS) $(LDFLAGS) $(HARDENING) $(PIE) $(PKGS) $(LINKAGE) $(VERSION))
-include $(BUILD)/probe.mk
ifneq ($(PROBED),$(PROBED_FOR))
$(BUILD)/probe.mk: FORCE
endif
endif

$(BUILD)/probe.mk: Makefile config.mk
	@mkdir -p $(@D)
	@command -v pkg-config >/dev/null || { echo 'pkg-config is missing: tests/install-deps build' >&2; exit 1; }
	@pkg-config --print-errors --exists $(PKGS) || { echo 'see tests/install-deps build' >&2; exit 1; }
	@knows() { echo 'int main(void) { return 0; }' | $(CC) -include stdio.h -O2 -Werror "$$@" -x c -o $@.out - 2>/dev/null; }; \
	archive() { for f in lib$$1_s.a lib$$1.a; do f=$$($(CC) -print-file-name=$$f); [ -f $$f ] && echo $$f && return; done; echo -l$$1; }; \
	flags= libs=; for f in $(HARDENING); do \
		case $$f in -D_FORTIFY_SOURCE=*) knows -U_FORTIFY_SOURCE $$f || f=-D_FORTIFY_SOURCE=2; f="-U_FORTIFY_SOURCE $$f";; \
		*) knows $$f || continue;; esac; flags="$$flags $$f"; done; \
	for l in $$(pkg-config --libs-only-l $(PKGS)); do \
		[ $(LINKAGE) != shared ] && l=$$(archive $${l#-l}); \
		[ $(LINKAGE)$$l != static-lmnl ] || l=$(MNL:%.c=$(BUILD)/%.o); libs="$$libs $$l"; done; \
	linkage=$(LINKAGE); [ $$linkage != static ] || case $$libs in *" -l"*) linkage=archives;; esac; \
	[ $$linkage != static ] || knows -static-pie || linkage=archives; \
	case $$(echo __x86_64__ __aarch64__ | $(CC) -E -P -) in *1*) entry=hako_entry;; *) entry=_start;; esac; \
	printf '%s\n' 'PROBED := $(PROBED_FOR)' "KNOWN_LINKAGE := $$linkage" "KNOWN_ENTRY := $$entry" "KNOWN_HARDENING :=$$flags" \
		"PKG_CFLAGS := $$(pkg-config --cflags $(PKGS))" \
		"PKG_LIBS := $$(pkg-config --libs-only-L $(PKGS))$$libs" >$@; rm -f $@.out

OWN_OBJECTS = $(filter %.o,$(PKG_LIBS))

# --- objects and programs ---------------------------------------------------

$(BIN): $(BUILD)/src/main.o $(ADDED:%.c=$(BUILD)/%.o) $(BUILD)/libhako.a | $(OWN_OBJECTS)
	$(call say,LD)$(LINK_ANY) $(if $(filter static,$(KNOWN_LINKAGE)),$(STATIC_LINK),$(LINK_PIE)) -o $@ $^ $(PKG_LIBS)

# Without a loader, and with an entry of our own before libc's, where src/sys/entry.c has one.
STATIC_LINK = -static-pie -Wl,-u,$(KNOWN_ENTRY) -Wl,-e,$(KNOWN_ENTRY)

# Everything but main(): what unit tests and fuzzers link.
$(BUILD)/libhako.a: $(OBJECTS)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $(OBJECTS)

$(BUILD)/%.o: %.c $(BUILD)/probe.mk
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/src/run/version.o: PREPROCESS += -DHAKO_COMMIT='"$(COMMIT)"'
$(BUILD)/src/run/version.o: $(wildcard .git/HEAD .git/logs/HEAD)
COMMIT = $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),unknown)

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libhako.a | $(OWN_OBJECTS)
	$(call say,LD)$(LINK) -o $@ $^ $(PKG_LIBS) -lcmocka

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libhako.a | $(OWN_OBJECTS)
	$(call say,LD)$(LINK) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

$(BUILD)/tests/bench/timer: tests/bench/timer.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -o $@ $<

$(BUILD)/tests/bench/floor: tests/bench/floor.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -static -s -o $@ $<

units: $(UNIT_PROGRAMS)
fuzzers: $(FUZZ_PROGRAMS)
benchers: $(BUILD)/tests/bench/timer $(BUILD)/tests/bench/floor

.SECONDARY:
-include $(shell find $(BUILD)/src $(BUILD)/tests -name '*.d' 2>/dev/null)

compile_commands.json: FORCE
	@{ sep='['; for f in $(MAIN) $(SOURCES) $(UNITS); do \
		printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' "$$sep" '$(CURDIR)' \
			$$f '$(subst ','\'',$(subst ",\",$(subst \,\\,$(COMPILE))))' $$f; sep=','; done; echo ']'; } >$@

# For tests/lint/run: the flags that make a source readable to another tool.
preprocess-flags: $(BUILD)/probe.mk
	@echo '$(subst ','\'',-std=gnu11 $(PREPROCESS))'

# --- tests ------------------------------------------------------------------

CHECK = $(PYTHON) tests/harness/check.py --jobs $(JOBS)

check:
	@tests/install-deps build tests guest
	@$(submake) -j$(JOBS) all units
	@$(CHECK) --unit $(UNIT_PROGRAMS) --integration tests

check-unit:
	@$(submake) -j$(JOBS) units
	@$(CHECK) --unit $(UNIT_PROGRAMS)

check-integration:
	@$(submake) -j$(JOBS) all
	@$(CHECK) --integration tests

check-guest:
	@tests/install-deps build tests guest
	@$(submake) -j$(JOBS) all
	@$(CHECK) --integration tests/test_guest.py

# A guest for each word, two at a time; ENGINES: what pytest shall run there. Other runtimes,
# and systemd, have the essential tests, with ENGINES=--whole all; NAME@MARK has those of a mark,
# NAME@~MARK the others. What takes long runs with --whole only.
RUNTIMES = hako hako:systemd crun,runc
ENGINES =
check-engines:
	@tests/install-deps build engines
	@$(submake) -j$(JOBS) all
	@$(PYTHON) tests/harness/check.py --jobs 2 --engines $(RUNTIMES) --select "$(ENGINES)"

memcheck:
	@tests/install-deps build tests
	@$(submake) -j$(JOBS) units
	@$(CHECK) --memcheck $(UNIT_PROGRAMS)

lint:
	@tests/install-deps build tests lint
	@tests/lint/run

format:
	clang-format -i $(MAIN) $(SOURCES) $(wildcard include/hako/*.h tests/*/*.c)

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=undefined
# Not relocated, and with the sanitizers linked in, it starts in two thirds of the time.
VARIANT_SAN = BUILD=build/san LINKAGE=archives CFLAGS='-O1 -g -fno-omit-frame-pointer $(SANITIZE)' HARDENING= \
	ADDED=tests/san/options.c PIE=-fno-pie LINK_PIE='-no-pie -static-libasan -static-libubsan'
VARIANT_FUZZ = BUILD=build/fuzz LINKAGE=archives CC=clang CFLAGS='-O1 -g -fsanitize=fuzzer-no-link $(SANITIZE)' HARDENING=
VARIANT_COV = BUILD=build/cov LINKAGE=archives CFLAGS='-O0 -g --coverage' HARDENING=

san:
	@tests/install-deps build tests guest
	@$(submake) -j$(JOBS) $(VARIANT_SAN) all units
	@HAKO=build/san/hako HAKO_TIMEOUT_SCALE=4 $(CHECK) \
		--unit $(UNITS:%.c=build/san/%) --integration tests

fuzz:
	@tests/install-deps build lint
	@$(submake) -j$(JOBS) $(VARIANT_FUZZ) fuzzers
	@$(CHECK) --fuzz-seconds $(FUZZ_SECONDS) --fuzz $(FUZZERS:%.c=build/fuzz/%)

cov:
	@tests/install-deps build tests
	@$(submake) -j$(JOBS) $(VARIANT_COV) all units
	@find build/cov -name '*.gcda' -delete
	@HAKO=build/cov/hako HAKO_COVERAGE=$(CURDIR)/build/cov $(CHECK) --unit $(UNITS:%.c=build/cov/%) --integration tests || true
	@$(PYTHON) tests/harness/coverage.py build/cov

bench:
	@tests/install-deps build bench
	@$(submake) -j$(JOBS) all benchers
	@$(PYTHON) tests/bench/bench.py $(BENCH)

demo:
	@tests/install-deps build demo
	@$(submake) -j$(JOBS) all
	@tests/demo/demo.sh

# --- packaging --------------------------------------------------------------

install: $(BIN)
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/hako
	for m in $(MANUALS); do install -D -m 644 $$m $(DESTDIR)$(MANPREFIX)/man$${m##*.}/$${m##*/}; done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/hako
	for m in $(MANUALS); do rm -f $(DESTDIR)$(MANPREFIX)/man$${m##*.}/$${m##*/}; done

dist:
	git archive --prefix=hako-$(VERSION)/ -o hako-$(VERSION).tar.gz HEAD

clean:
	rm -rf build hako compile_commands.json hako-$(VERSION).tar.gz

help:
	@echo 'all check check-unit check-integration check-guest check-engines memcheck lint format san fuzz cov bench demo'
	@echo 'install uninstall dist clean compile_commands.json; V=1 shows commands'
	@echo 'JOBS=$(JOBS) FUZZ_SECONDS=$(FUZZ_SECONDS) HAKO_MUST_RUN=1 (a skipped test fails) BENCH="--help"'
	@echo 'HAKO_PROVE=1 (each property of config.json is left out, and its test must fail: test_properties.py)'
	@echo 'RUNTIMES="hako:systemd crun" ENGINES="--whole -k exec" (of check-engines)'

FORCE:
.PHONY: all units fuzzers benchers format install preprocess-flags FORCE $(WRAPPERS)
