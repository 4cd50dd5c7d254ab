#!/usr/bin/env bash
# Counts the machine instructions of the loop of a kernel that multiplies on tensor cores, without a device.
#
#   sparsity devices --emit DIR
#   build/inner-loop.sh TARGET FILE.ptx...         TARGET: sm_80 or sm_90
#
# A line a block of the loop, separated by tabs: kernel, the block's number, instructions, and of them products (HMMA), loads from and
# stores to shared memory (LDS, STS), loads from memory (LDG), copies from register to register (MOV). A block that is jumped over but in
# the last step, or is run in no other, is counted as the others are: read the file that nvdisasm writes to see which.
# ptxas and nvdisasm: in the folder of the environment variable SPARSITY_PTXAS, else from PATH (build/ptxas.sh brings them).
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
target=$1
shift
ptxas=${SPARSITY_PTXAS:-ptxas}
nvdisasm=nvdisasm
case $ptxas in */*) nvdisasm=$(dirname "$ptxas")/nvdisasm ;; esac
cubin=$(mktemp)
trap 'rm -f "$cubin"' EXIT
for file; do
  "$ptxas" "-arch=$target" -o "$cubin" "$file"
  "$nvdisasm" -c "$cubin" | awk -v name="$(basename "${file%.ptx}")" '
    BEGIN { OFS = "\t" }
    /^\.L_x_[0-9]+:/ { label = $1; sub(/:.*/, "", label); block++; place[label] = block; next }
    /\/\*[0-9a-f]+\*\// {
      if (!block) block = 1
      count[block]++
      products[block] += /HMMA/; loads[block] += /LDS/; stores[block] += /STS/; fetches[block] += /LDG/; moves[block] += /MOV/
      if (match($0, /\.L_x_[0-9]+/)) { jump[++jumps] = substr($0, RSTART, RLENGTH); from[jumps] = block } }
    END {
      # The shortest jump back over products.
      for (i = 1; i <= jumps; i++) {
        if (!(jump[i] in place) || place[jump[i]] > from[i]) continue
        sum = 0
        for (b = place[jump[i]]; b <= from[i]; b++) sum += products[b]
        if (sum > 0 && (!first || from[i] - place[jump[i]] < last - first)) { first = place[jump[i]]; last = from[i] }
      }
      if (!first) { print name ": no loop with products was found" > "/dev/stderr"; exit 1 }
      for (b = first; b <= last; b++)
        if (count[b]) print name, b, count[b], products[b] + 0, loads[b] + 0, stores[b] + 0, fetches[b] + 0, moves[b] + 0
    }'
done
