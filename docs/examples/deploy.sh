#!/usr/bin/env bash
# Deploys the newest deployment of production, unless somebody has taken it up.
set -euo pipefail
repository=acme/shop
newest=$(gh api "repos/$repository/deployments?environment=production&per_page=1" --jq '.[] | "\(.id) \(.sha)"')
[[ -n $newest ]] || exit 0
read -r id sha <<<"$newest"
state=$(gh api "repos/$repository/deployments/$id/statuses?per_page=1" --jq '.[].state')
[[ -z $state ]] || exit 0

tell() { gh api --silent "repos/$repository/deployments/$id/statuses" -f state="$1" "${@:2}"; }
tell in_progress
if kubectl -n shop set image deployment/web "web=registry.example.com/acme/shop:$sha" &&
  kubectl -n shop rollout status deployment/web --timeout=5m; then
  tell success -f environment_url=https://shop.example.com
else
  tell failure -f description="the rollout did not end within 5 minutes"
fi
