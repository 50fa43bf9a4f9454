# Everything that Linux's own igb does to the registers while it brings up, uses and shuts down a device decodes.
#: order 3
#: timeout 300
#: trace
nic_bind "$A" igb
nic_bind "$B" igb
one=$(nic_name "$A") two=$(nic_name "$B")

for side in one two; do
    ip netns add $side
    eval "interface=\$$side"
    ip link set "$interface" netns $side
done
ip -n one addr add 10.9.0.1/24 dev "$one"
ip -n two addr add 10.9.0.2/24 dev "$two"
nic_up "$one" one
nic_up "$two" two
lossless one -c 5 -i 0.01 10.9.0.2

# What a user may ask for. Not `ethtool -d`: it reads places of the 82575 on every chip (PBA, PBS, FFLT, FFVT).
inside one ethtool -S "$one" >/tmp/statistics
inside one ethtool -G "$one" rx 512 tx 512
inside one ethtool -C "$one" rx-usecs 50
inside one ethtool -L "$one" combined 1
inside one ethtool -K "$one" rxvlan off
ip -n one link add link "$one" name tagged type vlan id 42
ip -n one link set tagged up
ip -n one link set "$one" promisc on
ip -n one link set "$one" promisc off
ip -n one link set "$one" mtu 4000
ip -n two link set "$two" mtu 4000
nic_up "$one" one
nic_up "$two" two
lossless one -c 5 -i 0.01 -s 3000 10.9.0.2
ip -n one link set "$one" down
ip -n two link set "$two" down
