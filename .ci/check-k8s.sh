#!/usr/bin/env bash
# Renders every kustomization below k8s/, checks the result against the schemas of the Kubernetes API, and the configurations
# in it as `sallyport check` does.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh

schemas=$tools/kubernetes-schemas-$kubernetes_version

if [ ! -d "$schemas" ]; then
  source_dir=$(module_dir "k8s.io/kubernetes@v$kubernetes_version")
  rm -rf "$schemas.new"
  python3 .ci/kubernetes-schemas.py "$source_dir/api/openapi-spec/swagger.json" "$schemas.new"
  mv "$schemas.new" "$schemas"
fi

configs=$(mktemp -d)
trap 'rm -rf "$configs"' EXIT

count=0
while read -r file; do
  folder=$(dirname "$file")
  rendered=$("$tools_python/bin/kubectl" kustomize "$folder")
  printf '%s\n' "$rendered" | "$tools_bin/kubeconform" -strict -summary \
    -schema-location "$schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json"
  printf '%s\n' "$rendered" | node .ci/rendered-configs.js "$configs/$count"
  node node.js cli/sallyport.ts check --no-files \
    "$configs/$count/gateway-config/gateway.yaml" "$configs/$count/exchange-config/exchange.yaml"
  count=$((count + 1))
done < <(find k8s -name kustomization.yaml | sort)
[ "$count" -gt 0 ] || { echo 'no kustomization found: nothing was checked' >&2; exit 1; }
echo "$count kustomizations rendered and checked"
