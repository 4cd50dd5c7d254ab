#!/usr/bin/env bash
# Brings NVIDIA's assembler and its tools (ptxas, nvdisasm, cuobjdump, compute-sanitizer) out of the package nvidia-cuda-toolkit of
# Debian's component non-free into a folder, with the mirror that this machine's apt uses. Nothing is installed.
#
#   build/ptxas.sh DIR      then: export SPARSITY_PTXAS=DIR/usr/bin/ptxas
set -eu
[ $# -eq 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

release=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
if [ -z "$mirror" ]; then
  mirror=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }' /etc/apt/sources.list)
fi

mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s non-free\n' "$mirror" "$release" > "$work/sources.list"
options=(-q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update > /dev/null
(cd "$work" && apt-get "${options[@]}" download nvidia-cuda-toolkit > /dev/null)
dpkg -x "$work"/nvidia-cuda-toolkit_*.deb "$folder"
"$folder/usr/bin/ptxas" --version | tail -n 2
