# Our driver forwards between two devices over VFIO; Linux's igb at both far ends: ping, IPv6, VLAN, TCP both ways.
#: order 5
#: timeout 600
#: nics 4
#: cpus 2
#: binary igb-suite vfio-peer
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

# TCP one way, the other way, and both ways at a time.
tcp one two 10.9.0.2 16 7000
tcp two one 10.9.0.1 16 7001
tcp one two 10.9.0.2 16 7000 &
first=$!
tcp two one 10.9.0.1 16 7001
wait $first || fail "TCP both ways at a time"
peer_stop
