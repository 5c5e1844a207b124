#!/usr/bin/env bash
# Generates linkage/v1 from protos/. With --check: fails when the checked-in code is stale.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=.
if [ "${1:-}" = --check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
bin=$(dirname "$(command -v "$python")")
PATH="$bin:$PATH" "$python" -m grpc_tools.protoc -I protos \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
  protos/linkage/v1/*.proto >&2
if [ "${1:-}" = --check ]; then
  if ! diff -r --exclude=__init__.py --exclude=__pycache__ "$out/linkage/v1" linkage/v1; then
    echo "linkage/v1 is stale: run 'make protos' and commit what it writes" >&2
    exit 1
  fi
fi
