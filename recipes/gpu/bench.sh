#!/bin/sh
# Speed of the published-size network on a GPU: against the public code on the same card and weights, in float32 and in
# bfloat16, one evaluation and one training step, and what the bundled model does with CUDA graphs.
#
#   sh recipes/gpu/bench.sh CLONE_OF_SGMSE OUT
#
# Each record in OUT has evaluations or examples per second, the share of the card's measured convolution peak, time by
# kind of operation and peak memory. On a CPU add DEVICE=cpu to see that it works.
set -e
clone=${1:?a clone of https://github.com/sp-uhh/sgmse}
out=${2:?a folder for the records}
device=${DEVICE:-cuda}
batch=${BATCH:-8}
mkdir -p "$out"
speechduet bench --device "$device" --batch-size "$batch" --against-sgmse "$clone" --json "$out/evaluation.json"
speechduet bench --device "$device" --batch-size "$batch" --network sgmse_plus --precision bfloat16 --json "$out/evaluation_bfloat16.json"
speechduet bench --device "$device" --batch-size "$batch" --against-sgmse "$clone" --train --json "$out/training.json"
if [ "$device" = cuda ]; then
  speechduet bench --device cuda --backend cuda-graphs --precision bfloat16 --json "$out/bundled.json"
fi
