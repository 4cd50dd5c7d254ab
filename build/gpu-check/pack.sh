#!/usr/bin/env bash
# Makes one folder, and its archive, that checks the GPU engine on a machine with nothing but a driver.
#   build/gpu-check/pack.sh OUT      OUT/gpu-check/ and OUT/gpu-check.tar.xz; OUT is made if need be
# Needs the .NET SDK of global.json. How to run the check: docs/gpu-check.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ $# -ne 1 ]; then echo "usage: pack.sh OUT" >&2; exit 2; fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
folder="$out/gpu-check"
rm -rf "$folder" "$out/gpu-check.tar.xz"
mkdir -p "$folder"

# One compressed file with the runtime in it, and the native libraries beside it; without debug symbols and documentation.
dotnet publish "$root/Sparsity.Cli" -c Release -r linux-x64 --self-contained -o "$folder/sparsity" \
  -p:PublishSingleFile=true -p:DebugType=none -p:EnforceCodeStyleInBuild=false --nologo -v quiet
find "$folder/sparsity" \( -name '*.pdb' -o -name '*.xml' -o -name createdump \) -delete
cp "$here/check.sh" "$here/torch_step.py" "$folder/"
git -C "$root" log -1 --format='%H %cs' > "$folder/COMMIT" 2>/dev/null || echo "no commit: not a git checkout" > "$folder/COMMIT"
if [ -n "$(git -C "$root" status --porcelain 2>/dev/null)" ]; then echo "with uncommitted changes" >> "$folder/COMMIT"; fi

tar -C "$out" -cf - gpu-check | xz -T0 -6 > "$out/gpu-check.tar.xz"
du -sm "$folder" | awk '{ print "folder: " $1 " MiB" }'
du -k "$out/gpu-check.tar.xz" | awk '{ printf "archive: %.1f MiB\n", $1 / 1024 }'
