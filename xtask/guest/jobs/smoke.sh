# Linux's own igb on both ends of the wire: probe, link, ping, IPv6, VLAN.
#: order 1
#: timeout 300
nic_bind "$A" igb
nic_bind "$B" igb
one=$(nic_name "$A") two=$(nic_name "$B")

for side in one two; do
    ip netns add $side
    eval "interface=\$$side"
    ip link set "$interface" netns $side
    ip -n $side link set lo up
done
ip -n one addr add 10.9.0.1/24 dev "$one"
ip -n two addr add 10.9.0.2/24 dev "$two"
ip -n one addr add fd09::1/64 dev "$one" nodad
ip -n two addr add fd09::2/64 dev "$two" nodad
ip -n one link set "$one" up
ip -n two link set "$two" up
nic_up "$one" one
nic_up "$two" two

speed=$(ip netns exec one ethtool "$one" | sed -n 's/^.*Speed: //p')
[ "$speed" = 1000Mb/s ] || fail "the link's speed is $speed"
lossless one -c 20 -i 0.01 10.9.0.2
lossless one -c 5 -i 0.01 -s 1472 10.9.0.2
lossless one -c 5 -i 0.01 -6 fd09::2
note "link at $speed; 25 pings and 5 of IPv6, none lost"

for side in one two; do
    eval "interface=\$$side"
    ip -n $side link add link "$interface" name tagged type vlan id 42
    ip -n $side link set tagged up
done
ip -n one addr add 10.42.0.1/24 dev tagged
ip -n two addr add 10.42.0.2/24 dev tagged
lossless one -c 5 -i 0.01 10.42.0.2
note "5 pings in VLAN 42, none lost"
