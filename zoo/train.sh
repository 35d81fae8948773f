#!/usr/bin/env bash
# The long trainings behind the zoo: every entry's command, in the order of their worth.
#
#   zoo/train.sh status            what is done, what is left
#   zoo/train.sh run [WORKERS]     go on with all that is left, WORKERS side by side (default 1), each on a core of its own
#
# Each training resumes to the bit where it stopped. TFVAE names the program, RUNS the folder of the runs.
set -eu
cd "$(dirname "$0")/.."
TFVAE=${TFVAE:-.venv/bin/tfvae}
RUNS=${RUNS:-trainings/runs}

better="--schedule cosine --learning-rate-warmup 500 --clip-norm 100 --ema 0.999 --validation 0.05 --xla on"
draw="convdraw:steps=4,hidden=32,latent=2,relative=true"
ladder="ladder:levels=4,hidden=32,latent=4,vector=16"

plan() {  # name, then the words of `tfvae train`; an epoch takes about six minutes of a slow core, a few seconds of a GPU
  cat <<PLAN
fashion_mnist-geco-convdraw    geco --kappa 4.5 --dataset fashion_mnist --arch $draw,vector=32 --epochs 12 --learning-rate 0.004 $better
mnist-ladder                   elbo --dataset mnist --binarize dynamic --arch $ladder --epochs 50 --learning-rate 0.003 $better
mnist-labels-convdraw          elbo --dataset mnist --binarize dynamic --condition labels --arch $draw,vector=16 --epochs 9 --learning-rate 0.006 $better
color_mnist-geco-convdraw      geco --kappa 4 --dataset color_mnist --arch $draw,vector=32 --epochs 9 --learning-rate 0.004 $better
mnist-elbo-convdraw            elbo --dataset mnist --binarize dynamic --arch $draw,vector=16 --epochs 12 --learning-rate 0.006 $better
fashion_mnist-ladder           elbo --dataset fashion_mnist --binarize dynamic --arch $ladder --epochs 40 --learning-rate 0.003 $better
fashion_mnist-labels-convdraw  geco --kappa 4.5 --dataset fashion_mnist --condition labels --arch $draw,vector=32 --epochs 9 --learning-rate 0.004 $better
fashion_mnist-elbo-convdraw    elbo --dataset fashion_mnist --binarize dynamic --arch $draw,vector=32 --epochs 12 --learning-rate 0.004 $better
mnist-inpaint-convdraw         elbo --dataset mnist --binarize dynamic --condition inpaint:bottom --arch $draw,vector=16 --epochs 8 --learning-rate 0.006 $better
cifar10-geco-convdraw          geco --kappa 6.7 --dataset cifar10 --arch convdraw:steps=4,hidden=48,latent=3,relative=true,vector=64 --epochs 12 --learning-rate 0.003 $better
PLAN
}

state() {  # of the run in folder $1
  cat "$1/STATUS" 2>/dev/null || echo "not begun"
}

train() {  # worker $1 of $2: the entries whose turn is its
  plan | awk -v worker="$1" -v all="$2" 'NR % all == worker' | while read -r name words; do
    [ "$(state "$RUNS/$name")" != finished ] || continue
    # shellcheck disable=SC2086
    taskset -c "$1" nice -n 19 "$TFVAE" train $words --run-dir "$RUNS/$name" </dev/null || echo "$name: stopped with code $?" >&2
  done
}

case "${1:-status}" in
  status)
    plan | while read -r name _; do
      last=$(tail -n 1 "$RUNS/$name/metrics.csv" 2>/dev/null | cut -d, -f1 || true)
      printf '%-32s %-12s epoch %s\n' "$name" "$(state "$RUNS/$name")" "${last:-0}"
    done ;;
  run)
    for ((worker = 0; worker < ${2:-1}; worker++)); do train "$worker" "${2:-1}" & done
    wait ;;
  *) echo "Expected: zoo/train.sh status | run [WORKERS]. Received: $1" >&2; exit 2 ;;
esac
