#!/usr/bin/env bash
# Compiles kernels for NVIDIA and AMD GPUs without a device, and prints what each takes.
#
#   sparsity devices --emit DIR
#   build/kernel-resources.sh DIR [TARGET...]      TARGET: sm_80 sm_90 gfx90a gfx942 gfx1100 (all five by default)
#
# A line a kernel, separated by tabs: target, kernel, registers (AMD: vector registers, accumulation registers among them), bytes of stack
# or scratch a thread, bytes of spilled stores and loads (AMD: spilled registers), bytes of shared memory a group, waves per SIMD (AMD
# only).
# Exit code 1 when a kernel does not compile: its line then ends in "does not compile", and the compiler's message is on standard error.
# sm_*: ptxas from the environment variable SPARSITY_PTXAS, else from PATH (build/ptxas.sh brings one).
# gfx*: clang-19 (Debian: apt-get install clang-19).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ptxas=${SPARSITY_PTXAS:-ptxas}

compile() {
  local target=$1 file=$2 log name
  name=$(basename "${file%.*}")
  case $target in
    sm_*) log=$("$ptxas" "-arch=$target" -v -o /dev/null "$file" 2>&1) ;;
    *) log=$(clang-19 -x cl -cl-std=CL2.0 -target amdgcn-amd-amdhsa "-mcpu=$target" -include "$here/amdgcn-prelude.h" \
      -nogpulib -O3 -S -o /dev/null -Rpass-analysis=kernel-resource-usage "$file" 2>&1) ;;
  esac
  if [ $? -ne 0 ]; then
    printf '%s\t%s\tdoes not compile\n' "$target" "$name"
    printf '%s %s: %s\n' "$target" "$name" "$log" >&2
    return 1
  fi
  printf '%s\n' "$log" | awk -v target="$target" -v name="$name" '
    BEGIN { OFS = "\t" }
    /bytes stack frame/ { match($0, /[0-9]+ bytes stack/); stack = $0; sub(/ bytes stack.*/, "", stack); sub(/.* /, "", stack)
                          spill = $0; sub(/.*frame, /, "", spill); split(spill, parts, " "); spilled = parts[1] + parts[5] }
    /Used [0-9]+ registers/ { registers = $0; sub(/ registers.*/, "", registers); sub(/.* /, "", registers); shared = 0
                              if ($0 ~ / bytes smem/) { shared = $0; sub(/ bytes smem.*/, "", shared); sub(/.* /, "", shared) } }
    / VGPRs:/ { registers += $(NF - 1) }
    / AGPRs:/ { registers += $(NF - 1) }
    / ScratchSize / { stack = $(NF - 1) }
    / VGPRs Spill:/ { spilled = $(NF - 1) }
    / Occupancy / { waves = $(NF - 1) }
    / LDS Size / { shared = $(NF - 1) }
    END { if (registers == "" || stack == "" || spilled == "" || shared == "") { print target, name, "no figures"; exit 1 }
          if (waves == "") print target, name, registers, stack, spilled, shared
          else print target, name, registers, stack, spilled, shared, waves }'
}

if [ "${1:-}" = --one ]; then
  compile "$2" "$3"
  exit
fi

if [ $# -lt 1 ]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
fi

folder=$1
shift
[ $# -gt 0 ] || set -- sm_80 sm_90 gfx90a gfx942 gfx1100
for target in "$@"; do
  case $target in
    sm_*) printf '%s\0' "$folder/$target"/*.ptx ;;
    *) printf '%s\0' "$folder"/opencl/*.cl ;;
  esac | while IFS= read -r -d '' file; do printf '%s\0%s\0' "$target" "$file"; done
done | xargs -0 -n 2 -P "$(nproc)" bash "${BASH_SOURCE[0]}" --one || exit 1
