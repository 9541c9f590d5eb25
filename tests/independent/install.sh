#!/usr/bin/env bash
# Installs the Python libraries that verify our signatures, exactly as pinned. They are kept in a cache outside the
# repository, one virtual environment for each list, so a second run and a fresh clone only set a link.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

key=$(cat requirements.txt <(python3 --version) | sha256sum | cut -c1-32)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/acople-independent"

if [ ! -x "$cache/$key/done" ]; then
  mkdir -p "$cache"
  # Programs of an environment name its folder, so it is made in its place; `done` says that it is whole.
  python3 -m venv --clear "$cache/$key"
  "$cache/$key/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r requirements.txt
  install -m 755 /dev/null "$cache/$key/done"
fi
ln -sfn "$cache/$key" venv
