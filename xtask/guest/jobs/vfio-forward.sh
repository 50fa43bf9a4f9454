# Our driver forwards between two devices over VFIO; Linux's igb at both far ends: ping, IPv6, VLAN, TCP, captures.
#: order 5
#: timeout 600
#: nics 4
#: cpus 2
#: binary igb-suite vfio-peer
#: binary igb-suite wire
# Wires are A-B and C-D: Linux has A and D, we have B and C.
nic_bind "$A" igb
nic_bind "$D" igb
nic_bind "$B" vfio-pci
nic_bind "$C" vfio-pci
one=$(nic_name "$A") two=$(nic_name "$D")
peer_start forward "$B" "$C"

ip netns add one
ip netns add two
ip link set "$one" netns one
ip link set "$two" netns two
ip -n one link set lo up
ip -n two link set lo up
ip -n one addr add 10.9.0.1/24 dev "$one"
ip -n two addr add 10.9.0.2/24 dev "$two"
ip -n one addr add fd09::1/64 dev "$one" nodad
ip -n two addr add fd09::2/64 dev "$two" nodad
ip -n one link set "$one" up
ip -n two link set "$two" up
nic_up "$one" one
nic_up "$two" two
lossless one -c 3 -i 0.2 10.9.0.2
for size in 0 1 18 46 100 256 512 1024 1472; do
    lossless one -c 40 -i 0.002 -s $size 10.9.0.2
done
lossless one -c 20 -i 0.01 -6 fd09::2
note "363 pings and 20 of IPv6 through us, none lost"

ip -n one link add link "$one" name tagged type vlan id 42
ip -n two link add link "$two" name tagged type vlan id 42
ip -n one addr add 10.42.0.1/24 dev tagged
ip -n two addr add 10.42.0.2/24 dev tagged
ip -n one link set tagged up
ip -n two link set tagged up
lossless one -c 20 -i 0.01 -s 1472 10.42.0.2
note "20 full pings in VLAN 42, none lost"

# What Linux sends to Linux through us, as it arrives. Segments merged on the way in would be no frames.
for side in one two; do
    eval "interface=\$$side"
    ip netns exec $side ethtool -K "$interface" gro off
    # Two queues of two processors would keep the order of each, and not that of all.
    ip netns exec $side ethtool -L "$interface" combined 1
    nic_up "$interface" $side
done
mkfifo /tmp/recorder
ip netns exec two wire record "$two" /tmp/captured </tmp/recorder >/tmp/recorded 2>&1 &
recorder=$!
exec 6>/tmp/recorder
until_true 10 grep -q ready /tmp/recorded || fail "recorder: $(cat /tmp/recorded)"
lossless one -c 20 -i 0.002 -s 700 10.9.0.2
lossless one -c 5 -i 0.01 -6 fd09::2
tcp one two 10.9.0.2 1
exec 6>&-
wait $recorder || fail "recorder: $(cat /tmp/recorded)"

# TCP one way, the other way, and both ways at a time.
tcp one two 10.9.0.2 16 7000
tcp two one 10.9.0.1 16 7001
tcp one two 10.9.0.2 16 7000 &
first=$!
tcp two one 10.9.0.1 16 7001
wait $first || fail "TCP both ways at a time"

# Captures are replayed at one end and compared at the other. Nobody else speaks, then.
for side in one two; do
    eval "interface=\$$side"
    ip -n $side link del tagged
    ip -n $side addr flush dev "$interface"
    ip netns exec $side sh -c "echo 1 >/proc/sys/net/ipv6/conf/$interface/disable_ipv6"
    ip -n $side link set "$interface" mtu 1520 promisc on
    nic_up "$interface" $side
done
# replayed FROM INTERFACE TO INTERFACE [FILE]
replayed() {
    _from=$1 _out=$2 _to=$3 _in=$4
    shift 4
    ip netns exec "$_to" wire expect "$_in" "$@" >/tmp/expected 2>&1 &
    _expecting=$!
    until_true 10 grep -q ready /tmp/expected || fail "expecting: $(cat /tmp/expected)"
    _said=$(ip netns exec "$_from" wire replay "$_out" "$@") || fail "replay: $_said"
    wait $_expecting || fail "replayed from $_from to $_to: $(cat /tmp/expected)"
    note "from $_from to $_to: $(tail -n 1 /tmp/expected)"
}
replayed one "$one" two "$two"
replayed two "$two" one "$one"
replayed one "$one" two "$two" /tmp/captured
replayed two "$two" one "$one" /tmp/captured
peer_stop
