#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make demo` shows: a container of busybox, then a real service in a small
# Debian system. As an ordinary user: the first part, rootless.
# RUNTIME=crun shows the same with another runtime.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
runtime=${RUNTIME:-$here/../../hako}
cache=${HAKO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hako}
root=$(id -u)

case $runtime in
*/*) runtime=$(cd "$(dirname "$runtime")" && pwd)/$(basename "$runtime") ;;
esac
tmp=$(mktemp -d "${TMPDIR:-/tmp}/hako-demo.XXXXXX")
chmod 711 "$tmp"
mkdir "$tmp/state"

clean_up() {
	status=$?
	trap - EXIT INT TERM
	for id in hello redis; do
		[ ! -e "$tmp/state/$id" ] || "$runtime" --root "$tmp/state" delete --force "$id" || :
	done
	rm -rf --one-file-system "$tmp"
	exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

title() {
	printf '\n== %s\n' "$*"
}

# Show a command of the runtime as a person would type it, and run it.
hako() {
	printf '\n$ %s %s\n' "$(basename "$runtime")" "$*"
	"$runtime" --root "$tmp/state" "$@"
}

die() {
	echo "demo: $*" >&2
	exit 1
}

# edit FILE EXPRESSION...: `spec` writes an interactive shell; ours is not one.
edit() {
	file=$1
	shift
	sed -i -e 's/"terminal": *true/"terminal": false/' "$@" "$file"
}

busybox_bundle() {
	mkdir -p "$1/rootfs"
	(
		cd "$1/rootfs"
		mkdir -p bin dev etc proc sys tmp
		cp /bin/busybox bin/busybox
		for applet in $(./bin/busybox --list); do
			[ "$applet" = busybox ] || ln -s busybox "bin/$applet"
		done
		echo 'root:x:0:0:root:/:/bin/sh' >etc/passwd
		cp "$here/inside.sh" bin/inside
	)
}

part_one() {
	title "A busybox container: new pid, mount, ipc and uts namespaces, and what comes with them"
	busybox_bundle "$tmp/hello"
	cd "$tmp/hello"
	if [ "$root" = 0 ]; then
		hako spec
	else
		hako spec --rootless
	fi
	edit config.json -e 's/"sh"/"\/bin\/inside"/' -e 's/"hostname": *"[^"]*"/"hostname": "box"/'
	hako run hello
}

# The mirror that apt uses: "URL SUITE".
mirror() {
	# shellcheck disable=SC1091
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN)' |
		awk -v suite="$suite" '$2 == suite && $3 == "main" && ($4 == "Debian" || $4 == "") {
			print $1, $2; exit }'
}

build_debian() {
	mirror=$(mirror)
	[ -n "$mirror" ] || die "apt has no Debian mirror configured"
	url=${mirror% *} suite=${mirror#* }
	options=
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || options=--no-check-gpg
	eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
	[ -z "${http_proxy:-}" ] || export http_proxy
	echo "debootstrap $suite with redis-server, once; kept in $cache"
	# mounts made on the way end with their namespace; sbin: sudo and su may leave it out
	# shellcheck disable=SC2086
	PATH=$PATH:/usr/sbin:/sbin unshare --mount --propagation private \
		debootstrap --variant=minbase $options --include=redis-server \
		"$suite" "$tmp/debian" "$url" >"$tmp/log" 2>&1 ||
		{ tail -n 20 "$tmp/log" >&2; die "debootstrap failed"; }
	mkdir -p "$cache"
	tar -C "$tmp/debian" --one-file-system --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/*' \
		--exclude='./usr/share/doc/*' --exclude='./usr/share/locale/*' --exclude='./dev/*' \
		-cf "$1.new" .
	mv "$1.new" "$1"
	rm -rf --one-file-system "$tmp/debian"
}

wait_for() {
	for _ in $(seq 100); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	die "waited in vain for: $*"
}

ping() {
	"$runtime" --root "$tmp/state" exec redis redis-cli ping | grep -q PONG
}

stopped() {
	"$runtime" --root "$tmp/state" state redis | grep -q '"stopped"'
}

part_two() {
	title "A service: Debian with Redis, in a network namespace of its own"
	image=$cache/demo-redis.tar
	[ -e "$image" ] || build_debian "$image"
	mkdir -p "$tmp/redis/rootfs"
	cd "$tmp/redis"
	tar -C rootfs -xf "$image"
	uid=$(awk -F: '$1 == "redis" { print $3 }' rootfs/etc/passwd)
	hako spec
	edit config.json -e 's/"sh"/"redis-server", "--save", "", "--logfile", "\/dev\/null"/' \
		-e "s/\"uid\": *0/\"uid\": $uid/" -e 's/"hostname": *"[^"]*"/"hostname": "redis"/'
	hako run --detach redis </dev/null
	wait_for ping
	hako list
	hako exec redis redis-cli set greeting 'hello from the container'
	hako exec redis redis-cli get greeting
	hako exec redis redis-cli info server | grep -E '^\$|redis_version|tcp_port|uptime_in_s'
	hako ps redis
	hako kill redis TERM
	wait_for stopped
	hako delete redis
}

[ -x "$(command -v "$runtime")" ] || die "$runtime does not exist: run make"
part_one
if [ "$root" = 0 ]; then
	part_two
else
	title "The second part, a service in a Debian system, needs root"
fi
title "Done; nothing was left behind"
