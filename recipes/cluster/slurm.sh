#!/bin/bash
# speechduet bulk on SLURM: one Ray over all nodes of the job. The folders lie on a file system
# that all nodes have. A job that is preempted is queued again and does what is left.
#   sbatch recipes/cluster/slurm.sh /data/list.csv /data/enhanced
#SBATCH --job-name=speechduet-bulk
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --mem-per-cpu=2G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail
input=$1
output=$2

export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
# Who knows the token may run what he likes on these nodes: it is of this job alone.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(openssl rand -hex 32)
export RAY_AUTH_TOKEN

nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(head -n 1 <<< "$nodes")
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 10000))

srun --nodes=1 --ntasks=1 --overlap -w "$head" \
    ray start --head --node-ip-address="$address" --port="$port" \
    --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false --block &
sleep 20
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --overlap \
        --exclude="$head" ray start --address="$address:$port" \
        --num-cpus="$SLURM_CPUS_PER_TASK" --block &
    sleep 20
fi

# In the background, so that the signal before the end of the time reaches it.
srun --nodes=1 --ntasks=1 --overlap -w "$head" \
    speechduet bulk "$input" -o "$output" --address "$address:$port" --spool "${TMPDIR:-/tmp}/speechduet" &
work=$!
trap 'kill -TERM "$work"' TERM
wait "$work"
