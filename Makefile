# What a person does with this repository. `make help` lists it.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
ARCHITECTURE := $(shell uname -m)
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
STATIC_FILE := dist/flota-$(VERSION)-$(ARCHITECTURE)-linux

.PHONY: help setup build demo test check fast bench soak dist install uninstall
.DEFAULT_GOAL := help

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## install what building and testing need, where it is missing
	@scripts/setup.sh

build: ## build the release binary
	$(CARGO) build --release --locked --package flota

demo: build ## run a server, three agents and two jobs (ONCE=1: end by itself)
	$(CARGO) build --release --locked --package flota-kernels --example stitch
	@scripts/demo.sh

test: setup ## everything CI runs: format, lints, all tests, documentation
	@scripts/check.sh all

check: ## as test, without installing anything and without real processes
	@scripts/check.sh quick

fast: ## the tests of the pure crates only, in seconds
	@scripts/check.sh pure

bench: build ## measure
	@scripts/bench.sh

soak: ## look for faults for a long time (SEED, SEEDS, COUNT, …: docs/faults.md)
	@scripts/soak.sh

dist: ## build one static file in dist/
	@scripts/dist.sh "$(STATIC_FILE)"

install: build ## install to PREFIX (/usr/local), below DESTDIR if given
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/doc/flota"
	install -m 755 "$(TARGET_DIR)/release/flota" "$(DESTDIR)$(PREFIX)/bin/flota"
	install -m 644 README.md LICENSE NOTICE "$(DESTDIR)$(PREFIX)/share/doc/flota/"

uninstall: ## remove what install put there, never data
	rm -f "$(DESTDIR)$(PREFIX)/bin/flota"
	rm -rf "$(DESTDIR)$(PREFIX)/share/doc/flota"
