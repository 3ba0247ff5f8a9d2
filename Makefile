# Targets for people. `make` alone lists them.

GO        ?= go
BIN       := bin/tfq8
NUMBERS   := testdata/numbers
# Packages whose code runs in several goroutines.
RACE      := ./calib ./runtime ./passes ./internal/...
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
FUZZTIME  ?= 30s

export CGO_ENABLED = 0

.PHONY: help build demo test check format vet staticcheck lint race noasm cross current test-tiers generate fuzz bench oracle

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/tfq8
	$(GO) build -o $(BIN) ./cmd/tfq8

demo: build ## convert the embedded model, show what changed, compare FP32 with INT8
	@testdata/demo.sh $(BIN) $(NUMBERS)

test: ## run all tests
	$(GO) test ./...

check: format vet staticcheck noasm race cross current test-tiers ## what must hold before a change lands

format: ## fail if a file is not formatted
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "run gofmt on: $$files"; exit 1; }

vet:
	$(GO) vet ./...
	$(GO) vet -tags noasm ./kernels ./runtime

staticcheck:
	$(GO) tool -modfile=internal/tools/go.mod staticcheck ./...

noasm: ## run the kernel and interpreter tests without assembly
	$(GO) test -short -tags noasm ./kernels ./runtime

race: ## run the concurrent packages under the race detector
	@if command -v cc >/dev/null; then CGO_ENABLED=1 $(GO) test -short -race $(RACE); \
	else echo "race: skipped, the race detector needs a C compiler"; fi

cross: ## build for every platform
	@for p in $(PLATFORMS); do echo "build $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null ./cmd/tfq8 || exit 1; done
	@GOOS=linux GOARCH=386 $(GO) vet ./tensor ./kernels

current: ## fail if generated files or go.mod are not current
	@testdata/current.sh

test-tiers: ## run the kernel tests on every CPU tier, natively or emulated
	@testdata/tiers.sh

generate: ## write the assembly again
	$(GO) generate ./kernels

fuzz: ## fuzz every reader, Compile and Run, and Convert for FUZZTIME (30s) each
	@testdata/fuzz.sh $(FUZZTIME)

bench: build ## time the kernels and models, beside other engines where Python has them; QUICK=1 takes 3 minutes
	$(GO) build -o $(dir $(BIN))turns ./internal/turns
	$(GO) test -c -o $(dir $(BIN))kernels.test ./kernels
ifndef QUICK
	$(dir $(BIN))kernels.test -test.run '^$$' -test.bench 'MatMul|Int8|Attention' -test.benchtime 2x
	$(dir $(BIN))kernels.test -test.run '^$$' -test.bench 'Unary|Binary|Softmax|SumExp|Norm|Reduce|Quantize|TopK' -test.benchtime 100ms
endif
	@testdata/demo.sh $(BIN) $(NUMBERS) --speed
	@testdata/peers/all.sh $(dir $(BIN)) $(if $(QUICK),--quick)

oracle: build ## compare converted graphs with real TensorFlow (needs Python and pip)
	@python=$$(testdata/oracle/setup.sh .cache/oracle) && if test -n "$$python"; then testdata/oracle/all.sh $(BIN) "$$python"; fi
