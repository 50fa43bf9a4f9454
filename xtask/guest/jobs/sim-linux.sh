# Linux's own igb drives simulated I210, I350 and 82576: probe, link, traffic, self-test, and what Linux does not notice.
#: order 20
#: cpus 2
#: timeout 600
#: kernel iomem=relaxed
#: sim i210 i210 i350 i350 82576 82576
. /job/judge.sh

# judge CHIP ADDRESS ADDRESS MIB offline|online
judge() {
    _start=$(cut -d ' ' -f 1 /proc/uptime)
    pair_up "$2" "$3" >/tmp/said || fail "$1: $(cat /tmp/said)"
    for _check in check_ping check_ipv6 check_counters check_interrupts "check_rss $3" \
        "check_tcp one two 10.9.0.2 $4" "check_tcp two one 10.9.0.1 1" check_counters check_vlan \
        "check_reset two $two $3" check_quiet "check_selftest one $one $5" check_quiet check_ping; do
        $_check >/tmp/said || fail "$1: ${_check%% *}: $(cat /tmp/said)"
    done
    pair_down
    note "$1: all well, in $(awk -v start="$_start" '{ printf "%.1f", $1 - start }' /proc/uptime) s"
}

judge i210 "$A" "$B" 16 offline
# Linux turns the offline test of chips whose media can be swapped into the online one.
judge i350 "$C" "$D" 16 online
judge 82576 "$E" "$F" 16 offline
