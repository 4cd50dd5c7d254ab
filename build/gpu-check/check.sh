#!/usr/bin/env bash
# Checks the GPU engine on this machine and measures it. Needs a driver, bash, awk, sed and coreutils;
# takes at most 8 minutes (15 with --quick).
#
#   ./check.sh [--device cuda:0] [--out results] [--limit 480] [--quick]
#
# --device D   cuda[:i] or opencl[:i]; without it the first usable GPU.
# --out DIR    Where the results go: an empty folder, or one that is not there yet. (Default: results)
# --limit S    Seconds for the whole; parts that are not begun by then are left out. (Default: 480, with --quick 900)
# --quick      Tiny shapes only, for devices that are processors.
#
# Every part has a time limit of its own, and every result is on disk as soon as it is there; table.md sums them up.
# Exit code: 0 if every part that ran passed, 1 if one failed or ran out of time, 2 if nothing could be checked, 130 if it was stopped.
# docs/gpu-check.md says how to read and send the results.
set -uo pipefail
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }
refuse() { echo "check.sh: $1" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
device=auto out=results quick= limit=
while [ $# -gt 0 ]; do
  case $1 in
    --device | --out | --limit)
      [ -n "${2:-}" ] || refuse "$1 needs a value; see ./check.sh --help"
      case $1 in --device) device=$2 ;; --out) out=$2 ;; --limit) limit=$2 ;; esac
      shift 2 ;;
    --quick) quick=1; shift ;;
    --help | -h) usage; exit 0 ;;
    *) refuse "'$1' is no argument of it; see ./check.sh --help" ;;
  esac
done
case $limit in *[!0-9]* | ??????*) refuse "--limit is '$limit', but must be a number of seconds" ;; esac
case $out in /*) ;; *) out=./$out ;; esac # a name may begin with a dash
mkdir -p "$out" 2> /dev/null || refuse "$out: cannot be made; name a folder that can be written with --out"
out=$(cd "$out" && pwd) || refuse "$out: cannot be opened; name another folder with --out"
[ -z "$(ls -A "$out")" ] || refuse "$out: is not empty, and results of two checks must not mix; name another folder with --out"
{ : > "$out/parts.jsonl"; } 2> /dev/null || refuse "$out: cannot be written; name another folder with --out"
sparsity="$here/sparsity/sparsity"
[ -x "$sparsity" ] ||
  refuse "$sparsity: is not there or cannot be run; build/gpu-check/pack.sh makes the folder that this script belongs to"
# The program unpacks nothing and needs no installed culture data; ILGPU caches nothing on disk.
export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}" DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_gcServer=0
export TMPDIR="${TMPDIR:-/tmp}" HOME="${HOME:-$out}"
started=$SECONDS
failed=0
child=

# part NAME SECONDS COMMAND...: runs it within its limit and what is left of the whole, keeps what it printed, notes how it ended.
part() {
  local name=$1 seconds=$2 code=0; shift 2
  local left=$((limit - (SECONDS - started)))
  if [ "$left" -lt 5 ]; then note "$name" skipped 0 "no time was left"; return; fi
  [ "$seconds" -gt "$left" ] && seconds=$left
  local begun=$SECONDS
  timeout --kill-after=10 "$seconds" "$@" < /dev/null > "$out/$name.log" 2>&1 &
  child=$!
  running=$name
  { wait "$child" || code=$?; } 2> /dev/null # bash would say that it was killed
  child=
  local took=$((SECONDS - begun)) said
  said=$(tail -n 1 "$out/$name.log" | tr -d '"\\' | tr '[:cntrl:]' ' ')
  case $code in
    0) note "$name" ok "$took" "" ;;
    124|137) note "$name" "timed out" "$took" "after $seconds s"; failed=1 ;;
    *)
      # What this machine cannot do is no fault of the program.
      if grep -q ERR_NVGPUCTRPERM "$out/$name.log"; then
        note "$name" skipped "$took" "the driver does not let this user read performance counters"
      elif [ "$code" -eq 2 ] && [[ $said == *"does not fit into"* ]]; then note "$name" skipped "$took" "$said"
      else note "$name" failed "$took" "exit code $code: $said"; failed=1
      fi ;;
  esac
  table > "$out/table.md"
  return "$code"
}

note() {
  printf '{"part":"%s","state":"%s","seconds":%s,"detail":"%s"}\n' "$1" "$2" "$3" "$4" >> "$out/parts.jsonl"
  printf '%-9s %-26s %4s s  %s\n' "$2" "$1" "$3" "$4"
}

# Ctrl-C and kill end the part that runs; what was found is kept.
stopped() {
  trap '' INT TERM HUP
  if [ -n "$child" ]; then kill -TERM "$child" 2> /dev/null; wait "$child"; note "$running" stopped 0 ""; fi
  table > "$out/table.md"
  echo "stopped after $((SECONDS - started)) s; what was found is in $out" >&2
  exit 130
}

skip() { note "$1" skipped 0 "$2"; }

# field FILE NAME: a number or text at the top level of one of the program's JSON files; nothing if the file or the field is not there.
field() {
  local line pattern="^  \"$2\": \"?([^\"]*[^\",])\"?,?\$"
  [ -r "$out/$1.json" ] || return 0
  while IFS= read -r line; do
    if [[ $line =~ $pattern ]]; then printf '%s' "${BASH_REMATCH[1]}"; return; fi
  done < "$out/$1.json"
}

# ratio A B: A / B with two digits, or a dash.
ratio() { if [ -n "$1" ] && [ -n "$2" ]; then awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; else printf -- -; fi; }

# roof NAME: as the first part that measured it has it, or a dash.
roof() {
  local file value
  for file in "$out"/train-*.json; do
    file=${file##*/}
    value=$(field "${file%.json}" "$1")
    if [ -n "$value" ] && [ "$value" != null ]; then printf '%.0f' "$value"; return; fi
  done
  printf -- -
}

