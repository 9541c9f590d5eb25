#!/usr/bin/env bash
# Installs the packages of the SAML identity provider exactly as locked. They are
# kept in a cache outside the repository, one folder for each lockfile, so a
# second run and a fresh clone only set a link.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

key=$(cat package-lock.json .npmrc | sha256sum | cut -c1-32)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/acople-saml-idp"

if [ ! -d "$cache/$key/node_modules" ]; then
  mkdir -p "$cache"
  # Installed aside and renamed, so an interrupted run leaves nothing half done.
  staging=$(mktemp -d "$cache/staging.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  cp package.json package-lock.json .npmrc "$staging/"
  (cd "$staging" && npm ci --no-progress)
  mv -T "$staging" "$cache/$key" 2>/dev/null || [ -d "$cache/$key/node_modules" ]
fi

# A real folder stems from a bare `npm install`; npm ci would replace it too.
[ -L node_modules ] || rm -rf node_modules
ln -sfn "$cache/$key/node_modules" node_modules
