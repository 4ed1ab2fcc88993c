#!/usr/bin/env bash
# Begin a sweep or a sharded run, or go on with it where it stopped:
#
#     carry_on.sh sweep NAME [options of simengine sweep] --out DIR
#     carry_on.sh run NAME --shards K [options of simengine run] --out FILE
#     carry_on.sh resume PATH
#
# What was asked is kept beside the results, in OUT.command. The same command again, after a requeue, an eviction or a
# lost head node, resumes; another command for the same results is refused. Ray is found at $RAY_ADDRESS, else `auto`.
set -euo pipefail

complain() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

address=${RAY_ADDRESS:-auto}
(($#)) || complain 'say what to do: sweep NAME ..., run NAME ... or resume PATH'

case $1 in
    resume) exec simengine "$@" --address "$address" ;;
    sweep | run) ;;
    *) complain "'$1' is not one of sweep, run, resume" ;;
esac

out=
previous=
for word in "$@"; do
    case $word in
        --out=*) out=${word#--out=} ;;
        *) [[ $previous != --out ]] || out=$word ;;
    esac
    previous=$word
done
[[ -n $out ]] || complain 'say --out: only named results can be found again'
out=${out%/}

asked=$(printf '%q ' "$@")
if [[ -e $out || -e $out.parts ]]; then
    if [[ ! -e $out.command ]]; then
        complain "$out was begun by another program; to finish it: ${0##*/} resume $out"
    fi
    if [[ $(<"$out.command") != "$asked" ]]; then
        complain "$out holds the results of another command (see $out.command); choose another --out"
    fi
    exec simengine resume "$out" --address "$address"
fi
mkdir -p "$(dirname "$out")"
printf '%s\n' "$asked" >"$out.command.new"
mv "$out.command.new" "$out.command"
exec simengine "$@" --address "$address"