# The verdict, or how far the check came.
verdict() {
  local whole
  whole=$(field check verdict)
  if [ -n "$whole" ]; then echo "$whole"
  elif [ -s "$out/check.json" ]; then
    echo "not finished: $(grep -c '"ok": true' "$out/check.json") items passed, $(grep -c '"ok": false' "$out/check.json") FAILED"
  else echo "not begun"
  fi
}

table() {
  cat "$out/machine.txt"
  echo
  echo "devices --check: $(verdict)"
  echo
  echo "| size | phase | precision | parts | ms a step (spread) | tokens/s | device memory, MiB |" \
    "PyTorch float32, tf32, fp16: ms a step | times as fast as it |"
  echo "|---|---|---|---|---|---|---|---|---|"
  local run size rest phase own precision peers ratios peer
  for run in $runs; do
    [ -s "$out/train-$run.json" ] || continue
    size=${run%%-*} rest=${run#*-}
    phase=${rest%-*} own=${rest#*-}
    peers='' ratios=''
    for precision in float32 tf32 fp16; do
      peer=
      [ "$phase" = sparse ] && peer=$(field "torch-$size-$precision" ms_per_step)
      peers="$peers${peers:+, }$(if [ -n "$peer" ]; then printf '%.1f' "$peer"; else printf -- -; fi)"
      ratios="$ratios${ratios:+, }$(ratio "$peer" "$(field "train-$run" ms_per_step)")"
    done
    echo "| $size | $phase | $own | $(field "train-$run" batch_parts)" \
      "| $(field "train-$run" ms_per_step) ($(field "train-$run" ms_spread))" \
      "| $(field "train-$run" tokens_per_second) | $(field "train-$run" device_memory_mb) | $peers | $ratios |"
  done
  echo
  echo "roofs: copy $(roof copy_gbps) GB/s; own dense product $(roof sgemm_gflops) GFLOP/s;" \
    "float32 in registers $(roof float32_gflops) GFLOP/s;" \
    "tf32 on tensor cores $(roof tensor_gflops) GFLOP/s"
  echo
  local state='\(skipped\|failed\|timed out\|stopped\)'
  sed -n 's/^{"part":"\(.*\)","state":"'"$state"'","seconds":\(.*\),"detail":"\(.*\)"}$/\2: \1: \4/p' "$out/parts.jsonl"
}

{
  cat "$here/COMMIT"
  date -u +%Y-%m-%dT%H:%M:%SZ
  uname -srm
  grep -m1 'model name' /proc/cpuinfo
  command -v nvidia-smi > /dev/null &&
    nvidia-smi --query-gpu=name,driver_version,memory.total,memory.free,clocks.max.sm,clocks.max.mem,power.limit --format=csv
} > "$out/machine.txt" 2>&1

# What is trained: size, phase, precision. The measurements that matter most come first: the whole has a limit.
runs="S-sparse-float32 L-sparse-float32 S-dense-float32 L-dense-float32"
shapes=all seconds=150 train_seconds=75 limit=${limit:-480}
[ -n "$quick" ] && runs="TINY-sparse-float32 TINY-dense-float32" shapes=odd seconds=480 train_seconds=180 limit=${limit:-900}
trap stopped INT TERM HUP
if ! part devices 30 "$sparsity" devices --device "$device"; then refuse "the device cannot be used: $(tail -n 1 "$out/devices.log")"; fi
if [ "$device" = auto ] && grep -q '^auto takes cpu' "$out/devices.log"; then
  refuse "no usable GPU was found, so there is nothing to check; $out/devices.log says why (docs/gpu-check.md: devices that are processors)"
fi
part check "$seconds" "$sparsity" devices --check --device "$device" --shapes "$shapes" --json "$out/check.json"
train() { # SIZE-PHASE-PRECISION...
  local run rest steps
  for run; do
    rest=${run#*-} steps=20
    case $run in PAPER-* | TINY-*) steps=2 ;; esac
    part "train-$run" "$train_seconds" "$sparsity" bench train --device "$device" --size "${run%%-*}" --phase "${rest%-*}" \
      --precision "${rest#*-}" --steps "$steps" --json "$out/train-$run.json"
  done
}
train $runs

# The peer: the same step in PyTorch, on the same card.
python=$(command -v python3 || true)
if [ -z "$python" ]; then skip torch "there is no python3"; python=
elif ! "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' > /dev/null 2>&1; then
  skip torch "there is no PyTorch with CUDA"; python=
fi
case $device in cuda:*) card=$device ;; *) card=cuda:0 ;; esac
peer() { # SIZE
  [ -z "$python" ] ||
    part "torch-$1" 75 "$python" "$here/torch_step.py" "$1" --device "$card" --phase sparse \
      --precision tf32 fp16 float32 --seconds 2 --json "$out/torch-$1"
}

