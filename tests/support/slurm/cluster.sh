#!/usr/bin/env bash
# A real Slurm on this machine, for tests: a node `cpu1` in the partition cpu, and a node `gpu1` with
# two GPUs, which are stand-ins, in gpu and gpu-urgent; jobs of the latter preempt the former's. In the
# partition pair, it has a second one beside it, `gpu2`, whose GPUs have 8 shards each. In the partition
# shared, that is alone.
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client
#   eval "$(tests/support/slurm/cluster.sh start FOLDER)"; sinfo; tests/support/slurm/cluster.sh stop FOLDER
# With SLURM_TEST_ACCOUNTING=1 it keeps accounts, and needs slurmdbd and mariadb-server as well.
# Without munge, systemd; root only where it is root who starts it.
set -euo pipefail
command=${1:?start or stop}
folder=$(realpath -m "${2:?a folder}")
PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$folder/slurm.conf

free_port() { # the first of six ports that nobody listens on, so that clusters can run side by side
    local port each
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        for each in $(seq "$port" $((port + 5))); do
            (: <"/dev/tcp/127.0.0.1/$each") 2>/dev/null && continue 2
        done
        echo "$port"
        return
    done
    echo "no six free ports in a row were found" >&2
    exit 1
}

start() {
    local host user port accounting srun
    host=$(hostname -s) user=$(id -un)
    port=$(free_port) # and the five after it
    accounting=none
    [ -z "${SLURM_TEST_ACCOUNTING:-}" ] || accounting=slurmdbd
    mkdir -p "$folder"/{state,log,bin,spool/cpu1,spool/gpu1,spool/gpu2}
    for device in /dev/null /dev/zero; do # slurmd takes a character device for a GPU
        echo "NodeName=gpu[1-2] Name=gpu Flags=nvidia_gpu_env File=$device"
    done >"$folder/gres.conf"
    echo "NodeName=gpu2 Name=shard Count=16" >>"$folder/gres.conf"
    # The plugin's step drops SLURM_CONF before it calls srun. The last one in PATH is Slurm's own, and
    # not that of another cluster of these tests.
    srun=$(type -ap srun | tail -n 1)
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$srun" >"$folder/bin/srun"
    chmod +x "$folder/bin/srun"
    cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
# memory is looked at once a second, and a job that has more than it asked for is killed
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/$accounting
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((port + 4))
AccountingStoreFlags=job_comment
# squeue knows of jobs that are over when Snakemake asks
MinJobAge=3600
KillWait=5
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu,shard
DefMemPerCPU=256
# whatever this machine has: jobs use little of the memory they ask for
SlurmdParameters=config_overrides
NodeName=cpu1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 RealMemory=64000 State=UNKNOWN
NodeName=gpu1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
NodeName=gpu2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 5)) CPUs=2 RealMemory=64000 Gres=gpu:2,shard:16 State=UNKNOWN
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=3-0 State=UP PriorityTier=1
PartitionName=gpu Nodes=gpu1 MaxTime=3-0 State=UP PriorityTier=1
PartitionName=gpu-urgent Nodes=gpu1 MaxTime=3-0 State=UP PriorityTier=10
PartitionName=pair Nodes=gpu[1-2] MaxTime=3-0 State=UP PriorityTier=1
PartitionName=shared Nodes=gpu2 MaxTime=3-0 State=UP PriorityTier=1
CONF
    [ "$accounting" = none ] || keep_accounts "$user" "$port"
    slurmctld -c
    for node in cpu1 gpu1 gpu2; do slurmd -N "$node" -c; done
    for _ in $(seq 100); do
        [ "$(sinfo -h -N -o '%N %t' 2>/dev/null | sort -u | grep -c ' idle$')" = 3 ] && {
            echo "export SLURM_CONF='$SLURM_CONF' PATH='$folder/bin':\"\$PATH\""
            return
        }
        sleep 0.2
    done
    tail -n 20 "$folder"/log/*.log >&2
    exit 1
}

keep_accounts() { # USER PORT: start slurmdbd on PORT + 4, and its database on PORT + 3
    local user=$1 database=$(($2 + 3)) data=$folder/database socket
    socket=$data/socket
    mkdir -p "$data"
    mariadb-install-db --no-defaults --datadir="$data/files" --user="$user" --skip-test-db \
        --auth-root-authentication-method=normal >"$folder/log/database.log" 2>&1
    mariadbd --no-defaults --datadir="$data/files" --user="$user" --socket="$socket" \
        --pid-file="$data/pid" --port="$database" --bind-address=127.0.0.1 \
        --innodb-buffer-pool-size=64M >>"$folder/log/database.log" 2>&1 </dev/null &
    for _ in $(seq 100); do [ -S "$socket" ] && break; sleep 0.2; done
    mariadb --no-defaults --socket="$socket" --user=root --execute="CREATE DATABASE slurm;
        CREATE USER slurm IDENTIFIED BY 'slurm'; GRANT ALL ON slurm.* TO slurm"
    cat >"$folder/slurmdbd.conf" <<CONF
AuthType=auth/none
DbdHost=localhost
DbdPort=$((database + 1))
SlurmUser=$user
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$database
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile=$folder/log/slurmdbd.log
PidFile=$folder/slurmdbd.pid
CONF
    chmod 600 "$folder/slurmdbd.conf"
    slurmdbd
    for _ in $(seq 100); do sacctmgr --immediate add cluster test >/dev/null 2>&1 && return; sleep 0.2; done
    tail -n 20 "$folder"/log/{slurmdbd,database}.log >&2
    exit 1
}

stop() {
    scancel --state=PENDING --user="$(id -un)" || true
    scancel --user="$(id -un)" || true
    for _ in $(seq 50); do [ -z "$(squeue -h)" ] && break; sleep 0.2; done
    for file in "$folder"/*.pid; do [ ! -f "$file" ] || kill "$(cat "$file")"; done
    for _ in $(seq 50); do ls "$folder"/*.pid >/dev/null 2>&1 || break; sleep 0.2; done
    [ ! -f "$folder/database/pid" ] || kill "$(cat "$folder/database/pid")"
}

"$command"
