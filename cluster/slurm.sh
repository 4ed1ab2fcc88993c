#!/usr/bin/env bash
# A Ray cluster for one SLURM job, and one simengine command on it:
#
#     sbatch --nodes=4 cluster/slurm.sh sweep wealth_exchange --grid n_agents=50,100 --replicates 20 --out DIR
#     sbatch --nodes=4 cluster/slurm.sh run schooling --shards 64 --steps 10000 --out FILE
#     sbatch --nodes=4 cluster/slurm.sh resume PATH
#
# Submit from the clone, which holds .venv and cluster/ on a file system that all nodes see (else set SIMENGINE_HOME).
# Needs no root. Shortly before the time limit the command is interrupted, keeps what it has, and the job is requeued;
# a requeued job resumes. A lost worker node is done without; a lost head node requeues the job.
#SBATCH --job-name=simengine
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --output=simengine-%j.log
set -euo pipefail
umask 077

home=${SIMENGINE_HOME:-$SLURM_SUBMIT_DIR}
start_timeout=${SIMENGINE_START_TIMEOUT:-300}
stop_timeout=45
max_restarts=${SIMENGINE_MAX_RESTARTS:-50}
node_folder=${SIMENGINE_NODE_DIR:-/tmp}/ray-$SLURM_JOB_ID
secret_folder=$SLURM_SUBMIT_DIR/.simengine-$SLURM_JOB_ID
# Ray's workers take ports from 10002 to 19999, the kernel hands out those from 32768 on.
port=$((20000 + SLURM_JOB_ID % 10000))
cpus=${SLURM_CPUS_PER_TASK:-1}

say() {
    printf 'slurm.sh: %s\n' "$1"
}

fail() {
    say "$1" >&2
    exit 1
}

# What runs on every node, under srun, until it is told to stop. Never `ray stop`: it would end the user's other jobs.
# shellcheck disable=SC2329 # its text goes to srun
ray_node() {
    local folder=$1 ray
    shift
    umask 077
    mkdir -p "$folder"
    export SIMENGINE_CACHE_DIR=${SIMENGINE_CACHE_DIR:-$folder/kernels}
    ray start --block --disable-usage-stats --temp-dir "$folder" "$@" &
    ray=$!
    trap 'kill -TERM "$ray" 2>/dev/null || true' TERM INT
    wait "$ray" || wait "$ray" || true
    rm -rf "$folder"
}

# Called in the background: the process that a signal reaches is srun itself.
on_nodes() {
    local names=$1 count=$2
    shift 2
    exec srun --nodes="$count" --ntasks="$count" --nodelist="$names" --cpus-per-task="$cpus" --no-kill --wait=0 \
        bash -c "$(declare -f ray_node); ray_node \"\$@\"" ray_node "$node_folder" "$@"
}

# The address at which the other nodes find this one; a name that resolves to the loopback interface is no use to them.
address_of() {
    local found
    found=$(getent ahostsv4 "$1" | awk '$1 !~ /^127\./ { print $1; exit }') || true
    [[ -n $found ]] || found=$(hostname --all-ip-addresses | awk '{ print $1 }')
    printf '%s' "$found"
}

nodes_alive() {
    python - "$1" "$2" <<'PYTHON'
import os
import sys
import time

import ray

wanted, deadline = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
ray.init(address=os.environ["RAY_ADDRESS"], logging_level="ERROR", log_to_driver=False)
while (alive := sum(node["Alive"] for node in ray.nodes())) < wanted and time.monotonic() < deadline:
    time.sleep(1)
print(alive)
PYTHON
}

steps=()
driver=
stopped_by=

clean_up() {
    trap - EXIT
    trap '' USR1 TERM INT
    if ((${#steps[@]})); then
        # Signals what runs under srun, not this script; to end srun itself would kill Ray before it has tidied up.
        scancel --signal=TERM "$SLURM_JOB_ID" || true
        local deadline=$((SECONDS + stop_timeout))
        while kill -0 "${steps[@]}" 2>/dev/null && ((SECONDS < deadline)); do
            sleep 0.5
        done
        kill -TERM "${steps[@]}" 2>/dev/null || true
        wait || true
    fi
    rm -rf "$secret_folder"
}

# shellcheck disable=SC2329 # called by the traps
stop_driver() {
    stopped_by=$1
    say "stopping because of $1"
    [[ -z $driver ]] || kill -TERM "$driver" 2>/dev/null || true
}

trap clean_up EXIT
trap 'stop_driver "the time limit"' USR1
trap 'stop_driver "a cancellation"' TERM INT

if [[ -r $home/.venv/bin/activate ]]; then
    # shellcheck disable=SC1091
    . "$home/.venv/bin/activate"
fi
command -v simengine >/dev/null || fail "no simengine: install it into $home/.venv, or set SIMENGINE_HOME"
[[ -x $home/cluster/carry_on.sh ]] || fail "no cluster/carry_on.sh in $home: submit from the clone, or set SIMENGINE_HOME"

# Whoever knows the token may run code in this job. It travels as a file that only the user can read.
rm -rf "$secret_folder"
mkdir "$secret_folder"
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$secret_folder/token"
unset RAY_AUTH_TOKEN RAY_ADDRESS
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$secret_folder/token

names=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
mapfile -t nodes <<<"$names"
workers=("${nodes[@]:1}")
head_ip=${SIMENGINE_HEAD_IP:-$(address_of "${nodes[0]}")}

# One core of the head node is left to the driver and the control store.
on_nodes "${nodes[0]}" 1 --head --node-ip-address "$head_ip" --port "$port" --include-dashboard=false \
    --num-cpus "$((cpus > 1 ? cpus - 1 : 1))" &
steps+=($!)

deadline=$((SECONDS + start_timeout))
until ray health-check --address "$head_ip:$port" >/dev/null 2>&1; do
    kill -0 "${steps[0]}" 2>/dev/null || fail "Ray did not start on ${nodes[0]}; its messages are above"
    ((SECONDS < deadline)) || fail "Ray on ${nodes[0]} did not answer within $start_timeout s"
    [[ -z $stopped_by ]] || fail "stopped before Ray had started"
    sleep 1
done
export RAY_ADDRESS=$head_ip:$port

if ((${#workers[@]})); then
    on_nodes "$(IFS=,; printf '%s' "${workers[*]}")" "${#workers[@]}" --address "$RAY_ADDRESS" --num-cpus "$cpus" &
    steps+=($!)
fi
alive=$(nodes_alive "${#nodes[@]}" "$start_timeout") || fail "no answer from the Ray cluster at $RAY_ADDRESS"
say "$alive of ${#nodes[@]} nodes are in the Ray cluster at $RAY_ADDRESS"
[[ -z $stopped_by ]] || fail "stopped before the command had started"

"$home/cluster/carry_on.sh" "$@" &
driver=$!
status=0
wait "$driver" || status=$?
# A signal ends `wait`, not the driver, which now checkpoints and writes what it has.
while kill -0 "$driver" 2>/dev/null; do
    status=0
    wait "$driver" || status=$?
done
if [[ -n $stopped_by ]] && ((status > 128)); then
    wait "$driver" 2>/dev/null || { again=$?; ((again == 127)) || status=$again; }
fi
say "simengine ended with exit code $status"

if [[ $stopped_by == "the time limit" ]] && ((status > 128)); then
    if ((${SLURM_RESTART_COUNT:-0} < max_restarts)); then
        clean_up
        scontrol requeue "$SLURM_JOB_ID"
    else
        say "restarted $max_restarts times: submit again to go on"
    fi
fi
exit "$status"
