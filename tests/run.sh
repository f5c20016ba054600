#!/bin/bash
# Runs everything a reviewer would: formatting, lints, licenses, docs, and all tests, those on real hosts and brokers
# included. As root on Debian it installs what is missing; anywhere else it says what is missing and stops. Nothing is
# skipped. Everything is built in one profile for one target, those of the shipped worker.
#
# Usage: tests/run.sh [NAME]    NAME: run only the tests with this in their names (the checks run anyway)
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
build=(--release --target "$target")
cargo_deny=0.18.9
tools=${XDG_CACHE_HOME:-$HOME/.cache}/provision-testbed/tools
# A test that hangs must not take the hour that the whole run may last.
test_limit=40m

set -a
. worker/static.env
set +a
export RUSTDOCFLAGS='-D warnings' CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

main() {
    trap 'report $?' EXIT
    # Without these, bash would report a run that was ended from outside as a success.
    trap 'exit 130' INT
    trap 'exit 143' TERM
    need 'packages' install_packages
    need 'cargo-deny' install_cargo_deny
    check 'format' cargo fmt --all --check
    check 'dependencies' "$tools/bin/cargo-deny" --log-level error check bans licenses sources
    check 'lints' cargo clippy --workspace --all-targets --quiet "${build[@]}" -- -D warnings
    check 'docs' cargo doc --workspace --no-deps --quiet "${build[@]}"
    need 'build' cargo build --workspace --all-targets --quiet "${build[@]}"
    need 'images' "target/$target/release/testbed" images
    check 'tests' timeout --kill-after=30s "$test_limit" \
        cargo test --workspace --no-fail-fast "${build[@]}" -- --test-threads=2 "$@"
    [ -z "$failed" ]
}

# A step that the others rest on: its failure ends the run.
need() {
    check "$@"
    [ "$status" -eq 0 ] || exit 1
}

# A step of its own: its failure fails the run, and the rest is still worth knowing.
times=() failed=
check() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    # Not in a condition: there, a function would go on after its first failure.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    [ "$status" -eq 0 ] || failed+=" $name"
    times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
}

report() {
    printf '\n== where the time went\n'
    printf '%s\n' ${times[@]+"${times[@]}"}
    printf '%5d s  in all, exit code %d%s\n' "$SECONDS" "$1" "${failed:+, failed:$failed}"
}

# What is needed: a file or a program, and Debian's package that has it.
needs() {
    cat <<'END'
cc                                    build-essential
make                                  build-essential
pkg-config                            pkg-config
/usr/include/openssl/ssl.h            libssl-dev
/usr/lib/x86_64-linux-gnu/libssl.a    libssl-dev
/usr/include/zlib.h                   zlib1g-dev
python3                               python3-minimal
openssl                               openssl
ssh                                   openssh-client
ip                                    iproute2
setpriv                               util-linux
javac                                 default-jdk-headless
keytool                               default-jre-headless
mvn                                   maven
/usr/lib/postgresql/*/bin/postgres    postgresql
dockerd                               docker.io
docker                                docker-cli|docker.io
iptables                              iptables
debootstrap                           debootstrap
END
}

install_packages() {
    command -v cargo >/dev/null || { echo 'missing: cargo (install Rust with rustup, see https://rustup.rs)'; return 1; }
    local missing log=target/packages.log
    missing=$(missing_packages)
    [ -n "$missing" ] || { echo 'everything is there'; return; }
    # shellcheck disable=SC2086 # a list of words
    if [ "$(id -u)" -eq 0 ] && grep -q '^ID=debian' /etc/os-release; then
        apt-get -qq update
        mkdir -p target
        # A server that starts by itself would take ports and memory that nobody asked for.
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install --yes --no-install-recommends \
            -o Dpkg::Use-Pty=0 $(names_known_here $missing) >"$log" || { tail -n 40 "$log"; return 1; }
        missing=$(missing_packages)
        [ -z "$missing" ] || { echo "still missing after the installation: $missing"; return 1; }
    else
        echo 'missing, by the names of Debian packages:' $missing
        echo 'as root on Debian this script installs them itself'
        return 1
    fi
}

missing_packages() {
    while read -r thing package; do
        case $thing in
            # A pattern stands for whichever version is there.
            /*) compgen -G "$thing" >/dev/null || echo "$package" ;;
            *) command -v "$thing" >/dev/null || echo "$package" ;;
        esac
    done < <(needs) | sort --unique | paste --serial --delimiters=' '
}

# Of `A|B`, the first that this release of Debian has.
names_known_here() {
    local choice name
    for choice in "$@"; do
        for name in ${choice//|/ }; do
            if apt-cache show "$name" >/dev/null 2>&1; then
                echo "$name"
                break
            fi
        done
    done
}

install_cargo_deny() {
    local has
    has=$("$tools/bin/cargo-deny" --version 2>/dev/null || true)
    [ "$has" = "cargo-deny $cargo_deny" ] && { echo "$has is there"; return; }
    # It runs for a second, so it is not worth optimizing; and it is no part of what is built here.
    env --unset=RUSTFLAGS CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install --quiet --locked --debug --force --root "$tools" "cargo-deny@$cargo_deny"
}

main "$@"
