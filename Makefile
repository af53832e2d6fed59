# lmpipe.  `make help` lists the targets.
#
#   make                    build/bin/*
#   make SAN=address,undefined test      build/address-undefined/bin/*, tested
#   make CC=clang WERROR=1  build/clang/bin/*
#
# A tool is tools/X.c, a unit test tests/unit/X.c, a fuzz target tests/fuzz/X.c, a benchmark
# tests/bench/X.c, what tests preload tests/fault/X.c: all found by wildcard.  Options of this machine belong in config.mk.
-include config.mk

comma   := ,
VARIANT := $(subst $(comma),-,$(SAN))$(if $(findstring clang,$(CC)),$(if $(SAN),-)clang)
B       := build$(if $(VARIANT),/$(VARIANT))
O       := $(B)/obj

PREFIX  ?= /usr/local
DESTDIR ?=
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wformat=2 -Wstrict-prototypes \
           -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wwrite-strings \
           -Wcast-qual -Wcast-align -Wconversion -Wno-sign-conversion -Wdouble-promotion \
           $(if $(WERROR),-Werror)
VERSION := 0.1.0
FLAGS   := -std=c11 -fno-common -ffp-contract=off -pthread $(WARN) $(CFLAGS) \
           $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
PKGS    := libarchive libzstd zlib liblzma
CPPFLAGS += -I. -D_GNU_SOURCE -DLMPIPE_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
# MPI is linked into what calls it only.  Asked for when used: `make deps all` installs it first.
MPI_CFLAGS = $(subst -I,-isystem ,$(shell pkg-config --cflags ompi-c 2>/dev/null || mpicc --showme:compile))
MPI_LIBS   = $(shell pkg-config --libs ompi-c 2>/dev/null || mpicc --showme:link)
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lbz2 -lm -Wl,--as-needed $(MPI_LIBS)

# train/kernel/vec*.c are compiled once per instruction set; cpu.h picks one at run time.
VEC_FLAGS    := -O3 -fno-math-errno -ffp-contract=fast
VEC_portable := $(VEC_FLAGS)
VEC_avx2     := $(VEC_FLAGS) -mavx2 -mfma
VEC_avx512   := $(VEC_FLAGS) -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mprefer-vector-width=512
VECS    := portable avx2 avx512
VEC_SRC := $(wildcard train/kernel/vec*.c)

