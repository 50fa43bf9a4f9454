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

# The igb devices' PCI addresses in the order of their root ports: $A and $B share a wire, then $C and $D.
nics() {
    for _device in /sys/bus/pci/devices/*; do
        if [ "$(cat "$_device/vendor" "$_device/device" | tr '\n' ' ')" = "0x8086 0x10c9 " ]; then
            basename "$_device"
        fi
    done
}
set -- $(nics)
A=${1:-} B=${2:-} C=${3:-} D=${4:-}
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

# lossless NAMESPACE ARGUMENT...: ping; one packet lost is a failure.
lossless() {
    _namespace=$1
    shift
    _said=$(ip netns exec "$_namespace" ping -q "$@") || {
        echo "$_said"
        fail "ping $*: $(echo "$_said" | grep transmitted || echo "no answer")"
    }
    case $_said in
    *" 0% packet loss"*) ;;
    *) fail "ping $*: $(echo "$_said" | grep transmitted)" ;;
    esac
}
