# shellcheck shell=bash disable=SC2034
# Shared by ./demo and ./check (sourced): installs Debian packages that are missing, and builds.

BUILD_PACKAGES="build-essential cmake ninja-build pkg-config
    libzydis-dev libcapstone-dev libsdl2-dev libncurses-dev libpng-dev libjson-c-dev libslirp-dev
    libadplug-dev libnbd-dev libvncserver-dev libxkbcommon-dev"
RUN_PACKAGES="seabios qemu-utils"

say() {
    printf '%s\n' "$*" >&2
}

stop() {
    say "${0##*/}: $*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Prints those of the packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' ||
            echo "$package"
    done
}

# A foreign source that does not answer is no reason to stop: what we need comes from Debian's own.
update_lists() {
    [ -z "${lists_updated-}" ] || return 0
    say "Updating the package lists."
    as_root apt-get -q update >&2 || say "(some source did not answer; going on)"
    lists_updated=yes
}

# Installs what is missing; asks the network only then.
need_packages() {
    local missing
    command -v apt-get >/dev/null ||
        stop "this is no Debian (no apt-get): install by hand: $*"
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        stop "some packages are missing, and I am not root and see no sudo. As root, first:
apt-get install" $missing
    say "Installing:" $missing
    update_lists
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
        $missing >&2 || stop "could not install:" $missing
}

# build PRESET [TARGET…]: into the preset's folder; quiet unless it fails.
build() {
    local preset=$1 folder log
    shift
    folder=build
    [ "$preset" = release ] || folder=build-$preset
    mkdir -p "$folder"
    log=$folder/build.log
    say "Building ($preset)."
    if ! { cmake --preset "$preset" && ninja -C "$folder" "$@"; } >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        stop "the build failed; all of its output is in $log"
    fi
}
