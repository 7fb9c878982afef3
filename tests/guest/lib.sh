# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2086
# What the scripts in the guest share. Each is a list of
#   check NAME [COMMAND [ARG...]]
# which runs the command (without one: the function NAME) under set -e and prints one line:
#   ok NAME BEGIN END        or
#   not ok NAME BEGIN END    and then, as lines that begin with "#", what was done and said
# BEGIN and END are seconds of uptime. boot.py finds the names by the word at the beginning
# of the line, so that they are known before the guest runs.

cgroups=/sys/fs/cgroup
roots='/run/hako /run/user' # where root and the ordinary user keep containers

# /b: the bundle, for one container at a time
if [ ! -d /b ]; then
	mkdir -p /b/rootfs/proc /b/rootfs/dev /b/rootfs/cgroup /b/rootfs/tmp
	cp -a /bin /b/rootfs/
	rm -f /b/rootfs/bin/hako /b/rootfs/bin/apparmor_parser /b/rootfs/bin/crun
	chmod 1777 /b/rootfs/tmp
	mkdir -m 700 /run/hako /run/user
	chown user:user /run/user
fi

# --- one check --------------------------------------------------------------

now() {
	read -r up _ </proc/uptime
	echo "$up"
}

seconds() {
	read -r up _ </proc/uptime
	echo "${up%.*}"
}

# What containers could leave behind; nothing else in the guest changes any of it.
traces() {
	find $cgroups -mindepth 1 -type d
	cat /proc/self/mountinfo
	ls $roots
	grep -l hako /proc/[0-9]*/comm
	stat -L -c 'pid namespace %i' /proc/[0-9]*/ns/pid | sort -u
} 2>/dev/null

nothing_left() {
	traces >/tmp/after
	cmp -s /tmp/before /tmp/after
}

clean_up() {
	for root in $roots; do
		for id in "$root"/*; do
			[ ! -e "$id" ] || hako --root "$root" delete --force "${id##*/}"
		done
	done
	find $cgroups -mindepth 1 -depth -type d | while read -r folder; do
		echo 1 >"$folder/cgroup.kill"
		eventually rmdir "$folder"
	done
}

check() {
	name=$1 begin=$(now) word=ok
	[ $# = 1 ] || shift
	cgroup=/c namespaces='' linux='' process='' mounts=''
	rm -rf /b/rootfs/tmp/*
	traces >/tmp/before
	(
		set -eux
		"$@"
	) >/tmp/log 2>&1
	status=$? # "|| word=" would turn set -e off
	[ $status = 0 ] || word='not ok'
	if [ "$word" = ok ] && ! eventually nothing_left; then
		word='not ok'
		diff /tmp/before /tmp/after >>/tmp/log
	fi
	[ "$word" = ok ] || clean_up >>/tmp/log 2>&1
	echo "$word $name $begin $(now)"
	[ "$word" = ok ] || tail -n 60 /tmp/log | sed 's/^/# /'
}

# eventually COMMAND...: until it succeeds, but not for ever.
eventually() {
	deadline=$(($(seconds) + 60))
	until "$@"; do
		[ "$(seconds)" -lt $deadline ] || return 1
		usleep 50000
	done 2>/dev/null
}

# not COMMAND...: unlike "!", set -e heeds it.
not() {
	if "$@"; then return 1; fi
}

# fails STATUS COMMAND...: as hako does, with one line on standard error, left in /tmp/err.
fails() {
	expected=$1 status=0
	shift
	"$@" 2>/tmp/err || status=$?
	cat /tmp/err
	[ "$status" = "$expected" ]
	[ "$(grep -vc '^+' /tmp/err)" = 1 ] # those are of set -x
}

# --- containers -------------------------------------------------------------

# bundle RESOURCES [SCRIPT]: for a container in $cgroup. Its process runs the script; without
# one it sleeps.
bundle() {
	echo "${2:-exec sleep 1000}" >/b/rootfs/script
	cat >/b/config.json <<-END
		{
			"ociVersion": "1.0.2",
			"process": {
				"user": {"uid": 0, "gid": 0},
				"args": ["/bin/sh", "/script"],
				"env": ["PATH=/bin"],
				"cwd": "/",$process
				"capabilities": {
					"bounding": ["CAP_MKNOD"],
					"effective": ["CAP_MKNOD"],
					"permitted": ["CAP_MKNOD"]
				}
			},
			"root": {"path": "rootfs"},
			"mounts": [
				{"destination": "/proc", "type": "proc", "source": "proc"},
				{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
				{"destination": "/cgroup", "type": "cgroup", "source": "cgroup"}$mounts
			],
			"linux": {
				"cgroupsPath": "$cgroup",
				"namespaces": [
					{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"},
					{"type": "ipc"}, {"type": "uts"}$namespaces
				],$linux
				"resources": {
					$1
				}
			}
		}
	END
}

create() {
	hako create --bundle /b c </dev/null
	hako verify --skip label c # verify.sh has it
}

start() {
	create
	hako start c
}

delete() {
	hako delete --force c
}

# run RESOURCES SCRIPT: what the container says is in /tmp/out, how it ended in $status.
run() {
	bundle "$1" "$2"
	status=0
	hako run --bundle /b c </dev/null >/tmp/out 2>&1 || status=$?
	cat /tmp/out
}

# holds FILE VALUE: that file of the container's cgroup.
holds() {
	[ "$(cat "$cgroups$cgroup/$1")" = "$2" ]
}

# counts FILE KEY MORE: the number after the key is greater.
counts() {
	[ "$(sed -n "s/^$2 //p" "$cgroups$cgroup/$1")" -gt "$3" ]
}

# is STATUS: what `state` says.
is() {
	hako state c | grep -q "\"status\": *\"$1\""
}
