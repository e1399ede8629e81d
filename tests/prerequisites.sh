# What the sections of tests/run and benches/run need from the machine, and how it gets there. Both read this file.

# need SECTIONS WHAT SOURCE COMMAND…: notes that WHAT is missing if this run has one of the SECTIONS and COMMAND fails.
# A SOURCE that starts with apt-get or rustup is what installs it; any other SOURCE is advice.
need() {
  local sections=$1 what=$2 source=$3
  shift 3
  [[ $section == all || " $sections " == *" $section "* ]] || return 0
  "$@" >/dev/null 2>&1 && return 0
  missing+=("$what")
  sources+=("$source")
}

look_around() {
  # Rust is installed in the open, like everything else, not by the first command that misses it.
  local -x RUSTUP_AUTO_INSTALL=0
  missing=() sources=()
  need 'fmt lint unit e2e bench' 'Rust' 'see https://rustup.rs' command -v cargo
  need 'fmt lint unit e2e bench' 'the Rust of rust-toolchain.toml' 'rustup toolchain install' cargo --version
  need 'fmt' 'rustfmt' 'rustup component add rustfmt' cargo fmt --version
  need 'lint' 'clippy' 'rustup component add clippy' cargo clippy --version
  need 'lint unit e2e bench' 'the Rust target wasm32-wasip2' 'rustup target add wasm32-wasip2' have_target
  need 'lint unit e2e bench' 'a C compiler' 'apt-get install gcc libc6-dev' command -v cc
  need 'lint unit e2e bench' 'the Kerberos library' 'apt-get install libkrb5-dev pkg-config' pkg-config --exists mit-krb5-gssapi
  need 'lint unit e2e' 'libclang' 'apt-get install libclang-dev' have_file '/usr/lib/*/libclang-[0-9]*.so*'
  need 'lint e2e bench' 'Python with venv' 'apt-get install python3 python3-venv' python3 -c 'import ensurepip'
  need 'e2e bench' 'the headers of Python' 'apt-get install python3-dev' have_python_headers
  need 'e2e bench' 'Python 3.11 or later' 'see https://www.python.org/downloads' recent_python
  need 'e2e' 'curl' 'apt-get install curl' command -v curl
  need 'e2e bench' 'nginx' 'apt-get install nginx' have_server nginx
  need 'e2e bench' 'HAProxy' 'apt-get install haproxy' have_server haproxy
  need 'e2e bench' 'wrk' 'apt-get install wrk' command -v wrk
  need 'e2e' 'a KDC' 'apt-get install krb5-kdc krb5-admin-server krb5-user' have_server krb5kdc
  need 'e2e' 'Apache with mod_auth_gssapi' 'apt-get install apache2-bin libapache2-mod-auth-gssapi' \
    have_file /usr/lib/apache2/modules/mod_auth_gssapi.so
  need 'e2e' 'make' 'apt-get install make' command -v make
  need 'e2e' 'clang and lld' 'apt-get install clang lld' command -v wasm-ld
  need 'e2e' 'the C library of WASI' 'apt-get install wasi-libc' have_file /usr/lib/wasm32-wasi/libc.a
  need 'e2e' "clang's functions for WebAssembly" 'apt-get install libclang-rt-dev-wasm32' \
    have_file "$(clang --print-resource-dir 2>/dev/null)/lib/wasi/*.a"
  need 'e2e' 'minisign' 'apt-get install minisign' command -v minisign
  need 'e2e' 'htpasswd' 'apt-get install apache2-utils' command -v htpasswd
  need 'e2e' 'Valgrind' 'apt-get install valgrind' command -v valgrind
  need 'e2e' 'an OCI registry' 'apt-get install docker-registry' command -v docker-registry
  need 'e2e' 'logrotate' 'apt-get install logrotate' have_server logrotate
  need 'e2e' 'Prometheus' 'apt-get install prometheus' command -v promtool
  need 'e2e' 'Redis with its Sentinel' 'apt-get install redis-server redis-sentinel redis-tools' have_redis
  need 'e2e' 'libfaketime' 'apt-get install libfaketime' have_file '/usr/lib/*/faketime/libfaketimeMT.so.1'
  need 'e2e' 'Chromium' "apt-get install $(chromium_package)" have_chromium
  need 'e2e' 'systemd' 'apt-get install systemd' command -v systemd-analyze
  need 'e2e' 'debhelper' 'apt-get install debhelper dpkg-dev' command -v dh
  need 'e2e' 'lintian' 'apt-get install lintian' command -v lintian
  need 'e2e' 'man' 'apt-get install man-db' command -v man
  need 'e2e' 'buildah' 'apt-get install buildah' command -v buildah
  need 'e2e' 'root, for a copy of this machine (overlayfs, cgroup2)' 'run the tests as root or with sudo, outside of a container' have_copies
  need 'e2e' 'a hard limit above 10,000 open files' 'raise it as root: ulimit -Hn 20000' have_open_files
}
have_target() { [ -d "$(rustc --print target-libdir --target wasm32-wasip2)" ]; }
have_python_headers() { [ -f "$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h" ]; }
# Without any Python it is the package that is missing, not a newer one.
recent_python() { ! command -v python3 || python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }
have_server() { PATH=$PATH:/usr/sbin command -v "$1"; }
have_redis() { command -v redis-server && command -v redis-sentinel && command -v redis-cli; }
have_file() { compgen -G "$1"; }
# What tests/e2e/harness/machine.py does.
have_copies() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  [ -n "$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)" ] &&
    "${root[@]}" unshare --mount sh -ec 'mount -t tmpfs tmpfs /mnt; mkdir /mnt/a /mnt/b /mnt/c; mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c'
}
have_open_files() { [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -gt 10500 ]; }
# Ubuntu's Chromium is a snap, which has a /tmp of its own and doesn't find the tests' tickets there. Chrome does.
on_ubuntu() { [ "$(. /etc/os-release && echo "$ID")" = ubuntu ]; }
have_chromium() { command -v google-chrome || { ! on_ubuntu && command -v chromium; }; }
chromium_package() {
  if on_ubuntu 2>/dev/null; then
    echo "https://dl.google.com/linux/direct/google-chrome-stable_current_$(dpkg --print-architecture).deb"
  else
    echo chromium
  fi
}

