# shellcheck shell=bash
# Debian's packages into a folder, with no root rights: sourced by scripts that make a root file system of them. They are
# unpacked, not installed; who sources this does what their scripts would do.
# shellcheck disable=SC2154
# Before it is sourced: arch, and debs, a folder where the packages are kept; its file `list` says which they are.

# apt with a state of its own: nothing is installed already, and the architecture is the only one.
private_apt() { # FOLDER ARGUMENT…
    local at=$1
    shift
    apt-get -q -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Install-Recommends=false \
        -o Dir::State="$at" -o Dir::State::status="$at/status" -o Dir::Cache="$at" -o Dir::Cache::archives="$debs.part" \
        -o APT::Sandbox::User= -o Acquire::Languages=none "$@" >&2
}

# All of them with what they depend on, in $debs. A foreign source that does not answer is no reason to stop.
fetch_packages() { # PACKAGE…
    local at
    [ "$({ xargs <"$debs/list"; } 2>/dev/null)" != "$*" ] || return 0
    at=$(mktemp -d)
    mkdir -p "$at/lists/partial" "$debs.part/partial"
    : >"$at/status"
    private_apt "$at" update || echo "(some source did not answer; going on)" >&2
    private_apt "$at" -y --download-only install "$@"
    rm -r "$at" "$debs.part/partial"
    echo "$*" >"$debs.part/list"
    rm -rf "$debs"
    mv "$debs.part" "$debs"
}

# --keep-directory-symlink: some packages bring a folder where another has brought a link to one.
unpack_packages() { # TREE
    local deb
    for deb in "$debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$1" --keep-directory-symlink --no-same-owner
    done
}
