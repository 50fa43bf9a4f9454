# Faults planted in a simulated chip, one at a time: each is noticed by Linux, or by what the job compares.
#: order 22
#: cpus 2
#: timeout 600
#: kernel iomem=relaxed
#: sim 82576 82576
. /job/judge.sh
dmesg -n 1

faults=0

# told FAULT BY: counts it, shows who noticed what, and mends the chip.
told() {
    note "$1: $2: $(tail -n 1 /tmp/said)"
    faults=$((faults + 1))
    pair_down
    healthy "$B"
}

# noticed_at_start FAULT BY: with the fault in the second chip the pair does not come up.
noticed_at_start() {
    ill "$B" "$1"
    one=$(ls "/sys/bus/pci/devices/$A/net" 2>/dev/null || :) two=''
    if pair_up "$A" "$B" >/tmp/said; then fail "nobody noticed $1: the pair comes up"; fi
    told "$1" "$2"
}

# noticed FAULT BY CHECK...: the pair comes up, and the check finds something.
noticed() {
    ill "$B" "$1"
    pair_up "$A" "$B" >/tmp/said || fail "$1: the pair does not come up: $(cat /tmp/said)"
    _fault=$1 _by=$2
    shift 2
    if "$@" >/tmp/said; then fail "nobody noticed $_fault: $1 is content"; fi
    told "$_fault" "$_by"
}

# content CHECK...: without a fault the same check finds nothing.
content() {
    "$@" >/tmp/said || fail "a healthy pair: $1: $(cat /tmp/said)"
}

pair_up "$A" "$B" >/tmp/said || fail "a healthy pair: $(cat /tmp/said)"
content check_ping
content check_ipv6
content check_counters
content check_interrupts
content check_rss "$B"
content check_tcp two one 10.9.0.1 1
content check_vlan
content check_reset two "$two" "$B"
content check_selftest two "$two" offline
pair_down

noticed_at_start nvm-never-done "igb's probe"
noticed_at_start semaphore-held "igb's probe"
noticed_at_start dead-phy "igb's probe"
noticed_at_start link-never-up "igb's link"
noticed lost-interrupts "ping" check_ping
noticed ivar-swapped "ping" check_ping
noticed no-end-of-packet "ping" check_ping
noticed multicast-deaf "ping over IPv6" check_ipv6
noticed vlan-tag-lost "ping in a VLAN" check_vlan
noticed tso-sequence-stands "TCP" check_tcp two one 10.9.0.1 1 5
noticed wrong-checksum "TCP" check_tcp two one 10.9.0.1 1 5
noticed stuck-bit "ethtool's self-test" eval 'check_selftest two "$two" offline'
# What Linux does not notice:
noticed counters-stay "the job: counters against the partner's" check_counters
noticed length-with-crc "the job: octets counted against octets delivered" check_counters
noticed eiac-ignored "the job: interrupts for so many frames" check_interrupts
noticed rss-key-ignored "the job: queues by Microsoft's hash" check_rss "$B"
noticed reset-keeps-registers "the job: a register after a reset" eval 'check_reset two "$two" "$B"'
note "$faults faults, each noticed"