# prerequisites INSTALL: ends the run if something is missing; with INSTALL=yes, what can be installed is installed first.
prerequisites() {
  local index
  look_around
  if [ "$1" = yes ] && [ ${#missing[@]} -gt 0 ]; then
    install_missing
    look_around
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  printf '\nThe tests need, and this machine lacks:\n' >&2
  for index in "${!missing[@]}"; do printf '  %-38s %s\n' "${missing[index]}" "${sources[index]}" >&2; done
  exit 1
}

install_missing() {
  local source packages=() sudo=()
  for source in "${sources[@]}"; do
    case $source in
      'apt-get install '*) read -ra packages <<<"${packages[*]} ${source#apt-get install }" ;;
      'rustup '*)
        heading "$source"
        $source || true
        ;;
    esac
  done
  [ ${#packages[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo 'Packages are installed on Debian and Ubuntu only: there is no apt-get here.' >&2
    return
  fi
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo 'Packages are installed by root only, and there is no sudo here.' >&2
      return
    fi
    sudo=(sudo)
  fi
  heading "${sudo[@]}" "apt-get install ${packages[*]}"
  "${sudo[@]}" bash -c "$(declare -f install_packages); install_packages \"\$@\"" bash "${packages[@]}" || true
}

# Runs as root in a shell of its own, and what it changes for the time being ends with that shell. The packages of servers
# start them unless policy-rc.d forbids it, and the tests start servers of their own.
install_packages() {
  policy=/usr/sbin/policy-rc.d
  temporary=("$(mktemp -d)")
  trap 'rm -rf "${temporary[@]}"' EXIT
  if [ ! -e "$policy" ]; then
    temporary+=("$policy")
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  install=(apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0)
  packages=() downloads=()
  for package in "$@"; do
    case $package in
      https://*) downloads+=("$package") ;;
      *) packages+=("$package") ;;
    esac
  done
  apt-get update -qq
  [ ${#packages[@]} -eq 0 ] || "${install[@]}" "${packages[@]}" >/dev/null
  chown _apt "${temporary[0]}"
  for package in "${downloads[@]}"; do
    file=${temporary[0]}/${package##*/}
    /usr/lib/apt/apt-helper -qq download-file "$package" "$file" && "${install[@]}" "$file" >/dev/null
  done
}
