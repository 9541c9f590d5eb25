#!/usr/bin/env bash
# Installs OpenLDAP's server and tools from Debian, unless they are there. Nothing is started: each test starts a server
# of its own.
set -euo pipefail

if [ -x /usr/sbin/slapd ] && command -v ldapwhoami >/dev/null; then
  exit 0
fi
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update --quiet
# The package starts its own server where it can; a policy of 101 says that it must not.
policy=/usr/sbin/policy-rc.d
placed=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  placed=1
fi
status=0
"${as_root[@]}" apt-get install --yes --no-install-recommends slapd ldap-utils || status=$?
[ -z "$placed" ] || "${as_root[@]}" rm -f "$policy"
exit "$status"
