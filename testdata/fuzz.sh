#!/usr/bin/env bash
# Fuzzes every target of the project for the given time each, on all cores or on $FUZZCORES. What is found lies in the package's
# testdata/fuzz; one find does not stop the others.
set -euo pipefail
time=$1
found=()
for pkg in $(go list ./...); do
  for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
    echo "fuzz $pkg $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x ${FUZZCORES:+-parallel "$FUZZCORES"} "$pkg" ||
      found+=("$pkg $target")
  done
done
if ((${#found[@]})); then
  printf 'fuzz: failed: %s\n' "${found[@]}"
  exit 1
fi