# With tf32 and bf16, where the device has tensor cores for them; and the paper's own size.
if [ -n "$quick" ]; then peer TINY
else
  tensor=
  if [[ $(field train-S-sparse-float32 tensor_gflops) == [0-9]* ]]; then
    tensor="S-sparse-tf32 S-sparse-bf16 L-sparse-tf32 L-sparse-bf16 L-dense-tf32 L-dense-bf16 PAPER-sparse-tf32 PAPER-sparse-bf16"
  fi
  runs="$runs $tensor PAPER-sparse-float32"
  peer S
  peer L
  train $tensor
  peer PAPER
  train PAPER-sparse-float32
fi

if [ -z "$quick" ]; then
  part kernels-L 40 "$sparsity" bench kernels --device "$device" --size L --steps 7 --json "$out/kernels-L.json"
  part prune-S 30 "$sparsity" bench prune --device "$device" --size S --steps 8 --json "$out/prune-S.json"
fi

# What NVIDIA's compiler makes of every kernel.
ptxas=$(command -v ptxas || ls /usr/local/cuda*/bin/ptxas 2> /dev/null | head -n 1 || true)
if [ -z "$ptxas" ]; then skip ptxas "there is no ptxas"
else
  part emit 40 "$sparsity" devices --emit "$out/kernels"
  part ptxas 60 bash -c '
    cd "$1" && for f in kernels/sm_90/*.ptx; do echo "== $f"; "$2" -arch=sm_90 -v -o "${f%.ptx}.cubin" "$f" || exit 1; done
  ' _ "$out" "$ptxas"
  nvdisasm=$(command -v nvdisasm || ls /usr/local/cuda*/bin/nvdisasm 2> /dev/null | head -n 1 || true)
  if [ -z "$nvdisasm" ]; then skip nvdisasm "there is no nvdisasm"
  else part nvdisasm 60 bash -c '
      cd "$1" && for f in kernels/sm_90/*.cubin; do "$2" -c "$f" > "${f%.cubin}.sass" || exit 1; done
    ' _ "$out" "$nvdisasm"
  fi
fi

# Accesses outside memory and races, on tiny shapes.
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2> /dev/null | head -n 1 || true)
if [ -z "$sanitizer" ]; then skip memcheck "there is no compute-sanitizer"; skip racecheck "there is no compute-sanitizer"
else
  part memcheck 60 "$sanitizer" --tool memcheck --error-exitcode 9 "$sparsity" devices --check --device "$device" --shapes odd
  part racecheck 60 "$sanitizer" --tool racecheck --error-exitcode 9 "$sparsity" devices --check --device "$device" --shapes odd
fi

ncu=$(command -v ncu || ls /usr/local/cuda*/bin/ncu 2> /dev/null | head -n 1 || true)
if [ -z "$ncu" ]; then skip ncu "there is no ncu"
else part ncu 60 "$ncu" --clock-control none --csv --section SpeedOfLight --launch-skip 1200 --launch-count 600 \
  "$sparsity" bench train --device "$device" --size S --phase sparse --steps 2
fi

echo
table > "$out/table.md"
cat "$out/table.md"
echo "$((SECONDS - started)) s; results in $out"
exit $failed