src      = $(wildcard $(1)/*.c $(1)/*/*.c)
COMMON  := $(call src,libcommon)
TRAIN   := $(filter-out $(VEC_SRC),$(call src,train))
TOOLS   := $(patsubst tools/%.c,$(B)/bin/%,$(wildcard tools/*.c))
UNIT    := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*.c))
FAULT   := $(patsubst tests/%.c,$(B)/tests/%.so,$(wildcard tests/fault/*.c))
FUZZ    := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/fuzz/*.c))
BENCH   := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/bench/*.c))
SCRIPTS := $(wildcard tests/*.t tests/cli/*.t)
LIBS    := $(B)/libtrain.a $(B)/libcommon.a

all: $(TOOLS)   ## build every program into build/bin

$(B)/libcommon.a: $(COMMON:%.c=$(O)/%.o)
$(B)/libtrain.a: $(TRAIN:%.c=$(O)/%.o) $(foreach v,$(VECS),$(VEC_SRC:%.c=$(O)/%_$v.o))
$(LIBS):
	@rm -f $@
	@$(AR) rcs $@ $^

$(TOOLS): $(B)/bin/%: $(O)/tools/%.o $(LIBS)
	@mkdir -p $(@D)
	@echo "LD $@"
	@$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(UNIT) $(BENCH): $(B)/tests/%: $(O)/tests/%.o $(LIBS)
	@mkdir -p $(@D)
	@echo "LD $@"
	@$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
# A fuzz target linked with replay.c runs its corpus; `make fuzz` links libFuzzer instead.
$(filter-out %/replay,$(FUZZ)): $(B)/tests/%: $(O)/tests/%.o $(O)/tests/fuzz/replay.o $(LIBS)
	@mkdir -p $(@D)
	@echo "LD $@"
	@$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Preloaded into the programs, so without the sanitizers of the programs.
$(FAULT): $(B)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	@echo "CC $@"
	@$(CC) -std=c11 $(WARN) -O2 -g -fPIC -shared -D_GNU_SOURCE -pthread -o $@ $< -ldl

define vec_rule
$(O)/train/kernel/%_$(1).o: train/kernel/%.c | $(filter deps,$(MAKECMDGOALS))
	@mkdir -p $$(@D)
	@echo "CC $$@"
	@$$(CC) $$(FLAGS) $$(VEC_$(1)) -DVEC_TARGET=$(1) $$(CPPFLAGS) -MMD -MP -c -o $$@ $$<
endef
$(foreach v,$(VECS),$(eval $(call vec_rule,$v)))
# The cache of models is of these sources: tokenizer_cache.h.
SOURCES := $(sort $(foreach d,base format text tokenizer,$(wildcard libcommon/$d/*.[ch])))
$(O)/libcommon/tokenizer/tokenizer_cache.o: CPPFLAGS += -DTOKENIZER_SOURCES='"$(shell cat $(SOURCES) | sha256sum | cut -c 1-16)"'
$(O)/libcommon/tokenizer/tokenizer_cache.o: $(SOURCES)
$(O)/train/dist/comm_mpi.o: CPPFLAGS += $(MPI_CFLAGS)
$(O)/%.o: %.c | $(filter deps,$(MAKECMDGOALS))
	@mkdir -p $(@D)
	@echo "CC $<"
	@$(CC) $(FLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

deps:   ## install the Debian packages that building and testing need
	@tests/deps.sh

test: all $(UNIT) $(FAULT) $(filter-out %/replay,$(FUZZ))   ## every test; closes with N passed, N failed, N skipped
	@B="$(CURDIR)/$(B)" SRC="$(CURDIR)" CC="$(CC)" tests/run.sh

check: ## what a commit must pass: both compilers without a warning, the tests
	$(MAKE) WERROR=1 all
	$(MAKE) WERROR=1 CC=clang all
	$(MAKE) test

demo: all   ## text to a trained, evaluated, generating model, in build/demo
	@B="$(CURDIR)/$(B)" train/recipes/demo.sh build/demo

bench: all $(BENCH)   ## speed against ceilings measured in the same run, TSV
	@B="$(CURDIR)/$(B)" SRC="$(CURDIR)" tests/bench/run.sh

FUZZ_SECONDS ?= 120
fuzz:   ## every parser under libFuzzer, ASan and UBSan, FUZZ_SECONDS each (needs clang)
	@SRC="$(CURDIR)" FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh

fault: all $(FAULT)   ## no memory at every allocation of lmshard, lmtokenize and lminfo
	@B="$(CURDIR)/$(B)" SRC="$(CURDIR)" tests/fault/walk.sh

torture: all   ## kill -9 and disk faults at every step of what writes files
	@B="$(CURDIR)/$(B)" SRC="$(CURDIR)" tests/torture.sh

install: all   ## into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7
	install $(TOOLS) $(DESTDIR)$(PREFIX)/bin
	for s in 1 5 7; do for p in man/*.$$s; do test ! -e "$$p" || \
	    install -m 644 "$$p" $(DESTDIR)$(PREFIX)/share/man/man$$s; done; done

uninstall:   ## remove what install put there
	for t in $(notdir $(TOOLS)); do rm -f "$(DESTDIR)$(PREFIX)/bin/$$t"; done
	for p in $(notdir $(wildcard man/*.[157])); do \
	    rm -f "$(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$$p"; done

clean:   ## remove build/
	rm -rf build

help:   ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' Makefile

.PHONY: all deps test check demo bench fuzz fault torture install uninstall clean help
.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell test -d $(O) && find $(O) -name '*.d')
