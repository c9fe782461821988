# Tools of the tests that are built or installed once per machine, outside the clone. Sourced by the
# install scripts, which define fail.
#
# The folder is NARTHEX_CI_CACHE if set, else one in the user's cache folder.

cache=${NARTHEX_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/narthex-ci}

# Runs a build with a low priority in a new folder, unless an earlier one was completed. Arguments:
# the name of the folder, and the command, which gets the path of the folder in addition. A function
# must connect its commands with &&, because set -e has no effect in it.
build_once() {
  local folder=$cache/$1
  shift
  mkdir -p "$cache"
  (
    flock 9
    [[ ! -e $folder/complete ]] || exit 0
    rm -rf "$folder"
    mkdir "$folder"
    renice -n 19 "$BASHPID" >/dev/null
    "$@" "$folder" >&2 && touch "$folder/complete"
  ) 9>"$folder.lock"
}

# Installs the packages of requirements.txt in the current directory for a Python, and prints its
# path. Argument: beginning of the name of the folder.
install_python() {
  local python_info folder
  python3 -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python 3 with venv is missing: install the Debian packages python3 and python3-venv"
  python_info=$(python3 -c 'import sys; print(sys.version, sys.base_prefix)')
  folder=$1-$({ cat requirements.txt; echo "$python_info"; } | sha256sum | cut -c 1-16)
  build_once "$folder" build_python || fail "the packages of requirements.txt cannot be installed"
  printf '%s\n' "$cache/$folder/bin/python"
}

build_python() {
  python3 -m venv "$1" &&
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
      --only-binary :all: --requirement requirements.txt &&
    "$1/bin/python" -m pip check --disable-pip-version-check
}
