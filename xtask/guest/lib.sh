# What jobs share. A job runs with `set -eu` and ends at its first command that fails.
set -eu

# The shell prefers its own small `ip` to the real one.
ip() { /usr/bin/ip "$@" 2>&1; }

# note TEXT: shown with the job's outcome.
note() {
    echo "note $*" >&3
    echo "$*"
}

# fail TEXT: ends the job.
fail() {
    echo "FAILED: $*" >&2
    note "FAILED: $*"
    exit 1
}

# until_true SECONDS COMMAND...: repeats the command until it succeeds.
until_true() {
    _tries=$(($1 * 20))
    shift
    until "$@"; do
        _tries=$((_tries - 1))
        [ $_tries -gt 0 ] || return 1
        usleep 50000
    done
}

# The igb devices' PCI addresses in the order of their root ports: $A and $B share a wire, $C and $D, and so on to $H.
nics() {
    for _device in /sys/bus/pci/devices/*; do
        case "$(cat "$_device/vendor" "$_device/device" | tr '\n' ' ')" in
        "0x8086 0x10a7 " | "0x8086 0x10c9 " | "0x8086 0x150e " | "0x8086 0x1521 " | "0x8086 0x1f41 " | \
            "0x8086 0x1533 " | "0x8086 0x1539 ") basename "$_device" ;;
        esac
    done
}
set -- $(nics)
A=${1:-} B=${2:-} C=${3:-} D=${4:-} E=${5:-} F=${6:-} G=${7:-} H=${8:-}
set --

# nic_driver ADDRESS: the name of the driver that has the device.
nic_driver() {
    if [ -e "/sys/bus/pci/devices/$1/driver" ]; then
        basename "$(readlink -f "/sys/bus/pci/devices/$1/driver")"
    else
        echo none
    fi
}

# nic_bind ADDRESS DRIVER: gives the device to vfio-pci, igb or igbvf.
nic_bind() {
    # The bus must not hand devices to a driver just because its module is loaded.
    echo 0 >/sys/bus/pci/drivers_autoprobe
    if [ "$2" = vfio-pci ]; then modprobe vfio_iommu_type1; fi
    modprobe "$2"
    if [ "$(nic_driver "$1")" != none ]; then echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"; fi
    echo "$2" >"/sys/bus/pci/devices/$1/driver_override"
    echo "$1" >/sys/bus/pci/drivers_probe
    [ "$(nic_driver "$1")" = "$2" ] || fail "$1 went to $(nic_driver "$1"), not to $2"
}

# nic_group ADDRESS: the number of its IOMMU group.
nic_group() { basename "$(readlink -f "/sys/bus/pci/devices/$1/iommu_group")"; }

# nic_name ADDRESS: its network interface.
nic_name() { ls "/sys/bus/pci/devices/$1/net" | head -n 1; }

carrier() { [ "$(cat "/sys/class/net/$1/carrier" 2>/dev/null)" = 1 ]; }

# nic_up INTERFACE [NAMESPACE]: up, and its link too.
nic_up() {
    if [ $# -gt 1 ]; then
        ip -n "$2" link set "$1" up
        until_true 10 ip netns exec "$2" grep -q 1 "/sys/class/net/$1/carrier" || fail "no link on $1 in $2"
    else
        ip link set "$1" up
        until_true 10 carrier "$1" || fail "no link on $1"
    fi
}

# inside NAMESPACE COMMAND...: runs it there; `self` is where the job is.
inside() {
    _where=$1
    shift
    if [ "$_where" = self ]; then "$@"; else ip netns exec "$_where" "$@"; fi
}

# pongs NAMESPACE: how many answers to pings came there, of either version.
pongs() {
    inside "$1" awk '
        $1 == "Icmp:" && !column { for (i = 2; i <= NF; i++) if ($i == "InEchoReps") column = i; next }
        $1 == "Icmp:" { sum += $column }
        $1 == "Icmp6InEchoReplies" { sum += $2 }
        END { print sum + 0 }' /proc/net/snmp /proc/net/snmp6
}

# has_pongs NAMESPACE COUNT
has_pongs() { [ "$(pongs "$1")" -ge "$2" ]; }

# lossless NAMESPACE ARGUMENT...: ping; one packet lost is a failure. One that is late is not: on a busy machine ping itself
# ends too soon, so the kernel is asked which answers came.
lossless() {
    _namespace=$1
    shift
    _before=$(pongs "$_namespace")
    _said=$(inside "$_namespace" ping -q "$@" 2>&1) || true
    _count=$(echo "$_said" | sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p')
    [ "${_count:-0}" -gt 0 ] || fail "ping $*: $_said"
    until_true 30 has_pongs "$_namespace" $((_before + _count)) ||
        fail "ping $*: $(($(pongs "$_namespace") - _before)) of $_count answers: $(echo "$_said" | grep transmitted)"
}

# tcp FROM TO ADDRESS MIB [PORT]: from one namespace to another; other bytes than were sent are a failure. Two may run at a
# time, on ports of their own.
tcp() {
    _port=${5:-7000}
    _sent=/tmp/sent.$_port _received=/tmp/received.$_port _hold=/tmp/hold.$_port
    [ -e $_hold ] || mkfifo $_hold
    # A listener whose input ends closes its side, and the sender gives up what it has not sent.
    exec 5<>$_hold
    [ "$(stat -c %s $_sent 2>/dev/null)" = $(($4 << 20)) ] ||
        dd if=/dev/urandom of=$_sent bs=1M count="$4" 2>/dev/null
    ip netns exec "$2" nc -l -p "$_port" <$_hold >$_received &
    _listener=$!
    until_true 10 ip netns exec "$2" grep -qi "$(printf ':%04X .* 0A' "$_port")" /proc/net/tcp /proc/net/tcp6 ||
        fail "nobody listens in $2"
    _start=$(cut -d ' ' -f 1 /proc/uptime)
    timeout 300 /usr/bin/ip netns exec "$1" nc "$3" "$_port" <$_sent || fail "TCP from $1 to $2: the sender ended with $?"
    wait $_listener || fail "TCP from $1 to $2: the listener ended with $?"
    exec 5>&-
    _took=$(awk -v start="$_start" '{ printf "%.1f", $1 - start }' /proc/uptime)
    [ "$(sha256sum <$_received)" = "$(sha256sum <$_sent)" ] ||
        fail "TCP from $1 to $2: $(stat -c %s $_received) of $(stat -c %s $_sent) bytes, or others"
    note "$4 MiB of TCP from $1 to $2 intact, in $_took s"
}

# peer_start ARGUMENT...: vfio-peer in the background, until peer_stop. Comes back when the devices are open.
peer_start() {
    mkfifo /tmp/peer.in
    vfio-peer "$@" </tmp/peer.in >/tmp/peer.out 2>&1 &
    peer=$!
    exec 4>/tmp/peer.in
    until_true 20 grep -q '^open' /tmp/peer.out || fail "vfio-peer: $(cat /tmp/peer.out)"
    cat /tmp/peer.out
}

# peer_stop: its input ends, and so does it.
peer_stop() {
    exec 4>&-
    wait "$peer" || fail "vfio-peer: $(cat /tmp/peer.out)"
    note "vfio-peer: $(tail -n 1 /tmp/peer.out)"
    rm /tmp/peer.in
}
