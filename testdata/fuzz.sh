#!/usr/bin/env bash
# Fuzzes every target of the project for the given time each. What is found lies in the package's testdata/fuzz.
set -euo pipefail
time=$1
for pkg in $(go list ./...); do
  for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
    echo "fuzz $pkg $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$pkg"
  done
done
