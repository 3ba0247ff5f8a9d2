#!/usr/bin/env bash
# Fails if generating the assembly or tidying the modules would change a file.
set -euo pipefail
before=$(git ls-files -s kernels go.mod go.sum | git hash-object --stdin; git diff -- kernels go.mod go.sum | git hash-object --stdin)
go generate ./kernels
go mod tidy
after=$(git ls-files -s kernels go.mod go.sum | git hash-object --stdin; git diff -- kernels go.mod go.sum | git hash-object --stdin)
if [ "$before" != "$after" ]; then
  echo "generated files or go.mod were not current; commit what changed:" >&2
  git diff --stat -- kernels go.mod go.sum >&2
  exit 1
fi
echo "generated files and go.mod are current"
