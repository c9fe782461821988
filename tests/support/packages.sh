# Debian packages of the tests. Sourced by scripts that define say, fail and missing_packages, which
# prints the packages of missing programs.

# Installs what is missing, as root on Debian. Elsewhere fails, and names it.
install_missing_packages() {
  local missing
  mapfile -t missing < <(missing_packages | tr ' ' '\n')
  ((${#missing[@]})) || return 0
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    fail "missing programs of Debian packages: ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  install_packages "${missing[@]}"
  mapfile -t missing < <(missing_packages | tr ' ' '\n')
  ((${#missing[@]} == 0)) || fail "still missing after the installation: ${missing[*]}"
}

# Installs packages without starting their services, unless the system has its own policy.
install_packages() (
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends "$@"
)
